/** A doubly linked ring, include/linux/list.h. `owner` is what container_of() would give; null for a list's head. */
export class list_head<T> {
  next: list_head<T> = this
  prev: list_head<T> = this
  readonly owner: T | null

  constructor(owner: T | null = null) {
    this.owner = owner
  }

  /** the owners, first to last; the one at hand may be taken out meanwhile */
  *[Symbol.iterator](): Generator<T> {
    for (let p = this.next; p !== this; ) {
      const next = p.next
      if (p.owner !== null) yield p.owner
      p = next
    }
  }
}

function insert<T>(n: list_head<T>, prev: list_head<T>, next: list_head<T>): void {
  next.prev = n
  n.next = next
  n.prev = prev
  prev.next = n
}

export const list_add = <T>(n: list_head<T>, head: list_head<T>): void => insert(n, head, head.next)
export const list_add_tail = <T>(n: list_head<T>, head: list_head<T>): void => insert(n, head.prev, head)
export const list_empty = <T>(head: list_head<T>): boolean => head.next === head

/** takes `n` out and leaves it empty (list_del_init) */
export function list_del<T>(n: list_head<T>): void {
  n.next.prev = n.prev
  n.prev.next = n.next
  n.next = n
  n.prev = n
}

export function list_move_tail<T>(n: list_head<T>, head: list_head<T>): void {
  list_del(n)
  list_add_tail(n, head)
}

/** moves everything from `list` to the end of `head`, and leaves `list` empty */
export function list_splice_tail_init<T>(list: list_head<T>, head: list_head<T>): void {
  for (let p = list.next; p !== list; ) {
    const next = p.next
    list_move_tail(p, head)
    p = next
  }
}
