import type { Frame, Track } from './frames.ts'
import { type Open, WeighedFormat } from './weigh.ts'

/** A function as reached by one chain of callers. */
interface Node {
  readonly name: string
  readonly inside: Map<string, Node>
  self: number
}

const node = (name: string): Node => ({ name, inside: new Map(), self: 0 })

/** semicolons and ends of lines mean something else there */
const plain = (name: string): string => name.replace(/[;\n\r]/g, ':')

/**
 * Stacks in a line each, `host;client-1234;tcp_sendmsg;tcp_push 350`, as flamegraph.pl reads them: https://github.com/brendangregg/FlameGraph.
 * A stack begins with the network namespace and who runs. An inlined function has the ending `_[i]`, which flamegraph.pl knows.
 */
export class Folded extends WeighedFormat<Node> {
  readonly #roots = new Map<Track, Node>()

  protected override newTrack(track: Track): void {
    this.#roots.set(track, node(`${plain(track.netns === '' ? 'host' : track.netns)};${plain(track.name)}`))
  }

  protected override begins(frame: Frame, stack: readonly Open<Node>[]): Node {
    const around = stack.at(-1)?.what ?? (this.#roots.get(frame.track) as Node)
    const name = frame.call.kind === 'inlined' ? `${frame.call.fn.name}_[i]` : frame.call.fn.name
    let n = around.inside.get(name)
    if (n === undefined) {
      n = node(name)
      around.inside.set(name, n)
    }
    return n
  }

  protected override ends(open: Open<Node>, _stack: readonly Open<Node>[], _track: Track, _total: number, self: number): void {
    open.what.self += self
  }

  override close(): void {
    for (const root of this.#roots.values()) this.#write(root, root.name)
  }

  #write(n: Node, path: string): void {
    if (n.self > 0) this.out.write(`${path} ${n.self}\n`)
    for (const inner of n.inside.values()) this.#write(inner, `${path};${inner.name}`)
  }
}
