/** How many calls in a row may be what repeats. */
const LONGEST = 6
/** calls that a function makes at least, in all, so that it is worth to say that they are as before */
const WORTHWHILE = 5
/** characters that are kept back at most, waiting for a repeat to be one */
const MOST = 1 << 20

interface Kid {
  name: string
  shape: number
}

/** Text that is kept back. */
interface Kept {
  texts: string[]
}

/** Some of a function's calls come again, perhaps. */
interface Repeat {
  /** how many calls */
  readonly period: number
  /** how many of them have come again, and how often all of them */
  at: number
  times: number
  /** the first repeat */
  first: string[]
  /** the one that is not complete */
  readonly kept: Kept
  /** what was counted when it began, and when it was last complete */
  readonly from: number
  to: number
}

/** A call that has a line, and what of its calls has gone by. */
class Node {
  readonly name: string
  /** of its calls and marks so far, repeats left out */
  shape = 0
  calls = 0
  /** the last of its calls */
  readonly kids: Kid[] = []
  repeat: Repeat | null = null
  /** all its text, when it may be as another one was before */
  readonly own: Kept | null
  readonly from: number

  constructor(name: string, own: Kept | null, from: number) {
    this.name = name
    this.own = own
    this.from = from
  }
}

/** What a folding prints instead. */
interface FoldingText {
  out(text: string): void
  /** counts something that goes by: a folding says from where to where it got */
  tally(): number
  /** these calls came so often again */
  again(times: number, calls: readonly string[], from: number, to: number): string
  /** the call that ends now was made before, with all that it calls */
  before(from: number, to: number): string
}

/**
 * Leaves out what was shown before: a function that calls the same functions, calling the same functions, as it did another time has one
 * line; calls that come again and again are counted. What may be a repeat is kept back until it is known to be one.
 */
export class Folding {
  readonly #text: FoldingText
  #nodes: Node[]
  /** outermost first */
  readonly #buffers: Kept[] = []
  #size = 0
  /** what was shown: names, and the shapes of calls */
  readonly #names = new Set<string>()
  readonly #shapes = new Set<number>()

  constructor(text: FoldingText) {
    this.#text = text
    this.#nodes = [new Node('', null, 0)]
  }

  write(text: string): void {
    const to = this.#buffers[this.#buffers.length - 1]
    if (to === undefined) {
      this.#text.out(text)
      return
    }
    to.texts.push(text)
    this.#size += text.length
    if (this.#size > MOST) this.#give()
  }

  /** the line of a call comes next */
  begin(name: string): void {
    const parent = this.#nodes[this.#nodes.length - 1] as Node
    let r = parent.repeat
    if (r !== null) {
      if (r.at === r.period) this.#complete(r)
      if (parent.kids[parent.kids.length - r.period + r.at]?.name !== name) {
        this.#stop(parent)
        r = null
      }
    }
    if (r === null)
      for (let p = 1; p <= LONGEST && p <= parent.kids.length; p++)
        if (parent.kids[parent.kids.length - p]?.name === name) {
          const n = this.#text.tally()
          parent.repeat = { period: p, at: 0, times: 0, first: [], kept: this.#keep(), from: n, to: n }
          break
        }
    this.#nodes.push(new Node(name, this.#names.has(name) ? this.#keep() : null, this.#text.tally()))
  }

  /** what is written next belongs to the next call */
  next(): void {
    const r = this.#nodes[this.#nodes.length - 1]?.repeat ?? null
    if (r !== null && r.at === r.period) this.#complete(r)
  }

  /** its last line comes next, and is none of what repeats */
  closing(): void {
    const node = this.#nodes[this.#nodes.length - 1]
    if (node !== undefined) this.#stop(node)
  }

  /** its last line was written */
  end(): void {
    const node = this.#nodes.pop()
    const parent = this.#nodes[this.#nodes.length - 1]
    if (node === undefined || parent === undefined) return
    this.#stop(node)
    const kid = { name: node.name, shape: mix(node.shape, hash(node.name)) }
    parent.calls += node.calls + 1
    if (node.own !== null && this.#buffers.includes(node.own)) {
      const write = this.#release(node.own)
      if (this.#shapes.has(kid.shape)) write(this.#text.before(node.from, this.#text.tally()))
      else for (const t of node.own.texts) write(t)
    }
    if (node.calls >= WORTHWHILE) {
      this.#names.add(node.name)
      this.#shapes.add(kid.shape)
    }
    const r = parent.repeat
    if (r !== null) {
      if (parent.kids[parent.kids.length - r.period + r.at]?.shape === kid.shape) {
        r.at++
        return
      }
      this.#stop(parent)
    }
    add(parent, kid)
  }

  /** something that makes a call unlike others: `what` is compared */
  mark(what: string): void {
    const node = this.#nodes[this.#nodes.length - 1]
    if (node !== undefined) node.shape = mix(node.shape, hash(what))
  }

  /** everything is over that was going on */
  reset(): void {
    while (this.#nodes.length > 1) this.end()
    const [root] = this.#nodes
    if (root !== undefined) this.#stop(root)
    this.#nodes = [new Node('', null, 0)]
  }

  #keep(): Kept {
    const kept = { texts: [] }
    this.#buffers.push(kept)
    return kept
  }

  /** nothing goes there any more; where its text belongs */
  #release(kept: Kept): (text: string) => void {
    const place = this.#buffers.indexOf(kept)
    const outer = this.#buffers[place - 1]
    this.#buffers.splice(place, 1)
    if (this.#buffers.length === 0) this.#size = 0
    return outer === undefined ? (text) => this.#text.out(text) : (text) => void outer.texts.push(text)
  }

  #complete(r: Repeat): void {
    if (++r.times === 1) r.first = r.kept.texts
    r.kept.texts = []
    r.at = 0
    r.to = this.#text.tally()
  }

  /** what repeated does so no longer, or not to the end */
  #stop(n: Node): void {
    const r = n.repeat
    if (r === null) return
    n.repeat = null
    if (r.at === r.period) this.#complete(r)
    const calls = n.kids.slice(-r.period)
    const write = this.#release(r.kept)
    if (r.times === 1) for (const t of r.first) write(t)
    if (r.times > 1)
      write(
        this.#text.again(
          r.times,
          calls.map((k) => k.name),
          r.from,
          r.to,
        ),
      )
    for (const t of r.kept.texts) write(t)
    for (const k of calls.slice(0, r.at)) add(n, k)
  }

  /** too much is kept back: it is shown after all, from the outside in */
  #give(): void {
    for (const n of this.#nodes) {
      if (n.own !== null && this.#buffers.includes(n.own)) {
        const write = this.#release(n.own)
        for (const t of n.own.texts) write(t)
      }
      this.#stop(n)
    }
    this.#size = 0
  }
}

function add(n: Node, kid: Kid): void {
  n.shape = mix(n.shape, kid.shape)
  n.kids.push(kid)
  if (n.kids.length > 2 * LONGEST) n.kids.shift()
}

const mix = (a: number, b: number): number => Math.imul((a << 5) ^ (a >>> 27) ^ b, 0x01000193) >>> 0

const hashes = new Map<string, number>()
function hash(text: string): number {
  let h = hashes.get(text)
  if (h === undefined) {
    h = 0x811c9dc5
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
    h >>>= 0
    hashes.set(text, h)
  }
  return h
}
