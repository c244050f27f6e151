import { paramsOf } from './params.ts'
import {
  CARD,
  CONTEXT,
  COPY,
  DECISION,
  DROP,
  ENTER,
  EXIT,
  FRAME,
  FREE,
  INDIRECT,
  kindNames,
  LINE,
  type Recording,
  TRACEPOINT,
} from './recording.ts'
import type { Session } from './session.ts'
import { wrapFrame } from './text.ts'
import type { Position } from './types.ts'

/** Events in words. */

/** a value that was kept: a pointer in hexadecimal, what is text as it stands */
export function keptText(v: number | string, pointer: boolean): string {
  if (typeof v === 'string') return v
  if (pointer) return v < 0 ? String(v) : `0x${v.toString(16)}`
  return Number.isInteger(v) ? String(v) : String(Math.floor(v))
}

/** `sk=tcp#4, skb=skb 2, len=20`: arguments of an entry */
export function argsText(r: Recording, event: number): string {
  const fn = r.call(event)?.fn
  if (fn === undefined) return ''
  const p = paramsOf(fn)
  return r
    .argsOf(event)
    .map((v, i) => `${p.names[i]}=${keptText(v, p.pointer[i] ?? false)}`)
    .join(', ')
}

/** `4096`, `-11`, `0xffff…`: what a function returned at its exit, '' for nothing */
export function retText(r: Recording, event: number): string {
  const i = r.aux.get(event)
  if (i < 0) return ''
  const returns = r.call(event)?.fn.symbol.returns ?? ''
  return keptText(r.pool.get(i), returns.includes('*'))
}

/** `net/ipv4/ip_output.c:547`, '' where the facts do not say */
function placeOf(r: Recording, event: number): string {
  const symbol = r.call(event)?.fn.symbol
  return symbol === undefined || symbol.file === '' ? '' : `${symbol.file}:${symbol.line}`
}

/** an event that is no call, in words: heading and text */
export function noteText(r: Recording, event: number): { name: string; text: string } {
  const kind = r.kind(event)
  const ref = r.pool.text(r.ref.get(event))
  const aux = r.aux.get(event)
  const name = kindNames[kind] ?? ''
  switch (kind) {
    case COPY:
      return { name, text: `${aux} bytes, ${ref}` }
    case DECISION:
    case TRACEPOINT:
    case CARD: {
      const more = r.pool.text(aux)
      return { name, text: more === '' ? ref : kind === DECISION ? `${ref} (${more})` : `${ref} ${more}` }
    }
    case DROP:
      return { name, text: `skb ${aux}: ${ref}` }
    case INDIRECT:
      return { name, text: `${ref} is ${r.pool.text(aux)}` }
    case CONTEXT:
      return { name, text: executionText(r, event) }
    case FRAME:
      return { name, text: `${ref}, ${aux} bytes` }
    case FREE:
      return { name, text: `skb ${aux}` }
    default:
      return { name, text: '' }
  }
}

/** `task skbtrace/1234`, `softirq @peer` */
export function executionText(r: Recording, event: number): string {
  const e = r.executionAt(event)
  if (e === undefined) return 'idle'
  const who = e.kind === 'task' ? ` ${e.comm}/${e.pid}` : ''
  return `${e.kind}${who}${e.netns === '' ? '' : ` @${e.netns}`}`
}

/** where an event is: its line, function and depth, and how it reads */
export function positionOf(s: Session, event: number): Position {
  const r = s.recording
  const frame = r.frameOf(event)
  const call = frame < 0 ? undefined : r.call(frame)
  const line = s.lineOf(event)
  return {
    event,
    events: r.length,
    kind: event >= r.length ? 'end' : (kindNames[r.kind(event)] ?? 'end'),
    fn: call?.fn.name ?? '',
    call: call?.kind ?? 'call',
    depth: event >= r.length ? 0 : r.depth.get(event),
    line,
    lineText: s.lines[line - 1]?.text ?? '',
    ns: r.length === 0 ? 0 : Math.floor(r.ns(event)),
    context: executionText(r, event),
  }
}

/** the frame of an entry as gdb has it: `tcp_sendmsg (sk=tcp#4, …) at net/ipv4/tcp.c:1357` */
export function frameText(r: Recording, entry: number): string {
  const place = placeOf(r, entry)
  const call = r.call(entry)
  const kind = call === undefined || call.kind === 'call' ? '' : call.kind === 'inlined' ? ' [inlined]' : ' [no tracing site]'
  return `${call?.fn.name ?? '?'} (${argsText(r, entry)})${place === '' ? '' : ` at ${place}`}${kind}`
}

/** `called from tcp_write_xmit at net/ipv4/tcp_output.c:2733`, '' for a first frame */
function callerText(r: Recording, entry: number): string {
  const parent = r.parent.get(entry)
  if (parent < 0) return ''
  const line = r.call(entry)?.line ?? 0
  const caller = r.call(parent)?.fn
  if (caller === undefined) return ''
  return `called from ${caller.name}${line > 0 && caller.symbol.file !== '' ? ` at ${caller.symbol.file}:${line}` : ''}`
}

/** where the cursor is, in one to three lines, wrapped; `before` begins the first of them */
export function stopText(s: Session, event: number, width: number, before = ''): string {
  const [first = '', ...rest] = (before + stopLines(s, event)).split('\n')
  return [wrapFrame(first, width), ...rest.map((l) => wrapFrame(l, width))].join('\n')
}

function stopLines(s: Session, event: number): string {
  const r = s.recording
  if (event >= r.length)
    return r.length === 0 ? 'Nothing has run yet.' : `The session ends here: ${r.length} events, ${s.lines.length} lines.`
  const kind = r.kind(event)
  const p = `event ${event} of ${r.length}`
  const frame = r.frameOf(event)
  switch (kind) {
    case LINE: {
      const line = s.lineOf(event)
      return `line ${line}: ${s.lines[line - 1]?.text ?? ''}\n  ${p}`
    }
    case ENTER: {
      const from = callerText(r, event)
      return `${frameText(r, event)}\n  ${p}${from === '' ? `, ${executionText(r, event)}` : `, ${from}`}${skbLine(s, event)}`
    }
    case EXIT: {
      const ret = retText(r, event)
      return `${r.call(event)?.fn.name ?? '?'} returns${ret === '' ? '' : ` ${ret}`}\n  ${p}${skbLine(s, event)}`
    }
    default: {
      const note = noteText(r, event)
      const where = frame < 0 ? '' : ` in ${r.call(frame)?.fn.name ?? '?'}`
      return `${note.name}: ${note.text}\n  ${p}${where}${skbLine(s, event)}`
    }
  }
}

/** the buffer at hand, in a line of its own */
function skbLine(s: Session, event: number): string {
  const b = s.skbs.at(event)
  if (b === null) return ''
  const parts = [`len ${b.len}`, `headroom ${b.data}`, `linear ${b.tail - b.data}`]
  if (b.data_len > 0) parts.push(`frags ${b.frags.join('+')}`)
  if (b.gso_size > 0) parts.push(`gso ${b.gso_segs} x ${b.gso_size}`)
  if (b.owner !== '') parts.push(`held by ${b.owner.split(' ', 1)[0]}`)
  return `\n  skb ${b.id}: ${parts.join(', ')}`
}
