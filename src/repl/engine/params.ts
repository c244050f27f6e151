import type { Kfn } from '../../trace/tracer.ts'

/** What a function's prototype says of its parameters. */
export interface Params {
  readonly names: readonly string[]
  readonly types: readonly string[]
  readonly pointer: readonly boolean[]
  /** which one is the sk_buff, the socket (`struct sock *` and those that begin with one), `struct socket *`, device, qdisc; -1 for none */
  readonly skb: number
  readonly sk: number
  readonly socket: number
  readonly dev: number
  readonly q: number
  readonly net: number
  readonly returnsSkb: boolean
  readonly returnsSock: boolean
  /** it begins something new: what its caller worked on is none of its business */
  readonly fresh: boolean
}

const SOCK = /^(const )?struct (sock|tcp_sock|inet_sock|inet_connection_sock|udp_sock|unix_sock|sock_common) \*$/
const known: (Params | undefined)[] = []

/** `struct sk_buff *skb` to its type and name */
function split(text: string): { name: string; type: string } {
  const f = /\(\*\s*(\w+)\)/.exec(text)
  if (f !== null) return { name: f[1] ?? '', type: text }
  const m = /^(.*?)(\w+)\s*((?:\[\w*\])*)$/.exec(text)
  return m === null ? { name: text, type: text } : { name: m[2] ?? '', type: `${(m[1] ?? '').trim()}${m[3] ?? ''}` }
}

/** the first six parameters of a function, which a kernel has in registers */
export function paramsOf(fn: Kfn): Params {
  let p = known[fn.id]
  if (p?.names !== undefined) return p
  const list = fn.symbol.params.slice(0, 6).map(split)
  const find = (re: RegExp): number => list.findIndex((x) => re.test(x.type))
  const returns = fn.symbol.returns.replace(/\s*\*\s*$/, ' *')
  p = {
    names: list.map((x) => x.name),
    types: list.map((x) => x.type),
    pointer: list.map((x) => x.type.includes('*') || x.type.includes('[')),
    skb: find(/^(const )?struct sk_buff \*$/),
    sk: find(SOCK),
    socket: find(/^(const )?struct socket \*$/),
    dev: find(/^(const )?struct net_device \*$/),
    q: find(/^struct Qdisc \*$/),
    net: find(/^(const )?struct net \*$/),
    returnsSkb: returns === 'struct sk_buff *',
    returnsSock: returns === 'struct sock *',
    fresh: fn.name === 'handle_softirqs',
  }
  while (known.length <= fn.id) known.push(undefined)
  known[fn.id] = p
  return p
}
