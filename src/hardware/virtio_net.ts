import type { Cable, Frame, Port, Unfinished } from './cable.ts'
import type { DmaSpace, Mapped } from './dma.ts'

// the split virtqueue and the network device: OASIS Virtual I/O Device (VIRTIO) 1.2, 2.7 and 5.1

export const VRING_DESC_F_NEXT = 1
export const VRING_DESC_F_WRITE = 2
export const VRING_DESC_F_INDIRECT = 4
const DESC = 16

export const VIRTIO_NET_HDR_LEN = 12
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
export const VIRTIO_NET_HDR_F_DATA_VALID = 2

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

interface Element {
  id: number
  pieces: Mapped[]
}

/**
 * A network card of a virtual machine, as the recordings had it: what the driver's kick tells it to send goes to the other card
 * as it is, checksums and segments unfinished, as that one takes them so.
 */
export class VirtioNetCard implements Port {
  readonly #dma: DmaSpace
  readonly #cable: Cable
  readonly #end: 0 | 1
  rx: DeviceQueue | null = null
  tx: DeviceQueue | null = null
  /** set by who knows when the other side of the machine gets to run */
  later: (work: () => void) => void = (work) => work()
  readonly counters = { sent: 0, received: 0, dropped: 0 }
  #scheduled = false

  constructor(dma: DmaSpace, cable: Cable, end: 0 | 1) {
    this.#dma = dma
    this.#cable = cable
    this.#end = end
    cable.plug(end, this)
  }

  /** the driver's write to the notification register of a queue */
  notify(queue: 'rx' | 'tx'): void {
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

  #transmit(): void {
    const q = this.tx
    if (q === null) return
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
      this.#cable.send(this.#end, { bytes: all.subarray(VIRTIO_NET_HDR_LEN), unfinished })
      this.#push(q, e.id, 0)
      this.#signal(q)
    }
  }

  receive(frame: Frame): void {
    const q = this.rx
    if (q === null) return
    const { bytes, unfinished } = frame
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
    for (const { e, written } of taken) this.#push(q, e.id, written)
    this.counters.received++
    this.#signal(q)
  }
}
