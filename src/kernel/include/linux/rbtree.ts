/**
 * include/linux/rbtree.h. A node lies in (belongs to) `owner`: what rb_entry() gives. A node that is in no tree is its own parent
 * (RB_CLEAR_NODE). The functions are in lib/rbtree.ts.
 */
export class rb_node<T> {
  rb_parent: rb_node<T> | null = this
  rb_left: rb_node<T> | null = null
  rb_right: rb_node<T> | null = null
  red = false
  readonly owner: T

  constructor(owner: T) {
    this.owner = owner
  }
}

export class rb_root<T> {
  rb_node: rb_node<T> | null = null
}

/** a root that remembers its first node */
export class rb_root_cached<T> {
  readonly rb_root: rb_root<T> = new rb_root<T>()
  rb_leftmost: rb_node<T> | null = null
}

export const RB_EMPTY_ROOT = <T>(root: rb_root<T>): boolean => root.rb_node === null
export const rb_parent = <T>(node: rb_node<T>): rb_node<T> | null => node.rb_parent
