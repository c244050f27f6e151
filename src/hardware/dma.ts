/** Memory that a card may reach: some bytes, and where in them a mapping begins. */
export interface Mapped {
  readonly bytes: Uint8Array
  readonly offset: number
  readonly length: number
}

/** The addresses that cards see. What is mapped is found by the address at which its mapping begins. */
export class DmaSpace {
  #next = 0x1000_0000
  readonly #mapped = new Map<number, Mapped>()

  /** the address of `length` bytes from `offset` on; good until it is unmapped */
  map(bytes: Uint8Array, offset: number, length: number): number {
    const at = this.#next
    this.#next += (length + 63) & ~63
    this.#mapped.set(at, { bytes, offset, length })
    return at
  }

  unmap(address: number): void {
    this.#mapped.delete(address)
  }

  /** what a card finds there; undefined is an error of the driver */
  at(address: number): Mapped | undefined {
    return this.#mapped.get(address)
  }

  get size(): number {
    return this.#mapped.size
  }
}
