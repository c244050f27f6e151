/** What was read is no capture, or damaged; `at` is the byte, from 0, where that shows. */
export class CaptureError extends Error {
  readonly at: number

  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

/** One packet of a capture. */
export interface CapturedPacket {
  /** from 1 */
  readonly number: number
  /** link type: https://www.tcpdump.org/linktypes.html */
  readonly linktype: number
  /** nanoseconds since 1970; null where the capture does not say */
  readonly time: bigint | null
  /** as captured: the beginning of it, when it was longer than the capture's limit */
  readonly bytes: Uint8Array
  /** how long it was */
  readonly length: number
  /** byte of the file where it begins */
  readonly at: number
}

/** bytes that a packet or a block may have: twice of what libpcap takes */
const LONGEST = 1 << 19
/** a block may have options besides */
const LONGEST_BLOCK = 1 << 22
/** interfaces of one section */
const INTERFACES = 1 << 16

const SECTION = 0x0a0d0d0a
const NANOSECONDS = 0xa1b23c4d
const MICROSECONDS = 0xa1b2c3d4

interface Interface {
  readonly linktype: number
  readonly snaplen: number
  /** units of a time stamp to a second */
  readonly units: bigint
  /** seconds to be added */
  readonly offset: bigint
}

/** Reads pcap and pcapng, of either byte order, piece by piece: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html */
export class CaptureReader {
  readonly #packet: (p: CapturedPacket) => void
  #pending: Uint8Array = new Uint8Array(0)
  /** place of the first pending byte */
  #at = 0
  #kind: 'unknown' | 'pcap' | 'pcapng' = 'unknown'
  #little = true
  #old: Interface = { linktype: 0, snaplen: 0, units: 1_000_000n, offset: 0n }
  #interfaces: Interface[] = []
  #number = 0

  constructor(packet: (p: CapturedPacket) => void) {
    this.#packet = packet
  }

  /** @throws CaptureError */
  feed(bytes: Uint8Array): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    for (let used = this.#step(); used > 0; used = this.#step()) {
      this.#pending = this.#pending.subarray(used)
      this.#at += used
    }
    // what waits for its rest must not keep the whole chunk
    this.#pending = Uint8Array.from(this.#pending)
  }

  /** nothing more comes. @throws CaptureError */
  finish(): void {
    if (this.#kind === 'unknown') this.#fail(this.#pending.length === 0 ? 'empty, not a capture' : 'too short for a capture', 0)
    if (this.#pending.length > 0)
      this.#fail(`the capture is cut off: ${this.#pending.length} bytes of a packet or block, the rest is missing`, this.#at)
  }

  #fail(message: string, at = this.#at): never {
    throw new CaptureError(message, at)
  }

  #view(from = 0): DataView {
    const p = this.#pending
    return new DataView(p.buffer, p.byteOffset + from, p.length - from)
  }

  /** reads what comes next; how many bytes that was, 0 when it is not there yet */
  #step(): number {
    if (this.#pending.length < 4) return 0
    if (this.#kind === 'pcap') return this.#record()
    if (this.#kind === 'pcapng') return this.#block()
    const magic = this.#view().getUint32(0, true)
    if (magic === SECTION) {
      this.#kind = 'pcapng'
      return this.#block()
    }
    return this.#header()
  }

  // ---- pcap ----

  #header(): number {
    const magic = this.#view().getUint32(0, true)
    const swapped = this.#view().getUint32(0, false)
    this.#little = magic === MICROSECONDS || magic === NANOSECONDS
    const value = this.#little ? magic : swapped
    if (value !== MICROSECONDS && value !== NANOSECONDS)
      this.#fail(`not a capture: it begins with ${swapped.toString(16).padStart(8, '0')}, neither pcap nor pcapng`, 0)
    if (this.#pending.length < 24) return 0
    const d = this.#view()
    const major = d.getUint16(4, this.#little)
    if (major !== 2) this.#fail(`pcap version ${major}; 2 is the only one there is`, 4)
    this.#old = {
      linktype: d.getUint32(20, this.#little) & 0xffff,
      snaplen: d.getUint32(16, this.#little),
      units: value === NANOSECONDS ? 1_000_000_000n : 1_000_000n,
      offset: 0n,
    }
    this.#kind = 'pcap'
    return 24
  }

  #record(): number {
    if (this.#pending.length < 16) return 0
    const d = this.#view()
    const captured = d.getUint32(8, this.#little)
    const length = d.getUint32(12, this.#little)
    if (captured > LONGEST) this.#fail(`a packet of ${captured} bytes: ${LONGEST} is the most, the file is damaged here`)
    if (this.#pending.length < 16 + captured) return 0
    const { units } = this.#old
    const ticks = BigInt(d.getUint32(0, this.#little)) * units + BigInt(d.getUint32(4, this.#little))
    this.#give(this.#old, ticks, this.#pending.subarray(16, 16 + captured), length)
    return 16 + captured
  }

  // ---- pcapng ----

  #block(): number {
    if (this.#pending.length < 12) return 0
    const d = this.#view()
    const isSection = d.getUint32(0, true) === SECTION
    if (isSection) {
      const order = d.getUint32(8, true)
      if (order === 0x1a2b3c4d) this.#little = true
      else if (order === 0x4d3c2b1a) this.#little = false
      else this.#fail('a section header without its byte-order mark', this.#at + 8)
    }
    const little = this.#little
    const type = d.getUint32(0, little)
    const length = d.getUint32(4, little)
    if (length < 12 || length % 4 !== 0 || length > LONGEST_BLOCK)
      this.#fail(`a block of ${length} bytes: it has to be a multiple of 4 from 12 to ${LONGEST_BLOCK}`, this.#at + 4)
    if (this.#pending.length < length) return 0
    if (d.getUint32(length - 4, little) !== length)
      this.#fail(`a block's length is ${length} at its beginning and ${d.getUint32(length - 4, little)} at its end`)
    const body = this.#pending.subarray(8, length - 4)
    if (isSection) {
      if (body.length < 16) this.#fail('a section header that is too short')
      const major = d.getUint16(12, little)
      if (major !== 1) this.#fail(`pcapng version ${major}; 1 is the only one there is`, this.#at + 12)
      this.#interfaces = []
    } else if (type === 1) this.#describe(body)
    else if (type === 6 || type === 2) this.#enhanced(body, type === 2)
    else if (type === 3) this.#simple(body)
    return length
  }

  #describe(body: Uint8Array): void {
    if (body.length < 8) this.#fail('an interface that is too short')
    if (this.#interfaces.length >= INTERFACES) this.#fail(`more than ${INTERFACES} interfaces`)
    const d = new DataView(body.buffer, body.byteOffset, body.length)
    let units = 1_000_000n
    let offset = 0n
    for (let at = 8; at + 4 <= body.length; ) {
      const code = d.getUint16(at, this.#little)
      const length = d.getUint16(at + 2, this.#little)
      if (code === 0) break
      if (at + 4 + length > body.length) this.#fail("an interface's option is longer than its block")
      if (code === 9 && length === 1) {
        const r = d.getUint8(at + 4)
        if ((r & 0x7f) > ((r & 0x80) === 0 ? 18 : 63)) this.#fail(`time stamps in units of ${r & 0x7f} digits`)
        units = (r & 0x80) === 0 ? 10n ** BigInt(r) : 2n ** BigInt(r & 0x7f)
      }
      if (code === 14 && length === 8) offset = d.getBigInt64(at + 4, this.#little)
      at += 4 + ((length + 3) & ~3)
    }
    this.#interfaces.push({ linktype: d.getUint16(0, this.#little), snaplen: d.getUint32(4, this.#little), units, offset })
  }

  #interface(n: number): Interface {
    return (
      this.#interfaces[n] ??
      this.#fail(
        `a packet of interface ${n}, where ${this.#interfaces.length} ${this.#interfaces.length === 1 ? 'is' : 'are'} described`,
      )
    )
  }

  /** Enhanced Packet Block, and the Packet Block that was before it */
  #enhanced(body: Uint8Array, old: boolean): void {
    if (body.length < 20) this.#fail('a packet that is too short')
    const d = new DataView(body.buffer, body.byteOffset, body.length)
    const i = this.#interface(old ? d.getUint16(0, this.#little) : d.getUint32(0, this.#little))
    const ticks = (BigInt(d.getUint32(4, this.#little)) << 32n) | BigInt(d.getUint32(8, this.#little))
    const captured = d.getUint32(12, this.#little)
    if (captured > body.length - 20 || captured > LONGEST)
      this.#fail(`a packet of ${captured} bytes in a block that has room for ${body.length - 20}`)
    this.#give(i, ticks, body.subarray(20, 20 + captured), d.getUint32(16, this.#little))
  }

  #simple(body: Uint8Array): void {
    if (body.length < 4) this.#fail('a packet that is too short')
    const length = new DataView(body.buffer, body.byteOffset, 4).getUint32(0, this.#little)
    const i = this.#interface(0)
    const captured = Math.min(length, body.length - 4, i.snaplen === 0 ? LONGEST : i.snaplen)
    this.#give(i, null, body.subarray(4, 4 + captured), length)
  }

  #give(i: Interface, ticks: bigint | null, bytes: Uint8Array, length: number): void {
    const time = ticks === null ? null : (ticks * 1_000_000_000n) / i.units + i.offset * 1_000_000_000n
    this.#number++
    this.#packet({
      number: this.#number,
      linktype: i.linktype,
      time,
      bytes,
      length: Math.max(length, bytes.length),
      at: this.#at,
    })
  }
}
