import { clock } from '../sim/clock.ts'
import { events } from '../sim/events.ts'
import { tracer } from '../trace/tracer.ts'
import type { Cable, Frame, Port } from './cable.ts'
import { address, bits, type CardOwner, type Fields, type Inspectable, nothing, type RingView, say } from './card.ts'
import { get16, put16, sum16 } from './checksum.ts'
import type { DmaSpace } from './dma.ts'

// registers of the 82540EM, by their offsets: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, 13
export const REG = {
  CTRL: 0x0000,
  STATUS: 0x0008,
  VET: 0x0038,
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
  RDTR: 0x2820,
  RADV: 0x282c,
  TDBAL: 0x3800,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TDT: 0x3818,
  TIDV: 0x3820,
  TADV: 0x382c,
  RXCSUM: 0x5000,
  MTA: 0x5200,
  VFTA: 0x5600,
} as const

export const ICR_TXDW = 0x01
export const ICR_TXQE = 0x02
export const ICR_LSC = 0x04
export const ICR_RXDMT0 = 0x10
export const ICR_RXO = 0x40
export const ICR_RXT0 = 0x80

const CMD_EOP = 0x01000000
const CMD_RS = 0x08000000
const CMD_IDE = 0x80000000
const CMD_DEXT = 0x20000000
const CMD_TSE = 0x04000000
const DTYP_D = 0x00100000
const CMD_VLE = 0x40000000
const CTX_IP = 0x02000000
const CTX_TCP = 0x01000000
const STAT_DD = 1
const STAT_EOP = 2
/** the card did not look at the checksum */
const STAT_IXSM = 4
const POPTS_IXSM = 1
const POPTS_TXSM = 2
/** the link is up */
export const STATUS_LU = 2
/** full duplex, 1000 Mbit/s */
const STATUS_FULL_DUPLEX = 0x81
const STAT_VP = 8
/** tags are put in and taken off by the card */
export const CTRL_VME = 0x40000000
/** frames of other VLANs than those of the filter table are dropped */
export const RCTL_VFE = 0x00040000
/** frames above 1522 bytes are taken */
export const RCTL_LPE = 0x20
const RCTL_EN = 2
export const RCTL_UPE = 8
export const RCTL_MPE = 0x10
/** words of the multicast table array */
export const MTA_SIZE = 128
/** 12 bits of a group's link address, as RCTL.MO = 0 has it: 13.5.1 of the manual */
export const multicast_hash = (mac: Uint8Array, at = 0): number => (((mac[at + 4] ?? 0) >> 4) | ((mac[at + 5] ?? 0) << 4)) & 0xfff
const TCTL_EN = 2

const DESC = 16
const MIN_FRAME = 60
const FCS = 4
const MAX_PACKET = 0x10000
/** nanoseconds in a unit of ITR, and in one of RADV and TADV: 13.4.18, 13.4.31 and 13.4.44 of the manual */
const ITR_NS = 256
const DELAY_NS = 1024
/** nanoseconds: never more than 7813 interrupts a second, whatever ITR says */
const INTERRUPT_GAP = 500 * ITR_NS
/** nanoseconds until the two ends have agreed on a speed */
const AUTONEGOTIATION = 500_000_000
/** nanoseconds after a write of RCTL in which the card that QEMU imitates takes no frame; what comes then waits in the cable */
const RCTL_SETTLES = 1_000_000_000
/** with its tag and check sequence; above that with LPE only */
const MAX_FRAME = 1522
const VLAN = 4

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

const DCMD: readonly (readonly [string, number])[] = [
  ['EOP', 1],
  ['IFCS', 2],
  ['TSE', 4],
  ['RS', 8],
  ['DEXT', 0x20],
  ['VLE', 0x40],
  ['IDE', 0x80],
]
const TUCMD: readonly (readonly [string, number])[] = [
  ['TCP', 1],
  ['IP', 2],
  ['TSE', 4],
  ['RS', 8],
  ['DEXT', 0x20],
  ['IDE', 0x80],
]
const POPTS: readonly (readonly [string, number])[] = [
  ['IXSM', POPTS_IXSM],
  ['TXSM', POPTS_TXSM],
]
const RSTATUS: readonly (readonly [string, number])[] = [
  ['DD', STAT_DD],
  ['EOP', STAT_EOP],
  ['IXSM', STAT_IXSM],
  ['VP', STAT_VP],
  ['TCPCS', 0x20],
  ['IPCS', 0x40],
]

/** a transmit descriptor in the manual's words: 3.3.3 (legacy), 3.3.6 (context), 3.3.7 (data) */
function txFields(view: DataView, at: number): Fields {
  const lower = view.getUint32(at + 8, true)
  const kind = lower & (CMD_DEXT | DTYP_D)
  const done = view.getUint8(at + 12) & STAT_DD ? { STA: 'DD' } : nothing
  if (kind === CMD_DEXT)
    return {
      type: 'context',
      IPCSS: view.getUint8(at),
      IPCSO: view.getUint8(at + 1),
      IPCSE: view.getUint16(at + 2, true),
      TUCSS: view.getUint8(at + 4),
      TUCSO: view.getUint8(at + 5),
      TUCSE: view.getUint16(at + 6, true),
      PAYLEN: lower & 0xfffff,
      HDRLEN: view.getUint8(at + 13),
      MSS: view.getUint16(at + 14, true),
      TUCMD: bits(lower >>> 24, TUCMD),
      ...done,
    }
  const from = { address: address(view.getUint32(at, true), view.getUint32(at + 4, true)) }
  const tag = lower & CMD_VLE ? { VLAN: view.getUint16(at + 14, true) } : nothing
  if (kind === (CMD_DEXT | DTYP_D))
    return {
      type: 'data',
      ...from,
      DTALEN: lower & 0xfffff,
      DCMD: bits(lower >>> 24, DCMD),
      POPTS: bits(view.getUint8(at + 13), POPTS) || '-',
      ...tag,
      ...done,
    }
  return { type: 'legacy', ...from, length: lower & 0xffff, CMD: bits(lower >>> 24, DCMD), ...tag, ...done }
}

/** a receive descriptor that the card wrote back: 3.2.3 */
const rxFields = (view: DataView, at: number): Fields => ({
  length: view.getUint16(at + 8, true),
  status: bits(view.getUint8(at + 12), RSTATUS),
  errors: view.getUint8(at + 13),
})

/**
 * Intel's 82540EM, as the recordings had it (QEMU's): a register write to the tail of the transmit ring sends at once, and the
 * interrupt is there before the next instruction unless one was just before (#gap). Received frames are padded to 60 bytes and carry
 * a check sequence that nobody reads.
 */
export class E1000Card implements Port, Inspectable {
  owner: CardOwner | null = null
  readonly #regs = new Map<number, number>()
  readonly #dma: DmaSpace
  readonly #cable: Cable
  readonly #end: 0 | 1
  /** called when the interrupt line goes up */
  interrupt: () => void = () => {}
  /** asked when an interrupt is due sooner after the one before than the registers allow: whether it has to wait */
  throttled: () => boolean = () => true
  #line = false
  /** an interrupt was raised, and the time until the next one is not over */
  #gap = false
  #negotiated = 0
  /** until when nothing is taken, in nanoseconds, and what waits for that */
  #settled = 0
  #waiting: Frame[] = []
  /** a descriptor asked for the delayed interrupt */
  #delayed = false
  // the packet that is being put together
  readonly #data = new Uint8Array(MAX_PACKET)
  readonly #header = new Uint8Array(256)
  #size = 0
  #frames = 0
  #sumNeeded = 0
  /** the tag to be put into each frame of the packet, -1 for none */
  #tag = -1
  #tso: Context = noContext()
  #csum: Context = noContext()
  /** by the names of the statistics registers: 13.7 of the manual */
  readonly counters = { gptc: 0, gprc: 0, mpc: 0, gotc: 0, gorc: 0, bptc: 0, bprc: 0, mptc: 0, mprc: 0, tsctc: 0 }

  constructor(dma: DmaSpace, cable: Cable, end: 0 | 1) {
    this.#dma = dma
    this.#cable = cable
    this.#end = end
    this.#regs.set(REG.STATUS, STATUS_FULL_DUPLEX)
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
    else if (reg === REG.RCTL) this.#settle()
  }

  /** The driver has the ends of the cable find each other anew: the link is down until they have, and an interrupt says so. */
  negotiate(): void {
    this.#regs.set(REG.STATUS, STATUS_FULL_DUPLEX)
    const at = clock.ns() + AUTONEGOTIATION
    this.#negotiated = at
    events.add(at, () => {
      if (this.#negotiated !== at) return
      this.#regs.set(REG.STATUS, STATUS_FULL_DUPLEX | STATUS_LU)
      this.#cause(ICR_LSC)
    })
  }

  #settle(): void {
    const at = clock.ns() + RCTL_SETTLES
    this.#settled = at
    events.add(at, () => {
      if (this.#settled !== at) return
      this.#settled = 0
      const frames = this.#waiting
      this.#waiting = []
      for (const frame of frames) this.#accept(frame)
    })
  }

  #ring(base: number, length: number): { view: DataView; count: number } | null {
    const m = this.#dma.at(this.#get(base))
    const count = this.#get(length) / DESC
    return m === undefined || count === 0
      ? null
      : { view: new DataView(m.bytes.buffer, m.bytes.byteOffset + m.offset, m.length), count }
  }

  rings(last: number): RingView[] {
    const shown = (name: 'tx' | 'rx', base: number, length: number, head: number, tail: number, end: number): RingView[] => {
      const ring = this.#ring(base, length)
      if (ring === null) return []
      const { view, count } = ring
      const fields = name === 'tx' ? txFields : rxFields
      const at = Array.from({ length: Math.min(last, count) }, (_, i) => (end - Math.min(last, count) + i + count) % count)
      const used = at.filter((i) => view.getUint32(i * DESC + 8, true) !== 0 || view.getUint32(i * DESC + 12, true) !== 0)
      return [
        { name, size: count, head, tail, descriptors: used.map((index) => ({ index, fields: fields(view, index * DESC) })) },
      ]
    }
    const r = (reg: number): number => this.#get(reg)
    return [
      ...shown('tx', REG.TDBAL, REG.TDLEN, r(REG.TDH), r(REG.TDT), r(REG.TDT)),
      ...shown('rx', REG.RDBAL, REG.RDLEN, r(REG.RDH), r(REG.RDT), r(REG.RDH)),
    ]
  }

  /** what the driver handed over with that write of the tail */
  #sayDescriptors(view: DataView, count: number): void {
    const tail = this.#get(REG.TDT)
    say(this.owner, 'register', 'TDT', tail, { TDH: this.#get(REG.TDH) })
    for (let i = this.#get(REG.TDH); i !== tail; i = (i + 1) % count)
      say(this.owner, 'descriptor', 'tx', i, txFields(view, i * DESC))
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
    if (rising && this.#gap && this.throttled()) return
    this.#line = pending
    if (!rising) return
    if (!this.#gap) this.#openGap()
    this.interrupt()
  }

  /** no other interrupt until the shortest of the times has passed that apply to what is pending */
  #openGap(): void {
    const pending = this.#get(REG.ICR) & this.#get(REG.IMS)
    let time = this.#get(REG.ITR) * ITR_NS
    const atMost = (ns: number): void => {
      if (ns > 0 && (time === 0 || ns < time)) time = ns
    }
    if (this.#delayed && pending & (ICR_TXQE | ICR_TXDW)) atMost(this.#get(REG.TADV) * DELAY_NS)
    if (this.#get(REG.RDTR) && pending & ICR_RXT0) atMost(this.#get(REG.RADV) * DELAY_NS)
    this.#delayed = false
    this.#gap = true
    events.add(clock.ns() + Math.max(INTERRUPT_GAP, time), () => {
      this.#gap = false
      this.#update()
    })
  }

  // ---- transmit: 3.3 of the manual

  #transmit(): void {
    if (!(this.#get(REG.TCTL) & TCTL_EN)) return
    const ring = this.#ring(REG.TDBAL, REG.TDLEN)
    if (ring === null) return
    const { view, count } = ring
    if (tracer.on) this.#sayDescriptors(view, count)
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
      const tagged = lower & CMD_VLE && (cptse || lower & CMD_EOP) && this.#get(REG.CTRL) & CTRL_VME
      if (tagged) this.#tag = view.getUint16(at + 14, true)
      this.#take(view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32, lower & 0xfffff, cptse)
      if (lower & CMD_EOP) {
        // a packet whose last byte fills a segment is followed by one of headers only: the card of the recordings does so
        if (!(cptse && this.#size < this.#tso.hdrLen)) this.#send(cptse)
        this.#size = 0
        this.#frames = 0
        this.#sumNeeded = 0
        this.#tag = -1
      }
    }
    if (lower & CMD_IDE) this.#delayed = true
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
        else if (this.#frames > 0) this.counters.tsctc++
      } else put16(d, t + 4, length)
      if (this.#sumNeeded & POPTS_TXSM) {
        const sum = get16(d, c.tucso) + length
        put16(d, c.tucso, (sum >> 16) + (sum & 0xffff))
      }
      this.#frames++
    }
    if (this.#sumNeeded & POPTS_TXSM) this.#putSum(c.tucso, c.tucss, c.tucse)
    if (this.#sumNeeded & POPTS_IXSM) this.#putSum(c.ipcso, c.ipcss, c.ipcse)
    const bytes = this.#tag < 0 ? d.slice(0, size) : this.#withTag(size)
    this.#count('t', bytes)
    if (tracer.on) say(this.owner, 'wire', '', 0, nothing, bytes)
    if (!this.#cable.send(this.#end, { bytes, unfinished: null }) && tracer.on)
      say(this.owner, 'lost', '', 0, { where: 'on the cable' }, bytes)
  }

  /** the frame with the tag behind its addresses */
  #withTag(size: number): Uint8Array {
    const bytes = new Uint8Array(size + VLAN)
    bytes.set(this.#data.subarray(0, 12))
    put16(bytes, 12, this.#get(REG.VET))
    put16(bytes, 14, this.#tag)
    bytes.set(this.#data.subarray(12, size), 16)
    return bytes
  }

  /** good packets and their bytes with the checksum of the frame, by kind of address: 13.7 of the manual */
  #count(way: 't' | 'r', frame: Uint8Array): void {
    const c = this.counters
    const group = ((frame[0] ?? 0) & 1) !== 0
    const all = group && frame.subarray(0, 6).every((b) => b === 0xff)
    const bytes = Math.max(frame.length, MIN_FRAME) + FCS
    if (way === 't') {
      c.gptc++
      c.gotc += bytes
      if (all) c.bptc++
      else if (group) c.mptc++
    } else {
      c.gprc++
      c.gorc += bytes
      if (all) c.bprc++
      else if (group) c.mprc++
    }
  }

  #putSum(at: number, from: number, last: number): void {
    const end = last && last < this.#size ? last + 1 : this.#size
    if (at + 1 >= end) return
    put16(this.#data, at, ~sum16(this.#data, from, end) & 0xffff || 0xffff)
  }

  // ---- receive: 3.2

  /** the filter for groups: 3.2.1 of the manual. Everybody takes what is sent to all. */
  #wanted(frame: Uint8Array): boolean {
    if (!((frame[0] ?? 0) & 1) || this.#get(REG.RCTL) & RCTL_MPE) return true
    if (frame.subarray(0, 6).every((b) => b === 0xff)) return true
    const hash = multicast_hash(frame)
    return ((this.#get(REG.MTA + 4 * (hash >> 5)) >>> (hash & 0x1f)) & 1) !== 0
  }

  /** writes a frame into as many buffers as it takes. @returns false when there are not enough: nothing is kept then */
  #fill(view: DataView, count: number, bytes: Uint8Array, special: number): boolean {
    const total = Math.max(bytes.length, MIN_FRAME) + FCS
    const start = this.#get(REG.RDH)
    let head = start
    for (let done = 0; done < total; ) {
      if (head === this.#get(REG.RDT)) {
        this.#regs.set(REG.RDH, start)
        return false
      }
      const at = head * DESC
      const buffer = this.#dma.at(view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32)
      if (buffer === undefined) return false
      const n = Math.min(total - done, buffer.length)
      const known = bytes.subarray(done, done + n)
      buffer.bytes.set(known, buffer.offset)
      buffer.bytes.fill(0, buffer.offset + known.length, buffer.offset + n)
      done += n
      view.setUint16(at + 8, n, true)
      view.setUint16(at + 10, 0, true)
      view.setUint8(at + 12, STAT_DD | (special >= 0 ? STAT_VP : 0) | (done === total ? STAT_EOP | STAT_IXSM : 0))
      view.setUint8(at + 13, 0)
      view.setUint16(at + 14, Math.max(special, 0), true)
      if (tracer.on) say(this.owner, 'descriptor', 'rx', head, rxFields(view, at))
      head = (head + 1) % count
      this.#regs.set(REG.RDH, head)
    }
    return true
  }

  receive(frame: Frame): void {
    if (this.#settled) this.#waiting.push(frame)
    else this.#accept(frame)
  }

  #accept(frame: Frame): void {
    if (!(this.#get(REG.RCTL) & RCTL_EN) || !this.#wanted(frame.bytes)) return
    if (frame.bytes.length + FCS > MAX_FRAME && !(this.#get(REG.RCTL) & RCTL_LPE)) return
    const inside = get16(frame.bytes, 12) === this.#get(REG.VET) ? get16(frame.bytes, 14) : -1
    const vid = inside & 0xfff
    if (inside >= 0 && this.#get(REG.RCTL) & RCTL_VFE && !((this.#get(REG.VFTA + 4 * (vid >> 5)) >>> (vid & 0x1f)) & 1)) return
    // the tag goes into the descriptor
    const special = this.#get(REG.CTRL) & CTRL_VME ? inside : -1
    let { bytes } = frame
    if (special >= 0) {
      bytes = new Uint8Array(frame.bytes.length - VLAN)
      bytes.set(frame.bytes.subarray(0, 12))
      bytes.set(frame.bytes.subarray(16), 12)
    }
    const ring = this.#ring(REG.RDBAL, REG.RDLEN)
    if (ring === null || !this.#fill(ring.view, ring.count, bytes, special)) {
      this.counters.mpc++
      if (tracer.on) say(this.owner, 'lost', '', 0, { where: 'no receive descriptor' }, frame.bytes)
      this.#cause(ICR_RXO)
      return
    }
    this.#count('r', frame.bytes)
    this.#cause(ICR_RXT0)
  }
}
