import { ScenarioError } from '../../script/scenario.ts'
import type { Breakpoint } from './breakpoints.ts'
import { CounterTrack, countersOf } from './countertrack.ts'
import { ExprError, parseExpr } from './expr.ts'
import { paramsOf } from './params.ts'
import { ENTER, EXIT, LINE } from './recording.ts'
import type { LiveScope } from './scope.ts'
import { type Poll, Session } from './session.ts'
import type { StateGroup } from './statetrack.ts'
import { wrapFrame } from './text.ts'
import { Compiled, type DisplayTrack, HitTrack, WatchTrack } from './tracks.ts'
import type { Block, Group, Position, View, Want } from './types.ts'
import { skbView, treeRows, withWas } from './view.ts'
import { type Shown, Walk } from './walk.ts'
import type { Sampler } from './watcher.ts'
import { frameText, positionOf, stopText } from './where.ts'

/** What the user asked for makes no sense: one line. */
export class UserError extends Error {}

/** An expression that is shown at each stop. */
export interface Display {
  id: number
  expr: Compiled
  format: string
  track: DisplayTrack
  enabled: boolean
}

interface Checkpoint {
  id: number
  lines: number
  cursor: number
}

/** a value that was printed: `$1` */
interface Printed {
  /** a number, or text for what was an object then */
  value: unknown
  text: string
}

/** The cursor in a session's run, and all that a debugger keeps about it. Verbs say what they have to say with `say`. */
export class Debugger {
  readonly session: Session
  readonly shown: Shown = { detail: 'net', view: 'source' }
  width: number
  walk: Walk
  /** number of the event at which the session is looked at; its length: the end */
  cursor = 0
  /** where the cursor was before it moved last: what has changed is different from there */
  previous = -1
  /** frame that was chosen by up, down and frame: 0 is the innermost */
  frame = 0
  readonly breakpoints: Breakpoint[] = []
  displays: Display[] = []
  checkpoints: Checkpoint[] = []
  readonly printed: Printed[] = []
  readonly variables = new Map<string, unknown>()
  /** x without an address goes on there */
  examined: { expr: Compiled; offset: number; slash: string } | null = null
  #counters: CounterTrack | null = null
  #blocks: Block[] = []
  #ids = { breakpoint: 0, display: 0, checkpoint: 0 }
  /** lines whose result was told already */
  #told = 0
  /** the trace of a file is looked at: there is no host behind it */
  readonly readOnly: boolean

  constructor(seed: number, width: number, poll: Poll, readOnly = false) {
    this.session = new Session(seed, poll)
    this.session.convenience = (name) => this.convenience(name)
    this.width = width
    this.walk = new Walk(this.session.recording, this.shown)
    this.readOnly = readOnly
  }

  say(kind: Block['kind'], text: string): void {
    this.#blocks.push({ kind, text })
  }

  /** what was said since the last time */
  taken(): Block[] {
    const b = this.#blocks
    this.#blocks = []
    return b
  }

  nextId(of: 'breakpoint' | 'display' | 'checkpoint'): number {
    return ++this.#ids[of]
  }

  get position(): Position | null {
    return this.session.lines.length === 0 && this.session.length === 0 ? null : positionOf(this.session, this.cursor)
  }

  /** the recording was replaced or cut */
  refresh(): void {
    this.walk = new Walk(this.session.recording, this.shown)
    this.cursor = Math.min(this.cursor, this.session.length)
    this.previous = Math.min(this.previous, this.cursor)
    this.#told = Math.min(this.#told, this.session.lines.length)
    this.frame = 0
  }

  convenience(name: string): unknown {
    if (name === '$') return this.printed.at(-1)?.value
    const back = /^\$\$(\d*)$/.exec(name)
    if (back !== null) return this.printed.at(-1 - (back[1] === '' ? 1 : Number(back[1])))?.value
    const n = /^\$(\d+)$/.exec(name)
    if (n !== null) return this.printed[Number(n[1]) - 1]?.value
    return this.variables.get(name)
  }

  /** @throws UserError with the place */
  expression(text: string): Compiled {
    try {
      return new Compiled(parseExpr(text))
    } catch (e) {
      if (e instanceof ExprError) throw new UserError(`'${text}', column ${e.column + 1}: ${e.message}`)
      throw e
    }
  }

  /**
   * Runs a line of the scenario language at the end of the session, and goes to where the first breakpoint hits, or to the end.
   * `quiet`: so many of the lines only make ready for the others, and breakpoints in them do not count. True when it stopped before
   * the end.
   */
  async run(texts: readonly string[], quiet = 0): Promise<boolean> {
    if (this.readOnly) throw new UserError('this is a recorded trace: there is no host that could do anything')
    const { session } = this
    const old = this.cursor
    const line = session.lines.length + 1
    const { recording, length } = session
    try {
      for (const text of texts) await session.run(text)
    } catch (e) {
      if (e instanceof ScenarioError) throw new UserError(e.message)
      throw e
    } finally {
      if (session.recording !== recording) this.refresh()
      // what happened before a mistake has happened; where nothing has, the cursor stays
      if (session.length !== length) {
        this.cursor = session.length
        this.previous = Math.min(old, this.cursor)
        this.frame = 0
      }
    }
    const start = session.startOf(line + quiet)
    const hit = start < 0 ? -1 : this.hitAfter(start - 1, session.length)
    if (hit >= 0) this.cursor = hit
    this.tell()
    if (hit >= 0) this.sayStop(hit)
    return hit >= 0
  }

  #arrive(event: number): void {
    if (event !== this.cursor) this.previous = this.cursor
    this.cursor = event
    this.frame = 0
  }

  /** says what the lines resulted in that are over at the cursor and were not told yet */
  tell(): void {
    const { lines } = this.session
    while (this.#told < lines.length) {
      const next = this.session.startOf(this.#told + 2)
      const end = next < 0 ? this.session.length : next
      if (end > this.cursor) return
      const line = lines[this.#told++]
      if (line === undefined) return
      if (line.statement.kind === 'command') {
        if (line.result.trimEnd() !== '') this.say('output', line.result.trimEnd())
        continue
      }
      const { target } = line.statement
      const value = line.result === 'fd' && target !== null ? this.session.variables.get(target) : undefined
      this.say('result', `${line.text} = ${value ?? line.result}`)
    }
  }

  /** lines that were told once are not told again, when the cursor goes back and forth */
  toldAll(): void {
    this.#told = this.session.lines.length
  }

  #active(): Breakpoint[] {
    return this.breakpoints.filter((b) => b.enabled)
  }

  /** the first event behind `from`, up to `to`, at which an enabled breakpoint hits; -1 for none. Counts what is to be ignored */
  hitAfter(from: number, to: number): number {
    const r = this.session.recording
    let at = from
    for (;;) {
      let hit = -1
      for (const b of this.#active()) {
        const h = b.after(r, at, hit < 0 ? to : hit)
        if (h >= 0 && (hit < 0 || h < hit)) hit = h
      }
      if (hit < 0) return -1
      let stops = false
      for (const b of this.#active())
        if (b.hitsAt(r, hit)) {
          b.hits++
          if (b.ignore > 0) b.ignore--
          else stops = true
        }
      if (stops) return hit
      at = hit
    }
  }

  /** the last event before `from`, down to `to`, at which an enabled breakpoint hits; -1 for none */
  hitBefore(from: number, to: number): number {
    let hit = -1
    for (const b of this.#active()) {
      const h = b.before(this.session.recording, from, Math.max(to, hit))
      if (h > hit) hit = h
    }
    if (hit >= 0) for (const b of this.#active()) if (b.hitsAt(this.session.recording, hit)) b.hits++
    return hit
  }

  breakpointAt(event: number): number {
    return this.#active().find((b) => b.watch === null && b.hitsAt(this.session.recording, event))?.id ?? 0
  }

  /** goes forward to `target`, or to a breakpoint before it; true when it got there */
  forward(target: number): boolean {
    const to = Math.min(target, this.session.length)
    const hit = this.hitAfter(this.cursor, to - 1)
    this.#arrive(hit < 0 ? to : hit)
    this.tell()
    if (hit < 0) {
      // at the target itself a breakpoint counts as hit as well
      if (to < this.session.length && this.hitAfter(to - 1, to) === to) this.sayStop(to)
      else this.say('stop', this.#withDisplays(stopText(this.session, to, this.width)))
      return true
    }
    this.sayStop(hit)
    return false
  }

  /** goes back to `target`, or to a breakpoint behind it; below 0: to the beginning */
  backward(target: number): boolean {
    const hit = this.hitBefore(this.cursor, Math.max(0, target + 1))
    if (hit >= 0) {
      this.#arrive(hit)
      this.sayStop(hit)
      return false
    }
    if (this.cursor === 0 || target < 0) {
      this.#arrive(0)
      this.say('stop', `There is nothing earlier.\n${this.#withDisplays(stopText(this.session, 0, this.width))}`)
      return false
    }
    this.#arrive(target)
    this.say('stop', this.#withDisplays(stopText(this.session, target, this.width)))
    return true
  }

  /** goes straight to an event */
  jump(event: number): void {
    this.#arrive(event)
    this.tell()
    this.say('stop', this.#withDisplays(stopText(this.session, event, this.width)))
  }

  /** why it stopped, and where */
  sayStop(event: number): void {
    const lines: string[] = []
    let before = ''
    for (const b of this.#active()) {
      if (!b.hitsAt(this.session.recording, event)) continue
      if (b.watch !== null && b.track instanceof WatchTrack) {
        const { was, is } = b.track.change(event)
        lines.push(`Watchpoint ${b.id}: ${b.spec}\n  was ${was}\n  is  ${is}`)
      } else before += `${b.temporary ? 'Temporary breakpoint' : 'Breakpoint'} ${b.id}, `
      if (b.temporary) this.remove(b)
    }
    this.say('stop', this.#withDisplays([...lines, stopText(this.session, event, this.width, before)].join('\n')))
  }

  #withDisplays(text: string): string {
    const lines = this.displays.flatMap((d) => {
      const v = d.enabled ? d.track.at(this.cursor) : ''
      return v === '' ? [] : [`${d.id}: ${d.expr.text} = ${v}`]
    })
    return [text, ...lines].join('\n')
  }

  /** adds something that looks at every event, and goes through the run for it; when that is stopped, it is as if it never was */
  attach(tracks: readonly Sampler[]): void {
    if (this.readOnly)
      throw new UserError(
        'this is a recorded trace: values cannot be followed in it, only functions and events (break FUNCTION, break drop)',
      )
    this.session.pass(tracks)
    for (const t of tracks) this.session.tracks.add(t)
  }

  /** makes, and forgets, what a breakpoint needs to know where it hits */
  retrack(b: Breakpoint): void {
    const old = b.track
    b.makeTrack(this.session.scopeOf)
    try {
      if (b.track !== null) this.attach([b.track])
    } catch (e) {
      b.track = old
      throw e
    }
    if (old !== null) this.session.tracks.delete(old)
  }

  remove(b: Breakpoint): void {
    if (b.track !== null) this.session.tracks.delete(b.track)
    this.breakpoints.splice(this.breakpoints.indexOf(b), 1)
  }

  /** why a condition never had a value, when that was so */
  problemOf(b: Breakpoint): string {
    return b.track instanceof HitTrack && b.track.hits.length === 0 ? b.track.problem : ''
  }

  /** entries of the frames on the stack at the cursor, innermost first */
  stack(): number[] {
    return this.walk.stack(this.cursor)
  }

  /** evaluates something at the cursor, in the frame that is chosen */
  atCursor<T>(body: (scope: LiveScope) => T): T {
    if (this.readOnly)
      throw new UserError(
        'this is a recorded trace: it has no kernel to look into, only its events (bt, list, info args, hexdump)',
      )
    return this.session.at(this.cursor, (scope, w) => {
      scope.frame = w.depth === 0 ? -1 : Math.max(0, w.depth - 1 - this.frame)
      scope.problem = ''
      return body(scope)
    })
  }

  /** the frame that is chosen, in words */
  frameText(): string {
    const entry = this.stack()[this.frame]
    return entry === undefined
      ? 'no frame: the cursor is outside of all functions'
      : wrapFrame(`#${this.frame}  ${frameText(this.session.recording, entry)}`, this.width)
  }

  view(want: Want): View {
    const { session: s, cursor } = this
    const { tree } = want
    return {
      at: this.position,
      tree: tree === undefined ? [] : treeRows(s, this.walk, cursor, tree.above, tree.below, (e) => this.breakpointAt(e)),
      skb: want.skb === true ? skbView(s, cursor, this.previous) : null,
      state: want.state === true || want.counters === true ? this.#groups(want) : [],
      displays: this.displays.map((d) => {
        const value = d.track.at(cursor)
        const was = this.previous < 0 ? value : d.track.at(this.previous)
        return { name: d.expr.text, value, was: was === value ? null : was }
      }),
    }
  }

  #groups(want: Want): Group[] {
    const s = this.session
    const counters = want.counters === true && !this.readOnly ? this.#counted() : null
    const at = (event: number): StateGroup[] => [
      ...(want.state === true ? s.states.at(event) : []),
      ...(counters?.at(event) ?? []),
    ]
    return withWas(at(this.cursor), this.previous < 0 ? [] : at(this.previous))
  }

  /** the counters that count in this run; it is gone through once for those that are new */
  #counted(): CounterTrack {
    const s = this.session
    const now = s.at(s.length, (_scope, _w, { host }) => countersOf(host))
    const old = this.#counters
    if (old !== null && now.every((c) => old.has(c))) return old
    const track = new CounterTrack(now, () => s.host)
    this.attach([track])
    if (old !== null) s.tracks.delete(old)
    this.#counters = track
    return track
  }

  /** names of an entry's arguments */
  argNames(entry: number): readonly string[] {
    const fn = this.session.recording.call(entry)?.fn
    return fn === undefined ? [] : paramsOf(fn).names
  }

  /** variables that the lines have set */
  variableNames(): string[] {
    return [...this.session.variables.keys()]
  }

  deviceNames(): string[] {
    return this.session.at(this.session.length, (_scope, _w, { host }) => [
      ...new Set(['', ...host.netnsNames()].flatMap((ns) => host.netns(ns).dev_base_head.map((dev) => dev.name))),
    ])
  }

  /** whether the cursor is inside of a line, not at its beginning */
  get inside(): boolean {
    const r = this.session.recording
    return this.cursor < r.length && r.kind(this.cursor) !== LINE
  }

  /** the event of the entry that the cursor is at or in, or -1 */
  get entry(): number {
    const r = this.session.recording
    if (this.cursor >= r.length) return -1
    const kind = r.kind(this.cursor)
    return kind === ENTER ? this.cursor : kind === EXIT ? r.link.get(this.cursor) : r.frameOf(this.cursor)
  }
}
