import type { tca_options } from '../../../kernel/include/net/sch_generic.ts'
import { fail } from '../words.ts'
import { type Kind, num, type Options, pairs, some, what } from './kind.ts'
import { rate, showRate, showSize, showTime, size, time, whole } from './units.ts'

/** tbf and htb: tc-tbf(8), tc-htb(8) */

/** microseconds that a packet waits at most, which is what the limit in bytes came from */
const tbfLatency = (o: tca_options): number =>
  Math.round(Math.max(0, (num(o, 'limit') / num(o, 'rate')) * 1e6 - (num(o, 'burst') / num(o, 'rate')) * 1e6))

export const tbf: Kind = {
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

const htbDefault = (o: tca_options): string => (num(o, 'default') ? `0x${num(o, 'default').toString(16)}` : '0')

export const htb: Kind = {
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
