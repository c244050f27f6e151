/**
 * The virtual clock. It counts instructions, an integer, so that sums never round; nanoseconds follow from it.
 * One instruction takes `1 / perNs` nanoseconds: three to a nanosecond unless told otherwise.
 */
class Clock {
  /** instructions since boot */
  now = 0
  perNs = 3

  /** whole nanoseconds since boot */
  ns(): number {
    return Math.floor(this.now / this.perNs)
  }

  /** lets time pass up to `ns` nanoseconds since boot; never goes back */
  advanceTo(ns: number): void {
    const to = Math.ceil(ns * this.perNs)
    if (to > this.now) this.now = to
  }
}

/** the one clock of the process; a boot sets it back */
export const clock = new Clock()
