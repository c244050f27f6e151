import { decode, type Field, type Layer } from '../decode/decode.ts'
import type { CardEvent, Kfn, TracedSkb } from '../trace/tracer.ts'
import { CardNotes } from './card_notes.ts'
import { bytesOf, frameBytes } from './format.ts'
import type { Annotator } from './graph_options.ts'
import { hexdump } from './hexdump.ts'
import { firstHeader, layerOf, summary, summed } from './packet.ts'
import { Totals } from './totals.ts'
import { wrap } from './wrap.ts'

interface NoteOptions {
  /** `none`: no bytes at all; `wire`: frames; `layers`: what each layer added, and frames; `full`: payload as well */
  hexdump: 'none' | 'wire' | 'layers' | 'full'
  bold(text: string): string
  /** what was shown of one buffer by a function is not shown again of the next, but for what is different */
  once: boolean
}

/** payload bytes up to which a frame is shown as a whole: two lines of a dump */
const SHORT = 32
/** bytes of a buffer that are looked at for headers */
const EXCERPT = 160
const CHECKSUM_PARTIAL = 3

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

/**
 * Tells the way of the buffers between the lines of a graph: who holds one, what has changed since it was shown last, its shape, its
 * bytes and the fields that they are. All lines but the dumps of whole frames are comments (`#`), so that text2pcap makes
 * packets of those frames and of nothing else.
 */
export class SkbNotes implements Annotator {
  readonly #o: NoteOptions
  readonly #shown = new Map<number, Shown>()
  /** by function: the values that it showed last */
  readonly #last = new Map<number, Map<string, Field['value']>>()
  /** devices and directions of which a frame was dumped */
  readonly #dumped = new Set<string>()
  /** the buffer of which all headers were dumped last */
  #whole = 0
  readonly #cards: CardNotes
  readonly #totals = new Totals()
  frames = 0

  constructor(options: NoteOptions) {
    this.#o = options
    this.#cards = new CardNotes(options.hexdump === 'full')
  }

  begin(): void {
    this.#totals.begin()
  }

  totals(): string {
    return this.#totals.text()
  }

  seen(skb: TracedSkb): void {
    this.#totals.seen(skb)
  }

  copied(bytes: number, from: string, to: string): void {
    this.#totals.copied(bytes, from, to)
  }

  freed(skb: TracedSkb): void {
    this.#totals.seen(skb)
    this.#shown.delete(skb.id)
  }

  card(event: CardEvent): string {
    if (event.what === 'wire') this.#totals.wire(event.device, event.netns, event.bytes?.length ?? 0)
    return this.#cards.card(event)
  }

  held(): string {
    return this.#cards.held()
  }

  inHands(fn: Kfn, skb: TracedSkb): string {
    const layer = layerOf(fn)
    const { id, data, len, data_len, truesize, owner } = skb
    const old = this.#shown.get(id)
    const same = old !== undefined && old.data === data && old.len === len && old.data_len === data_len && old.owner === owner
    if (same && (layer === '' || old.layer === layer)) return ''
    const first = firstHeader(skb, layer)
    const parts = first === null ? [] : decode(bytesOf(skb, Math.min(len, EXCERPT)), first, len)
    const known = old?.fields ?? new Map<string, Field['value']>()
    const seen = known.size
    const before = this.#o.once ? this.#last.get(fn.id) : undefined
    const fields = newFields(parts, known, before, skb.ip_summed === CHECKSUM_PARTIAL)
    if (this.#o.once && known.size > seen) this.#last.set(fn.id, known)
    const device = skb.devName
    this.#shown.set(id, { data, len, data_len, truesize, owner, device, layer, fields: known })
    if (same && fields === '') return ''
    let out = `# ${this.#title(skb, old)}\n`
    const changes = changesOf(skb, old)
    if (changes !== '') out += wrap('#   ', changes)
    out += geometry(skb, parts)
    // new values in a header that was dumped before: the fields say it
    if (known.size > seen && before === undefined && (this.#o.hexdump === 'layers' || this.#o.hexdump === 'full')) {
      // what was pushed in front; of a header that is only now filled in, the whole
      const headers = parts.reduce((n, p) => n + (p.fields.length > 0 ? p.length : 0), 0)
      const added = old === undefined ? 0 : old.data - data
      const to = added > 0 ? Math.min(added, headers) : headers
      if (first === 'Ethernet' && to === headers) this.#whole = id
      out += hexdump(bytesOf(skb, to), 0, to, '# ')
    }
    if (this.#o.hexdump !== 'none') out += fields
    return out
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
    this.frames++
    const where = `${device}${netns === '' ? '' : ` in ${netns}`}`
    const bytes = frameBytes(skb)
    const parts = decode(bytes, 'Ethernet', bytes.length)
    const payload = parts.find((p) => p.protocol === 'payload')
    this.#totals.seen(skb)
    if (direction === 'out') this.#totals.sent(device, netns, bytes.length)
    let out = `# ${this.#o.bold(`frame ${this.frames}`)} ${direction === 'in' ? 'received on' : 'out on'} ${where}: ${bytes.length} bytes, skb ${skb.id}\n`
    out += wrap('#   ', summary(parts))
    const mode = this.#o.hexdump
    if (mode === 'none' || (mode === 'layers' && payload === undefined)) return out
    const whole = mode === 'full' || payload === undefined || payload.length <= SHORT
    if (whole) out += hexdump(bytes, 0, bytes.length)
    else if (mode !== 'layers' || (direction === 'out' && this.#whole !== skb.id && this.#isNews(where))) {
      const to = Math.min(bytes.length, (payload.offset + 31) & ~15)
      out += `${hexdump(bytes, 0, to, '# ')}# ... ${bytes.length - to} bytes of payload left out: --hexdump full has them\n`
    }
    for (const p of parts) if (p.fields.length > 0 && mode !== 'layers') out += fieldLines(p.protocol, p.fields)
    return out
  }

  /** the first frame that a device sends, or any when nothing is left out */
  #isNews(device: string): boolean {
    if (this.#o.once && this.#dumped.has(device)) return false
    this.#dumped.add(device)
    return true
  }

  /** a buffer that was shown is dropped after the call, so many nanoseconds later */
  late(skb: TracedSkb, reason: string, where: string, after: number): string {
    if (!this.#shown.has(skb.id)) return ''
    const at = after >= 1e9 ? `${(after / 1e9).toFixed(3)} s` : `${(after / 1e6).toFixed(3)} ms`
    return `# ${at} later ${this.#o.bold(`skb ${skb.id} is dropped`)}: ${reason}${where === '' ? '' : ` in ${where}`}\n`
  }

  drop(skb: TracedSkb, reason: string, where: string): string {
    this.#totals.dropped(skb, reason, where)
    return `# ${this.#o.bold(`skb ${skb.id} is dropped`)}: ${reason}${where === '' ? '' : ` in ${where}`}\n`
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

/**
 * The fields of the headers that were not printed yet or have another value now; `known` keeps what was printed of this buffer,
 * `before` what was of another one, at the same place.
 */
function newFields(
  parts: readonly Layer[],
  known: Map<string, Field['value']>,
  before: ReadonlyMap<string, Field['value']> | undefined,
  partial: boolean,
): string {
  let out = ''
  for (const p of parts) {
    const news: Field[] = []
    p.fields.forEach((f, i) => {
      const key = `${p.protocol}.${i}.${f.name}`
      if (known.get(key) === f.value) return
      const fresh = !known.has(key)
      known.set(key, f.value)
      if (fresh && before?.get(key) === f.value) return
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
    const bytes = frags.reduce((a, n) => a + n, 0)
    out += ` + ${out.length + list.length > 76 ? `${frags.length} frags, ${bytes} bytes` : list}`
  }
  return `${out}\n`
}

/** the fields of one header beneath its bytes, wrapped */
function fieldLines(protocol: string, fields: readonly Field[]): string {
  return wrap(`#   ${protocol.padEnd(8)} `, fields.map((f) => (f.meaning === '' ? f.name : `${f.name} ${f.meaning}`)).join(', '))
}
