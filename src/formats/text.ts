import { decode, type Field, type Layer, type Protocol } from '../decode/decode.ts'
import type { Kfn, TracedSkb } from '../trace/tracer.ts'
import { bytesOf, frameBytes } from './format.ts'
import type { Annotator } from './function_graph.ts'
import { hexdump } from './hexdump.ts'

export interface NoteOptions {
  /** `none`: no bytes at all; `wire`: frames; `layers`: what each layer added, and frames; `full`: payload as well */
  hexdump: 'none' | 'wire' | 'layers' | 'full'
  bold(text: string): string
}

/** payload bytes up to which a frame is shown as a whole: two lines of a dump */
const SHORT = 32
/** bytes of a buffer that are looked at for headers */
const EXCERPT = 160
const CHECKSUM_PARTIAL = 3
const WIDTH = 79

/** What was said of a buffer last. */
interface Shown {
  data: number
  len: number
  data_len: number
  truesize: number
  owner: string
  device: string
  /** layer of the function that had it */
  layer: string
  /** values of the fields that were printed, by protocol, place and name */
  fields: Map<string, Field['value']>
}

const layers: readonly (readonly [RegExp, string])[] = [
  [/(\/tcp|tcp\.h)/, 'TCP'],
  [/(\/udp|udp\.h)/, 'UDP'],
  [/\/icmp/, 'ICMP'],
  [/(ipv4\/(ip_|route|raw)|net\/ip\.h|net\/dst\.h|ipv6\/ip6_)/, 'IP'],
  [/(^drivers\/net)/, 'driver'],
  [/^net\/sched\/|sch_generic/, 'qdisc'],
  [/(neighbour|arp)/, 'neighbour'],
  [/net\/core\/dev|netdevice\.h|ethernet/, 'device'],
  [/^net\/unix/, 'AF_UNIX'],
  [/(^net\/socket\.c|af_inet|net\/core\/sock|net\/sock\.h|stream\.c)/, 'socket'],
]

const summed = ['none', 'unnecessary', 'complete', 'partial']

/**
 * Tells the way of the buffers between the lines of a graph: who holds one, what has changed since it was shown last, its shape, its
 * bytes and the fields that they are. All lines but the dumps of whole frames are comments (`#`), so that text2pcap makes
 * packets of those frames and of nothing else.
 */
export class SkbNotes implements Annotator {
  readonly #o: NoteOptions
  readonly #shown = new Map<number, Shown>()
  readonly #layers: string[] = []
  #frames = 0

  constructor(options: NoteOptions) {
    this.#o = options
  }

  freed(skb: TracedSkb): void {
    this.#shown.delete(skb.id)
  }

  #layerOf(fn: Kfn): string {
    let l = this.#layers[fn.id]
    if (l === undefined) {
      while (this.#layers.length <= fn.id) this.#layers.push(undefined as unknown as string)
      l = layers.find(([test]) => test.test(fn.symbol.file))?.[1] ?? ''
      this.#layers[fn.id] = l
    }
    return l
  }

  inHands(fn: Kfn, skb: TracedSkb): string {
    const layer = this.#layerOf(fn)
    const { id, data, len, data_len, truesize, owner } = skb
    const old = this.#shown.get(id)
    const same = old !== undefined && old.data === data && old.len === len && old.data_len === data_len && old.owner === owner
    if (same && (layer === '' || old.layer === layer)) return ''
    const first = firstHeader(skb, layer)
    const parts = first === null ? [] : decode(bytesOf(skb, Math.min(len, EXCERPT)), first, len)
    const known = old?.fields ?? new Map<string, Field['value']>()
    const fields = newFields(parts, known, skb.ip_summed === CHECKSUM_PARTIAL)
    const device = skb.devName
    this.#shown.set(id, { data, len, data_len, truesize, owner, device, layer, fields: known })
    if (same && fields === '') return ''
    let out = `#\n# ${this.#title(skb, old)}\n`
    const changes = changesOf(skb, old)
    if (changes !== '') out += wrap('#   ', changes)
    out += geometry(skb, parts)
    if (fields !== '' && (this.#o.hexdump === 'layers' || this.#o.hexdump === 'full')) {
      // what was pushed in front; of a header that is only now filled in, the whole
      const headers = parts.reduce((n, p) => n + (p.fields.length > 0 ? p.length : 0), 0)
      const added = old === undefined ? 0 : old.data - data
      const to = added > 0 ? Math.min(added, headers) : headers
      out += hexdump(bytesOf(skb, to), 0, to, '# ')
    }
    if (this.#o.hexdump !== 'none') out += fields
    return `${out}#\n`
  }

  #title(skb: TracedSkb, last: Shown | undefined): string {
    const from = last !== undefined ? '' : skb.clone_of !== 0 ? `, a clone of skb ${skb.clone_of}` : ', new'
    const who =
      skb.owner === ''
        ? last !== undefined && last.owner !== ''
          ? ', held by no socket any more'
          : ''
        : `, held by ${skb.owner}`
    return this.#o.bold(`skb ${skb.id}${from}`) + who
  }

  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): string {
    this.#frames++
    const where = `${device}${netns === '' ? '' : ` in ${netns}`}`
    const bytes = frameBytes(skb)
    const parts = decode(bytes, 'Ethernet', bytes.length)
    const payload = parts.find((p) => p.protocol === 'payload')
    let out = `#\n# ${this.#o.bold(`frame ${this.#frames}`)} ${direction === 'in' ? 'received on' : 'out on'} ${where}: ${bytes.length} bytes, skb ${skb.id}\n`
    out += wrap('#   ', summary(parts))
    const mode = this.#o.hexdump
    if (mode === 'none' || (mode === 'layers' && payload === undefined)) return `${out}#\n`
    const whole = mode === 'full' || payload === undefined || payload.length <= SHORT
    if (whole) out += hexdump(bytes, 0, bytes.length)
    else {
      const to = Math.min(bytes.length, (payload.offset + 31) & ~15)
      out += `${hexdump(bytes, 0, to, '# ')}# ${`... ${bytes.length - to} bytes of payload left out: --hexdump full has them`}\n`
    }
    for (const p of parts) if (p.fields.length > 0 && mode !== 'layers') out += fieldLines(p.protocol, p.fields)
    return `${out}#\n`
  }

  drop(skb: TracedSkb, reason: string, where: string): string {
    return `#\n# ${this.#o.bold(`skb ${skb.id} is dropped`)}: ${reason}${where === '' ? '' : ` in ${where}`}\n#\n`
  }
}

/** what is different from when the buffer was shown last, in numbers */
function changesOf(skb: TracedSkb, old: Shown | undefined): string {
  const list: string[] = []
  const numbers = (name: string, now: number, before: number | undefined): void => {
    if (before === undefined) list.push(`${name} ${now}`)
    else if (now !== before) list.push(`${name} ${before} -> ${now}`)
  }
  if (old !== undefined && skb.data < old.data) list.push(`${old.data - skb.data} bytes pushed in front`)
  if (old !== undefined && skb.data > old.data && skb.len < old.len)
    list.push(`${skb.data - old.data} bytes pulled off the front`)
  numbers('len', skb.len, old?.len)
  numbers('data_len', skb.data_len, old?.data_len)
  numbers('truesize', skb.truesize, old?.truesize)
  if (old === undefined) {
    list.push(`checksum ${summed[skb.ip_summed] ?? skb.ip_summed}`)
    if (skb.gso_size > 0) list.push(`gso ${skb.gso_segs} x ${skb.gso_size}`)
  }
  if (old !== undefined && skb.devName !== '' && skb.devName !== old.device) list.push(`dev ${skb.devName}`)
  return list.join(', ')
}

/** the fields of the headers that were not printed yet or have another value now; `known` keeps what was printed */
function newFields(parts: readonly Layer[], known: Map<string, Field['value']>, partial: boolean): string {
  let out = ''
  for (const p of parts) {
    const news: Field[] = []
    p.fields.forEach((f, i) => {
      const key = `${p.protocol}.${i}.${f.name}`
      if (known.get(key) === f.value) return
      known.set(key, f.value)
      news.push(
        f.name === 'check' && partial && f.meaning.endsWith('no addresses')
          ? { ...f, meaning: `${f.meaning.slice(0, 6)} partial` }
          : f,
      )
    })
    if (news.length > 0) out += fieldLines(p.protocol, news)
  }
  return out
}

/** what the bytes at `data` are, as far as the header offsets say so */
function firstHeader(skb: TracedSkb, layer: string): Protocol | null {
  const { data, bytes } = skb
  if (skb.tail <= data) return null
  if (skb.mac_header !== 0xffff && skb.mac_header === data && skb.network_header > data) return 'Ethernet'
  if (skb.network_header === data && (data > 0 || skb.protocol !== 0)) {
    const version = (bytes[data] as number) >> 4
    return version === 4 ? 'IPv4' : version === 6 ? 'IPv6' : bytes[data] === 0 && skb.protocol === 0x0806 ? 'ARP' : null
  }
  if (skb.transport_header !== 0xffff && skb.transport_header === data) {
    const n = skb.network_header
    const proto =
      n > 0 && n < data && (bytes[n] as number) >> 4 === 4
        ? bytes[n + 9]
        : layer === 'TCP'
          ? 6
          : layer === 'UDP'
            ? 17
            : layer === 'ICMP'
              ? 1
              : 0
    return proto === 6 ? 'TCP' : proto === 17 ? 'UDP' : proto === 1 ? 'ICMP' : null
  }
  return null
}

/** `|headroom 268|IPv4 20|TCP 32|tailroom 64| + frag 4096`: what lies where, in bytes */
function geometry(skb: TracedSkb, parts: readonly Layer[]): string {
  const cells = [`headroom ${skb.data}`]
  let linear = skb.tail - skb.data
  for (const p of parts) {
    if (p.fields.length === 0) continue
    const n = Math.min(p.length, linear)
    if (n > 0) cells.push(`${p.protocol} ${n}`)
    linear -= n
  }
  if (linear > 0 || parts.length === 0) cells.push(`data ${linear}`)
  cells.push(`tailroom ${skb.end - skb.tail}`)
  let out = `#   |${cells.join('|')}|`
  if (skb.nr_frags > 0) {
    const frags = Array.from({ length: skb.nr_frags }, (_, i) => skb.frag(i).length)
    const list =
      frags.length > 4
        ? `${frags.length} frags ${frags.slice(0, 3).join(' ')} ...`
        : `${frags.length > 1 ? 'frags' : 'frag'} ${frags.join(' ')}`
    out += ` + ${list}`
  }
  return `${out}\n`
}

/** the fields of one header beneath its bytes, wrapped */
function fieldLines(protocol: string, fields: readonly Field[]): string {
  return wrap(`#   ${protocol.padEnd(8)} `, fields.map((f) => (f.meaning === '' ? f.name : `${f.name} ${f.meaning}`)).join(', '))
}

function summary(parts: readonly Layer[]): string {
  const get = (p: Layer, name: string): string => p.fields.find((f) => f.name === name)?.meaning ?? ''
  return parts
    .filter((p) => p.protocol !== 'Ethernet')
    .map((p) => {
      if (p.protocol === 'TCP')
        return `TCP ${get(p, 'source')} > ${get(p, 'dest')} ${get(p, 'flags')}, seq ${get(p, 'seq')}, ack ${get(p, 'ack_seq')}`
      if (p.protocol === 'UDP') return `UDP ${get(p, 'source')} > ${get(p, 'dest')}`
      if (p.protocol.startsWith('IPv')) return `${p.protocol} ${get(p, 'saddr')} > ${get(p, 'daddr')}`
      if (p.protocol === 'ARP') return `ARP ${get(p, 'op')} ${get(p, 'spa')} > ${get(p, 'tpa')}`
      if (p.protocol.startsWith('ICMP')) return `${p.protocol} ${get(p, 'type')}, ${get(p, 'code')}`
      return p.protocol === 'payload' ? `${p.length} bytes of payload` : p.protocol
    })
    .join(', ')
}

/** breaks a list at its commas and spaces so that it fits; further lines stand below the first word */
function wrap(head: string, text: string): string {
  const rest = `#${' '.repeat(head.length - 1)}`
  let out = ''
  let line = head
  let empty = true
  for (const word of text.split(/(?<=,) /)) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      out += `${line}\n`
      line = rest
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  return `${out}${line}\n`
}
