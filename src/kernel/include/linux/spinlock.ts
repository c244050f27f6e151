/** A spin lock or one side of a reader-writer lock. One processor: it is never contended, only checked. */
export class spinlock_t {
  locked = 0
}
export type rwlock_t = spinlock_t
/** readers look again instead of waiting; nobody writes meanwhile here, so they are not imitated */
export type seqlock_t = spinlock_t
