import type { CallKind } from '../../trace/tracer.ts'

/**
 * The engine of the REPL, as its screen and its pipe mode see it. All of this is plain data that can be posted between threads; nothing
 * here needs the kernel. docs/repl.md, "Engine", tells how it works.
 */
export interface Engine {
  /**
   * Does what a line says. One at a time: a second call waits for the first. A mistake is a reply with `ok` false, never a rejection; a
   * rejection means that there is no engine: the file that it should begin with cannot be opened, or the thread has ended.
   */
  submit(line: string): Promise<Reply>
  /** what the panes show at the cursor. Answers in milliseconds: nothing is executed again for it, once a run has been looked at */
  view(want: Want): Promise<View>
  /** what could stand at `cursor` (an index into `line`) */
  complete(line: string, cursor: number): Promise<Completion>
  /** stops what runs, soon; the session stays as it was before that line. Nothing happens when nothing runs */
  interrupt(): void
  /** while a line runs, about ten times a second; only from an engine in a thread of its own */
  onProgress: ((p: Progress) => void) | null
  close(): Promise<void>
}

/** How an engine is made. */
export interface EngineOptions {
  /** of everything that is random; 1 unless told otherwise */
  seed: number
  /** somebody types: an empty line repeats the last stepping verb */
  interactive: boolean
  /** columns that text may take */
  width: number
}

/** What a line led to. */
export interface Reply {
  ok: boolean
  /** to be printed, in order; a block is one or more lines, without a newline at the end */
  blocks: Block[]
  /** the user wants to leave */
  quit: boolean
  /** where the cursor is now; null when nothing has run */
  at: Position | null
  /** the line moved the cursor, or ran something: what the panes show is stale */
  changed: boolean
}

/** A piece of what a line has to say. */
export interface Block {
  /**
   * `stop`: where the cursor has come to. `result`: what a system call returned. `output`: what a command of the host printed.
   * `source`: a function's description. `value`: `$1 = …`. `echo`: scenario lines that a short verb stands for
   */
  kind: 'text' | 'stop' | 'result' | 'output' | 'source' | 'value' | 'echo' | 'error' | 'help'
  text: string
}

/** How far something got that takes long. */
export interface Progress {
  /** events so far */
  events: number
  /** `run`: something new happens; `again`: known events are gone through, to look at them */
  what: 'run' | 'again'
}

/** What an event is. A `line` begins each line of the session, `end` follows the last event of all. */
export type EventKind =
  | 'line'
  | 'enter'
  | 'exit'
  | 'copy'
  | 'decision'
  | 'drop'
  | 'tracepoint'
  | 'indirect'
  | 'context'
  | 'frame'
  | 'free'
  | 'card'
  | 'end'

/** Where the cursor is. */
export interface Position {
  /** number of the event, from 0, and how many there are */
  event: number
  events: number
  kind: EventKind
  /** the function that is entered or left, or in which it happens; '' outside of all */
  fn: string
  /** of that function; `call` outside of all */
  call: CallKind
  /** frames below it on the stack */
  depth: number
  /** line of the session that the event belongs to, from 1, and its text */
  line: number
  lineText: string
  /** nanoseconds since boot */
  ns: number
  /** who runs: `task skbtrace/1234`, `softirq`, `hardirq`, `idle`; with `@peer` in another network namespace */
  context: string
}

/** What a screen wants to see; what is left out is not worked out. */
export interface Want {
  /** rows of the call tree above and below the cursor */
  tree?: { above: number; below: number }
  /** the buffer at the cursor */
  skb?: boolean
  /** the socket, queues, rings, clock */
  state?: boolean
  /** counters as well (MIBs, device statistics): the first time, the run is gone through once for them */
  counters?: boolean
}

/** What the panes show. */
export interface View {
  at: Position | null
  tree: TreeRow[]
  skb: SkbView | null
  state: Group[]
  /** values of the expressions that `display` shows */
  displays: NameValue[]
}

/** One row of the call tree. */
export interface TreeRow {
  event: number
  kind: EventKind
  /** levels of indentation: frames that are not shown do not count */
  indent: number
  /** function, or a note's heading: `copy`, `decision`, `drop`, `frame` … */
  name: string
  call: CallKind
  /** `sk=tcp#4, skb=skb 1, len=20`; of a note, its text */
  text: string
  /** `0x1000`, `-11`; '' while it runs, and when there is none */
  ret: string
  /** duration in nanoseconds, -1 when it has none or has not ended */
  ns: number
  /** frames inside it that are not shown as rows of their own: 0 when all are */
  folded: number
  cursor: boolean
  /** on the stack at the cursor */
  ancestor: boolean
  /** number of an enabled breakpoint there, 0 for none */
  breakpoint: number
}

/** A value and, where it is different from the last place that the cursor was, what it was there. */
export interface NameValue {
  name: string
  value: string
  was: string | null
}

/** Values under one heading. */
export interface Group {
  title: string
  rows: NameValue[]
}

/** An sk_buff at the cursor. Offsets count from `head`, in bytes. */
export interface SkbView {
  id: number
  /** `skb 2, a clone of skb 1, held by tcp#4 127.0.0.1:40000 > 127.0.0.1:8080` */
  title: string
  fields: NameValue[]
  /** what lies where, from `head` to `end`: headroom, headers, data, tailroom */
  cells: SkbCell[]
  /** lengths of the page fragments */
  frags: number[]
  /** its bytes from `data`: the linear part, then fragments, at most BYTES of all */
  bytes: Uint8Array
  /** offset of the first of `bytes` from `head` */
  at: number
  /** parts of `bytes` that are different from the last place that the cursor was: pairs [from, to) */
  changed: [number, number][]
  /** headers that begin at `data`, decoded */
  layers: SkbLayer[]
}

/** A part of the buffer's memory: headroom, a header, tailroom. */
export interface SkbCell {
  name: string
  length: number
  /** of different length than at the last place that the cursor was */
  changed: boolean
}

/** A header of the buffer, with its fields. */
export interface SkbLayer {
  protocol: string
  /** in `bytes` */
  offset: number
  length: number
  /** `offset` and `length` as those of the layer */
  fields: { name: string; text: string; offset: number; length: number; changed: boolean }[]
}

/** bytes of a buffer that a view has at most */
export const BYTES = 512

/** What may stand at the cursor. */
export interface Completion {
  /** the part of the line that a candidate stands for: [from, to) */
  from: number
  to: number
  candidates: Candidate[]
}

/** One of those. */
export interface Candidate {
  text: string
  /** what it is, in a few words */
  hint: string
}
