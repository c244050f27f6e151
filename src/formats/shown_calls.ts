import { type Call, type Execution, type Kfn, type TracedSkb, traceTime } from '../trace/tracer.ts'
import { Contexts, type Running } from './contexts.ts'
import {
  carriesMessage,
  globs,
  isGlue,
  isHelper,
  isMachinery,
  isSoftirqEntry,
  makesSkb,
  netTreatment,
  PRUNE,
  SHOW,
  SKIP,
  type Treatment,
} from './detail.ts'
import { isSkb } from './format.ts'
import type { GraphOptions } from './graph_options.ts'
import { argument } from './values.ts'
import { fingerprint, isBareAck } from './watch.ts'

/** of a kind of call, for tables: three entries a function */
export const KINDS = { call: 0, inlined: 1, notrace: 2 }

// flags of a frame: what the function is (1 has the message among its arguments, 2 returns a buffer), and what happened there
const CARRIES = 1
const MAKES = 2
const HELPER = 16
const WANTED = 32
/** an interrupt's first function */
const ENTRY = 64

/** What was going on when the processor went on with something else. */
interface Interrupted {
  pruned: number
  quiet: number
}

/**
 * Which of the calls are shown, and when that is known: what all forms of the call graph have in common. A frame whose function may
 * be shown is kept on a stack; it is opened when something below it is shown, or when it turns out that it is worth a line itself.
 */
export abstract class ShownCalls {
  protected readonly o: GraphOptions
  /** detail `path`: buffers are watched on their way */
  protected readonly path: boolean
  protected readonly source: boolean
  readonly #watched: boolean
  /** text: a context begins at the margin */
  readonly #flat: boolean
  readonly #maxDepth: number
  readonly #notrace: ((name: string) => boolean) | null
  readonly #onlyBelow: ((name: string) => boolean) | null
  #root: ((name: string) => boolean) | null
  readonly #treatments: (number | undefined)[] = []
  readonly #helpers: (number | undefined)[] = []
  readonly #traits: (number | undefined)[] = []
  readonly #contexts: Contexts
  #interrupted: Interrupted[] = []

  // the frames that are shown or may be, outermost first; those below `open` have been opened
  protected depth = 0
  protected open = 0
  protected readonly calls: Call[] = []
  protected readonly starts: number[] = []
  /** bytes that were copied there, and from where to where */
  protected readonly copied: number[] = []
  protected readonly copies: string[] = []
  protected readonly who: Running[] = []
  protected readonly skbs: (TracedSkb | null)[] = []
  protected readonly ids: number[] = []
  readonly #prints: number[] = []
  readonly #owners: string[] = []
  readonly #lists: (object | null)[] = []
  readonly #flags: number[] = []

  #pruned = 0
  /** depth of the frame that handles a bare acknowledgement, -1 for none */
  #quiet = -1
  protected muted = false
  protected recording = false
  protected via = ''
  protected pointer = ''
  #newest = 0
  /** all calls, for the places that they are made from */
  protected readonly stack: Call[] = []

  /** `watched`: somebody looks at the buffers, whatever the detail; `flat`: contexts stand for the functions that bring them about */
  constructor(options: GraphOptions, watched: boolean, flat: boolean) {
    this.o = options
    this.path = options.detail === 'path'
    this.source = options.view === 'source'
    this.#watched = watched || this.path
    this.#flat = flat
    this.#maxDepth = options.maxDepth > 0 ? options.maxDepth : Number.POSITIVE_INFINITY
    this.#notrace = globs(options.notrace)
    this.#onlyBelow = globs(options.graphFunction)
    this.#root = this.#onlyBelow
    this.#contexts = new Contexts(options, flat)
  }

  /** a frame was put on the stack */
  protected abstract pushed(
    depth: number,
    call: Call,
    a: unknown,
    b: unknown,
    c: unknown,
    d: unknown,
    e: unknown,
    f: unknown,
  ): void
  /** the frames up to `depth` are shown; `quiet`: without what is to be said of their buffers */
  protected abstract openTo(depth: number, quiet: boolean): void
  /** a frame below which nothing was shown is shown after all, and is over */
  protected abstract leaf(depth: number, ret: unknown): void
  /** a frame that is open is over */
  protected abstract closed(depth: number, ret: unknown): void
  /** what is to be said of the buffer that a shown frame was handed */
  protected abstract note(depth: number): void
  /** a function got or made a buffer */
  protected abstract sees(skb: TracedSkb): void

  protected get running(): Running {
    return this.#contexts.now
  }

  /** whether what happens now happens inside of what is shown */
  protected get audible(): boolean {
    return this.recording && !this.muted && this.#pruned === 0
  }

  /** the buffer in hands is an acknowledgement that carries nothing */
  protected get quiet(): boolean {
    if (this.#quiet < 0) return false
    for (let i = this.depth - 1; i > this.#quiet; i--) if ((this.ids[i] as number) !== 0) return false
    return true
  }

  protected isHelperFrame(i: number): boolean {
    return ((this.#flags[i] as number) & HELPER) !== 0
  }

  /** an inlined function that only hands on: it has no line of its own in a story */
  protected handsOn(i: number): boolean {
    return this.path && this.calls[i]?.kind === 'inlined' && ((this.#flags[i] as number) & WANTED) === 0
  }

  /** whether what the kernel says now belongs to a call that is shown, or to one that is left out of it */
  protected get said(): boolean {
    return this.recording && !this.muted && (this.#root === null || this.depth > 0)
  }

  protected start(root: string | null): void {
    this.#root = root === null ? this.#onlyBelow : (name) => name === root
    this.depth = this.open = this.#pruned = 0
    this.#quiet = -1
    this.#interrupted = []
    this.stack.length = 0
    this.#newest = 0
    this.via = this.pointer = ''
    this.#contexts.begin(root !== null)
    // between calls nobody runs: whoever comes first makes the call
    this.muted = !this.running.shown && (this.o.netns !== null || this.running.execution.kind !== 'idle')
    this.recording = true
  }

  /** a call that never came back leaves its frames open */
  protected stop(): void {
    this.depth = this.open
    while (this.depth > 0) this.closed(--this.depth, undefined)
    this.open = 0
    if (this.o.netns === null) this.recording = false
  }

  #treatment(call: Call): Treatment {
    const i = 3 * call.fn.id + KINDS[call.kind]
    const known = this.#treatments[i]
    if (known !== undefined) return known as Treatment
    while (this.#treatments.length <= i) this.#treatments.push(undefined)
    const t = this.#classify(call)
    this.#treatments[i] = t
    return t
  }

  #classify(call: Call): Treatment {
    const { fn, kind } = call
    if (this.#notrace?.(fn.name)) return PRUNE
    if (!this.source && !call.visible) return SKIP
    if (this.o.detail === 'full') return SHOW
    if (this.path && !this.#onlyBelow?.(fn.name) && (isGlue(fn, kind) || (this.#flat && isSoftirqEntry(fn)))) return SKIP
    return netTreatment(fn, kind)
  }

  enter(call: Call, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown, f?: unknown): void {
    if (!this.recording || this.muted) return
    if (this.o.places) this.stack.push(call)
    if (this.#pruned > 0) {
      this.#pruned++
      return
    }
    const t = this.#treatment(call)
    if (t === SKIP) return
    const depth = this.depth
    if (depth === 0 && this.#root !== null && !this.#root(call.fn.name)) return
    if (t === PRUNE || depth >= this.#maxDepth) {
      this.#pruned = 1
      return
    }
    if (this.#watched) this.#enterWatched(call, a, b, c, d, e, f)
    else if (this.open < depth) this.openTo(depth, false)
    this.calls[depth] = call
    this.starts[depth] = Math.floor(traceTime())
    this.copied[depth] = 0
    this.who[depth] = this.#contexts.now
    this.pushed(depth, call, a, b, c, d, e, f)
    this.via = ''
    this.depth = depth + 1
  }

  exit(call: Call, ret: unknown): void {
    if (!this.recording || this.muted) return
    if (this.o.places) this.stack.pop()
    if (this.#pruned > 0) {
      this.#pruned--
      return
    }
    const depth = this.depth - 1
    if (depth < 0 || this.#treatment(call) === SKIP) return
    if (this.#watched) this.#exitWatched(depth, ret)
    else if (this.open > depth) this.closed(depth, ret)
    else this.leaf(depth, ret)
    this.depth = depth
    if (this.open > depth) this.open = depth
  }

  context(now: Execution, before: Execution): void {
    const onTop = this.#contexts.switch(now, before)
    this.muted = !this.running.shown
    if (!this.recording) return
    if (!onTop) {
      const was = this.#interrupted.pop()
      if (was === undefined) return
      this.#pruned = was.pruned
      this.#quiet = was.quiet
      return
    }
    this.#interrupted.push({ pruned: this.#pruned, quiet: this.#quiet })
    // a softirq that the function itself runs belongs to it, as in ftrace
    if (now.kind !== 'softirq' || now.pid !== before.pid || this.path) this.#pruned = 0
    if (now.kind !== 'hardirq') this.#quiet = -1
  }

  // ---- buffers are watched on their way ----

  #traitsOf(fn: Kfn): number {
    let t = this.#traits[fn.id]
    if (t === undefined) {
      while (this.#traits.length <= fn.id) this.#traits.push(undefined)
      t = (carriesMessage(fn) ? CARRIES : 0) | (makesSkb(fn) ? MAKES : 0)
      this.#traits[fn.id] = t
    }
    return t
  }

  #isHelper(call: Call): boolean {
    const i = 3 * call.fn.id + KINDS[call.kind]
    let h = this.#helpers[i]
    if (h === undefined) {
      while (this.#helpers.length <= i) this.#helpers.push(undefined)
      h = isHelper(call.fn, call.kind) || isMachinery(call.fn) ? 1 : 0
      this.#helpers[i] = h
    }
    return h === 1
  }

  #enterWatched(call: Call, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown): void {
    const { fn } = call
    const depth = this.depth
    let skb: TracedSkb | null = null
    if (fn.skbArg >= 0) {
      const v = argument(fn.skbArg, a, b, c, d, e, f)
      if (isSkb(v)) skb = v
    }
    if (skb !== null) {
      this.sees(skb)
      if (this.path && isBareAck(skb)) {
        // an answer, not the message: only what it lets go out is of interest
        if (this.#quiet < 0) this.#quiet = depth
        skb = null
      }
    }
    if (!this.path && this.open < depth) this.openTo(depth, false)
    let flags = this.#traitsOf(fn)
    if (this.#isHelper(call)) flags |= HELPER
    // the receiving socket is told
    if (this.via === fn.name && this.pointer.includes('data_ready') && this.#quiet < 0) flags |= WANTED
    const { execution } = this.running
    if (execution.kind === 'hardirq' && this.#quiet < 0 && (depth === 0 || this.who[depth - 1] !== this.running)) flags |= ENTRY
    this.#flags[depth] = flags
    this.skbs[depth] = skb
    this.ids[depth] = skb === null ? 0 : skb.id
    if (skb === null || !this.path) return
    this.#prints[depth] = fingerprint(skb)
    this.#owners[depth] = skb.owner
    this.#lists[depth] = skb.list
  }

  #exitWatched(depth: number, ret: unknown): void {
    const flags = this.#flags[depth] as number
    const skb = this.skbs[depth]
    const same = skb !== null && skb !== undefined && skb.id === this.ids[depth]
    if ((flags & MAKES) !== 0 && isSkb(ret)) this.sees(ret)
    if (this.path) {
      if (
        (flags & MAKES) !== 0 &&
        isSkb(ret) &&
        ret !== skb &&
        ret.id > this.#newest &&
        depth > 0 &&
        ((this.#flags[depth - 1] as number) & MAKES) === 0
      ) {
        if (this.#isNews(depth, ret)) this.#flags[depth] = flags | WANTED
        this.#newest = ret.id
      } else if (
        (flags & HELPER) === 0 &&
        same &&
        (fingerprint(skb) !== this.#prints[depth] ||
          (this.#quiet < 0 && (skb.owner !== this.#owners[depth] || skb.list !== this.#lists[depth])))
      )
        this.#mark(depth)
    }
    if (this.open > depth) {
      if (same) this.note(depth)
      this.closed(depth, ret)
    } else if (!this.path || this.#worthALine(depth)) {
      // what the function itself did to the buffer is told behind its line
      this.openTo(depth, same && (flags & HELPER) === 0)
      this.leaf(depth, ret)
      if (same) this.note(depth)
    }
    this.skbs[depth] = null
    this.ids[depth] = 0
    if (this.#quiet >= depth) this.#quiet = -1
  }

  /** an interrupt is told of where something else was, not for its own sake */
  #worthALine(depth: number): boolean {
    const flags = this.#flags[depth] as number
    return (flags & WANTED) !== 0 || ((flags & ENTRY) !== 0 && this.open >= depth)
  }

  /** whether a buffer that a function returns is one for the message: made where the message is, or a clone of one on its way */
  #isNews(depth: number, skb: TracedSkb): boolean {
    for (let i = depth; i >= 0; i--) {
      const id = this.ids[i] as number
      if (id !== 0) return skb.clone_of !== 0 && skb.clone_of === id
      if (i <= this.#quiet) return false
      if (((this.#flags[i] as number) & CARRIES) !== 0) return true
    }
    return false
  }

  /** a frame where something happened gets a line; an inlined part of a function that has the buffer itself does not */
  #mark(depth: number): void {
    let i = depth
    while (i > 0 && this.calls[i]?.kind === 'inlined' && this.ids[i - 1] === this.ids[i] && !this.isHelperFrame(i - 1)) i--
    this.#flags[i] = (this.#flags[i] as number) | WANTED
  }

  /** what a function does is worth its line */
  protected want(): void {
    if (this.depth > 0) this.#flags[this.depth - 1] = (this.#flags[this.depth - 1] as number) | WANTED
  }

  copy(bytes: number, from: string, to: string): void {
    if (!this.audible || this.depth === 0) return
    let i = this.depth - 1
    if (this.path) {
      while (i > 0 && this.isHelperFrame(i)) i--
      i = Math.min(i + 1, this.depth - 1)
      // a driver that makes a buffer of what its card received is told of when that buffer goes on
      const flags = this.#flags[i] as number
      if ((flags & MAKES) === 0 || from.startsWith('user') || to.startsWith('user')) this.#flags[i] = flags | WANTED
    }
    this.copied[i] = (this.copied[i] as number) + bytes
    this.copies[i] = `${from} to ${to}`
  }

  free(skb: TracedSkb): void {
    if (!this.#watched || !this.audible) return
    const { id } = skb
    let told = !this.path || this.#quiet >= 0
    for (let i = this.depth - 1; i >= 0; i--) {
      if (this.ids[i] !== id) continue
      // the innermost frame that works on that buffer for itself is worth a line
      if (!told && !this.isHelperFrame(i)) {
        this.#flags[i] = (this.#flags[i] as number) | WANTED
        told = true
      }
      this.ids[i] = 0
    }
  }
}
