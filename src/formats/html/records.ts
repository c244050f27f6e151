import type { Treatment } from '../detail.ts'
import type { FrameState, SkbState } from '../drawing/state.ts'

/** What a page holds: the trace as a list of records, in the order of time. The page's script reads them. Times are nanoseconds. */
export type TraceRecord =
  | FunctionRecord
  | ['call', title: string, at: number]
  | ['result', result: string, at: number]
  /** a function begins. `kind`: 0 a call, 1 inlined, 2 without a tracing site; `skb`: the buffer that it was handed, 0 for none */
  | ['enter', fn: number, kind: number, line: number, at: number, skb: number, args: string, via: string]
  /** it ends. `path`: 1 when the way of the packet goes through it */
  | ['exit', at: number, ret: string, path: 0 | 1]
  | ['skb', SkbState]
  | ['frame', FrameState]
  | ['note', kind: 'decision' | 'copy' | 'drop' | 'tracepoint', text: string]
  | ['context', text: string]
  | ['cut', events: number]

/** a function, before it is named first; what to do with it at detail `net`, by kind */
type FunctionRecord = [
  'fn',
  id: number,
  name: string,
  file: string,
  line: number,
  prototype: string,
  net: readonly [Treatment, Treatment, Treatment],
]
