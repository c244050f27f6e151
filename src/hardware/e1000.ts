import type { Cable, Frame, Port } from './cable.ts'
import { get16, put16, sum16 } from './checksum.ts'
import type { DmaSpace } from './dma.ts'

// registers of the 82540EM, by their offsets: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, 13
export const REG = {
  CTRL: 0x0000,
  STATUS: 0x0008,
  ICR: 0x00c0,
  ITR: 0x00c4,
  ICS: 0x00c8,
  IMS: 0x00d0,
  IMC: 0x00d8,
  RCTL: 0x0100,
  TCTL: 0x0400,
  RDBAL: 0x2800,
  RDLEN: 0x2808,
  RDH: 0x2810,
  RDT: 0x2818,
  TDBAL: 0x3800,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TDT: 0x3818,
  TIDV: 0x3820,
  RXCSUM: 0x5000,
} as const

export const ICR_TXDW = 0x01
export const ICR_TXQE = 0x02
export const ICR_LSC = 0x04
export const ICR_RXDMT0 = 0x10
export const ICR_RXO = 0x40
export const ICR_RXT0 = 0x80

const CMD_EOP = 0x01000000
const CMD_RS = 0x08000000
const CMD_DEXT = 0x20000000
const CMD_TSE = 0x04000000
const DTYP_D = 0x00100000
const CTX_IP = 0x02000000
const CTX_TCP = 0x01000000
const STAT_DD = 1
const STAT_EOP = 2
/** the card did not look at the checksum */
const STAT_IXSM = 4
const POPTS_IXSM = 1
const POPTS_TXSM = 2
const STATUS_LU = 2
const RCTL_EN = 2
const TCTL_EN = 2

const DESC = 16
const MIN_FRAME = 60
const FCS = 4
const MAX_PACKET = 0x10000

/** what a context descriptor says of the packets behind it */
interface Context {
  ipcss: number
  ipcso: number
  ipcse: number
  tucss: number
  tucso: number
  tucse: number
  paylen: number
  hdrLen: number
  mss: number
  ip: boolean
  tcp: boolean
}
const noContext = (): Context => ({
  ipcss: 0,
  ipcso: 0,
  ipcse: 0,
  tucss: 0,
  tucso: 0,
  tucse: 0,
  paylen: 0,
  hdrLen: 0,
  mss: 0,
  ip: false,
  tcp: false,
})

/**
 * Intel's 82540EM, as the recordings had it (QEMU's): a register write to the tail of the transmit ring sends at once, and its
 * interrupt is there before the next instruction. Received frames are padded to 60 bytes and carry a check sequence that nobody reads.
 */
export class E1000Card implements Port {
  readonly #regs = new Map<number, number>()
  readonly #dma: DmaSpace
  readonly #cable: Cable
  readonly #end: 0 | 1
  /** called when the interrupt line goes up */
  interrupt: () => void = () => {}
  #line = false
  // the packet that is being put together
  readonly #data = new Uint8Array(MAX_PACKET)
  readonly #header = new Uint8Array(256)
  #size = 0
  #frames = 0
  #sumNeeded = 0
  #tso: Context = noContext()
  #csum: Context = noContext()
  /** frames that went out, came in, and found no descriptor */
  readonly counters = { gptc: 0, gprc: 0, mpc: 0 }
  /** what each write of the tail made of its descriptors, for whoever shows it */
  onWire: ((frame: Uint8Array) => void) | null = null

  constructor(dma: DmaSpace, cable: Cable, end: 0 | 1) {
    this.#dma = dma
    this.#cable = cable
    this.#end = end
    this.#regs.set(REG.STATUS, STATUS_LU | 0x81)
    cable.plug(end, this)
  }

  read(reg: number): number {
    const value = this.#regs.get(reg) ?? 0
    if (reg === REG.ICR) {
      this.#regs.set(REG.ICR, 0)
      this.#update()
    }
    return value
  }

  write(reg: number, value: number): void {
    switch (reg) {
      case REG.IMS:
        this.#regs.set(REG.IMS, this.#get(REG.IMS) | value)
        this.#update()
        return
      case REG.IMC:
        this.#regs.set(REG.IMS, this.#get(REG.IMS) & ~value)
        this.#update()
        return
      case REG.ICS:
        this.#cause(value)
        return
      default:
        this.#regs.set(reg, value)
    }
    if (reg === REG.TDT) this.#transmit()
  }

  /** registers by name, for showing them */
  registers(): Map<string, number> {
    return new Map(Object.entries(REG).map(([name, at]) => [name, this.#get(at)]))
  }

  #get(reg: number): number {
    return this.#regs.get(reg) ?? 0
  }

  #cause(bits: number): void {
    this.#regs.set(REG.ICR, this.#get(REG.ICR) | bits)
    this.#update()
  }

  #update(): void {
    const pending = (this.#get(REG.ICR) & this.#get(REG.IMS)) !== 0
    const rising = pending && !this.#line
    this.#line = pending
    if (rising) this.interrupt()
  }

  // ---- transmit: 3.3 of the manual

  #transmit(): void {
    if (!(this.#get(REG.TCTL) & TCTL_EN)) return
    const ring = this.#dma.at(this.#get(REG.TDBAL))
    const count = this.#get(REG.TDLEN) / DESC
    if (ring === undefined || count === 0) return
    const view = new DataView(ring.bytes.buffer, ring.bytes.byteOffset + ring.offset, ring.length)
    let head = this.#get(REG.TDH)
    let cause = ICR_TXQE
    while (head !== this.#get(REG.TDT)) {
      if (this.#descriptor(view, head * DESC)) cause |= ICR_TXDW
      head = (head + 1) % count
      this.#regs.set(REG.TDH, head)
    }
    this.#cause(cause)
  }

  /** @returns whether the driver wants to know that it is done */
  #descriptor(view: DataView, at: number): boolean {
    const lower = view.getUint32(at + 8, true)
    const kind = lower & (CMD_DEXT | DTYP_D)
    if (kind === CMD_DEXT) this.#context(view, at)
    else {
      if (kind === (CMD_DEXT | DTYP_D) && this.#size === 0) this.#sumNeeded = view.getUint8(at + 13)
      const cptse = kind === (CMD_DEXT | DTYP_D) && (lower & CMD_TSE) !== 0
      this.#take(view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32, lower & 0xfffff, cptse)
      if (lower & CMD_EOP) {
        // a packet whose last byte fills a segment is followed by one of headers only: the card of the recordings does so
        if (!(cptse && this.#size < this.#tso.hdrLen)) this.#send(cptse)
        this.#size = 0
        this.#frames = 0
        this.#sumNeeded = 0
      }
    }
    if (!(lower & CMD_RS)) return false
    view.setUint8(at + 12, view.getUint8(at + 12) | STAT_DD)
    return true
  }

  #context(view: DataView, at: number): void {
    const cmd = view.getUint32(at + 8, true)
    const c: Context = {
      ipcss: view.getUint8(at),
      ipcso: view.getUint8(at + 1),
      ipcse: view.getUint16(at + 2, true),
      tucss: view.getUint8(at + 4),
      tucso: view.getUint8(at + 5),
      tucse: view.getUint16(at + 6, true),
      paylen: cmd & 0xfffff,
      hdrLen: view.getUint8(at + 13),
      mss: view.getUint16(at + 14, true),
      ip: (cmd & CTX_IP) !== 0,
      tcp: (cmd & CTX_TCP) !== 0,
    }
    if (cmd & CMD_TSE) {
      this.#tso = c
      this.#frames = 0
    } else this.#csum = c
  }

  /** fetches a descriptor's bytes; with segmentation, sends each segment as it is full */
  #take(address: number, length: number, cptse: boolean): void {
    const m = this.#dma.at(address)
    if (m === undefined) return
    let from = m.offset
    let left = Math.min(length, m.length)
    if (!cptse) {
      left = Math.min(left, MAX_PACKET - this.#size)
      this.#data.set(m.bytes.subarray(from, from + left), this.#size)
      this.#size += left
      return
    }
    const { hdrLen, mss } = this.#tso
    const full = hdrLen + mss
    while (left > 0 && this.#size < full) {
      const n = Math.min(left, full - this.#size)
      this.#data.set(m.bytes.subarray(from, from + n), this.#size)
      const size = this.#size + n
      if (size >= hdrLen && this.#size < hdrLen) this.#header.set(this.#data.subarray(0, hdrLen))
      this.#size = size
      from += n
      left -= n
      if (size === full) {
        this.#send(true)
        this.#data.set(this.#header.subarray(0, hdrLen))
        this.#size = hdrLen
      }
    }
  }

  #send(cptse: boolean): void {
    const d = this.#data
    const c = cptse ? this.#tso : this.#csum
    const size = this.#size
    if (cptse) {
      if (c.ip) {
        put16(d, c.ipcss + 2, size - c.ipcss)
        put16(d, c.ipcss + 4, get16(d, c.ipcss + 4) + this.#frames)
      } else put16(d, c.ipcss + 4, size - c.ipcss - 40)
      const t = c.tucss
      const length = size - t
      if (c.tcp) {
        const before = this.#frames * c.mss
        const seq = (get16(d, t + 4) * 0x10000 + get16(d, t + 6) + before) >>> 0
        put16(d, t + 4, seq >>> 16)
        put16(d, t + 6, seq & 0xffff)
        // PSH and FIN belong to the last segment
        if (c.paylen - before > c.mss) d[t + 13] = (d[t + 13] ?? 0) & ~9
      } else put16(d, t + 4, length)
      if (this.#sumNeeded & POPTS_TXSM) {
        const sum = get16(d, c.tucso) + length
        put16(d, c.tucso, (sum >> 16) + (sum & 0xffff))
      }
      this.#frames++
    }
    if (this.#sumNeeded & POPTS_TXSM) this.#putSum(c.tucso, c.tucss, c.tucse)
    if (this.#sumNeeded & POPTS_IXSM) this.#putSum(c.ipcso, c.ipcss, c.ipcse)
    this.counters.gptc++
    const bytes = d.slice(0, size)
    this.onWire?.(bytes)
    this.#cable.send(this.#end, { bytes, unfinished: null })
  }

  #putSum(at: number, from: number, last: number): void {
    const end = last && last < this.#size ? last + 1 : this.#size
    if (at + 1 >= end) return
    put16(this.#data, at, ~sum16(this.#data, from, end) & 0xffff || 0xffff)
  }

  // ---- receive: 3.2

  receive(frame: Frame): void {
    if (!(this.#get(REG.RCTL) & RCTL_EN)) return
    const ring = this.#dma.at(this.#get(REG.RDBAL))
    const count = this.#get(REG.RDLEN) / DESC
    const head = this.#get(REG.RDH)
    if (ring === undefined || count === 0 || head === this.#get(REG.RDT)) {
      this.counters.mpc++
      this.#cause(ICR_RXO)
      return
    }
    const view = new DataView(ring.bytes.buffer, ring.bytes.byteOffset + ring.offset, ring.length)
    const at = head * DESC
    const buffer = this.#dma.at(view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32)
    const length = Math.max(frame.bytes.length, MIN_FRAME)
    if (buffer === undefined || length + FCS > buffer.length) {
      this.counters.mpc++
      return
    }
    buffer.bytes.set(frame.bytes, buffer.offset)
    buffer.bytes.fill(0, buffer.offset + frame.bytes.length, buffer.offset + length + FCS)
    view.setUint16(at + 8, length + FCS, true)
    view.setUint16(at + 10, 0, true)
    view.setUint8(at + 12, STAT_DD | STAT_EOP | STAT_IXSM)
    view.setUint8(at + 13, 0)
    view.setUint16(at + 14, 0, true)
    this.counters.gprc++
    this.#regs.set(REG.RDH, (head + 1) % count)
    this.#cause(ICR_RXT0)
  }
}
