import type { Host } from '../../host/host.ts'
import type { net_device } from '../../kernel/include/linux/netdevice.ts'
import type { sock } from '../../kernel/include/net/sock.ts'
import type { tcp_sock } from '../../kernel/include/net/tcp.ts'
import { Series } from './columns.ts'
import { LINE } from './recording.ts'
import { handleText, isTcp, tcpStateNames } from './structs.ts'
import type { Sampler, Watcher } from './watcher.ts'

/** One number of an object's state, and how it reads. */
interface Probe<T> {
  name: string
  get: (o: T) => number
  show?: (v: number) => string
}

/** include/uapi/linux/tcp.h enum tcp_ca_state */
const caStates = ['Open', 'Disorder', 'CWR', 'Recovery', 'Loss']
const tcpState = (v: number): string => tcpStateNames[v] ?? String(v)

const field = <K extends string>(name: K): Probe<Record<K, number>> => ({ name, get: (o) => o[name] })

const socketProbes: readonly Probe<sock>[] = [
  { name: 'sk_state', get: (s) => s.skc_state, show: tcpState },
  field('sk_wmem_queued'),
  field('sk_wmem_alloc'),
  field('sk_rmem_alloc'),
  field('sk_forward_alloc'),
  field('sk_sndbuf'),
  field('sk_rcvbuf'),
  { name: 'sk_write_queue', get: (s) => s.sk_write_queue.qlen },
  { name: 'sk_receive_queue', get: (s) => s.sk_receive_queue.qlen },
  { name: 'sk_backlog.len', get: (s) => s.sk_backlog.len },
  { name: 'sk_lock.owned', get: (s) => s.sk_lock.owned },
  field('sk_err'),
]

const tcp = (name: string, get: (s: tcp_sock) => number, show?: (v: number) => string): Probe<sock> => ({
  name,
  get: (s) => (isTcp(s) ? get(s) : 0),
  ...(show === undefined ? {} : { show }),
})
const us = (v: number): string => `${v} us`

const tcpProbes: readonly Probe<sock>[] = [
  tcp('snd_una', (s) => s.snd_una),
  tcp('snd_nxt', (s) => s.snd_nxt),
  tcp('write_seq', (s) => s.write_seq),
  tcp('rcv_nxt', (s) => s.rcv_nxt),
  tcp('copied_seq', (s) => s.copied_seq),
  tcp('snd_wnd', (s) => s.snd_wnd),
  tcp('rcv_wnd', (s) => s.rcv_wnd),
  tcp('snd_cwnd', (s) => s.snd_cwnd),
  tcp(
    'snd_ssthresh',
    (s) => s.snd_ssthresh,
    (v) => (v === 0x7fffffff ? 'infinite' : String(v)),
  ),
  tcp('packets_out', (s) => s.packets_out),
  tcp('sacked_out', (s) => s.sacked_out),
  tcp('lost_out', (s) => s.lost_out),
  tcp('retrans_out', (s) => s.retrans_out),
  tcp('mss_cache', (s) => s.mss_cache),
  tcp('srtt', (s) => s.srtt_us >> 3, us),
  tcp(
    'icsk_rto',
    (s) => s.icsk_rto,
    (v) => `${v} jiffies`,
  ),
  tcp(
    'icsk_ca_state',
    (s) => s.icsk_ca_state,
    (v) => caStates[v] ?? String(v),
  ),
  tcp('icsk_pending', (s) => s.icsk_pending),
]

/** a number below an object that is not typed here: a driver's private data */
function below(o: unknown, ...path: readonly string[]): number {
  let v = o
  for (const p of path) {
    if (typeof v !== 'object' || v === null) return Number.NaN
    v = (v as Record<string, unknown>)[p]
  }
  return typeof v === 'number' ? v : Number.NaN
}

const queueProbes: readonly Probe<net_device>[] = [
  { name: 'qlen', get: (d) => d.qdisc?.q.qlen ?? Number.NaN },
  { name: 'backlog', get: (d) => d.qdisc?.qstats.backlog ?? Number.NaN, show: (v) => `${v} bytes` },
  { name: 'sent', get: (d) => d.qdisc?.bstats.packets ?? Number.NaN, show: (v) => `${v} packets` },
  { name: 'drops', get: (d) => d.qdisc?.qstats.drops ?? Number.NaN },
  { name: 'requeues', get: (d) => d.qdisc?.qstats.requeues ?? Number.NaN },
  { name: 'gso_skb', get: (d) => d.qdisc?.gso_skb.qlen ?? Number.NaN },
]

const ringProbes: readonly Probe<net_device>[] = [
  {
    name: 'dql in flight',
    get: (d) => (d._tx[0] === undefined ? Number.NaN : d._tx[0].dql.num_queued - d._tx[0].dql.num_completed),
  },
  { name: 'dql limit', get: (d) => (d._tx[0] === undefined ? Number.NaN : d._tx[0].dql.adj_limit - d._tx[0].dql.num_completed) },
  { name: 'tx next_to_use', get: (d) => below(d.priv, 'tx_ring', 'next_to_use') },
  { name: 'tx next_to_clean', get: (d) => below(d.priv, 'tx_ring', 'next_to_clean') },
  { name: 'rx next_to_use', get: (d) => below(d.priv, 'rx_ring', 'next_to_use') },
  { name: 'rx next_to_clean', get: (d) => below(d.priv, 'rx_ring', 'next_to_clean') },
  { name: 'tx num_free', get: (d) => below(d.priv, 'sq', 'vq', 'num_free') },
  { name: 'tx avail_idx', get: (d) => below(d.priv, 'sq', 'vq', 'avail_idx_shadow') },
  { name: 'tx last_used_idx', get: (d) => below(d.priv, 'sq', 'vq', 'last_used_idx') },
  { name: 'rx num_free', get: (d) => below(d.priv, 'rq', 'vq', 'num_free') },
]

/** The numbers of one object through the run. */
class Numbers<T> {
  readonly title: Series = new Series()
  readonly #probes: readonly Probe<T>[]
  readonly #series: readonly Series[]

  constructor(probes: readonly Probe<T>[]) {
    this.#probes = probes
    this.#series = probes.map(() => new Series())
  }

  sample(event: number, o: T): void {
    for (let i = 0; i < this.#probes.length; i++) {
      const v = this.#probes[i]?.get(o) ?? Number.NaN
      if (!Number.isNaN(v)) this.#series[i]?.put(event, v)
    }
  }

  /** name and value of each number, as they were at an event */
  at(event: number): { name: string; value: string }[] {
    return this.#probes.flatMap(({ name, show }, i) => {
      const v = this.#series[i]?.at(event)
      return v === undefined ? [] : [{ name, value: show === undefined ? String(v) : show(v) }]
    })
  }

  truncate(event: number): void {
    for (const s of this.#series) s.truncate(event)
  }

  get bytes(): number {
    return this.#series.reduce((n, s) => n + s.bytes, 0)
  }
}

/** Names of things at an event: the pane's groups. */
export interface StateGroup {
  title: string
  rows: { name: string; value: string }[]
}

/** What is kept of a device: its queue's and its card's numbers, and the kind of queue by the event from which on it was that one. */
interface Device {
  queue: Numbers<net_device>
  ring: Numbers<net_device>
  kinds: Map<number, string>
  /** the queue that was looked at last */
  qdisc: net_device['qdisc'] | undefined
}

/** The socket that the stack is about, and the queues and rings of all devices, event by event. */
export class StateTrack implements Sampler {
  readonly #sockets = new Map<number, { numbers: Numbers<sock>; tcp: Numbers<sock> | null; titles: Map<number, string> }>()
  readonly #current = new Series()
  readonly #devices = new Map<string, Device>()
  #host: () => Host | null
  #watched: { key: string; dev: net_device }[] = []

  constructor(host: () => Host | null) {
    this.#host = host
  }

  sample(kind: number, event: number, w: Watcher): void {
    if (kind === LINE) this.#findDevices()
    const { sk } = w
    this.#current.put(event, sk?.id ?? 0)
    if (sk !== null && sk.id !== 0) this.#socket(event, sk)
    for (let i = 0; i < this.#watched.length; i++) {
      const d = this.#watched[i]
      if (d !== undefined) this.#device(event, d.key, d.dev)
    }
  }

  #findDevices(): void {
    const host = this.#host()
    this.#watched = []
    if (host === null) return
    // a device without a queue has nothing to show
    for (const name of ['', ...host.netnsNames()])
      for (const dev of host.netns(name).dev_base_head)
        if (dev.name !== 'lo') this.#watched.push({ key: name === '' ? dev.name : `${dev.name} @${name}`, dev })
  }

  #socket(event: number, sk: sock): void {
    let s = this.#sockets.get(sk.id)
    if (s === undefined) {
      s = { numbers: new Numbers(socketProbes), tcp: isTcp(sk) ? new Numbers(tcpProbes) : null, titles: new Map() }
      this.#sockets.set(sk.id, s)
    }
    s.numbers.sample(event, sk)
    s.tcp?.sample(event, sk)
    // its addresses change seldom: when its state does, or it is bound
    // one that is only being made has no protocol yet
    if (sk.skc_prot === undefined) return
    const about = sk.skc_state * 65536 + sk.skc_num
    if (s.numbers.title.at(event) !== about) {
      s.numbers.title.put(event, about)
      s.titles.set(event, sk.describe())
    }
  }

  #device(event: number, key: string, dev: net_device): void {
    let d = this.#devices.get(key)
    if (d === undefined) {
      d = { queue: new Numbers(queueProbes), ring: new Numbers(ringProbes), kinds: new Map(), qdisc: undefined }
      this.#devices.set(key, d)
    }
    const q = dev.qdisc
    if (d.qdisc !== q) {
      d.qdisc = q
      const kind = q === null ? 'no queue' : `${q.ops?.id ?? 'qdisc'} ${handleText(q.handle)}`
      if (latest(d.kinds, event) !== kind) d.kinds.set(event, kind)
    }
    d.queue.sample(event, dev)
    d.ring.sample(event, dev)
  }

  at(event: number): StateGroup[] {
    const out: StateGroup[] = []
    const id = this.#current.at(event) ?? 0
    const s = this.#sockets.get(id)
    if (s !== undefined) {
      out.push({ title: latest(s.titles, event) ?? `socket #${id}`, rows: s.numbers.at(event) })
      if (s.tcp !== null) out.push({ title: 'tcp', rows: s.tcp.at(event) })
    }
    for (const [key, d] of this.#devices) {
      const kind = latest(d.kinds, event)
      if (kind === undefined) continue
      const rows = d.queue.at(event)
      if (rows.length > 0 && kind !== 'no queue') out.push({ title: `${key}: ${kind}`, rows })
      const ring = d.ring.at(event)
      if (ring.length > 0) out.push({ title: `${key}: rings`, rows: ring })
    }
    return out
  }

  truncate(event: number): void {
    this.#current.truncate(event)
    for (const s of this.#sockets.values()) {
      s.numbers.truncate(event)
      s.numbers.title.truncate(event)
      s.tcp?.truncate(event)
      forget(s.titles, event)
    }
    for (const d of this.#devices.values()) {
      d.queue.truncate(event)
      d.ring.truncate(event)
      forget(d.kinds, event)
      d.qdisc = undefined
    }
    this.#watched = []
  }

  get bytes(): number {
    let n = this.#current.bytes
    for (const s of this.#sockets.values()) n += s.numbers.bytes + (s.tcp?.bytes ?? 0)
    for (const d of this.#devices.values()) n += d.queue.bytes + d.ring.bytes
    return n
  }
}

/** the text that was noted last, at or before `event` */
function latest(texts: ReadonlyMap<number, string>, event: number): string | undefined {
  let out: string | undefined
  for (const [at, text] of texts) {
    if (at > event) break
    out = text
  }
  return out
}

function forget(texts: Map<number, string>, event: number): void {
  for (const at of texts.keys()) if (at >= event) texts.delete(at)
}
