import type { Frame, Track } from '../frames.ts'
import { asText } from './text.ts'

/** what a page of Markdown can take, and a reader */
const NODES = 120

/** A function as reached by one chain of callers. */
interface Node {
  readonly id: string
  readonly track: Track
  readonly label: string
  readonly inlined: boolean
  readonly inside: Map<string, Node>
  calls: number
}

/** A flow chart of which function calls which, with a frame around each task and the softirqs of each host. */
export class Flow {
  readonly #roots = new Map<Track, Map<string, Node>>()
  readonly #nodes: Node[] = []
  readonly #edges: string[] = []
  readonly #arrows = new Set<string>()
  /** where a buffer was last seen */
  readonly #last = new Map<number, Node>()
  /** of frames, by depth; null for one that is not drawn */
  readonly #stack: (Node | null)[] = []
  #left = 0

  opened(frame: Frame, depth: number, tracks: readonly Track[]): void {
    // what an interrupt or a softirq does stands apart from what it interrupted
    const own = depth > 0 && tracks[depth - 1] === frame.track
    const around = own ? (this.#stack[depth - 1] as Node | null) : null
    this.#stack[depth] = own && around === null ? null : this.#node(frame, around)
    if (this.#stack[depth] === null) this.#left++
  }

  #node(frame: Frame, around: Node | null): Node | null {
    const { call, track } = frame
    let inside = around?.inside ?? this.#roots.get(track)
    if (inside === undefined) {
      inside = new Map()
      this.#roots.set(track, inside)
    }
    let n = inside.get(call.fn.name)
    if (n === undefined) {
      if (this.#nodes.length >= NODES) return null
      const { name, symbol } = call.fn
      const label = symbol.file === '' ? name : `${name}<br/>${symbol.file}:${symbol.line}`
      n = { id: `n${this.#nodes.length + 1}`, track, label, inlined: call.kind === 'inlined', inside: new Map(), calls: 0 }
      inside.set(name, n)
      this.#nodes.push(n)
      if (around !== null) this.#edges.push(`${around.id} --> ${n.id}`)
    }
    n.calls++
    if (frame.skb !== 0) this.#follow(frame, n)
    return n
  }

  /** a dotted arrow where a buffer comes from another task or softirq */
  #follow(frame: Frame, n: Node): void {
    const before = this.#last.get(frame.skb)
    if (before !== undefined && before.track !== n.track) {
      const arrow = `${before.id} -. skb .-> ${n.id}`
      if (this.#arrows.size < NODES) this.#arrows.add(arrow)
    }
    this.#last.set(frame.skb, n)
  }

  freed(skb: number): void {
    this.#last.delete(skb)
  }

  text(title: string): string {
    let out = `---\ntitle: ${JSON.stringify(title)}\n---\nflowchart TD\n`
    let tracks = 0
    for (const track of this.#roots.keys()) {
      const name = `${track.netns === '' ? 'host' : `netns ${track.netns}`}, ${track.name}`
      const own = this.#nodes.filter((n) => n.track === track)
      if (own.length === 0) continue
      out += `  subgraph t${++tracks}["${asText(name)}"]\n`
      for (const n of own) {
        const times = n.calls > 1 ? `<br/>${n.calls} times` : ''
        const label = n.label.split('<br/>').map(asText).join('<br/>')
        out += `    ${n.id}["${label}${times}"]${n.inlined ? ':::inlined' : ''}\n`
      }
      out += '  end\n'
    }
    for (const e of this.#edges) out += `  ${e}\n`
    for (const a of this.#arrows) out += `  ${a}\n`
    if (this.#left > 0) out += `  cut["cut here, ${this.#left} more calls are not shown"]\n`
    return `${out}  classDef inlined stroke-dasharray: 4\n`
  }
}
