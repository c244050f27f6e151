import { in6_ntop } from '../../kernel/include/linux/in6.ts'
import type { net_device } from '../../kernel/include/linux/netdevice.ts'
import { IFA_F_NOPREFIXROUTE, RTPROT_BOOT } from '../../kernel/include/linux/rtnetlink.ts'
import { IFA_F_NODAD, type inet6_dev } from '../../kernel/include/net/if_inet6.ts'
import { fib6_config, RTF_GATEWAY } from '../../kernel/include/net/ip6_fib.ts'
import { inet6_addr_add, inet6_addr_del } from '../../kernel/net/ipv6/addrconf.ts'
import { ip6_route_change } from '../../kernel/net/ipv6/route.ts'
import { parseIn6 } from '../ipv6.ts'
import { type Address6, type Context, device } from './ip/context.ts'
import { fail, rtnl, type Words } from './words.ts'

function prefix6(w: Words): { address: Uint8Array; length: number } {
  const word = w.next()
  if (word === 'default') return { address: new Uint8Array(16), length: 0 }
  const [text = '', bits = '128'] = word.split('/')
  const address = parseIn6(text)
  const length = /^\d+$/.test(bits) ? Number(bits) : 129
  if (address === null || length > 128) fail(`Error: inet6 prefix is expected rather than "${word}".`)
  return { address, length }
}

/** `ip -6 addr add|del PREFIX dev NAME [nodad] [noprefixroute]` */
export function changeAddress6(c: Context, w: Words, adding: boolean): string {
  let dev: string | null = null
  let local: { address: Uint8Array; length: number } | null = null
  let flags = 0
  while (!w.done) {
    const word = w.next()
    if (word === 'dev') dev = w.next()
    else if (word === 'nodad') flags |= IFA_F_NODAD
    else if (word === 'noprefixroute') flags |= IFA_F_NOPREFIXROUTE
    else {
      if (word !== 'local') w.back()
      local = prefix6(w)
    }
  }
  if (dev === null || local === null) return fail('Not enough information: an address and "dev" are required.', 255)
  const { address, length } = local
  const d = device(c, dev)
  rtnl(() => (adding ? inet6_addr_add(c.net, d, address, length, flags) : inet6_addr_del(c.net, d, address, length)))
  return ''
}

/** `ip -6 route add|del PREFIX [via ADDRESS] [dev NAME] [metric N]` */
export function changeRoute6(c: Context, w: Words, adding: boolean): string {
  const cfg = new fib6_config()
  const to = prefix6(w)
  cfg.fc_dst = to.address
  cfg.fc_dst_len = to.length
  cfg.fc_protocol = adding ? RTPROT_BOOT : 0
  cfg.fc_type = 1
  while (!w.done) {
    const word = w.next()
    if (word === 'via') {
      cfg.fc_gateway = prefix6(w).address
      cfg.fc_flags |= RTF_GATEWAY
    } else if (word === 'dev') cfg.fc_ifindex = device(c, w.next()).ifindex
    else if (word === 'metric') cfg.fc_metric = Number(w.next())
    else fail(`Error: "${word}" is not there on this host.`)
  }
  rtnl(() => ip6_route_change(c.net, adding, cfg))
  return ''
}

/** scopes of IPv6 addresses, IFA_*, as RT_SCOPE_* */
const scopes: Readonly<Record<number, number>> = { 16: 254, 32: 253, 64: 200 }

/** the addresses of a device in the order in which `ip addr` shows them */
export const addresses6 = (d: net_device): Address6[] =>
  ((d.ip6_ptr as inet6_dev | null)?.addr_list ?? []).map((ifa) => ({
    text: `${in6_ntop(ifa.addr)}/${ifa.prefix_len}`,
    scope: scopes[ifa.scope & 0xf0] ?? 0,
    nodad: (ifa.flags & IFA_F_NODAD) !== 0,
  }))
