import type { CardEvent, Kfn, TracedSkb } from '../trace/tracer.ts'

/** Where the processor is: in a process's system call, in the softirq or in the interrupt that came on top of it. */
export type ContextKind = 'task' | 'softirq' | 'hardirq'

/** What is shown of a call graph, and with which columns. */
export interface GraphOptions {
  /** `source`: as the source reads, with the functions that the compiler inlined; `ftrace`: what that kernel's tracer can see */
  view: 'source' | 'ftrace'
  /** `path`: what carries the packet; `net`: without machinery; `full`: everything */
  detail: 'path' | 'net' | 'full'
  /** ftrace's set_graph_function, set_graph_notrace (globs) and max_graph_depth (0: no limit) */
  graphFunction: readonly string[]
  notrace: readonly string[]
  maxDepth: number
  /** ftrace's funcgraph-… options */
  abstime: boolean
  cpu: boolean
  proc: boolean
  overhead: boolean
  duration: boolean
  irqs: boolean
  tail: boolean
  retval: boolean
  retvalHex: boolean
  args: boolean
  /** the place that a function is called from, `[net/ipv4/tcp.c:1357]` */
  places: boolean
  /** what the kernel decided, and the numbers it decided by */
  why: boolean
  /** the heading of a call has its result: what is below it has to wait until that is known */
  resultFirst: boolean
  /**
   * which contexts are shown; without `hardirq` also not the softirqs that an interrupt runs on its way out. null: all in text, `task` and
   * `softirq` elsewhere, as in the kernel's recordings
   */
  contexts: readonly ContextKind[] | null
  /**
   * null: what belongs to the traced call, and its contexts. A name of a network namespace ('' for the host's own), or `all`: whatever
   * works for that, its processes, softirqs and interrupts, also after the call
   */
  netns: string | null
  /** repeats of what was shown already are counted instead of shown: text at detail `path` */
  fold: boolean
}

export const defaults: GraphOptions = {
  view: 'source',
  detail: 'path',
  graphFunction: [],
  notrace: [],
  maxDepth: 0,
  abstime: false,
  cpu: true,
  proc: false,
  overhead: false,
  duration: true,
  irqs: true,
  tail: true,
  retval: false,
  retvalHex: false,
  args: false,
  places: false,
  why: false,
  resultFirst: false,
  contexts: null,
  netns: null,
  fold: true,
}

/** What a format adds between the lines of a graph. Each returns whole lines, or '' for nothing. */
export interface Annotator {
  /** a call that is shown begins: what is counted is counted from here */
  begin(): void
  /** what the call came to, in one line or two */
  totals(): string
  /** `fn`, whose line was printed, has this buffer in its hands: what has changed since it was shown last */
  inHands(fn: Kfn, skb: TracedSkb): string
  /** a function was handed a buffer, or made one: whether shown or not */
  seen(skb: TracedSkb): void
  freed(skb: TracedSkb): void
  copied(bytes: number, from: string, to: string): void
  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): string
  drop(skb: TracedSkb, reason: string, where: string): string
  /** one that was shown is dropped after the call; `after` nanoseconds */
  late(skb: TracedSkb, reason: string, where: string, after: number): string
  card(event: CardEvent): string
  /** how many frames have gone by */
  readonly frames: number
  /** what was held back because it might have gone on */
  held(): string
}

/** Puts the colours of a terminal around a line's parts. */
export interface Paint {
  ghost(text: string): string
  comment(text: string): string
  time(text: string): string
}

/** the comment lines above a graph */
export function headings(o: GraphOptions): string {
  const names = (o.abstime ? '     TIME       ' : '') + (o.cpu ? ' CPU' : '') + (o.proc ? '  TASK/PID       ' : '')
  const bars = (o.abstime ? '      |         ' : '') + (o.cpu ? ' |  ' : '') + (o.proc ? '   |    |        ' : '')
  let text = `# tracer: function_graph\n#\n#${names}${o.duration ? '  DURATION   ' : ''}               FUNCTION CALLS\n`
  text += `#${bars}${o.duration ? '   |   |      ' : ''}               |   |   |   |\n`
  if (o.view === 'source') text += '# ~ inlined by the compiler, - without a tracing site: ftrace shows neither\n'
  return text
}
