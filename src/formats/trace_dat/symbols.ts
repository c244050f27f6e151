/** Made-up addresses for functions, in the kernel's text. A name has the same one in each trace, so that two traces compare. */

/** the upper half of each address */
export const HIGH = 0xffffffff
const TEXT = 0x81000000
/** up to where modules begin */
const SLOTS = (0xc0000000 - TEXT) / 16

/** Addresses that stand for functions, each one's own. */
export class Symbols {
  readonly #address = new Map<string, number>()
  readonly #taken = new Set<number>()

  /** the lower half of its address */
  lookup(name: string): number {
    let a = this.#address.get(name)
    if (a === undefined) {
      // FNV-1a
      let h = 0x811c9dc5
      for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193) >>> 0
      let slot = h % SLOTS
      while (this.#taken.has(slot)) slot = (slot + 1) % SLOTS
      this.#taken.add(slot)
      a = TEXT + 16 * slot
      this.#address.set(name, a)
    }
    return a
  }

  /** as /proc/kallsyms has them: those that were looked up, by address */
  kallsyms(): string {
    return [...this.#address]
      .sort((a, b) => a[1] - b[1])
      .map(([name, a]) => `${HIGH.toString(16)}${a.toString(16)} t ${name}\n`)
      .join('')
  }
}
