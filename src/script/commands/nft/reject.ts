import { NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 } from '../../../kernel/include/generated/enums.ts'
import {
  NFT_REJECT_ICMP_UNREACH,
  NFT_REJECT_ICMPX_UNREACH,
  NFT_REJECT_TCP_RST,
  nft_reject_expr,
} from '../../../kernel/net/netfilter/nft_reject.ts'
import { IPPROTO } from './fields.ts'
import { handlers, needL3, needL4 } from './rule.ts'

const icmp: Readonly<Record<string, number>> = {
  'net-unreachable': 0,
  'host-unreachable': 1,
  'prot-unreachable': 2,
  'port-unreachable': 3,
  'net-prohibited': 9,
  'host-prohibited': 10,
  'admin-prohibited': 13,
}
const icmpv6: Readonly<Record<string, number>> = {
  'no-route': 0,
  'admin-prohibited': 1,
  'addr-unreachable': 3,
  'port-unreachable': 4,
  'policy-fail': 5,
  'reject-route': 6,
}
const icmpx: Readonly<Record<string, number>> = {
  'no-route': 0,
  'port-unreachable': 1,
  'host-unreachable': 2,
  'admin-prohibited': 3,
}

handlers.set('reject', (b, word) => {
  const { lx } = b
  const { family } = b.table
  let type = family === NFPROTO_INET ? NFT_REJECT_ICMPX_UNREACH : NFT_REJECT_ICMP_UNREACH
  let code = family === NFPROTO_INET ? 1 : family === NFPROTO_IPV6 ? 4 : 3
  let shown = 'reject'
  if (lx.take('with')) {
    const what = lx.next()
    if (what.text === 'tcp') {
      lx.expect('reset')
      needL4(b, IPPROTO.tcp, word)
      type = NFT_REJECT_TCP_RST
      code = 0
      shown = 'reject with tcp reset'
    } else {
      const codes =
        what.text === 'icmp'
          ? icmp
          : what.text === 'icmpv6'
            ? icmpv6
            : what.text === 'icmpx' && family === NFPROTO_INET
              ? icmpx
              : lx.error(`reject with ${what.text} is not there on this host`, what)
      lx.take('type')
      const name = lx.next()
      code = codes[name.text] ?? lx.error(`unknown ${what.text} code`, name)
      if (codes !== icmpx) {
        needL3(b, codes === icmp ? NFPROTO_IPV4 : NFPROTO_IPV6, word)
        type = NFT_REJECT_ICMP_UNREACH
      }
      if (name.text !== 'port-unreachable') shown = `reject with ${what.text} ${name.text}`
    }
  }
  b.exprs.push(nft_reject_expr(family, type, code))
  b.parts.push(shown)
})
