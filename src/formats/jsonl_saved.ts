import type { TracedSkb } from '../trace/tracer.ts'
import { KEPT } from './jsonl_buffers.ts'
import { setAddress } from './values.ts'

/** bytes of one block of memory, and of all that are remembered, at most */
const BLOCK = 1 << 21
const MEMORY = 1 << 28
const EMPTY = new Uint8Array(0)

interface Block {
  readonly id: number
  refs: number
  bytes: Uint8Array
}

interface Fragment {
  block: Block
  at: number
  length: number
}

/** An sk_buff of a saved trace, as it is now. */
export class SavedBuffer implements TracedSkb {
  id = 0
  address = ''
  len = 0
  data_len = 0
  truesize = 0
  data = 0
  tail = 0
  end = 0
  mac_header = 0xffff
  network_header = 0
  transport_header = 0xffff
  protocol = 0
  ip_summed = 0
  cloned = 0
  clone_of = 0
  owner = ''
  devName = ''
  gso_size = 0
  gso_segs = 0
  vlan_proto = 0
  vlan_tci = 0
  list: object | null = null
  /** functions that were given it and have not returned */
  views = 0
  freed = false
  head: Block | null = null
  headAt = 0
  frags: Fragment[] = []
  #bytes: Uint8Array = EMPTY
  #of: Uint8Array = EMPTY

  get nr_frags(): number {
    return this.frags.length
  }

  get bytes(): Uint8Array {
    const all = this.head === null ? EMPTY : this.head.bytes
    if (all !== this.#of || this.#bytes.byteOffset !== all.byteOffset + this.headAt || this.#bytes.length < this.end) {
      this.#of = all
      this.#bytes = all.subarray(this.headAt)
    }
    return this.#bytes
  }

  frag(i: number): Uint8Array {
    const f = this.frags[i]
    return f === undefined ? EMPTY : f.block.bytes.subarray(f.at, f.at + f.length)
  }
}

/** What is known of the buffer of a frame outside of calls: the frame. */
export class FrameBuffer implements TracedSkb {
  readonly id: number
  readonly len: number
  readonly bytes: Uint8Array
  readonly data_len = 0
  readonly truesize = 0
  /** what stands before it was taken off, as from what comes in */
  readonly data: number
  readonly tail: number
  readonly end: number
  readonly mac_header = 0
  readonly network_header = 0
  readonly transport_header = 0xffff
  readonly protocol = 0
  readonly ip_summed = 0
  readonly cloned = 0
  readonly clone_of = 0
  readonly owner = ''
  readonly devName = ''
  readonly gso_size = 0
  readonly gso_segs = 0
  readonly nr_frags = 0
  readonly vlan_proto = 0
  readonly vlan_tci = 0
  readonly list = null

  constructor(id: number, len: number, bytes: Uint8Array) {
    this.id = id
    this.len = len
    this.bytes = bytes
    this.data = Math.max(0, bytes.length - len)
    this.tail = bytes.length
    this.end = bytes.length
  }

  frag(): Uint8Array {
    return EMPTY
  }
}

type Line = Readonly<Record<string, unknown>>
type Fail = (message: string) => never

const isIndex = (v: unknown, most: number): v is number => typeof v === 'number' && Number.isInteger(v) && v >= 0 && v <= most

/** the numbers of a `buffer` line and what they may be */
const numbers = [
  ['len', 'len', 0xffffffff],
  ['data_len', 'data_len', 0xffffffff],
  ['truesize', 'truesize', 0xffffffff],
  ['headroom', 'data', BLOCK],
  ['tail', 'tail', BLOCK],
  ['end', 'end', BLOCK],
  ['network_header', 'network_header', 0xffff],
  ['ip_summed', 'ip_summed', 3],
  ['cloned', 'cloned', 1],
  ['clone_of', 'clone_of', Number.MAX_SAFE_INTEGER],
  ['gso_size', 'gso_size', 0xffffffff],
  ['gso_segs', 'gso_segs', 0xffffffff],
  ['vlan_proto', 'vlan_proto', 0xffff],
  ['vlan_tci', 'vlan_tci', 0xffff],
] as const

/** The buffers of a saved trace: what BufferLog said of them. Forgets by the same rule. */
export class SavedBuffers {
  /** in the order in which they were introduced */
  readonly #all = new Set<SavedBuffer>()
  readonly #ids = new Map<number, SavedBuffer>()
  readonly #addresses = new Map<string, SavedBuffer>()
  readonly #blocks = new Map<number, Block>()
  readonly #lists = new Map<number, object>()
  #memory = 0

  byId(id: number): SavedBuffer | undefined {
    return this.#ids.get(id)
  }
  at(address: string): SavedBuffer | undefined {
    return this.#addresses.get(address)
  }
  isOne(v: unknown): SavedBuffer | null {
    return v instanceof SavedBuffer ? v : null
  }

  freed(id: number): void {
    const b = this.#ids.get(id)
    if (b === undefined) return
    if (b.views === 0) this.#forget(b)
    else b.freed = true
  }

  /** a function that was given it has returned */
  left(b: SavedBuffer | null): void {
    if (b !== null && --b.views === 0 && b.freed) this.#forget(b)
  }

  #forget(b: SavedBuffer): void {
    this.#all.delete(b)
    this.#unname(b)
    if (b.head !== null) this.#release(b.head)
    for (const f of b.frags) this.#release(f.block)
  }

  #unname(b: SavedBuffer): void {
    if (this.#ids.get(b.id) === b) this.#ids.delete(b.id)
    if (this.#addresses.get(b.address) === b) this.#addresses.delete(b.address)
  }

  #release(block: Block): void {
    if (--block.refs > 0) return
    this.#blocks.delete(block.id)
    this.#memory -= block.bytes.length
  }

  /** a `buffer` line */
  update(o: Line, fail: Fail): void {
    const b = this.#named(o, fail)
    for (const [name, field, most] of numbers) {
      const v = o[name]
      if (v === undefined) continue
      if (!isIndex(v, most)) fail(`'${name}' has to be a whole number from 0 to ${most}`)
      b[field] = v
    }
    if (o.mac_header !== undefined) b.mac_header = this.#header(o.mac_header, fail)
    if (o.transport_header !== undefined) b.transport_header = this.#header(o.transport_header, fail)
    if (o.protocol !== undefined) {
      if (typeof o.protocol !== 'string' || !/^0x[0-9a-f]{4}$/.test(o.protocol)) fail('\'protocol\' has to be such as "0x0800"')
      b.protocol = Number.parseInt(o.protocol, 16)
    }
    if (o.owner !== undefined) b.owner = typeof o.owner === 'string' ? o.owner : fail("'owner' has to be a text")
    if (o.dev !== undefined) b.devName = typeof o.dev === 'string' ? o.dev : fail("'dev' has to be a text")
    if (o.list !== undefined) b.list = this.#list(o.list, fail)
    if (o.head !== undefined) this.#head(b, o.head, fail)
    if (o.frags !== undefined) this.#frags(b, o.frags, fail)
    if (o.memory !== undefined) this.#write(o.memory, fail)
    if (b.data > b.tail || b.tail > b.end) fail(`headroom ${b.data}, tail ${b.tail} and end ${b.end} are in no order`)
    if (b.head !== null) this.#reserve(b.head, b.headAt + b.end, fail)
    for (const f of b.frags) if (f.at + f.length > f.block.bytes.length) this.#reserve(f.block, f.at + f.length, fail)
    if (o.addr === undefined || o.was !== undefined || this.#all.size <= KEPT) return
    for (const old of this.#all)
      if (old.views === 0 && old !== b) {
        this.#forget(old)
        break
      }
  }

  /** the buffer that a line is about: one that is known, a new one, or (`was`) another in the place of one that was freed */
  #named(o: Line, fail: Fail): SavedBuffer {
    const { id } = o
    if (!isIndex(id, Number.MAX_SAFE_INTEGER)) fail("'id' has to be a whole number")
    if (o.addr === undefined) return this.#ids.get(id) ?? fail(`buffer ${id} has no 'addr', and was not described before`)
    if (typeof o.addr !== 'string' || !/^0x[0-9a-f]+$/.test(o.addr))
      fail('\'addr\' has to be an address such as "0xffff888100001000"')
    let b: SavedBuffer
    if (o.was === undefined) {
      if (this.#ids.has(id)) fail(`buffer ${id} is introduced a second time`)
      b = new SavedBuffer()
      this.#all.add(b)
    } else {
      if (!isIndex(o.was, Number.MAX_SAFE_INTEGER)) fail("'was' has to be a whole number")
      b = this.#ids.get(o.was) ?? fail(`buffer ${o.was}, in whose place is ${id}, was not described before`)
      if (o.was !== id && this.#ids.has(id)) fail(`buffer ${id} is introduced a second time`)
      this.#unname(b)
    }
    b.id = id
    b.address = o.addr
    b.freed = false
    this.#ids.set(id, b)
    this.#addresses.set(o.addr, b)
    setAddress(b, o.addr)
    return b
  }

  #header(v: unknown, fail: Fail): number {
    return v === null ? 0xffff : isIndex(v, 0xffff) ? v : fail('a header is at a whole number from 0 to 65534, or null')
  }

  #list(v: unknown, fail: Fail): object | null {
    if (!isIndex(v, Number.MAX_SAFE_INTEGER)) fail("'list' has to be a whole number")
    if (v === 0) return null
    let list = this.#lists.get(v)
    if (list === undefined) {
      list = { queue: v }
      this.#lists.set(v, list)
    }
    return list
  }

  #block(v: unknown, fail: Fail): Block {
    if (!isIndex(v, Number.MAX_SAFE_INTEGER)) fail('a block of memory has to be a whole number')
    let block = this.#blocks.get(v)
    if (block === undefined) {
      block = { id: v, refs: 0, bytes: EMPTY }
      this.#blocks.set(v, block)
    }
    block.refs++
    return block
  }

  #reserve(block: Block, length: number, fail: Fail): void {
    if (length <= block.bytes.length) return
    if (length > BLOCK) fail(`a block of memory has at most ${BLOCK} bytes`)
    const longer = new Uint8Array(Math.max(length, Math.min(BLOCK, 2 * block.bytes.length)))
    this.#memory += longer.length - block.bytes.length
    if (this.#memory > MEMORY) fail(`describes more than ${MEMORY} bytes of buffers at a time`)
    longer.set(block.bytes)
    block.bytes = longer
  }

  #head(b: SavedBuffer, v: unknown, fail: Fail): void {
    if (!Array.isArray(v) || v.length !== 2 || !isIndex(v[1], BLOCK)) fail("'head' has to be [block, offset]")
    const old = b.head
    b.head = this.#block(v[0], fail)
    b.headAt = v[1]
    if (old !== null) this.#release(old)
  }

  #frags(b: SavedBuffer, v: unknown, fail: Fail): void {
    if (!Array.isArray(v) || v.length > 64) fail("'frags' has to be a list of at most 64 [block, offset, length]")
    const old = b.frags
    b.frags = v.map((f: unknown) => {
      if (!Array.isArray(f) || f.length !== 3 || !isIndex(f[1], BLOCK) || !isIndex(f[2], BLOCK))
        fail("'frags' has to be a list of [block, offset, length]")
      return { block: this.#block(f[0], fail), at: f[1], length: f[2] }
    })
    for (const f of old) this.#release(f.block)
  }

  #write(v: unknown, fail: Fail): void {
    if (!Array.isArray(v)) fail("'memory' has to be a list of [block, offset, bytes]")
    for (const piece of v as unknown[]) {
      if (!Array.isArray(piece) || piece.length !== 3 || !isIndex(piece[1], BLOCK) || typeof piece[2] !== 'string')
        fail("'memory' has to be a list of [block, offset, bytes]")
      const block = this.#blocks.get(piece[0]) ?? fail(`no buffer uses the block ${JSON.stringify(piece[0])}`)
      const text = piece[2]
      const bytes = Buffer.from(text, 'hex')
      if (2 * bytes.length !== text.length) fail('memory has to be bytes in hexadecimal')
      this.#reserve(block, piece[1] + bytes.length, fail)
      block.bytes.set(bytes, piece[1])
    }
  }
}
