/// <reference lib="dom" />
import type { drawGeometry } from '../drawing/geometry.ts'
import type { drawSequence } from '../drawing/sequence.ts'
import type { FrameState, Part, SkbState } from '../drawing/state.ts'
import type { TraceRecord } from './records.ts'

/**
 * The page's script. It runs in the browser: its source is written into the page, so it uses nothing from outside itself but what it is
 * given.
 */
export function page(records: readonly TraceRecord[], geometry: typeof drawGeometry, sequence: typeof drawSequence): void {
  const ROW = 20
  /** pixels a level */
  const STEP = 10
  const SHOW = 1
  const PRUNE = 3

  interface Node {
    /** 0 a call of the scenario, 1 a function, 2 a note, 3 a frame */
    type: 0 | 1 | 2 | 3
    depth: number
    /** index of the first node that is not below this one */
    end: number
    parent: number
    text: string
    fn: number
    kind: number
    line: number
    at: number
    took: number
    skb: number
    args: string
    via: string
    ret: string
    path: boolean
    /** how many records came before it: which state of a buffer is its own */
    record: number
    folded: boolean
    note: string
    frame: number
    /** a buffer was changed between this and the node before */
    changed: boolean
  }
  interface Fn {
    name: string
    file: string
    line: number
    prototype: string
    net: readonly number[]
  }

  const fns = new Map<number, Fn>()
  const nodes: Node[] = []
  const frames: FrameState[] = []
  const frameNodes: number[] = []
  /** the states of each buffer, and after how many records they began */
  const states = new Map<number, { record: number; state: SkbState }[]>()

  const node = (type: Node['type'], depth: number, parent: number, record: number): Node => ({
    type,
    depth,
    end: 0,
    parent,
    text: '',
    fn: -1,
    kind: 0,
    line: 0,
    at: 0,
    took: 0,
    skb: 0,
    args: '',
    via: '',
    ret: '',
    path: true,
    record,
    folded: false,
    note: '',
    frame: -1,
    changed: false,
  })
  let cut = 0
  {
    const stack: number[] = []
    let changed = false
    const add = (n: Node): void => {
      n.changed = changed
      changed = false
      nodes.push(n)
    }
    records.forEach((r, i) => {
      const parent = stack[stack.length - 1] ?? -1
      switch (r[0]) {
        case 'fn':
          fns.set(r[1], { name: r[2], file: r[3], line: r[4], prototype: r[5], net: r[6] })
          break
        case 'call': {
          const n = node(0, 0, -1, i)
          n.text = r[1]
          n.at = r[2]
          stack.push(nodes.length)
          add(n)
          break
        }
        case 'result': {
          const at = stack.pop() ?? -1
          const n = nodes[at]
          if (n !== undefined) {
            n.end = nodes.length
            n.ret = r[1]
            n.took = r[2] - n.at
          }
          break
        }
        case 'enter': {
          const n = node(1, stack.length, parent, i)
          n.fn = r[1]
          n.kind = r[2]
          n.line = r[3]
          n.at = r[4]
          n.skb = r[5]
          n.args = r[6]
          n.via = r[7]
          n.text = fns.get(r[1])?.name ?? '?'
          stack.push(nodes.length)
          add(n)
          break
        }
        case 'exit': {
          const n = nodes[stack.pop() ?? -1]
          if (n !== undefined) {
            n.end = nodes.length
            n.took = r[1] - n.at
            n.ret = r[2]
            n.path = r[3] === 1
          }
          break
        }
        case 'skb': {
          const list = states.get(r[1].id)
          if (list === undefined) states.set(r[1].id, [{ record: i, state: r[1] }])
          else list.push({ record: i, state: r[1] })
          changed = true
          break
        }
        case 'frame': {
          const n = node(3, stack.length, parent, i)
          n.frame = frames.length
          n.skb = r[1].skb
          n.at = r[1].at
          n.text = `frame ${frames.length + 1} ${r[1].direction} on ${r[1].device}: ${r[1].bytes} bytes, ${r[1].text}`
          n.end = nodes.length + 1
          frames.push(r[1])
          frameNodes.push(nodes.length)
          add(n)
          break
        }
        case 'note':
        case 'context': {
          const n = node(2, stack.length, parent, i)
          n.note = r[0] === 'note' ? r[1] : 'context'
          n.text = r[0] === 'note' ? r[2] : r[1]
          n.end = nodes.length + 1
          add(n)
          break
        }
        case 'cut':
          cut = r[1]
          break
      }
    })
    for (const at of stack) {
      const n = nodes[at]
      if (n !== undefined) n.end = nodes.length
    }
  }

  const byId = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T
  const esc = (t: string): string => t.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`)
  const tree = byId('tree')
  const space = byId('space')
  const detail = byId<HTMLSelectElement>('detail')
  const view = byId<HTMLSelectElement>('view')
  const why = byId<HTMLInputElement>('why')
  const search = byId<HTMLInputElement>('search')

  // what is shown: nodes and the depth that they are shown at
  let rows: number[] = []
  let depths: number[] = []
  let cursor = 0
  /** pixels that the rows take so far */
  let wide = 0
  let hits: number[] = []

  /** 1: shown, 2: not, but what is below it; 3: nothing of it */
  function treatment(n: Node): number {
    if (n.type === 0 || n.type === 3) return SHOW
    if (n.type === 2) {
      if (n.note === 'drop') return SHOW
      if (n.note === 'decision') return why.checked ? SHOW : PRUNE
      if (n.note === 'copy' || n.note === 'context') return SHOW
      return detail.value === 'full' ? SHOW : PRUNE
    }
    if (view.value === 'ftrace' && n.kind !== 0) return 2
    if (detail.value === 'full') return SHOW
    const t = fns.get(n.fn)?.net[n.kind] ?? SHOW
    if (t !== SHOW) return t
    return detail.value === 'path' && !n.path ? 2 : SHOW
  }

  function layout(): void {
    const was = rows[cursor]
    rows = []
    depths = []
    // how many of the callers are shown, by depth in the trace
    const above: number[] = [0]
    for (let i = 0; i < nodes.length; ) {
      const n = nodes[i] as Node
      const t = treatment(n)
      const d = above[n.depth] ?? 0
      if (t === PRUNE) {
        i = n.end
        continue
      }
      above[n.depth + 1] = t === SHOW ? d + 1 : d
      if (t === SHOW) {
        rows.push(i)
        depths.push(d)
      }
      i = n.folded ? n.end : i + 1
    }
    space.style.height = `${rows.length * ROW}px`
    space.style.width = ''
    wide = tree.clientWidth
    find()
    let at = 0
    if (was !== undefined) for (let i = 0; i < rows.length && (rows[i] as number) <= was; i++) at = i
    move(at)
  }

  const time = (ns: number): string => `${(ns / 1000).toFixed(3)} us`
  const hasBelow = (i: number): boolean => {
    const n = nodes[i] as Node
    for (let k = i + 1; k < n.end; ) {
      const t = treatment(nodes[k] as Node)
      if (t === SHOW) return true
      k = t === PRUNE ? (nodes[k] as Node).end : k + 1
    }
    return false
  }

  function paint(): void {
    const first = Math.max(0, Math.floor(tree.scrollTop / ROW) - 5)
    const last = Math.min(rows.length, first + Math.ceil(tree.clientHeight / ROW) + 10)
    const marked = new Set(hits)
    let out = ''
    for (let r = first; r < last; r++) {
      const i = rows[r] as number
      const n = nodes[i] as Node
      const below = n.type < 2 && hasBelow(i)
      let text = ''
      if (n.type === 0) text = `<span class="call">${esc(n.text)}</span><span class="x"> = ${esc(n.ret)}</span>`
      else if (n.type === 3) text = `<span class="f">${esc(n.text)}</span>`
      else if (n.type === 2)
        text = `<span class="${n.note === 'drop' ? 'drop' : 'n'}">${n.note === 'context' ? 'now runs' : n.note}: ${esc(n.text)}</span>`
      else {
        const fold = below ? (n.folded ? '▸ ' : '▾ ') : '  '
        text = `${fold}<span class="name${n.kind === 0 ? '' : ' g'}">${n.kind === 1 ? '~' : n.kind === 2 ? '-' : ''}${esc(n.text)}</span>()${n.via === '' ? '' : `<span class="x">  ${esc(n.via)}</span>`}${n.changed ? '<span class="dot" title="the buffer was changed before this"> •</span>' : ''}`
      }
      const t = n.type < 2 ? time(n.took) : ''
      out += `<div class="row${r === cursor ? ' at' : ''}${marked.has(i) ? ' hit' : ''}" id="r${r}" data-row="${r}" role="treeitem" aria-level="${(depths[r] ?? 0) + 1}" aria-selected="${r === cursor}"${below ? ` aria-expanded="${!n.folded}"` : ''} style="top:${r * ROW}px"><span class="t">${t}</span><span style="padding-left:${(depths[r] ?? 0) * STEP}px">${text}</span></div>`
    }
    space.innerHTML = out
    // a marked row is marked to its end, however far the longest one goes
    if (tree.scrollWidth > wide) {
      wide = tree.scrollWidth
      space.style.width = `${wide}px`
    }
    tree.setAttribute('aria-activedescendant', `r${cursor}`)
  }

  function move(to: number): void {
    cursor = Math.max(0, Math.min(rows.length - 1, to))
    const top = cursor * ROW
    if (top < tree.scrollTop + ROW) tree.scrollTop = Math.max(0, top - ROW)
    else if (top + 2 * ROW > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + 2 * ROW - tree.clientHeight
    // a deep function's name stands in view, with some of its callers to the left
    const left = (depths[cursor] ?? 0) * STEP
    const room = tree.clientWidth - 110
    if (left < tree.scrollLeft + 40 || left + 260 > tree.scrollLeft + room) tree.scrollLeft = Math.max(0, left - room / 3)
    paint()
    show()
  }

  /** the states of a buffer at a node and before that: the last two that had begun by then */
  function stateAt(id: number, record: number): [SkbState | null, SkbState | null] {
    const list = states.get(id) ?? []
    let lo = 0
    let hi = list.length
    while (lo < hi) {
      const mid = (lo + hi) >> 1
      if ((list[mid]?.record ?? 0) < record) lo = mid + 1
      else hi = mid
    }
    return [list[lo - 1]?.state ?? null, list[lo - 2]?.state ?? null]
  }

  /** the buffer that a node is about: its own, else its caller's, else the one that was seen last */
  function bufferOf(n: Node): number {
    for (let p: Node | undefined = n; p !== undefined; p = nodes[p.parent]) if (p.skb !== 0 && states.has(p.skb)) return p.skb
    let id = 0
    let best = -1
    for (const [k, list] of states) for (const s of list) if (s.record < n.record && s.record > best) [best, id] = [s.record, k]
    return id
  }

  const kindOf = (p: string): string =>
    p === 'Ethernet' || p === 'VLAN' || p === 'ARP'
      ? 'link'
      : p.startsWith('IP')
        ? 'net'
        : p === 'payload'
          ? 'payload'
          : 'transport'

  /** bytes with the fields that they are. `old`: the bytes that were at the same places before, undefined where there were none */
  function bytesTable(hex: string, parts: readonly Part[], old: (i: number) => string | undefined, news: Set<string>): string {
    const n = hex.length / 2
    let out = '<table class="hex mono"><tbody>'
    for (let at = 0; at < n; at += 16) {
      let cells = ''
      let ascii = ''
      for (let i = at; i < Math.min(n, at + 16); i++) {
        const b = hex.slice(2 * i, 2 * i + 2)
        const part = parts.find((p) => i >= p.offset && i < p.offset + p.length)
        const fresh = old(i) !== undefined && old(i) !== b
        cells += `<b data-i="${i}" class="${part === undefined ? '' : `k-${kindOf(part.protocol)}`}${fresh ? ' new' : ''}">${b}</b>${i % 8 === 7 ? ' ' : ''}`
        const c = Number.parseInt(b, 16)
        ascii += c >= 32 && c < 127 ? String.fromCharCode(c) : '.'
      }
      out += `<tr><td>${at.toString(16).padStart(4, '0')}</td><td>${cells}</td><td class="soft">${esc(ascii)}</td></tr>`
    }
    out += '</tbody></table>'
    for (const p of parts) {
      if (p.fields.length === 0) continue
      out += `<div class="fields"><span class="field k-${kindOf(p.protocol)}">${p.protocol} ${p.length}</span>`
      for (const [name, o, length, meaning] of p.fields)
        out += `<button class="field${news.has(`${p.protocol}.${name}.${meaning}`) ? ' new' : ''}" data-o="${o}" data-n="${length}">${esc(name)} <i>${esc(meaning)}</i></button>`
      out += '</div>'
    }
    return out
  }

  function show(): void {
    const n = nodes[rows[cursor] ?? 0]
    if (n === undefined) return
    const about = byId('about')
    const buffer = byId('buffer')
    const bytes = byId('bytes')
    if (n.type === 1) {
      const f = fns.get(n.fn)
      const caller = nodes[n.parent]
      const kind = [
        'called',
        'inlined by the compiler: ftrace does not see it',
        'real, but without a tracing site: ftrace does not see it',
      ][n.kind]
      const row = (k: string, v: string): string => (v === '' ? '' : `<tr><td>${k}</td><td>${v}</td></tr>`)
      about.innerHTML = `<h2>${esc(n.text)}()</h2><table>${row('source', f === undefined || f.file === '' ? '' : `${esc(f.file)}:${f.line}`)}${row('prototype', esc(f?.prototype ?? ''))}${row('how', kind ?? '')}${row('from', caller === undefined || caller.type === 0 ? '' : `${esc(caller.text)}()${n.line > 0 ? `, line ${n.line}` : ''}${n.via === '' ? '' : `, through ${esc(n.via)}`}`)}${row('arguments', esc(n.args))}${row('returns', esc(n.ret))}${row('time', `${time(n.took)}, from ${(n.at / 1e9).toFixed(9)} s`)}</table>`
    } else
      about.innerHTML = `<h2>${n.type === 0 ? esc(`${n.text} = ${n.ret}`) : n.type === 3 ? `frame ${n.frame + 1}` : esc(n.note)}</h2><p>${n.type === 0 ? `${time(n.took)}${cut > 0 ? `; the trace was cut after ${cut} functions` : ''}` : esc(n.text)}</p>`

    const frame = n.type === 3 ? frames[n.frame] : undefined
    const id = bufferOf(n)
    const [state, before] = stateAt(id, n.type === 0 ? n.record : n.record + 1)
    if (state === null) buffer.innerHTML = '<p class="soft">There is no sk_buff yet.</p>'
    else {
      const who = state.owner === '' ? 'held by no socket' : `held by ${esc(state.owner)}`
      buffer.innerHTML = `<h2>skb ${state.id}${state.cloneOf > 0 ? `, a clone of skb ${state.cloneOf}` : ''}</h2><p class="soft">${who}${state.device === '' ? '' : `, dev ${esc(state.device)}`}</p>${geometry(state, before, Math.max(420, Math.min(900, byId('right').clientWidth - 40)))}`
    }
    const fieldSet = (s: SkbState | null): Set<string> =>
      new Set(s?.parts.flatMap((p) => p.fields.map((f) => `${p.protocol}.${f[0]}.${f[3]}`)) ?? [])
    if (frame !== undefined)
      bytes.innerHTML = `<h2>bytes on the wire</h2>${bytesTable(frame.hex, frame.parts, () => undefined, new Set())}`
    else if (state !== null && state.hex !== '') {
      const shift = before === null ? 0 : state.data - before.data
      const oldFields = fieldSet(before)
      const news = new Set(
        before === null || before.parts.length === 0 ? [] : [...fieldSet(state)].filter((f) => !oldFields.has(f)),
      )
      const old = (i: number): string | undefined => {
        if (before === null) return undefined
        const at = 2 * (i + shift)
        return at < 0 ? '' : before.hex.slice(at, at + 2) || undefined
      }
      bytes.innerHTML = `<h2>bytes from data on</h2>${bytesTable(state.hex, state.parts, old, news)}`
    } else bytes.innerHTML = ''
    drawWire(n)
  }

  /** the frames of the host itself, where it has any: the other end's own view of them would only repeat them */
  const ofHost = frames.map((_, i) => i).filter((i) => frames[i]?.netns === '')
  const drawn = ofHost.length > 0 ? ofHost : frames.map((_, i) => i)

  function drawWire(n: Node): void {
    const now = rows[cursor] ?? 0
    let last = -1
    for (let lo = 0, hi = drawn.length; lo < hi; ) {
      const mid = (lo + hi) >> 1
      if ((frameNodes[drawn[mid] ?? 0] ?? 0) <= now) {
        last = mid
        lo = mid + 1
      } else hi = mid
    }
    const from = Math.max(0, Math.min(last - 20, drawn.length - 60))
    const part = drawn.slice(from, from + 60)
    const wire = byId('wire')
    const width = Math.max(420, Math.min(900, byId('right').clientWidth - 40))
    const marked = n.type === 3 ? part.indexOf(n.frame) : last - from
    const some = `<p class="soft">frames ${from + 1} to ${from + part.length} of ${drawn.length}</p>`
    wire.innerHTML = `<h2>on the wire</h2>${part.length < drawn.length ? some : ''}${sequence(
      part.map((i) => frames[i] as FrameState),
      width,
      marked,
    )}`
    // its frames are buttons: no picture
    wire.querySelector('svg')?.setAttribute('role', 'group')
    wire.querySelectorAll<SVGGElement>('.d-frame').forEach((g) => {
      const go = (): void => {
        goTo(frameNodes[part[Number(g.dataset.frame)] ?? 0] ?? 0)
        tree.focus()
      }
      g.setAttribute('tabindex', '0')
      g.setAttribute('role', 'button')
      g.addEventListener('click', go)
      g.addEventListener('keydown', (e) => {
        if (e.key !== 'Enter' && e.key !== ' ') return
        go()
        e.preventDefault()
        e.stopPropagation()
      })
    })
  }

  /** shows a node, whatever is folded over it */
  function goTo(at: number): void {
    for (let p = nodes[at]?.parent ?? -1; p >= 0; p = nodes[p]?.parent ?? -1) (nodes[p] as Node).folded = false
    layout()
    let r = 0
    for (let i = 0; i < rows.length && (rows[i] as number) <= at; i++) r = i
    move(r)
  }

  function find(): void {
    const text = search.value.trim()
    if (text === '') {
      hits = []
      byId('hits').textContent = ''
      return
    }
    const pattern = text
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '.*')
      .replace(/\?/g, '.')
    const test = new RegExp(/[*?]/.test(text) ? `^${pattern}$` : pattern, 'i')
    hits = []
    for (let i = 0; i < nodes.length; ) {
      const n = nodes[i] as Node
      const t = treatment(n)
      if (t === SHOW && test.test(n.text)) hits.push(i)
      i = t === PRUNE ? n.end : i + 1
    }
    const hidden = hits.length > 0 ? 0 : nodes.filter((n) => n.type === 1 && test.test(n.text)).length
    byId('hits').textContent = hits.length > 0 ? `${hits.length} found` : hidden > 0 ? `none here, ${hidden} in full` : 'nothing'
  }

  function nextHit(way: 1 | -1): void {
    if (hits.length === 0) return
    const now = rows[cursor] ?? 0
    const at = way > 0 ? hits.findIndex((h) => h > now) : hits.findLastIndex((h) => h < now)
    const hit = at >= 0 ? at : way > 0 ? 0 : hits.length - 1
    goTo(hits[hit] as number)
    byId('hits').textContent = `${hit + 1} of ${hits.length}`
  }

  function nextChange(way: 1 | -1): void {
    for (let r = cursor + way; r >= 0 && r < rows.length; r += way) {
      const from = rows[r - 1] ?? -1
      for (let i = from + 1; i <= (rows[r] as number); i++)
        if (nodes[i]?.changed) {
          move(r)
          return
        }
    }
  }

  function fold(n: Node, folded: boolean): void {
    n.folded = folded
    layout()
  }

  function step(key: string): boolean {
    const n = nodes[rows[cursor] ?? 0]
    if (n === undefined) return false
    const screen = Math.max(1, Math.floor(tree.clientHeight / ROW) - 2)
    switch (key) {
      case 'Enter':
      case ' ':
        if (n.type < 2 && hasBelow(rows[cursor] ?? 0)) fold(n, !n.folded)
        return true
      case 'ArrowDown':
      case 'j':
        move(cursor + 1)
        return true
      case 'ArrowUp':
      case 'k':
        move(cursor - 1)
        return true
      case 'PageDown':
        move(cursor + screen)
        return true
      case 'PageUp':
        move(cursor - screen)
        return true
      case 'Home':
        move(0)
        return true
      case 'End':
        move(rows.length - 1)
        return true
      case 'ArrowRight':
        if (n.folded) fold(n, false)
        else move(cursor + 1)
        return true
      case 'ArrowLeft':
        if (!n.folded && n.end > (rows[cursor] ?? 0) + 1 && hasBelow(rows[cursor] ?? 0)) fold(n, true)
        else {
          const d = depths[cursor] ?? 0
          let r = cursor
          while (r > 0 && (depths[r] ?? 0) >= d) r--
          move(r)
        }
        return true
      case ']':
        nextChange(1)
        return true
      case '[':
        nextChange(-1)
        return true
      case 'n':
        nextHit(1)
        return true
      case 'N':
        nextHit(-1)
        return true
      case '/':
        search.focus()
        search.select()
        return true
      case 'd':
        detail.selectedIndex = (detail.selectedIndex + 1) % 3
        layout()
        return true
      case 'v':
        view.selectedIndex = 1 - view.selectedIndex
        layout()
        return true
      case 'w':
        why.checked = !why.checked
        layout()
        return true
      case '?':
        keys()
        return true
    }
    return false
  }

  function keys(): void {
    const k = byId('keys')
    k.hidden = !k.hidden
    byId('help').setAttribute('aria-expanded', String(!k.hidden))
    paint()
  }

  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return
    const on = e.target as HTMLElement
    if (on === search) {
      if (e.key === 'Enter') {
        nextHit(e.shiftKey ? -1 : 1)
        e.preventDefault()
      } else if (e.key === 'Escape') {
        tree.focus()
        e.preventDefault()
      }
      return
    }
    if (on instanceof HTMLSelectElement || (on instanceof HTMLInputElement && e.key === ' ')) return
    if ((e.key === 'Enter' || e.key === ' ') && on !== tree && on !== document.body) return
    if (!step(e.key)) return
    e.preventDefault()
    // what had the focus may be gone: a field of the buffer that was left
    if (document.activeElement === document.body) tree.focus()
  })
  search.addEventListener('input', () => {
    find()
    paint()
  })
  for (const c of [detail, view, why]) c.addEventListener('change', layout)
  byId('help').addEventListener('click', keys)
  tree.addEventListener('scroll', paint)
  addEventListener('resize', () => {
    space.style.width = ''
    wide = tree.clientWidth
    move(cursor)
  })
  space.addEventListener('click', (e) => {
    const row = (e.target as HTMLElement).closest<HTMLElement>('.row')
    if (row === null) return
    const to = Number(row.dataset.row)
    if (to === cursor) {
      const n = nodes[rows[to] as number] as Node
      if (n.type < 2) fold(n, !n.folded)
    } else move(to)
    tree.focus()
  })

  // a field and its bytes light up together
  const lit = byId('bytes')
  function light(o: number, length: number): void {
    lit.querySelectorAll<HTMLElement>('b').forEach((b) => {
      const i = Number(b.dataset.i)
      b.classList.toggle('lit', i >= o && i < o + length)
    })
    lit.querySelectorAll<HTMLElement>('button.field').forEach((f) => {
      f.classList.toggle('lit', Number(f.dataset.o) === o && Number(f.dataset.n) === length)
    })
  }
  function lightFor(target: EventTarget | null): void {
    if (!(target instanceof HTMLElement)) return
    const field = target.closest<HTMLElement>('button.field')
    if (field !== null) {
      light(Number(field.dataset.o), Number(field.dataset.n))
      return
    }
    if (target.dataset.i === undefined) {
      light(-1, 0)
      return
    }
    const i = Number(target.dataset.i)
    let best: HTMLElement | null = null
    lit.querySelectorAll<HTMLElement>('button.field').forEach((f) => {
      const o = Number(f.dataset.o)
      const n = Number(f.dataset.n)
      if (i >= o && i < o + n && (best === null || n < Number(best.dataset.n))) best = f
    })
    const f = best as HTMLElement | null
    if (f === null) light(i, 1)
    else light(Number(f.dataset.o), Number(f.dataset.n))
  }
  lit.addEventListener('mouseover', (e) => lightFor(e.target))
  lit.addEventListener('focusin', (e) => lightFor(e.target))
  lit.addEventListener('mouseleave', () => light(-1, 0))

  layout()
  tree.focus()
}
