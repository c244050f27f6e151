import type { rb_node, rb_root } from '../include/linux/rbtree.ts'

// A red-black tree: Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, chapter 13, with Linux's interface.

/** links a new node below `parent`, on the given side; `parent` null makes it the root. rb_insert_color() must follow. */
export function rb_link_node<T>(node: rb_node<T>, parent: rb_node<T> | null, side: 'left' | 'right', root: rb_root<T>): void {
  node.rb_parent = parent
  node.rb_left = null
  node.rb_right = null
  node.red = true
  if (parent === null) root.rb_node = node
  else if (side === 'left') parent.rb_left = node
  else parent.rb_right = node
}

function replace_child<T>(old: rb_node<T>, node: rb_node<T> | null, parent: rb_node<T> | null, root: rb_root<T>): void {
  if (parent === null) root.rb_node = node
  else if (parent.rb_left === old) parent.rb_left = node
  else parent.rb_right = node
}

function rotate_left<T>(x: rb_node<T>, root: rb_root<T>): void {
  const y = x.rb_right
  if (y === null) return
  x.rb_right = y.rb_left
  if (y.rb_left !== null) y.rb_left.rb_parent = x
  y.rb_parent = x.rb_parent
  replace_child(x, y, x.rb_parent, root)
  y.rb_left = x
  x.rb_parent = y
}

function rotate_right<T>(x: rb_node<T>, root: rb_root<T>): void {
  const y = x.rb_left
  if (y === null) return
  x.rb_left = y.rb_right
  if (y.rb_right !== null) y.rb_right.rb_parent = x
  y.rb_parent = x.rb_parent
  replace_child(x, y, x.rb_parent, root)
  y.rb_right = x
  x.rb_parent = y
}

/** balances the tree after a node was linked */
export function rb_insert_color<T>(inserted: rb_node<T>, root: rb_root<T>): void {
  let node = inserted
  for (;;) {
    const parent = node.rb_parent
    if (parent === null || !parent.red) break
    const grand = parent.rb_parent
    if (grand === null) break
    const left = parent === grand.rb_left
    const uncle = left ? grand.rb_right : grand.rb_left
    if (uncle?.red) {
      parent.red = false
      uncle.red = false
      grand.red = true
      node = grand
      continue
    }
    let top = parent
    if (left && node === parent.rb_right) {
      rotate_left(parent, root)
      top = node
    } else if (!left && node === parent.rb_left) {
      rotate_right(parent, root)
      top = node
    }
    top.red = false
    grand.red = true
    if (left) rotate_right(grand, root)
    else rotate_left(grand, root)
    break
  }
  if (root.rb_node !== null) root.rb_node.red = false
}

/** takes a node out; it is left as in no tree (RB_CLEAR_NODE) */
export function rb_erase<T>(node: rb_node<T>, root: rb_root<T>): void {
  let child: rb_node<T> | null
  let parent: rb_node<T> | null
  let red: boolean
  if (node.rb_left !== null && node.rb_right !== null) {
    // the successor takes its place
    let next = node.rb_right
    while (next.rb_left !== null) next = next.rb_left
    red = next.red
    child = next.rb_right
    if (next.rb_parent === node) parent = next
    else {
      parent = next.rb_parent
      replace_child(next, child, parent, root)
      if (child !== null) child.rb_parent = parent
      next.rb_right = node.rb_right
      node.rb_right.rb_parent = next
    }
    replace_child(node, next, node.rb_parent, root)
    next.rb_parent = node.rb_parent
    next.rb_left = node.rb_left
    node.rb_left.rb_parent = next
    next.red = node.red
  } else {
    child = node.rb_left ?? node.rb_right
    parent = node.rb_parent
    red = node.red
    replace_child(node, child, parent, root)
    if (child !== null) child.rb_parent = parent
  }
  node.rb_parent = node
  node.rb_left = null
  node.rb_right = null
  if (!red) erase_color(child, parent, root)
}

/** one black node is missing on the path through `node`, a child of `parent` */
function erase_color<T>(missing: rb_node<T> | null, above: rb_node<T> | null, root: rb_root<T>): void {
  let node = missing
  let parent = above
  while (parent !== null && !node?.red) {
    const left = parent.rb_left === node
    let sibling = left ? parent.rb_right : parent.rb_left
    if (sibling === null) break
    if (sibling.red) {
      sibling.red = false
      parent.red = true
      if (left) rotate_left(parent, root)
      else rotate_right(parent, root)
      sibling = left ? parent.rb_right : parent.rb_left
      if (sibling === null) break
    }
    const near = left ? sibling.rb_left : sibling.rb_right
    const far = left ? sibling.rb_right : sibling.rb_left
    if (!near?.red && !far?.red) {
      sibling.red = true
      node = parent
      parent = node.rb_parent
      continue
    }
    let top = sibling
    if (!far?.red && near !== null) {
      near.red = false
      sibling.red = true
      if (left) rotate_right(sibling, root)
      else rotate_left(sibling, root)
      top = near
    }
    top.red = parent.red
    parent.red = false
    const outer = left ? top.rb_right : top.rb_left
    if (outer !== null) outer.red = false
    if (left) rotate_left(parent, root)
    else rotate_right(parent, root)
    return
  }
  if (node !== null) node.red = false
}

export function rb_first<T>(root: rb_root<T>): rb_node<T> | null {
  let n = root.rb_node
  if (n === null) return null
  while (n.rb_left !== null) n = n.rb_left
  return n
}

export function rb_last<T>(root: rb_root<T>): rb_node<T> | null {
  let n = root.rb_node
  if (n === null) return null
  while (n.rb_right !== null) n = n.rb_right
  return n
}

export function rb_next<T>(start: rb_node<T>): rb_node<T> | null {
  if (start.rb_parent === start) return null
  if (start.rb_right !== null) {
    let n = start.rb_right
    while (n.rb_left !== null) n = n.rb_left
    return n
  }
  let node = start
  let parent = node.rb_parent
  while (parent !== null && node === parent.rb_right) {
    node = parent
    parent = node.rb_parent
  }
  return parent
}

export function rb_prev<T>(start: rb_node<T>): rb_node<T> | null {
  if (start.rb_parent === start) return null
  if (start.rb_left !== null) {
    let n = start.rb_left
    while (n.rb_right !== null) n = n.rb_right
    return n
  }
  let node = start
  let parent = node.rb_parent
  while (parent !== null && node === parent.rb_left) {
    node = parent
    parent = node.rb_parent
  }
  return parent
}

/** puts `node` where `victim` is */
export function rb_replace_node<T>(victim: rb_node<T>, node: rb_node<T>, root: rb_root<T>): void {
  node.rb_parent = victim.rb_parent
  node.rb_left = victim.rb_left
  node.rb_right = victim.rb_right
  node.red = victim.red
  if (node.rb_left !== null) node.rb_left.rb_parent = node
  if (node.rb_right !== null) node.rb_right.rb_parent = node
  replace_child(victim, node, victim.rb_parent, root)
  victim.rb_parent = victim
  victim.rb_left = null
  victim.rb_right = null
}

/** include/linux/rbtree.h: adds `node` behind the nodes that `less` does not put it in front of */
export function rb_add<T>(node: rb_node<T>, root: rb_root<T>, less: (a: T, b: T) => boolean): void {
  let parent: rb_node<T> | null = null
  let side: 'left' | 'right' = 'left'
  for (let p = root.rb_node; p !== null; p = side === 'left' ? p.rb_left : p.rb_right) {
    parent = p
    side = less(node.owner, p.owner) ? 'left' : 'right'
  }
  rb_link_node(node, parent, side, root)
  rb_insert_color(node, root)
}
