/** How names and sentences are written so that Mermaid takes them as text: https://mermaid.js.org/syntax/sequenceDiagram.html */

const CODES: Readonly<Record<string, string>> = { '#': '#35;', ';': '#59;', '<': '#lt;', '>': '#gt;', '"': '#quot;', '%': '#37;' }

/** text of a message, a note or a label; the word `end` alone would end a block */
export const asText = (text: string): string =>
  text
    .replace(/[#;<>"%]/g, (c) => CODES[c] ?? c)
    .replace(/\s+/g, ' ')
    .replace(/\bend\b/gi, (w) => `${w[0]}#${w.charCodeAt(1)};${w[2]}`)
