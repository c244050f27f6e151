import { fail } from '../words.ts'
import { type Kind, type Members, num, type Options } from './kind.ts'
import { isTime, parsePercent, percent, rate, showPercent, showRate, showTime64, size, time, whole } from './units.ts'

/** tc-netem(8) */
export const netem: Kind = {
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
