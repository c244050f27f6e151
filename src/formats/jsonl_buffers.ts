import type { TracedSkb } from '../trace/tracer.ts'
import { addressOf } from './values.ts'

/*
 * What jsonl says of buffers: an sk_buff's fields when they are different, and memory (heads and page fragments) when it has other
 * bytes. Reader and writer forget by the same rule: a buffer that was freed, when the last function that was given it has returned;
 * and the oldest, when there are more than KEPT. What is forgotten is said anew when it comes back.
 */

/** buffers that are remembered, besides those that a running function has */
export const KEPT = 512

/** bytes of memory that one block may have: a page fragment further away gets a block of its own */
const BLOCK = 1 << 20
const UNSET = 0xffff

/** A piece of the kernel's memory, and what was said of it. */
class Block {
  readonly id: number
  /** first byte in its ArrayBuffer */
  readonly base: number
  readonly memory: ArrayBufferLike
  refs = 0
  said = new Uint8Array(0)

  constructor(id: number, memory: ArrayBufferLike, base: number) {
    this.id = id
    this.memory = memory
    this.base = base
  }
}

/** What was said last of a buffer. */
interface Said {
  readonly skb: TracedSkb
  id: number
  /** functions that were given it and have not returned */
  views: number
  freed: boolean
  len: number
  data_len: number
  truesize: number
  data: number
  tail: number
  end: number
  mac_header: number
  network_header: number
  transport_header: number
  protocol: number
  ip_summed: number
  cloned: number
  clone_of: number
  gso_size: number
  gso_segs: number
  vlan_proto: number
  vlan_tci: number
  list: object | null
  sk: object | null | undefined
  owner: string
  devName: string
  head: Block | null
  headAt: number
  frags: { block: Block; at: number; length: number }[]
  /** copies that had been made when the fragments were compared last */
  copies: number
}

const unset = (offset: number): number | null => (offset === UNSET ? null : offset)
const hex = (b: Uint8Array, from: number, to: number): string =>
  Buffer.from(b.buffer, b.byteOffset + from, to - from).toString('hex')

/** Watches the buffers that come by, and has a line for what is different. */
export class BufferLog {
  readonly #said = new Map<TracedSkb, Said>()
  readonly #ids = new Map<number, Said>()
  readonly #blocks = new WeakMap<ArrayBufferLike, Block[]>()
  readonly #lists = new WeakMap<object, number>()
  readonly #views: (Said | null)[] = []
  readonly #inView: Said[] = []
  #lastBlock = 0
  #lastList = 0
  #copies = 0
  #memory = ''

  /** bytes were copied: fragments may have other contents */
  copied(): void {
    this.#copies++
  }

  /** a function is entered: what is to be said of the buffer that it is given */
  enter(ts: string, arg: TracedSkb | null): string {
    let out = ''
    if (arg === null) this.#views.push(null)
    else {
      out = this.show(ts, arg)
      const said = this.#said.get(arg) as Said
      if (said.views++ === 0) this.#inView.push(said)
      this.#views.push(said)
    }
    return out
  }

  /** what is different of the buffers that running functions have; `leaving`: the innermost of them is about to return */
  changes(ts: string, leaving = false): string {
    if (this.#inView.length === 0) return ''
    const top = leaving ? this.#views[this.#views.length - 1] : null
    let out = ''
    for (const said of this.#inView) out += this.#compare(ts, said, said === top)
    return out
  }

  /** a function has returned */
  exit(): void {
    const said = this.#views.pop()
    if (said === null || said === undefined || --said.views > 0) return
    this.#inView.splice(this.#inView.indexOf(said), 1)
    if (said.freed) this.#forget(said)
  }

  /** a call is over: whatever did not return never will */
  end(): void {
    while (this.#views.length > 0) this.exit()
  }

  freed(id: number): void {
    const said = this.#ids.get(id)
    if (said === undefined) return
    if (said.views === 0) this.#forget(said)
    else said.freed = true
  }

  /** what is to be said of a buffer before an event names it */
  show(ts: string, skb: TracedSkb): string {
    const said = this.#said.get(skb)
    return said === undefined ? this.#introduce(ts, skb) : this.#compare(ts, said, true)
  }

  #introduce(ts: string, skb: TracedSkb): string {
    const said: Said = {
      skb,
      id: 0,
      views: 0,
      freed: false,
      len: 0,
      data_len: 0,
      truesize: 0,
      data: 0,
      tail: 0,
      end: 0,
      mac_header: UNSET,
      network_header: 0,
      transport_header: UNSET,
      protocol: 0,
      ip_summed: 0,
      cloned: 0,
      clone_of: 0,
      gso_size: 0,
      gso_segs: 0,
      vlan_proto: 0,
      vlan_tci: 0,
      list: null,
      sk: null,
      owner: '',
      devName: '',
      head: null,
      headAt: 0,
      frags: [],
      copies: -1,
    }
    this.#said.set(skb, said)
    const text = this.#compare(ts, said, true)
    if (this.#said.size > KEPT)
      for (const old of this.#said.values())
        if (old.views === 0 && old !== said) {
          this.#forget(old)
          break
        }
    return text
  }

  #forget(said: Said): void {
    this.#said.delete(said.skb)
    this.#ids.delete(said.id)
    if (said.head !== null) this.#release(said.head)
    for (const f of said.frags) this.#release(f.block)
  }

  #release(block: Block): void {
    if (--block.refs > 0) return
    const list = this.#blocks.get(block.memory)
    if (list !== undefined) list.splice(list.indexOf(block), 1)
  }

  #block(memory: ArrayBufferLike, from: number, to: number): Block {
    let list = this.#blocks.get(memory)
    if (list === undefined) {
      list = []
      this.#blocks.set(memory, list)
    }
    for (const b of list) if (b.base <= from && to <= b.base + BLOCK) return b
    const block = new Block(++this.#lastBlock, memory, from & ~0xffff)
    list.push(block)
    return block
  }

  /** says which bytes of `now`, at `at` of the block, are not what was said before */
  #bytes(block: Block, at: number, now: Uint8Array): void {
    const end = at + now.length
    if (block.said.length < end) {
      const longer = new Uint8Array(Math.max(end, Math.min(BLOCK, 2 * block.said.length)))
      longer.set(block.said)
      block.said = longer
    }
    const { said } = block
    const n = now.length
    if (n > 64 && Buffer.compare(now, said.subarray(at, end)) === 0) return
    for (let i = 0; i < n; ) {
      if (now[i] === said[at + i]) {
        i++
        continue
      }
      // up to the next sixteen equal bytes
      let last = i
      for (let j = i + 1; j < n && j - last <= 16; j++) if (now[j] !== said[at + j]) last = j
      const to = last + 1
      this.#memory += `${this.#memory === '' ? '' : ','}[${block.id},${at + i},"${hex(now, i, to)}"]`
      said.set(now.subarray(i, to), at + i)
      i = to
    }
  }

  /** `handed`: an event names this buffer: who owns it is asked anew */
  #compare(ts: string, o: Said, handed: boolean): string {
    const { skb } = o
    let t = ''
    const before = o.id
    if (skb.id !== o.id) {
      this.#ids.delete(o.id)
      o.id = skb.id
      o.freed = false
      this.#ids.set(o.id, o)
      t = `,"addr":"${addressOf(skb)}"`
      if (before !== 0) t += `,"was":${before}`
    }
    if (skb.len !== o.len) t += `,"len":${(o.len = skb.len)}`
    if (skb.data_len !== o.data_len) t += `,"data_len":${(o.data_len = skb.data_len)}`
    if (skb.truesize !== o.truesize) t += `,"truesize":${(o.truesize = skb.truesize)}`
    if (skb.data !== o.data) t += `,"headroom":${(o.data = skb.data)}`
    if (skb.tail !== o.tail) t += `,"tail":${(o.tail = skb.tail)}`
    if (skb.end !== o.end) t += `,"end":${(o.end = skb.end)}`
    if (skb.mac_header !== o.mac_header) t += `,"mac_header":${unset((o.mac_header = skb.mac_header))}`
    if (skb.network_header !== o.network_header) t += `,"network_header":${(o.network_header = skb.network_header)}`
    if (skb.transport_header !== o.transport_header)
      t += `,"transport_header":${unset((o.transport_header = skb.transport_header))}`
    if (skb.protocol !== o.protocol) {
      o.protocol = skb.protocol
      t += `,"protocol":"0x${skb.protocol.toString(16).padStart(4, '0')}"`
    }
    if (skb.ip_summed !== o.ip_summed) t += `,"ip_summed":${(o.ip_summed = skb.ip_summed)}`
    if (skb.cloned !== o.cloned) t += `,"cloned":${(o.cloned = skb.cloned)}`
    if (skb.clone_of !== o.clone_of) t += `,"clone_of":${(o.clone_of = skb.clone_of)}`
    if (skb.gso_size !== o.gso_size) t += `,"gso_size":${(o.gso_size = skb.gso_size)}`
    if (skb.gso_segs !== o.gso_segs) t += `,"gso_segs":${(o.gso_segs = skb.gso_segs)}`
    if (skb.vlan_proto !== o.vlan_proto) t += `,"vlan_proto":${(o.vlan_proto = skb.vlan_proto)}`
    if (skb.vlan_tci !== o.vlan_tci) t += `,"vlan_tci":${(o.vlan_tci = skb.vlan_tci)}`
    if (skb.list !== o.list) t += `,"list":${this.#list((o.list = skb.list))}`
    if (handed || skb.sk === undefined || skb.sk !== o.sk) {
      const { owner } = skb
      if (owner !== o.owner) t += `,"owner":${JSON.stringify((o.owner = owner))}`
      o.sk = skb.sk
    }
    const { devName } = skb
    if (devName !== o.devName) t += `,"dev":${JSON.stringify((o.devName = devName))}`
    t += this.#compareMemory(o)
    const memory = this.#memory
    if (t === '' && memory === '') return ''
    this.#memory = ''
    return `{"type":"buffer","ts":${ts},"id":${o.id}${t}${memory === '' ? '' : `,"memory":[${memory}]`}}\n`
  }

  #list(list: object | null): number {
    if (list === null) return 0
    let n = this.#lists.get(list)
    if (n === undefined) {
      n = ++this.#lastList
      this.#lists.set(list, n)
    }
    return n
  }

  #compareMemory(o: Said): string {
    const { skb } = o
    let t = ''
    const { bytes } = skb
    const start = bytes.byteOffset
    let { head } = o
    if (head === null || head.memory !== bytes.buffer || head.base + o.headAt !== start) {
      const other = this.#block(bytes.buffer, start, start + bytes.length)
      other.refs++
      if (head !== null) this.#release(head)
      o.head = head = other
      o.headAt = start - other.base
      t = `,"head":[${head.id},${o.headAt}]`
    }
    // from the first of its headers on
    let from = skb.data
    const { mac_header, network_header, transport_header } = skb
    if (network_header > 0 && network_header < from) from = network_header
    if (mac_header > 0 && mac_header < from) from = mac_header
    if (transport_header > 0 && transport_header < from) from = transport_header
    if (skb.tail > from) this.#compareHead(head, o.headAt, bytes, from, skb.tail)
    const { nr_frags } = skb
    if (nr_frags === 0 && o.frags.length === 0) return t
    if (o.copies === this.#copies && nr_frags === o.frags.length && this.#samePlaces(o)) return t
    o.copies = this.#copies
    return t + this.#compareFrags(o, nr_frags)
  }

  /** whether all fragments are where they were: then only a copy can have changed their contents */
  #samePlaces(o: Said): boolean {
    const { skb, frags } = o
    for (let i = 0; i < frags.length; i++) {
      const now = skb.frag(i)
      const f = frags[i] as Said['frags'][number]
      if (now.length !== f.length || now.buffer !== f.block.memory || now.byteOffset !== f.block.base + f.at) return false
    }
    return true
  }

  #compareHead(head: Block, headAt: number, bytes: Uint8Array, from: number, tail: number): void {
    const { said } = head
    if (tail - from <= 128 && said.length >= headAt + tail) {
      let i = from
      while (i < tail && bytes[i] === said[headAt + i]) i++
      if (i === tail) return
    }
    this.#bytes(head, headAt + from, bytes.subarray(from, tail))
  }

  #compareFrags(o: Said, n: number): string {
    const { skb } = o
    let same = n === o.frags.length
    const frags: Said['frags'] = []
    for (let i = 0; i < n; i++) {
      const now = skb.frag(i)
      const start = now.byteOffset
      const old = o.frags[i]
      const block =
        old !== undefined && old.block.memory === now.buffer && old.block.base + old.at === start && now.length <= BLOCK
          ? old.block
          : this.#block(now.buffer, start, start + now.length)
      const at = start - block.base
      if (same && (old?.block !== block || old.at !== at || old.length !== now.length)) same = false
      block.refs++
      frags.push({ block, at, length: now.length })
      this.#bytes(block, at, now)
    }
    for (const f of o.frags) this.#release(f.block)
    o.frags = frags
    return same ? '' : `,"frags":[${frags.map((f) => `[${f.block.id},${f.at},${f.length}]`).join(',')}]`
  }
}
