import { decode } from '../../decode/decode.ts'
import { firstHeader } from '../../formats/packet.ts'
import { ENTER, EXIT, INDIRECT, kindNames, LINE, type Recording } from './recording.ts'
import type { Session } from './session.ts'
import type { SkbState } from './skbtrack.ts'
import type { StateGroup } from './statetrack.ts'
import { BYTES, type Group, type SkbCell, type SkbLayer, type SkbView, type TreeRow } from './types.ts'
import type { Walk } from './walk.ts'
import { argsText, noteText, retText } from './where.ts'

/** What the panes show. All of it is read from what was recorded; nothing runs again. */

/** a row of the tree begins there: a line, a shown function, or something that happens in one */
function isRow(r: Recording, walk: Walk, event: number): boolean {
  const kind = r.kind(event)
  if (kind === LINE) return true
  if (kind === ENTER) return walk.frameShown(event)
  return kind !== EXIT && kind !== INDIRECT && !r.hidden(event)
}

/** rows of the call tree around an event, the cursor's own among them */
export function treeRows(
  s: Session,
  walk: Walk,
  cursor: number,
  above: number,
  below: number,
  breakpointAt: (event: number) => number,
): TreeRow[] {
  const r = s.recording
  const onStack = new Set(walk.stack(cursor))
  const before: number[] = []
  for (let i = Math.min(cursor, r.length) - 1; i >= 0 && before.length < above; i--) if (isRow(r, walk, i)) before.push(i)
  const after: number[] = []
  for (let i = cursor + 1; i < r.length && after.length < below; i++) if (isRow(r, walk, i)) after.push(i)
  const events = [...before.reverse(), cursor, ...after]
  return events.map((e) => row(s, walk, e, e === cursor, onStack.has(e), breakpointAt(e)))
}

function row(s: Session, walk: Walk, event: number, cursor: boolean, ancestor: boolean, breakpoint: number): TreeRow {
  const r = s.recording
  const common = { event, cursor, ancestor, breakpoint, folded: 0, ns: -1, ret: '' }
  if (event >= r.length)
    return { ...common, kind: 'end', indent: 0, name: 'end', call: 'call', text: `of ${s.lines.length} lines` }
  const kind = r.kind(event)
  const indent = walk.indent(event)
  switch (kind) {
    case LINE: {
      const line = s.lineOf(event)
      return { ...common, kind: 'line', indent: 0, name: `line ${line}`, call: 'call', text: s.lines[line - 1]?.text ?? '' }
    }
    case ENTER:
    case EXIT: {
      const entry = kind === ENTER ? event : r.link.get(event)
      const exit = kind === ENTER ? r.link.get(event) : event
      const call = r.call(event)
      return {
        ...common,
        kind: kind === ENTER ? 'enter' : 'exit',
        indent,
        name: call?.fn.name ?? '?',
        call: call?.kind ?? 'call',
        text: argsText(r, entry),
        ret: exit < 0 ? '' : retText(r, exit),
        ns: exit < 0 ? -1 : (r.time.get(exit) - r.time.get(entry)) / r.perNs,
      }
    }
    default: {
      const note = noteText(r, event)
      return { ...common, kind: kindNames[kind] ?? 'copy', indent, name: note.name, call: 'call', text: note.text }
    }
  }
}

const summed = ['none', 'unnecessary', 'complete', 'partial']
const offset = (v: number): string => (v === 0xffff ? 'unset' : String(v))

/** geometry in words, in the order of interest */
function fields(b: SkbState): [string, string][] {
  return [
    ['len', String(b.len)],
    ['data_len', String(b.data_len)],
    ['truesize', String(b.truesize)],
    ['data', String(b.data)],
    ['tail', String(b.tail)],
    ['end', String(b.end)],
    ['mac_header', offset(b.mac_header)],
    ['network_header', offset(b.network_header)],
    ['transport_header', offset(b.transport_header)],
    ['protocol', `0x${b.protocol.toString(16).padStart(4, '0')}`],
    ['ip_summed', summed[b.ip_summed] ?? String(b.ip_summed)],
    ['cloned', String(b.cloned)],
    ['gso_size', String(b.gso_size)],
    ['gso_segs', String(b.gso_segs)],
    ...(b.vlan_proto === 0 ? [] : ([['vlan_tci', String(b.vlan_tci)]] as [string, string][])),
    ['dev', b.devName === '' ? '-' : b.devName],
  ]
}

/** the bytes from `data` on: linear part, then fragments */
function bytesFrom(b: SkbState): Uint8Array {
  const linear = b.head.subarray(b.data, Math.min(b.tail, b.data + BYTES))
  const rest = b.payload.subarray(0, BYTES - linear.length)
  const out = new Uint8Array(linear.length + rest.length)
  out.set(linear)
  out.set(rest, linear.length)
  return out
}

function layersOf(b: SkbState, bytes: Uint8Array): ReturnType<typeof decode> {
  const first = firstHeader({ ...b, bytes: b.head }, null)
  return first === null ? [] : decode(bytes.subarray(0, 256), first, b.len)
}

/** what lies where from `head` to `end` */
function cellsOf(b: SkbState, layers: ReturnType<typeof decode>): { name: string; length: number }[] {
  const cells = [{ name: 'headroom', length: b.data }]
  let linear = b.tail - b.data
  for (const l of layers) {
    if (l.fields.length === 0) continue
    const n = Math.min(l.length, linear)
    if (n > 0) cells.push({ name: l.protocol, length: n })
    linear -= n
  }
  if (linear > 0) cells.push({ name: 'data', length: linear })
  cells.push({ name: 'tailroom', length: b.end - b.tail })
  return cells
}

/** the buffer at an event, and what is different from an earlier place */
export function skbView(s: Session, event: number, previous: number): SkbView | null {
  const b = s.skbs.at(event)
  if (b === null) return null
  const same = previous < 0 ? null : s.skbs.of(b.id, previous)
  const was = new Map(same === null ? [] : fields(same))
  const bytes = bytesFrom(b)
  const layers = layersOf(b, bytes)
  const oldCells = new Map(same === null ? [] : cellsOf(same, layersOf(same, bytesFrom(same))).map((c) => [c.name, c.length]))
  const changed = same === null ? [] : changes(b, same, bytes.length)
  const touched = (from: number, to: number): boolean => changed.some(([f, t]) => f < to && t > from)
  return {
    id: b.id,
    title: `skb ${b.id}${b.clone_of === 0 ? '' : `, a clone of skb ${b.clone_of}`}${b.owner === '' ? '' : `, held by ${b.owner}`}`,
    fields: fields(b).map(([name, value]) => ({ name, value, was: different(was.get(name), value) })),
    cells: cellsOf(b, layers).map((c): SkbCell => ({ ...c, changed: same !== null && oldCells.get(c.name) !== c.length })),
    frags: b.frags,
    bytes,
    at: b.data,
    changed,
    layers: layers.map(
      (l): SkbLayer => ({
        protocol: l.protocol,
        offset: l.offset,
        length: l.length,
        fields: l.fields.map((f) => ({
          name: f.name,
          text: f.meaning === '' ? String(f.value) : f.meaning,
          offset: f.offset,
          length: f.length,
          changed: touched(f.offset, f.offset + Math.max(1, f.length)),
        })),
      }),
    ),
  }
}

const different = (was: string | undefined, is: string): string | null => (was === undefined || was === is ? null : was)

/** ranges of the bytes from `data` that are others than the same places of the head (and of the fragments) had before */
function changes(b: SkbState, old: SkbState, length: number): [number, number][] {
  const out: [number, number][] = []
  const linear = Math.min(b.tail - b.data, length)
  let from = -1
  for (let i = 0; i <= length; i++) {
    const at = b.data + i
    const now = i < linear ? b.head[at] : b.payload[i - linear]
    // a byte in front of where data was, or behind where tail was, is new even when it had that value by chance
    const fresh = i < linear ? at < old.data || at >= old.tail || old.head[at] !== now : old.payload[i - linear] !== now
    if (i < length && fresh) {
      if (from < 0) from = i
    } else if (from >= 0) {
      out.push([from, i])
      from = -1
    }
  }
  return out
}

/** groups of names and values, each with what it was at an earlier place */
export function withWas(now: readonly StateGroup[], before: readonly StateGroup[]): Group[] {
  const old = new Map(before.map((g) => [g.title, new Map(g.rows.map((r) => [r.name, r.value]))]))
  return now.map((g) => ({
    title: g.title,
    rows: g.rows.map((r) => ({ ...r, was: different(old.get(g.title)?.get(r.name), r.value) })),
  }))
}
