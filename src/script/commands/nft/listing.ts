import {
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NFPROTO_ARP,
  NFPROTO_BRIDGE,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFPROTO_NETDEV,
} from '../../../kernel/include/generated/enums.ts'
import { NF_DROP } from '../../../kernel/include/linux/netfilter.ts'
import type { nft_chain, nft_rule, nft_table } from '../../../kernel/include/net/netfilter/nf_tables.ts'
import type { Part } from './match.ts'
import { setText } from './sets.ts'

/** the families of tables by the words for them */
export const families: Readonly<Record<string, number>> = {
  ip: NFPROTO_IPV4,
  ip6: NFPROTO_IPV6,
  inet: NFPROTO_INET,
  arp: NFPROTO_ARP,
  bridge: NFPROTO_BRIDGE,
  netdev: NFPROTO_NETDEV,
}
/** `ip`, `inet`: of NFPROTO_* */
export const familyName = (family: number): string => Object.entries(families).find(([, f]) => f === family)?.[0] ?? '?'

export const hooks: Readonly<Record<string, number>> = {
  prerouting: NF_INET_PRE_ROUTING,
  input: NF_INET_LOCAL_IN,
  forward: NF_INET_FORWARD,
  output: NF_INET_LOCAL_OUT,
  postrouting: NF_INET_POST_ROUTING,
}
export const priorities: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  dstnat: -100,
  filter: 0,
  security: 50,
  srcnat: 100,
}

/** what a list heeds: handles shown, counters not */
export interface Listing {
  handles: boolean
  stateless: boolean
}

/** ` # handle 3`, with nft -a */
export const handle = (s: Listing, n: number): string => (s.handles ? ` # handle ${n}` : '')

/** a table as `nft list` prints it, with these of its chains */
export function tableText(s: Listing, table: nft_table, chains: readonly nft_chain[]): string {
  const sets = chains.length === table.chains.size ? [...table.sets.values()].map((x) => setText(x, handle(s, x.handle))) : []
  const body = chains.map(
    (c) => `\tchain ${c.name} {${handle(s, c.handle)}\n${hookText(c)}${c.rules.map((r) => ruleText(s, r)).join('')}\t}\n`,
  )
  return `table ${familyName(table.family)} ${table.name} {${handle(s, table.handle)}\n${[...sets, ...body].join('\n')}}\n`
}
/** `type filter hook output priority filter; policy accept;`; '' for a chain that hangs nowhere */
export function hookText(c: nft_chain): string {
  if (c.ops === null || c.type === null) return ''
  const { hooknum } = c.ops
  const hook = Object.entries(hooks).find(([, h]) => h === hooknum)?.[0] ?? '?'
  return `\t\ttype ${c.type.name} hook ${hook} priority ${priorityText(c.ops.priority, hooknum)}; policy ${c.policy === NF_DROP ? 'drop' : 'accept'};\n`
}
/** by name, with what it is off from it, where nft does so */
function priorityText(p: number, hook: number): string {
  for (const [name, v] of Object.entries(priorities)) {
    if (name === 'dstnat' && hook !== NF_INET_PRE_ROUTING) continue
    if (name === 'srcnat' && hook !== NF_INET_POST_ROUTING) continue
    const off = p - v
    if (off === 0) return name
    if (Math.abs(off) <= 10) return `${name} ${off > 0 ? '+' : '-'} ${Math.abs(off)}`
  }
  return String(p)
}
function ruleText(s: Listing, r: nft_rule): string {
  const parts = r.udata as readonly Part[]
  const text = (p: Part): string => (typeof p === 'string' ? p : s.stateless ? (p().split(' ')[0] ?? '') : p())
  return `\t\t${parts.map(text).join(' ')}${handle(s, r.handle)}\n`
}
