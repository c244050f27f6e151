// Reads fixtures/kernel, fixtures/image and the sources, and writes what skbtrace has to know of the kernel functions it declares:
//   src/trace/generated/facts.json          symbols, costs, and for each caller which calls were inlined and which are real
//   src/kernel/include/generated/enums.ts   the kernel's enumerations and constants, as compiled
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const facts = join(root, 'fixtures/kernel')
const rows = (file, dir = facts) =>
  readFileSync(join(dir, file), 'utf8')
    .split('\n')
    .filter((l) => l && !l.startsWith('#'))
    .map((l) => l.split('\t'))
const sources = (dir) =>
  readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory()
      ? e.name === 'generated'
        ? []
        : sources(join(dir, e.name))
      : e.name.endsWith('.ts')
        ? [join(dir, e.name)]
        : [],
  )
const writeIfChanged = (file, text) => {
  mkdirSync(dirname(file), { recursive: true })
  let old = ''
  try {
    old = readFileSync(file, 'utf8')
  } catch {}
  if (old !== text) writeFileSync(file, text)
}

/** the base name of a compiler-made variant: tcp_small_queue_check.isra.0 -> tcp_small_queue_check; `.part` is a function of its own */
const bare = (name) => name.replace(/\.(isra|constprop|cold)\.?\d*/g, '')

function declared() {
  const names = new Set()
  for (const file of [join(root, 'src/kernel'), join(root, 'test')].flatMap(sources))
    for (const m of readFileSync(file, 'utf8').matchAll(/\bkfunc\(\s*'([^']+)'/g)) names.add(m[1])
  return names
}

/**
 * The tables count an instruction for each byte that a function copies, adds up or clears, and what the emulated card did inside of a
 * register's write: fixtures/kernel/README.md. What these take themselves are their smallest calls; bytes are charged where they move.
 */
const BY_THE_BYTE = new Set(
  `tcp_sendmsg_locked skb_copy_ubufs skb_copy_datagram_from_iter csum_and_copy_from_user csum_and_copy_to_user csum_partial
  csum_partial_copy_nocheck skb_copy_bits skb_checksum ip_generic_getfrag __ip_append_data shmem_file_splice_read
  __kmalloc_node_track_caller_noprof mix_interrupt_randomness e1000_xmit_frame e1000_clean_rx_irq vp_notify`.split(/\s+/),
)
/** bytes that the smallest call cleared or copied: a page, when it is taken, and what the recorded reads read */
const AT_LEAST = new Map([
  ['get_page_from_freelist', 4096],
  ['simple_copy_to_iter', 4096],
])

function collect() {
  const want = declared()
  const costs = new Map(
    rows('costs.tsv').map(([name, median, p10]) => {
      const own = BY_THE_BYTE.has(name) || AT_LEAST.has(name) ? p10 - (AT_LEAST.get(name) ?? 0) : +median
      return [name, own]
    }),
  )
  const symbols = new Map()
  for (const [name, file, line, kind, , params, ret, , ftrace, , , made] of rows('symbols.tsv')) {
    const row = { file, line: +line, kind, ftrace: +ftrace, params, ret }
    const old = symbols.get(name)
    // several static functions may share a name: the one that can be traced wins, then the one that has a symbol at all
    if (!old || row.ftrace > old.ftrace || (old.kind === 'inline-only' && kind !== 'inline-only')) symbols.set(name, row)
    if (made && made !== '-')
      for (const m of made.split(/[ ,]+/)) if (m.includes('.part')) symbols.set(bare(m), { ...row, kind: 'static' })
  }
  for (const [name, file, line, kind, params, ret, , cost] of rows('functions.tsv', join(root, 'fixtures/image'))) {
    symbols.set(name, { file, line: +line, kind, ftrace: 1, params, ret })
    if (cost !== '-' && !costs.has(name)) costs.set(name, +cost)
  }
  const callees = new Set()
  const edges = {}
  const path = (p) => (p === '-' ? [] : p.split('>').map((x) => x.replace(/:[\d,]+$/, '')))
  const add = (caller, callee, at, p, kind, tail) => {
    if (!want.has(caller) || !want.has(callee)) return
    const via = path(p).filter((n) => want.has(n))
    const list = (edges[caller] ??= {})
    const key = [...via, callee].join('>')
    const line = at.split(':').pop()
    const old = (list[key] ??= { inlined: [], called: [], tail: 0 })
    if (!old[kind].includes(line)) old[kind].push(line)
    if (tail) old.tail = 1
  }
  for (const [caller, , callee, at, p, , bytes] of rows('inlines.tsv'))
    add(bare(caller), bare(callee), at, p, 'inlined', 0, bytes)
  for (const [caller, , callee, at, p, tail] of rows('calls.tsv')) {
    callees.add(bare(callee))
    add(bare(caller), bare(callee), at, p, 'called', tail === '1')
  }
  const missing = [...want].filter((n) => !symbols.has(n) && !callees.has(n) && !costs.has(n))
  // a line for each function: what is known of it, and its calls as text, taken apart only when somebody asks
  const lines = []
  for (const n of [...want].sort()) {
    const s = symbols.get(n)
    const c = costs.get(n)
    if (missing.includes(n)) continue
    // the entry of a system call is a function of its own, always
    const ftrace = s ? s.ftrace : costs.has(n) || n.startsWith('__x64_sys_') ? 1 : 0
    const calls = Object.entries(edges[n] ?? {}).map(
      ([key, e]) => `;${key}|${e.inlined.join(',')}|${e.called.join(',')}|${e.tail}`,
    )
    const kind = ['global', 'static', 'inline-only'].indexOf(s?.kind ?? 'global')
    const row = [n, 2 * kind + ftrace, c ?? 0, s?.file ?? '', s?.line ?? 0, s?.params ?? '', s?.ret ?? '']
    lines.push([...row, `${calls.join('')};`].join('\t'))
  }
  const out = lines.join('\n')
  return { out, missing, size: want.size }
}

function constants() {
  const seen = new Map()
  const lines = ['// Generated by scripts/facts.mjs from fixtures/kernel/enums.txt and sizes.txt']
  for (const file of ['enums.txt', 'sizes.txt'])
    for (const l of readFileSync(join(facts, file), 'utf8').split('\n')) {
      if (l.startsWith('## ')) lines.push('', `// ${l.slice(3)}`)
      const m = /^(-?(?:0x[0-9a-f]+|\d+)) ([A-Za-z_]\w*)$/i.exec(l)
      if (!m || seen.has(m[2])) continue
      seen.set(m[2], m[1])
      const big = BigInt(m[1]) > BigInt(Number.MAX_SAFE_INTEGER)
      lines.push(`export const ${m[2]} = ${m[1]}${big ? 'n' : ''}`)
    }
  lines.push('', '/** the reasons for which a buffer is dropped, without SKB_DROP_REASON_ */')
  lines.push('export const skb_drop_reasons: readonly (readonly [name: string, value: number])[] = [')
  for (const [name, value] of seen) if (name.startsWith('SKB_DROP_REASON_')) lines.push(`  ['${name.slice(16)}', ${value}],`)
  lines.push(']')
  return `${lines.join('\n')}\n`
}

const { out, missing, size } = collect()
writeIfChanged(join(root, 'src/trace/generated/facts.json'), `${JSON.stringify(out)}\n`)
writeIfChanged(join(root, 'src/kernel/include/generated/enums.ts'), constants())
if (missing.length) {
  process.stderr.write(`facts: not functions of Linux 6.12.117: ${missing.join(' ')}\n`)
  process.exitCode = 1
} else if (process.argv.includes('--verbose')) process.stderr.write(`facts: ${size} functions\n`)
