import { expect, it } from 'vitest'
import { rb_node, rb_root } from '../../src/kernel/include/linux/rbtree.ts'
import { rb_add, rb_erase, rb_first, rb_last, rb_next, rb_prev, rb_replace_node } from '../../src/kernel/lib/rbtree.ts'
import { Random } from '../../src/sim/random.ts'

interface item {
  key: number
  node: rb_node<item>
}
function make(key: number): item {
  const i = { key } as item
  i.node = new rb_node(i)
  return i
}

/** height in black nodes; throws when the tree is not a red-black tree */
function check(n: rb_node<item> | null, parent: rb_node<item> | null): number {
  if (n === null) return 1
  if (n.rb_parent !== parent) throw new Error('wrong parent')
  if (n.red && parent?.red) throw new Error('two red nodes in a row')
  const left = check(n.rb_left, n)
  if (left !== check(n.rb_right, n)) throw new Error('not balanced')
  return left + (n.red ? 0 : 1)
}

it('holds what a sorted array holds, and stays balanced', () => {
  const random = new Random(3)
  const root = new rb_root<item>()
  let sorted: item[] = []
  for (let step = 0; step < 4000; step++) {
    const what = random.below(10)
    if (what < 5 || sorted.length === 0) {
      const i = make(random.below(500))
      rb_add(i.node, root, (a, b) => a.key < b.key)
      const at = sorted.findIndex((s) => s.key > i.key)
      sorted.splice(at < 0 ? sorted.length : at, 0, i)
    } else if (what < 9) {
      const [i] = sorted.splice(random.below(sorted.length), 1)
      if (i !== undefined) rb_erase(i.node, root)
    } else {
      const at = random.below(sorted.length)
      const old = sorted[at]
      if (old !== undefined) {
        const i = make(old.key)
        rb_replace_node(old.node, i.node, root)
        sorted = sorted.with(at, i)
      }
    }
    if (step % 50 === 0) {
      check(root.rb_node, null)
      const forward: item[] = []
      for (let n = rb_first(root); n !== null; n = rb_next(n)) forward.push(n.owner)
      expect(forward).toEqual(sorted)
      const backward: item[] = []
      for (let n = rb_last(root); n !== null; n = rb_prev(n)) backward.push(n.owner)
      expect(backward.reverse()).toEqual(sorted)
    }
  }
})
