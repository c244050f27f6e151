import { ALL } from '../contexts.ts'
import type { GraphOptions } from '../graph_options.ts'
import { ShownCalls } from '../shown_calls.ts'

/** Told of every event, they say of a function whether a graph with their options would show it. */
abstract class Follower extends ShownCalls {
  /** of the function that began or ended last */
  hit = false

  constructor(options: GraphOptions) {
    super({ ...options, view: 'source', contexts: ALL, netns: options.netns ?? 'all', fold: false }, false, false)
  }
  begin(root: string | null): void {
    this.start(root)
  }
  end(): void {
    this.stop()
  }
  protected pushed(): void {}
  protected openTo(depth: number): void {
    this.open = depth
  }
  protected leaf(_depth: number, _ret: unknown): void {}
  protected closed(_depth: number, _ret: unknown): void {}
  protected note(): void {}
  protected sees(): void {}
}

/** whether the way of the packet goes through a function: known when it ends */
export class OnPath extends Follower {
  constructor(options: GraphOptions) {
    super({ ...options, detail: 'path' })
  }
  protected override leaf(depth: number): void {
    this.hit = !this.handsOn(depth)
  }
  protected override closed(depth: number): void {
    this.hit = !this.handsOn(depth)
  }
}

/** whether the user wants a function at all (set_graph_function, set_graph_notrace, max_graph_depth): known when it begins */
export class Wanted extends Follower {
  constructor(options: GraphOptions) {
    super({ ...options, detail: 'full' })
  }
  protected override pushed(): void {
    this.hit = true
  }
}
