import type { tca_options } from '../../../kernel/include/net/sch_generic.ts'
import { fail } from '../words.ts'
import { fq, fq_codel } from './fair.ts'
import { type Kind, list, type Members, num, type Options, pairs, what } from './kind.ts'
import { netem } from './netem.ts'
import { htb, tbf } from './shaping.ts'
import { showSize, size, whole } from './units.ts'

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
