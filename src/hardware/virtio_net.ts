import { tracer } from '../trace/tracer.ts'
import type { Cable, Frame, Port, Unfinished } from './cable.ts'
import {
  address,
  bits,
  type CardOwner,
  type DescriptorView,
  type Fields,
  type Inspectable,
  nothing,
  type RingView,
  say,
} from './card.ts'
import type { DmaSpace, Mapped } from './dma.ts'

// the split virtqueue and the network device: OASIS Virtual I/O Device (VIRTIO) 1.2, 2.7 and 5.1

export const VRING_DESC_F_NEXT = 1
export const VRING_DESC_F_WRITE = 2
export const VRING_DESC_F_INDIRECT = 4
const DESC = 16

export const VIRTIO_NET_HDR_LEN = 12
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
const VIRTIO_NET_HDR_F_DATA_VALID = 2

/** One virtqueue as the device sees it: three pieces of memory, and how to call the driver. */
export interface DeviceQueue {
  readonly num: number
  readonly desc: DataView
  readonly avail: DataView
  readonly used: DataView
  /** the interrupt of this queue */
  interrupt: () => void
  lastAvail: number
  usedIdx: number
  signalled: number
}

/** whether passing from `old` to `now` has passed `event`: 2.7.10 */
const needEvent = (event: number, now: number, old: number): boolean => ((now - event - 1) & 0xffff) < ((now - old) & 0xffff)

/** number of the transmit queue: 5.1.2 */
const TX = 1
/** a chain has no more descriptors than its queue */
const MAX_CHAIN = 1024

const GSO_TYPES: Readonly<Record<number, string>> = { 0: 'NONE', 1: 'TCPV4', 3: 'UDP', 4: 'TCPV6', 5: 'UDP_L4' }
const GSO_ECN = 0x80
const HDR_FLAGS: readonly (readonly [string, number])[] = [
  ['NEEDS_CSUM', VIRTIO_NET_HDR_F_NEEDS_CSUM],
  ['DATA_VALID', VIRTIO_NET_HDR_F_DATA_VALID],
]
const DESC_FLAGS: readonly (readonly [string, number])[] = [
  ['NEXT', VRING_DESC_F_NEXT],
  ['WRITE', VRING_DESC_F_WRITE],
  ['INDIRECT', VRING_DESC_F_INDIRECT],
]

/** struct virtq_desc: 2.7.5 */
function descFields(table: DataView, i: number): Fields {
  const at = i * DESC
  const flags = table.getUint16(at + 12, true)
  return {
    addr: address(table.getUint32(at, true), table.getUint32(at + 4, true)),
    len: table.getUint32(at + 8, true),
    flags: bits(flags, DESC_FLAGS) || '0',
    ...(flags & VRING_DESC_F_NEXT ? { next: table.getUint16(at + 14, true) } : nothing),
  }
}

/** struct virtio_net_hdr: 5.1.6 */
function headerFields(h: DataView): Fields {
  const type = h.getUint8(1)
  return {
    flags: bits(h.getUint8(0), HDR_FLAGS) || '0',
    gso_type: `${GSO_TYPES[type & ~GSO_ECN] ?? type}${type & GSO_ECN ? ' ECN' : ''}`,
    hdr_len: h.getUint16(2, true),
    gso_size: h.getUint16(4, true),
    csum_start: h.getUint16(6, true),
    csum_offset: h.getUint16(8, true),
  }
}

interface Element {
  id: number
  pieces: Mapped[]
}

/**
 * A network card of a virtual machine, as the recordings had it: what the driver's kick tells it to send goes to the other card
 * as it is, checksums and segments unfinished, as that one takes them so.
 */
export class VirtioNetCard implements Port, Inspectable {
  owner: CardOwner | null = null
  readonly #dma: DmaSpace
  readonly #cable: Cable
  readonly #end: 0 | 1
  rx: DeviceQueue | null = null
  tx: DeviceQueue | null = null
  /** set by who knows when the other side of the machine gets to run */
  later: (work: () => void) => void = (work) => work()
  readonly counters = { sent: 0, received: 0, dropped: 0 }
  /** what VIRTIO_NET_CTRL_RX and VIRTIO_NET_CTRL_MAC_TABLE_SET said */
  allmulti = false
  groups: readonly Uint8Array[] = []
  #scheduled = false
  /** up to where the transmit queue's available ring was told of */
  #said = 0

  constructor(dma: DmaSpace, cable: Cable, end: 0 | 1) {
    this.#dma = dma
    this.#cable = cable
    this.#end = end
    cable.plug(end, this)
  }

  /** the driver's write to the notification register of a queue */
  notify(queue: 'rx' | 'tx'): void {
    if (tracer.on && queue === 'tx') {
      say(this.owner, 'register', 'queue_notify', TX, nothing)
      this.#sayAvailable()
    }
    if (queue === 'rx' || this.#scheduled) return
    this.#scheduled = true
    this.later(() => {
      this.#scheduled = false
      this.#transmit()
    })
  }

  #pop(q: DeviceQueue): Element | null {
    if (q.avail.getUint16(2, true) === q.lastAvail) return null
    const id = q.avail.getUint16(4 + 2 * (q.lastAvail % q.num), true)
    q.lastAvail = (q.lastAvail + 1) & 0xffff
    // the driver kicks again when it adds behind this one
    q.used.setUint16(4 + 8 * q.num, q.lastAvail, true)
    const pieces: Mapped[] = []
    this.#chain(q.desc, id, pieces)
    return { id, pieces }
  }

  #chain(table: DataView, from: number, pieces: Mapped[]): void {
    for (let i = from; ; ) {
      const at = i * DESC
      const address = table.getUint32(at, true) + table.getUint32(at + 4, true) * 2 ** 32
      const length = table.getUint32(at + 8, true)
      const flags = table.getUint16(at + 12, true)
      const m = this.#dma.at(address)
      if (m !== undefined) {
        if (flags & VRING_DESC_F_INDIRECT) {
          this.#chain(new DataView(m.bytes.buffer, m.bytes.byteOffset + m.offset, length), 0, pieces)
          return
        }
        pieces.push({ bytes: m.bytes, offset: m.offset, length })
      }
      if (!(flags & VRING_DESC_F_NEXT)) return
      i = table.getUint16(at + 14, true)
    }
  }

  #push(q: DeviceQueue, id: number, length: number): void {
    const at = 4 + 8 * (q.usedIdx % q.num)
    q.used.setUint32(at, id, true)
    q.used.setUint32(at + 4, length, true)
    q.usedIdx = (q.usedIdx + 1) & 0xffff
    q.used.setUint16(2, q.usedIdx, true)
  }

  #signal(q: DeviceQueue): void {
    const old = q.signalled
    q.signalled = q.usedIdx
    if (needEvent(q.avail.getUint16(4 + 2 * q.num, true), q.usedIdx, old)) q.interrupt()
  }

  /** the transmit chains that the driver made available and that were not told of yet */
  #sayAvailable(): void {
    const q = this.tx
    if (q === null) return
    const end = q.avail.getUint16(2, true)
    // what went by while nobody listened is left out
    if (((this.#said - q.lastAvail) & 0xffff) > ((end - q.lastAvail) & 0xffff)) this.#said = q.lastAvail
    for (; this.#said !== end; this.#said = (this.#said + 1) & 0xffff) {
      for (const d of this.#chainView(q.desc, q.avail.getUint16(4 + 2 * (this.#said % q.num), true)))
        say(this.owner, d.header ? 'header' : 'descriptor', 'tx', d.index, d.fields)
    }
  }

  /** the descriptors of a chain as they lie in memory, and the virtio_net_hdr that the first buffer begins with */
  #chainView(table: DataView, from: number): (DescriptorView & { header: boolean })[] {
    const out: (DescriptorView & { header: boolean })[] = []
    for (let i = from, n = 0; n < MAX_CHAIN; n++) {
      const fields = descFields(table, i)
      out.push({ index: i, fields, header: false })
      const flags = table.getUint16(i * DESC + 12, true)
      const m = this.#dma.at(table.getUint32(i * DESC, true) + table.getUint32(i * DESC + 4, true) * 2 ** 32)
      if (m !== undefined && flags & VRING_DESC_F_INDIRECT) {
        const inner = new DataView(m.bytes.buffer, m.bytes.byteOffset + m.offset, table.getUint32(i * DESC + 8, true))
        return [...out, ...this.#chainView(inner, 0)]
      }
      if (m !== undefined && n === 0 && !(flags & VRING_DESC_F_WRITE) && m.length >= VIRTIO_NET_HDR_LEN)
        out.push({ index: i, fields: headerFields(new DataView(m.bytes.buffer, m.bytes.byteOffset + m.offset)), header: true })
      if (!(flags & VRING_DESC_F_NEXT)) break
      i = table.getUint16(i * DESC + 14, true)
    }
    return out
  }

  /** what a split virtqueue says of itself in memory: 2.7.6 and 2.7.8 */
  registers(): Map<string, number> {
    const of = (name: string, q: DeviceQueue | null): [string, number][] =>
      q === null
        ? []
        : [
            [`${name} avail.flags`, q.avail.getUint16(0, true)],
            [`${name} avail.idx`, q.avail.getUint16(2, true)],
            [`${name} used_event`, q.avail.getUint16(4 + 2 * q.num, true)],
            [`${name} used.idx`, q.used.getUint16(2, true)],
            [`${name} avail_event`, q.used.getUint16(4 + 8 * q.num, true)],
          ]
    return new Map([...of('rx', this.rx), ...of('tx', this.tx)])
  }

  rings(last: number): RingView[] {
    const of = (name: 'tx' | 'rx', q: DeviceQueue | null): RingView[] => {
      if (q === null) return []
      const end = q.avail.getUint16(2, true)
      const n = Math.min(last, end, q.num)
      const descriptors = Array.from({ length: n }, (_, i) => {
        const index = q.avail.getUint16(4 + 2 * ((end - n + i) % q.num), true)
        return { index, fields: descFields(q.desc, index) }
      })
      return [{ name, size: q.num, head: q.lastAvail, tail: end, descriptors }]
    }
    return [...of('tx', this.tx), ...of('rx', this.rx)]
  }

  #transmit(): void {
    const q = this.tx
    if (q === null) return
    if (tracer.on) this.#sayAvailable()
    for (let e = this.#pop(q); e !== null; e = this.#pop(q)) {
      let total = 0
      for (const p of e.pieces) total += p.length
      const all = new Uint8Array(total)
      let at = 0
      for (const p of e.pieces) {
        all.set(p.bytes.subarray(p.offset, p.offset + p.length), at)
        at += p.length
      }
      const h = new DataView(all.buffer)
      const unfinished: Unfinished = {
        needsCsum: (h.getUint8(0) & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0,
        gsoType: h.getUint8(1),
        hdrLen: h.getUint16(2, true),
        gsoSize: h.getUint16(4, true),
        csumStart: h.getUint16(6, true),
        csumOffset: h.getUint16(8, true),
      }
      this.counters.sent++
      const bytes = all.subarray(VIRTIO_NET_HDR_LEN)
      if (tracer.on) say(this.owner, 'wire', '', 0, nothing, bytes)
      if (!this.#cable.send(this.#end, { bytes, unfinished }) && tracer.on)
        say(this.owner, 'lost', '', 0, { where: 'on the cable' }, bytes)
      this.#push(q, e.id, 0)
      this.#signal(q)
    }
  }

  /** a group's frame is taken when the driver asked for it: 5.1.6.5.2. Everybody takes what is sent to all. */
  #wanted(frame: Uint8Array): boolean {
    if (!((frame[0] ?? 0) & 1) || this.allmulti) return true
    const to = frame.subarray(0, 6)
    return to.every((b) => b === 0xff) || this.groups.some((g) => g.every((b, i) => b === to[i]))
  }

  receive(frame: Frame): void {
    const q = this.rx
    if (q === null) return
    const { bytes, unfinished } = frame
    if (!this.#wanted(bytes)) return
    const total = VIRTIO_NET_HDR_LEN + bytes.length
    const header = new Uint8Array(VIRTIO_NET_HDR_LEN)
    const h = new DataView(header.buffer)
    if (unfinished !== null) {
      h.setUint8(0, unfinished.needsCsum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0)
      h.setUint8(1, unfinished.gsoType)
      h.setUint16(2, unfinished.hdrLen, true)
      h.setUint16(4, unfinished.gsoSize, true)
      h.setUint16(6, unfinished.csumStart, true)
      h.setUint16(8, unfinished.csumOffset, true)
    }
    const taken: { e: Element; written: number }[] = []
    const rollback = q.lastAvail
    let done = 0
    while (done < total) {
      const e = this.#pop(q)
      if (e === null) {
        // no room: nothing of it is kept
        q.lastAvail = rollback
        this.counters.dropped++
        if (tracer.on) say(this.owner, 'lost', '', 0, { where: 'no receive buffer' }, frame.bytes)
        return
      }
      let written = 0
      for (const p of e.pieces) {
        let room = p.length
        let to = p.offset
        while (room > 0 && done < total) {
          const from = done < VIRTIO_NET_HDR_LEN ? header : bytes
          const at = done < VIRTIO_NET_HDR_LEN ? done : done - VIRTIO_NET_HDR_LEN
          const n = Math.min(room, from.length - at)
          p.bytes.set(from.subarray(at, at + n), to)
          room -= n
          to += n
          done += n
          written += n
        }
      }
      taken.push({ e, written })
    }
    // how many buffers the frame took stands in the first one's header
    const first = taken[0]?.e.pieces[0]
    if (first !== undefined) {
      first.bytes[first.offset + 10] = taken.length & 0xff
      first.bytes[first.offset + 11] = taken.length >> 8
    }
    for (const { e, written } of taken) {
      if (tracer.on) say(this.owner, 'descriptor', 'rx', e.id, { used_len: written })
      this.#push(q, e.id, written)
    }
    this.counters.received++
    this.#signal(q)
  }
}
