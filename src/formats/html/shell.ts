/** The page around the trace: what stands in it before the script fills it in. `title` is HTML. */
export const body = (title: string): string => `<header>
<h1>skbtrace</h1><code id="command">${title}</code>
<label>detail <select id="detail"><option value="path">path</option><option value="net">net</option><option value="full">full</option></select></label>
<label>view <select id="view"><option value="source">source</option><option value="ftrace">ftrace</option></select></label>
<label class="check"><input type="checkbox" id="why"> why</label>
<label class="search"><span>search</span> <input id="search" type="search" placeholder="tcp_*" autocomplete="off" spellcheck="false"> <output id="hits" for="search"></output></label>
<button id="help" aria-expanded="false" aria-controls="keys">? keys</button>
</header>
<section id="keys" hidden><dl>
<dt>↑ ↓ j k</dt><dd>the function before, the one after</dd>
<dt>← → Enter</dt><dd>fold, unfold; to the caller, to the first call</dd>
<dt>[ ]</dt><dd>where a buffer was changed before, next</dd>
<dt>/</dt><dd>search; Enter or n: next, N: before</dd>
<dt>d v w</dt><dd>detail, view, why</dd>
<dt>Home End PgUp PgDn</dt><dd>far</dd>
<dt>Tab</dt><dd>to the fields, each of which lights up its bytes; to the frames</dd>
<dt>?</dt><dd>these keys</dd>
</dl></section>
<noscript><p>This page shows its trace with a script, which it carries inside. Allow scripts for this file.</p></noscript>
<main>
<section id="left" aria-label="call tree">
<div id="tree" role="tree" tabindex="0" aria-label="calls"><div id="space" role="none"></div></div>
</section>
<div id="right">
<section id="about" aria-label="function"></section>
<section id="buffer" aria-label="sk_buff" aria-live="polite"></section>
<section id="bytes" aria-label="bytes and fields"></section>
<section id="wire" aria-label="frames"></section>
</div>
</main>
`

export const pageStyle = `
*{box-sizing:border-box}html,body{height:100%}
body{margin:0;display:flex;flex-direction:column;background:var(--paper);color:var(--ink);font:14px/1.45 system-ui,sans-serif;color-scheme:light dark}
code,#tree,table,.mono{font:13px/20px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
header{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:center;padding:.5rem .8rem;border-bottom:1px solid var(--line)}
h1{font-size:1rem;margin:0}h2{font-size:.95rem;margin:.2rem 0 .3rem}
#command{color:var(--soft);overflow-wrap:anywhere}
select,input,button{font:inherit;color:inherit;background:var(--room);border:1px solid var(--line);border-radius:4px;padding:.1rem .4rem}
input[type=search]{width:11rem}#hits{color:var(--soft);min-width:4.5rem;display:inline-block}
:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
#keys{border-bottom:1px solid var(--line);padding:.4rem .8rem}#keys dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0}dt{font-family:ui-monospace,monospace}dd{margin:0}
main{flex:1;display:flex;min-height:0}
#left{flex:1 1 50%;min-width:0;min-height:0;display:flex;border-right:1px solid var(--line)}
#tree{flex:1;overflow:auto;position:relative;outline-offset:-2px}
#space{position:relative}
.row{position:absolute;left:0;min-width:100%;height:20px;white-space:pre;padding-right:1rem;cursor:default}
.row .t{display:inline-block;width:6.2rem;text-align:right;color:var(--soft);padding-right:.6rem}
.row .g{color:var(--soft);font-style:italic}.row .n{color:var(--soft)}.row .drop{color:var(--fresh);font-weight:700}.row .f{color:var(--accent)}
.row .call{font-weight:700}.row .x{color:var(--soft)}
.row .dot{color:var(--fresh)}
.row.at{background:var(--net)}.row.hit .name{text-decoration:underline;text-decoration-color:var(--fresh);text-decoration-thickness:2px}
#right{flex:1 1 50%;min-width:0;min-height:0;overflow:auto;padding:.6rem .9rem}
#right section{margin-bottom:1rem}
svg{max-width:100%;height:auto}
#about table td:first-child{color:var(--soft);padding-right:1rem;vertical-align:top}
#about p{margin:.2rem 0}
.hex{border-collapse:collapse}.hex td{padding:0 .6rem 0 0;white-space:pre}.hex td:first-child,.soft{color:var(--soft)}
.hex b{font-weight:400;padding:0 .25ch;border-radius:2px}.hex b.new{color:var(--fresh);font-weight:700}
.k-link{background:var(--link)}.k-net{background:var(--net)}.k-transport{background:var(--transport)}.k-payload{background:var(--payload)}
.hex b.lit,.field.lit{outline:2px solid var(--accent);outline-offset:-1px}
.fields{display:flex;flex-wrap:wrap;gap:.25rem;margin:.4rem 0}
.field{font:12px/18px ui-monospace,monospace;border:1px solid var(--line);border-radius:3px;padding:0 .35rem;cursor:default;background:none}
.field.new{color:var(--fresh);font-weight:700}
.field i{font-style:normal;color:var(--soft)}
.d-frame{cursor:pointer}.d-frame:focus-visible rect,.d-frame:hover rect{fill:var(--room)}
@media(max-width:800px){main{flex-direction:column}#left{border-right:0;border-bottom:1px solid var(--line);flex-basis:45%}#right{flex-basis:55%}}
`
