import { type Kind, list, num, type Options, pairs, some } from './kind.ts'
import { rate, showRate, showSize, showTime, showTime64, size, time, whole } from './units.ts'

/** fq_codel and fq: tc-fq_codel(8), tc-fq(8) */

export const fq_codel: Kind = {
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

export const fq: Kind = {
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
