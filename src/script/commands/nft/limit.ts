import { NFT_LIMIT_PKT_BURST_DEFAULT, nft_limit_expr } from '../../../kernel/net/netfilter/nft_limit.ts'
import type { Lexer } from './lexer.ts'
import { handlers } from './rule.ts'

const units: Readonly<Record<string, number>> = { second: 1, minute: 60, hour: 3600, day: 86400, week: 604800 }
const sizes: Readonly<Record<string, number>> = { bytes: 1, kbytes: 1024, mbytes: 1024 * 1024 }

/** a whole number that stands alone or before what it is a number of: 10, 10/second */
function count(lx: Lexer): { n: number; rest: string } {
  const word = lx.next('number')
  const m = /^(\d+)(.*)$/.exec(word.text)
  if (m === null) lx.error(`syntax error, unexpected ${word.text}, expecting number`, word)
  return { n: Number(m[1]), rest: m[2] ?? '' }
}

/** bytes as nft lists them: in the largest unit that leaves nothing over */
function sized(n: number): string {
  const [name, unit] = Object.entries(sizes).findLast(([, u]) => n !== 0 && n % u === 0) ?? ['bytes', 1]
  return `${n / unit} ${name}`
}

// limit rate [over] 10/second [burst 5 packets], limit rate 1 mbytes/second [burst 10 kbytes]
handlers.set('limit', (b) => {
  const { lx } = b
  if (lx.peek === 'name') lx.unexpected('rate')
  lx.expect('rate')
  const over = lx.take('over')
  if (!over) lx.take('until')
  let { n, rest } = count(lx)
  let bytes = false
  if (rest === '' && !lx.peek.startsWith('/')) {
    const word = lx.next('bytes, kbytes or mbytes')
    const [size = '', per = ''] = word.text.split('/')
    if (!Object.hasOwn(sizes, size)) lx.error(`syntax error, unexpected ${word.text}, expecting bytes, kbytes or mbytes`, word)
    bytes = true
    n *= sizes[size] ?? 1
    rest = word.text.includes('/') ? `/${per}` : ''
  }
  if (rest === '') rest = lx.next('/').text
  const unit = rest === '/' ? lx.next('second').text : rest.slice(1)
  const seconds = Object.hasOwn(units, unit) ? (units[unit] ?? 0) : 0
  if (seconds === 0 || n === 0) lx.error(`wrong limit: ${n}/${unit}`, null)
  let burst = bytes ? 0 : NFT_LIMIT_PKT_BURST_DEFAULT
  if (lx.take('burst')) {
    const { n: many } = count(lx)
    const what = lx.next('packets').text
    const size = what === 'packets' ? 1 : Object.hasOwn(sizes, what) ? (sizes[what] ?? 0) : 0
    if (size === 0 || (what === 'packets') === bytes) lx.error(`wrong burst: ${many} ${what}`, null)
    burst = many * size
  }
  b.exprs.push(nft_limit_expr(bytes, n, seconds, burst, over))
  const shown = bytes ? sized(n) : String(n)
  const tail = bytes ? (burst > 0 ? ` burst ${sized(burst)}` : '') : ` burst ${burst} packets`
  b.parts.push(`limit rate ${over ? 'over ' : ''}${shown}/${unit}${tail}`)
})
