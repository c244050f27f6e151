import type { tca_options } from '../../../kernel/include/net/sch_generic.ts'
import type { Json } from '../json.ts'
import { fail, type Words } from '../words.ts'
import {
  isTime,
  parsePercent,
  percent,
  rate,
  showPercent,
  showRate,
  showSize,
  showTime,
  showTime64,
  size,
  time,
  whole,
} from './units.ts'

type Options = Record<string, number | boolean | string | readonly number[]>
type Members = Record<string, Json | undefined>

/** How tc reads and prints the parameters of one discipline. */
export interface Kind {
  /** null: no parameters were given, the discipline takes its defaults */
  parse(w: Words): Options | null
  /** `details`: `tc -d` */
  print(o: tca_options, details: boolean): string
  /** the same for -j */
  json(o: tca_options): Members
  stats?(o: tca_options): string
  statsJson?(o: tca_options): Members
  /** of a class */
  parseClass?(w: Words): Options
  printClass?(o: tca_options, details: boolean): string
  /** lines of `tc -s class` */
  classStats?(o: tca_options): string
}

const what = (w: Words, kind: string): never => fail(`What is "${w.peek}"?\nUsage: ... ${kind} ...`, 255)
const num = (o: tca_options, k: string): number => Number(o[k] ?? 0)
const list = (o: tca_options, k: string): readonly number[] => {
  const v = o[k]
  return Array.isArray(v) ? (v as readonly number[]) : []
}

/** reads `keyword value` pairs; the empty list of words is null */
function pairs(w: Words, kind: string, table: Readonly<Record<string, (o: Options) => void>>): Options | null {
  if (w.done) return null
  const o: Options = {}
  while (!w.done) {
    const read = Object.hasOwn(table, w.peek) ? table[w.peek] : undefined
    if (read === undefined) what(w, kind)
    w.next()
    read?.(o)
  }
  return o
}
const none: Kind['parse'] = (w) => {
  if (!w.done) fail(`Unknown qdisc parameter "${w.peek}"`, 255)
  return null
}

const fifo = (kind: string, unit: 'p' | 'b'): Kind => ({
  parse: (w) =>
    pairs(w, kind, {
      limit: (o) => {
        o.limit = size(w, 'limit')
      },
    }),
  print: (o) => `limit ${unit === 'b' ? showSize(num(o, 'limit')) : `${num(o, 'limit')}p`}`,
  json: (o) => ({ limit: num(o, 'limit') }),
})

const priomap = (o: tca_options): string => `bands ${num(o, 'bands')} priomap ${list(o, 'priomap').join(' ')}`
const priomapJson = (o: tca_options): Members => ({ bands: num(o, 'bands'), priomap: list(o, 'priomap'), multiqueue: false })
/** those of the parameters that are there */
const some = (o: tca_options, ...keys: string[]): Members =>
  Object.fromEntries(keys.filter((k) => o[k] !== undefined).map((k) => [k, Array.isArray(o[k]) ? list(o, k) : num(o, k)]))

const fq_codel: Kind = {
  parse: (w) => {
    const us = (o: Options, k: string): void => {
      o[k] = Math.round(time(w, k) / 1000)
    }
    return pairs(w, 'fq_codel', {
      limit: (o) => {
        o.limit = whole(w, 'limit')
      },
      flows: (o) => {
        o.flows = whole(w, 'flows')
      },
      quantum: (o) => {
        o.quantum = whole(w, 'quantum')
      },
      target: (o) => us(o, 'target'),
      interval: (o) => us(o, 'interval'),
      ce_threshold: (o) => us(o, 'ce_threshold'),
      memory_limit: (o) => {
        o.memory_limit = size(w, 'memory_limit')
      },
      drop_batch: (o) => {
        o.drop_batch = whole(w, 'drop_batch')
      },
      ecn: (o) => {
        o.ecn = true
      },
      noecn: (o) => {
        o.ecn = false
      },
    })
  },
  print: (o) =>
    `limit ${num(o, 'limit')}p flows ${num(o, 'flows')} quantum ${num(o, 'quantum')} target ${showTime(num(o, 'target'))} ` +
    (o.ce_threshold === undefined ? '' : `ce_threshold ${showTime(num(o, 'ce_threshold'))} `) +
    `interval ${showTime(num(o, 'interval'))} memory_limit ${showSize(num(o, 'memory_limit'))} ${o.ecn ? 'ecn ' : ''}drop_batch ${num(o, 'drop_batch')} `,
  json: (o) => ({
    ...some(o, 'limit', 'flows', 'quantum', 'target', 'ce_threshold', 'interval', 'memory_limit'),
    ecn: o.ecn ? true : undefined,
    drop_batch: num(o, 'drop_batch'),
  }),
  statsJson: (o) =>
    some(
      o,
      'maxpacket',
      'drop_overlimit',
      'new_flow_count',
      'ecn_mark',
      'ce_mark',
      'memory_used',
      'drop_overmemory',
      'new_flows_len',
      'old_flows_len',
    ),
  stats: (o) =>
    `  maxpacket ${num(o, 'maxpacket')} drop_overlimit ${num(o, 'drop_overlimit')} new_flow_count ${num(o, 'new_flow_count')} ecn_mark ${num(o, 'ecn_mark')}` +
    (o.ce_mark === undefined ? '' : ` ce_mark ${num(o, 'ce_mark')}`) +
    (o.memory_used === undefined ? '' : ` memory_used ${num(o, 'memory_used')}`) +
    (o.drop_overmemory === undefined ? '' : ` drop_overmemory ${num(o, 'drop_overmemory')}`) +
    `\n  new_flows_len ${num(o, 'new_flows_len')} old_flows_len ${num(o, 'old_flows_len')}`,
}

const fq: Kind = {
  parse: (w) => {
    const n = (k: string) => (o: Options) => {
      o[k] = whole(w, k)
    }
    const us = (k: string) => (o: Options) => {
      o[k] = Math.round(time(w, k) / 1000)
    }
    return pairs(w, 'fq', {
      limit: n('limit'),
      flow_limit: n('flow_limit'),
      buckets: n('buckets'),
      orphan_mask: n('orphan_mask'),
      quantum: (o) => {
        o.quantum = size(w, 'quantum')
      },
      initial_quantum: (o) => {
        o.initial_quantum = size(w, 'initial_quantum')
      },
      maxrate: (o) => {
        o.maxrate = rate(w, 'maxrate')
      },
      low_rate_threshold: (o) => {
        o.low_rate_threshold = rate(w, 'low_rate_threshold')
      },
      refill_delay: us('refill_delay'),
      ce_threshold: us('ce_threshold'),
      horizon: us('horizon'),
      timer_slack: (o) => {
        o.timer_slack = time(w, 'timer_slack')
      },
      horizon_drop: (o) => {
        o.horizon_drop = true
      },
      horizon_cap: (o) => {
        o.horizon_drop = false
      },
      pacing: (o) => {
        o.pacing = true
      },
      nopacing: (o) => {
        o.pacing = false
      },
    })
  },
  print: (o) =>
    `limit ${num(o, 'limit')}p flow_limit ${num(o, 'flow_limit')}p buckets ${num(o, 'buckets')} orphan_mask ${num(o, 'orphan_mask')} ` +
    (o.pacing ? '' : 'nopacing ') +
    `bands ${list(o, 'weights').length} priomap ${list(o, 'priomap').join(' ')} weights ${list(o, 'weights').join(' ')} ` +
    `quantum ${showSize(num(o, 'quantum'))} initial_quantum ${showSize(num(o, 'initial_quantum'))} ` +
    (o.maxrate === undefined ? '' : `maxrate ${showRate(num(o, 'maxrate'))} `) +
    `low_rate_threshold ${showRate(num(o, 'low_rate_threshold'))} refill_delay ${showTime(num(o, 'refill_delay'))} ` +
    (o.ce_threshold === undefined ? '' : `ce_threshold ${showTime(num(o, 'ce_threshold'))} `) +
    `timer_slack ${showTime64(num(o, 'timer_slack'))} horizon ${showTime(num(o, 'horizon'))} ${o.horizon_drop ? 'horizon_drop ' : 'horizon_cap '}`,
  json: (o) => ({
    ...some(o, 'limit', 'flow_limit', 'buckets', 'orphan_mask'),
    pacing: o.pacing ? undefined : false,
    bands: list(o, 'weights').length,
    ...some(
      o,
      'priomap',
      'weights',
      'quantum',
      'initial_quantum',
      'maxrate',
      'low_rate_threshold',
      'refill_delay',
      'ce_threshold',
    ),
    ...some(o, 'timer_slack', 'horizon'),
    [o.horizon_drop ? 'horizon_drop' : 'horizon_cap']: null,
  }),
  statsJson: (o) => ({
    flows: num(o, 'flows'),
    inactive: num(o, 'inactive_flows'),
    throttled: num(o, 'throttled_flows'),
    ...Object.fromEntries(list(o, 'band_pkt_count').map((n, i) => [`band${i}_pkts`, n])),
    gc: num(o, 'gc'),
    highprio: 0,
    fastpath: num(o, 'fastpath'),
    throttled_packets: num(o, 'throttled'),
  }),
  stats: (o) =>
    `  flows ${num(o, 'flows')} (inactive ${num(o, 'inactive_flows')} throttled ${num(o, 'throttled_flows')})` +
    list(o, 'band_pkt_count')
      .map((n, i) => ` band${i}_pkts ${n}`)
      .join('') +
    `\n  gc ${num(o, 'gc')} highprio 0 fastpath ${num(o, 'fastpath')} throttled ${num(o, 'throttled')}` +
    (num(o, 'latency') ? ` latency ${showTime64(num(o, 'latency'))}` : '') +
    (num(o, 'flows_plimit') ? ` flows_plimit ${num(o, 'flows_plimit')}` : '') +
    (num(o, 'horizon_drops') ? ` horizon_drops ${num(o, 'horizon_drops')}` : ''),
}

const netem: Kind = {
  parse: (w) => {
    const o: Options = {}
    const correlation = (k: string): void => {
      const c = w.done ? undefined : parsePercent(w.peek)
      if (c === undefined) return
      w.next()
      o[k] = c
    }
    while (!w.done) {
      const word = w.next()
      switch (word) {
        case 'limit':
          o.limit = size(w, 'limit')
          break
        case 'latency':
        case 'delay':
          o.latency = time(w, 'latency')
          if (!w.done && isTime(w.peek)) {
            o.jitter = time(w, 'latency')
            correlation('delay_corr')
          }
          break
        case 'loss':
        case 'drop':
          w.take('random')
          if (['state', 'gemodel'].includes(w.peek)) fail(`netem: loss ${w.peek} is not there`, 255)
          o.loss = percent(w, 'loss percent')
          correlation('loss_corr')
          break
        case 'duplicate':
          o.duplicate = percent(w, 'duplicate')
          correlation('dup_corr')
          break
        case 'reorder':
          o.reorder = percent(w, 'reorder')
          correlation('reorder_corr')
          if (o.gap === undefined) o.gap = 1
          break
        case 'corrupt':
          o.corrupt = percent(w, 'corrupt')
          correlation('corrupt_corr')
          break
        case 'gap':
          o.gap = whole(w, 'gap')
          break
        case 'ecn':
          o.ecn = true
          break
        case 'rate':
          o.rate = rate(w, 'rate')
          break
        case 'distribution':
        case 'slot':
          fail(`netem: ${word} is not there`, 255)
          break
        default:
          fail(`What is "${word}"?\nUsage: ... netem [ limit PACKETS ] [ delay TIME [ JITTER [CORRELATION]]] ...`, 255)
      }
    }
    if (o.gap !== undefined && o.latency === undefined) fail('reordering not possible without specifying some delay', 255)
    return o
  },
  print: (o) => {
    const part = (name: string, p: number, corr: number): string =>
      p ? ` ${name} ${showPercent(p)}${corr ? ` ${showPercent(corr)}` : ''}` : ''
    let s = `limit ${num(o, 'limit')}`
    if (num(o, 'latency')) {
      s += ` delay ${showTime64(num(o, 'latency'))}`
      if (num(o, 'jitter'))
        s += `  ${showTime64(num(o, 'jitter'))}${num(o, 'delay_corr') ? ` ${showPercent(num(o, 'delay_corr'))}` : ''}`
    }
    s += part('loss', num(o, 'loss'), num(o, 'loss_corr'))
    s += part('duplicate', num(o, 'duplicate'), num(o, 'dup_corr'))
    s += part('reorder', num(o, 'gap') ? num(o, 'reorder') : 0, num(o, 'reorder_corr'))
    s += part('corrupt', num(o, 'corrupt'), num(o, 'corrupt_corr'))
    if (num(o, 'rate')) s += ` rate ${showRate(num(o, 'rate'))}`
    if (o.ecn) s += ' ecn '
    if (num(o, 'gap')) s += ` gap ${num(o, 'gap')}`
    return s
  },
  json: (o) => {
    const share = (k: string): number => Number((num(o, k) / 0xffffffff).toPrecision(6))
    const chance = (name: string, k: string, corr: string): Members =>
      num(o, k) ? { [name === 'loss' ? 'loss-random' : name]: { [name]: share(k), correlation: share(corr) } } : {}
    return {
      limit: num(o, 'limit'),
      delay: num(o, 'latency')
        ? { delay: num(o, 'latency') / 1e9, jitter: num(o, 'jitter') / 1e9, correlation: share('delay_corr') }
        : undefined,
      ...chance('loss', 'loss', 'loss_corr'),
      ...chance('duplicate', 'duplicate', 'dup_corr'),
      ...(num(o, 'gap') ? chance('reorder', 'reorder', 'reorder_corr') : {}),
      ...chance('corrupt', 'corrupt', 'corrupt_corr'),
      rate: num(o, 'rate') ? { rate: num(o, 'rate'), packetoverhead: 0, cellsize: 0, celloverhead: 0 } : undefined,
      ecn: o.ecn === true,
      gap: num(o, 'gap'),
    }
  },
}

/** microseconds that a packet waits at most, which is what the limit in bytes came from */
const tbfLatency = (o: tca_options): number =>
  Math.round(Math.max(0, (num(o, 'limit') / num(o, 'rate')) * 1e6 - (num(o, 'burst') / num(o, 'rate')) * 1e6))

const tbf: Kind = {
  parse: (w) => {
    const o = pairs(w, 'tbf', {
      limit: (q) => {
        q.limit = size(w, 'limit')
      },
      latency: (q) => {
        q.latency = time(w, 'latency')
      },
      burst: (q) => {
        q.burst = size(w, 'buffer')
      },
      buffer: (q) => {
        q.burst = size(w, 'buffer')
      },
      maxburst: (q) => {
        q.burst = size(w, 'buffer')
      },
      rate: (q) => {
        q.rate = rate(w, 'rate')
      },
      peakrate: (q) => {
        q.peakrate = rate(w, 'peakrate')
      },
      mtu: (q) => {
        q.mtu = size(w, 'mtu')
      },
      minburst: (q) => {
        q.mtu = size(w, 'mtu')
      },
    })
    if (o === null || !o.rate) fail('"rate" is required.', 255)
    if (!o.burst) fail('"burst" is required.', 255)
    if (o.peakrate && !o.mtu) fail('"mtu" is required, if "peakrate" is requested.', 255)
    if (o.limit === undefined && o.latency === undefined) fail('either "limit" or "latency" is required.', 255)
    if (o.limit === undefined) o.limit = Math.floor((Number(o.rate) * Number(o.latency)) / 1e9) + Number(o.burst)
    delete o.latency
    return o
  },
  json: (o) => ({ ...some(o, 'rate', 'burst'), ...(num(o, 'peakrate') ? some(o, 'peakrate', 'mtu') : {}), lat: tbfLatency(o) }),
  print: (o) => {
    const latency = tbfLatency(o)
    return (
      `rate ${showRate(num(o, 'rate'))} burst ${showSize(num(o, 'burst'))} ` +
      (num(o, 'peakrate') ? `peakrate ${showRate(num(o, 'peakrate'))} minburst ${showSize(num(o, 'mtu'))} ` : '') +
      `lat ${showTime(latency)} `
    )
  },
}

const prio: Kind = {
  parse: (w) => {
    if (w.done) return { bands: 3, priomap: [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] }
    const o: Options = { bands: 3, priomap: [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] }
    while (!w.done) {
      if (w.take('bands')) o.bands = whole(w, 'bands')
      else if (w.take('priomap')) {
        const map = [...list(o, 'priomap')]
        let i = 0
        while (!w.done && /^\d+$/.test(w.peek)) {
          const band = whole(w, 'priomap element')
          if (i >= 16) fail(`"priomap" has 16 elements at most`, 255)
          if (band > Number(o.bands)) fail(`"priomap" element is out of bands`, 255)
          map[i++] = band
        }
        o.priomap = map
      } else what(w, 'prio')
    }
    return o
  },
  print: priomap,
  json: priomapJson,
}

const htbDefault = (o: tca_options): string => (num(o, 'default') ? `0x${num(o, 'default').toString(16)}` : '0')

const htb: Kind = {
  parse: (w) => {
    const o: Options = { default: 0, r2q: 10 }
    while (!w.done) {
      if (w.take('default')) o.default = Number.parseInt(w.next(), 16)
      else if (w.take('r2q')) o.r2q = whole(w, 'r2q')
      else what(w, 'htb')
    }
    return o
  },
  print: (o, details) =>
    `r2q ${num(o, 'r2q')} default ${htbDefault(o)} direct_packets_stat ${num(o, 'direct_pkts')}${details ? ' ver 3.17' : ''} ` +
    `direct_qlen ${num(o, 'direct_qlen')}`,
  json: (o) => ({
    r2q: num(o, 'r2q'),
    default: htbDefault(o),
    direct_packets_stat: num(o, 'direct_pkts'),
    direct_qlen: num(o, 'direct_qlen'),
  }),
  parseClass: (w) => {
    const o: Options = {}
    while (!w.done) {
      const word = w.next()
      if (word === 'rate') o.rate = rate(w, 'rate')
      else if (word === 'ceil') o.ceil = rate(w, 'ceil')
      else if (word === 'burst' || word === 'buffer' || word === 'maxburst') o.burst = size(w, 'buffer')
      else if (word === 'cburst' || word === 'cbuffer' || word === 'cmaxburst') o.cburst = size(w, 'cbuffer')
      else if (word === 'prio') o.prio = whole(w, 'prio')
      else if (word === 'quantum') o.quantum = whole(w, 'quantum')
      else if (word === 'mtu') whole(w, 'mtu')
      else {
        w.back()
        what(w, 'htb')
      }
    }
    if (!o.rate) fail('"rate" is required.', 255)
    const hz = 1e9
    o.ceil ??= o.rate as number
    // as much as goes out in a tick of the kernel's clock, and one packet
    o.burst ??= Math.floor(Number(o.rate) / hz) + 1600
    o.cburst ??= Math.floor(Number(o.ceil) / hz) + 1600
    return o
  },
  printClass: (o, details) => {
    const ceil = `ceil ${showRate(num(o, 'ceil'))} `
    const [burst, cburst] = [showSize(num(o, 'burst')), showSize(num(o, 'cburst'))]
    return details
      ? `prio ${num(o, 'prio')} quantum ${num(o, 'quantum')} rate ${showRate(num(o, 'rate'))} ${ceil}linklayer ethernet ` +
          `burst ${burst}/1 mpu 0b cburst ${cburst}/1 mpu 0b level ${num(o, 'level')} `
      : `prio ${num(o, 'prio')} rate ${showRate(num(o, 'rate'))} ${ceil}burst ${burst} cburst ${cburst} `
  },
  classStats: (o) =>
    ` lended: ${num(o, 'lends')} borrowed: ${num(o, 'borrows')} giants: ${num(o, 'giants')}\n` +
    ` tokens: ${num(o, 'tokens')} ctokens: ${num(o, 'ctokens')}\n`,
}

/** the disciplines that tc knows here */
export const kinds: Readonly<Record<string, Kind>> = {
  noqueue: { parse: none, print: () => '', json: () => ({}) },
  pfifo_fast: { parse: none, print: priomap, json: priomapJson },
  pfifo: fifo('pfifo', 'p'),
  bfifo: fifo('bfifo', 'b'),
  pfifo_head_drop: fifo('pfifo_head_drop', 'p'),
  fq_codel,
  fq,
  netem,
  tbf,
  prio,
  htb,
  mq: { parse: none, print: () => '', json: () => ({}) },
}
