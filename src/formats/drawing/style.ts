/** Colours of the drawings, for a light and a dark page. A drawing that stands alone carries them; a page has them once. */
export const drawingStyle = `
:root,svg{--ink:#1b1f24;--soft:#4f5862;--paper:#fff;--line:#8c959f;--room:#eef1f4;--link:#bfe3c0;--net:#b6d8f2;--transport:#f7d9a0;--payload:#e3d3f2;--fresh:#a02800;--accent:#0a579f}
@media(prefers-color-scheme:dark){:root,svg{--ink:#e6e8eb;--soft:#a8b1bb;--paper:#14171a;--line:#6b7580;--room:#23282e;--link:#1d4426;--net:#163b5a;--transport:#4d370c;--payload:#3d2b50;--fresh:#ff9a6b;--accent:#6cb2ff}}
.d-text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--ink)}
.d-soft{fill:var(--soft)}.d-fresh{fill:var(--fresh);font-weight:700}.d-mid{text-anchor:middle}.d-end{text-anchor:end}.d-over{paint-order:stroke;stroke:var(--paper);stroke-width:4px}
.d-cell{stroke:var(--line);stroke-width:1}
.d-room{fill:var(--room)}.d-link{fill:var(--link)}.d-net{fill:var(--net)}.d-transport{fill:var(--transport)}.d-payload{fill:var(--payload)}
.d-line{stroke:var(--line);stroke-width:1;fill:none}.d-arrow{stroke:var(--accent);stroke-width:1.5;fill:none}.d-head{fill:var(--accent)}
`

/** a drawing as a file of its own: an `<svg>` element with the colours inside */
export const standalone = (svg: string): string =>
  svg.replace(
    /<svg ([^>]*)>/,
    (_, attributes: string) => `<svg xmlns="http://www.w3.org/2000/svg" ${attributes}><style>${drawingStyle}</style>`,
  )
