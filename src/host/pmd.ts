import type { Cable } from '../hardware/cable.ts'
import type { CardOwner } from '../hardware/card.ts'
import { put16, sum16 } from '../hardware/checksum.ts'
import type { DmaSpace } from '../hardware/dma.ts'
import { E1000Card, REG } from '../hardware/e1000.ts'
import { type DeviceQueue, VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_LEN, VirtioNetCard } from '../hardware/virtio_net.ts'
import { clock } from '../sim/clock.ts'
import { traceCopy } from '../trace/tracer.ts'
import { CSUM_OFFSET, CSUM_START, HEADERS, type UdpFlow, writeUdpFrame } from './udp_frame.ts'

/**
 * What the program's own work takes, in instructions. The kernel's functions were measured; nobody measured this, so it is a model: a
 * poll-mode driver's transmit function is known to take 50 to 100 cycles a frame, and writing 42 bytes of headers about as much.
 */
export const MODEL = { headers: 60, frame: 90, burst: 60 } as const

const RING = 256
const BUFFER = 2048
/** frames that are handed to the card with one write of its tail */
export const BURST = 32
const DESC = 16
const TCTL_EN = 2
const CMD = { EOP: 0x01000000, IFCS: 0x02000000, RS: 0x08000000, DEXT: 0x20000000, data: 0x00100000 } as const
const IXSM = 1
const TXSM = 2

interface Mempool {
  readonly bytes: Uint8Array
  readonly address: number
}

/** one mapping for a buffer, as memory that is registered once is found again at each descriptor */
const mempool = (dma: DmaSpace, bytes: number): Mempool => {
  const b = new Uint8Array(bytes)
  return { bytes: b, address: dma.map(b, 0, bytes) }
}

/**
 * A program that has the card to itself, as with DPDK: it writes frames into memory of its own that the card can reach, then the
 * descriptors, then the register that tells the card. No system call, no sk_buff, no interrupt. The card has fetched what it was told
 * of when that write returns: nothing has to be waited for.
 */
interface PollModeDriver {
  /** sends a datagram for each piece of `data` of at most `mss` bytes */
  send(data: Uint8Array, mss: number, flow: UdpFlow): void
}

abstract class Pmd implements PollModeDriver {
  #id = 0

  protected abstract readonly buffers: readonly Mempool[]
  /** bytes in front of a frame that belong to the card */
  protected abstract readonly headroom: number
  protected abstract queue(slot: number, length: number): void
  /** tells the card, which fetches all that it was given */
  protected abstract kick(): void

  protected spend(instructions: number): void {
    clock.now += instructions
  }

  send(data: Uint8Array, mss: number, flow: UdpFlow): void {
    let slot = 0
    for (let at = 0; at < data.length || at === 0; at += mss) {
      const payload = data.subarray(at, at + mss)
      const buffer = this.buffers[slot]
      if (buffer === undefined) throw new RangeError('a burst is no longer than the ring')
      const length = HEADERS + payload.length
      writeUdpFrame(buffer.bytes.subarray(this.headroom, this.headroom + length), flow, ++this.#id, payload, true)
      traceCopy(payload.length, 'user', 'card memory')
      this.spend(MODEL.headers + MODEL.frame)
      this.queue(slot, length)
      if (++slot === BURST) {
        this.kick()
        slot = 0
      }
    }
    if (slot > 0) this.kick()
  }
}

/** the legacy and extended descriptors of 3.3 in the manual: the card makes both checksums, told once a burst how */
class E1000Pmd extends Pmd {
  protected readonly buffers: readonly Mempool[]
  protected readonly headroom = 0
  readonly #card: E1000Card
  readonly #ring: DataView
  #tail = 0
  #told = false

  constructor(dma: DmaSpace, cable: Cable, end: 0 | 1, owner: CardOwner) {
    super()
    this.buffers = Array.from({ length: BURST }, () => mempool(dma, BUFFER))
    const ring = mempool(dma, RING * DESC)
    this.#ring = new DataView(ring.bytes.buffer)
    this.#card = new E1000Card(dma, cable, end)
    this.#card.owner = owner
    this.#card.write(REG.IMC, 0xffffffff)
    this.#card.write(REG.TDBAL, ring.address)
    this.#card.write(REG.TDLEN, RING * DESC)
    this.#card.write(REG.TDH, 0)
    this.#card.write(REG.TDT, 0)
    this.#card.write(REG.TCTL, TCTL_EN)
  }

  #next(): number {
    const at = this.#tail * DESC
    this.#tail = (this.#tail + 1) % RING
    return at
  }

  protected queue(slot: number, length: number): void {
    const r = this.#ring
    if (!this.#told) {
      // context: 3.3.6. The IPv4 checksum is over bytes 14 to 33, the UDP one over all from 34 on
      const at = this.#next()
      r.setUint8(at, 14)
      r.setUint8(at + 1, 24)
      r.setUint16(at + 2, 33, true)
      r.setUint8(at + 4, CSUM_START)
      r.setUint8(at + 5, CSUM_START + CSUM_OFFSET)
      r.setUint16(at + 6, 0, true)
      r.setUint32(at + 8, CMD.DEXT, true)
      r.setUint32(at + 12, 0, true)
      this.#told = true
    }
    const at = this.#next()
    r.setBigUint64(at, BigInt(this.buffers[slot]?.address ?? 0), true)
    r.setUint32(at + 8, CMD.DEXT | CMD.data | CMD.EOP | CMD.IFCS | CMD.RS | length, true)
    r.setUint32(at + 12, (IXSM | TXSM) << 8, true)
  }

  protected kick(): void {
    this.spend(MODEL.burst)
    this.#card.write(REG.TDT, this.#tail)
    this.#told = false
  }
}

/** the split virtqueue of VIRTIO 1.2, 2.7: each frame is one buffer, its virtio_net_hdr in front */
class VirtioPmd extends Pmd {
  protected readonly buffers: readonly Mempool[]
  protected readonly headroom = VIRTIO_NET_HDR_LEN
  readonly #card: VirtioNetCard
  readonly #queue: DeviceQueue
  #avail = 0

  constructor(dma: DmaSpace, cable: Cable, end: 0 | 1, owner: CardOwner) {
    super()
    this.buffers = Array.from({ length: BURST }, () => mempool(dma, BUFFER))
    const view = (bytes: number): DataView => new DataView(new ArrayBuffer(bytes))
    this.#queue = {
      num: RING,
      desc: view(RING * DESC),
      avail: view(6 + 2 * RING),
      used: view(6 + 8 * RING),
      // it was told not to, and would not look
      interrupt: () => {},
      lastAvail: 0,
      usedIdx: 0,
      signalled: 0,
    }
    this.#card = new VirtioNetCard(dma, cable, end)
    this.#card.owner = owner
    this.#card.tx = this.#queue
  }

  protected queue(slot: number, length: number): void {
    const buffer = this.buffers[slot]
    if (buffer === undefined) return
    const h = new DataView(buffer.bytes.buffer)
    h.setUint8(0, VIRTIO_NET_HDR_F_NEEDS_CSUM)
    h.setUint16(6, CSUM_START, true)
    h.setUint16(8, CSUM_OFFSET, true)
    // this device makes no IPv4 checksum
    const ip = this.headroom + 14
    put16(buffer.bytes, ip + 10, ~sum16(buffer.bytes, ip, ip + 20) & 0xffff)
    const { desc, avail } = this.#queue
    const id = this.#avail % RING
    desc.setBigUint64(id * DESC, BigInt(buffer.address), true)
    desc.setUint32(id * DESC + 8, this.headroom + length, true)
    desc.setUint32(id * DESC + 12, 0, true)
    avail.setUint16(4 + 2 * id, id, true)
    this.#avail = (this.#avail + 1) & 0xffff
  }

  protected kick(): void {
    this.spend(MODEL.burst)
    this.#queue.avail.setUint16(2, this.#avail, true)
    this.#card.notify('tx')
  }
}

/** takes the card at that end of a cable from the kernel; the kernel's device must be down */
export const takeCard = (
  driver: 'e1000' | 'virtio_net',
  dma: DmaSpace,
  cable: Cable,
  end: 0 | 1,
  owner: CardOwner,
): PollModeDriver => (driver === 'e1000' ? new E1000Pmd(dma, cable, end, owner) : new VirtioPmd(dma, cable, end, owner))
