import { kfunc } from '../../../../trace/kfunc.ts'
import { IPPROTO_TCP, IPPROTO_UDP } from '../../../include/generated/enums.ts'
import { ip_hdr, ip_hdrlen } from '../../../include/linux/ip.ts'
import { LL_MAX_HEADER, type net_device } from '../../../include/linux/netdevice.ts'
import {
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_dst,
  skb_reset_network_header,
  skb_reset_transport_header,
} from '../../../include/linux/skbuff.ts'
import { GFP_ATOMIC } from '../../../include/linux/slab.ts'
import { tcphdr } from '../../../include/linux/tcp.ts'
import type { dst_entry } from '../../../include/net/dst.ts'
import { flowi4 } from '../../../include/net/flow.ts'
import type { net } from '../../../include/net/net_namespace.ts'
import { skb_rtable } from '../../../include/net/route.ts'
import type { sock } from '../../../include/net/sock.ts'
import { dst4_mtu, skb_dst_drop, skb_dst_set, skb_dst_set_noref, skb_valid_dst } from '../../core/dst.ts'
import { alloc_skb, kfree_skb, skb_csum_unnecessary, skb_nfct, skb_put, skb_put_zero, skb_reserve } from '../../core/skbuff.ts'
import { nf_ct_attach, nf_ct_set_closing } from '../../netfilter/core.ts'
import { nf_ip_checksum } from '../../netfilter/utils.ts'
import { icmp_send } from '../icmp.ts'
import { ip_local_out } from '../ip_output.ts'
import { ip_route_me_harder, nf_ip_route } from '../netfilter.ts'
import { ip4_dst_hoplimit } from '../route.ts'
import { tcp_v4_check } from '../tcp_inlines.ts'

const ICMP_DEST_UNREACH = 3
const IP_OFFSET = 0x1fff
const IP_DF = 0x4000
const ETH_P_IP = 0x0800
const RTCF_NO_ANSWER = 0x10000000 | 0x20000000
const RTN_UNSPEC = 0

const nf_reject_ip_tcphdr_get = kfunc('nf_reject_ip_tcphdr_get', (oldskb: sk_buff, _oth: null, hook: number): tcphdr | null => {
  const iph = ip_hdr(oldskb)
  if (iph.frag_off & IP_OFFSET || iph.protocol !== IPPROTO_TCP) return null
  const hdrlen = ip_hdrlen(oldskb)
  if (oldskb.len < hdrlen + 20) return null
  const oth = new tcphdr(oldskb.head.bytes, oldskb.network_header + hdrlen)
  if (oth.rst || nf_ip_checksum(oldskb, hook, hdrlen, IPPROTO_TCP)) return null
  return oth
})

const nf_reject_iphdr_put = kfunc(
  'nf_reject_iphdr_put',
  (nskb: sk_buff, oldskb: sk_buff, protocol: number, ttl: number): void => {
    const oiph = ip_hdr(oldskb)
    skb_reset_network_header(nskb)
    skb_put(nskb, 20)
    const niph = ip_hdr(nskb)
    niph.set_version_ihl_tos(4, 5, 0)
    niph.id = 0
    niph.frag_off = IP_DF
    niph.protocol = protocol
    niph.check = 0
    niph.saddr = oiph.daddr
    niph.daddr = oiph.saddr
    niph.ttl = ttl
    nskb.protocol = ETH_P_IP
  },
)

const nf_reject_ip_tcphdr_put = kfunc('nf_reject_ip_tcphdr_put', (nskb: sk_buff, oldskb: sk_buff, oth: tcphdr): void => {
  const niph = ip_hdr(nskb)
  skb_reset_transport_header(nskb)
  const tcph = new tcphdr(nskb.head.bytes, skb_put_zero(nskb, 20))
  tcph.source = oth.dest
  tcph.dest = oth.source
  tcph.doff = 5
  if (oth.ack) tcph.seq = oth.ack_seq
  else {
    tcph.ack_seq = (oth.seq + oth.syn + oth.fin + oldskb.len - ip_hdrlen(oldskb) - oth.doff * 4) >>> 0
    tcph.ack = 1
  }
  tcph.rst = 1
  tcph.check = ~tcp_v4_check(20, niph.saddr, niph.daddr, 0) & 0xffff
  nskb.ip_summed = CHECKSUM_PARTIAL
  nskb.csum_start = tcph.off
  nskb.csum_offset = 16
})

/** before routing the way back to the sender is not known yet */
const nf_reject_fill_skb_dst = kfunc('nf_reject_fill_skb_dst', (skb_in: sk_buff): number => {
  const fl4 = new flowi4()
  fl4.daddr = ip_hdr(skb_in).saddr
  const dst = nf_ip_route((skb_in.dev as net_device).nd_net, fl4, false)
  if (typeof dst === 'number') return -1
  skb_dst_drop(skb_in)
  skb_dst_set(skb_in, dst)
  return 0
})

/** answers a segment with a reset, as if nobody listened */
export const nf_send_reset = kfunc('nf_send_reset', (n: net, sk: sock | null, oldskb: sk_buff, hook: number): void => {
  const oth = nf_reject_ip_tcphdr_get(oldskb, null, hook)
  if (oth === null) return
  if (!skb_valid_dst(oldskb) && nf_reject_fill_skb_dst(oldskb) < 0) return
  const rt = skb_rtable(oldskb)
  if (rt === null || rt.rt_flags & RTCF_NO_ANSWER) return
  const nskb = alloc_skb(40 + LL_MAX_HEADER, GFP_ATOMIC)
  if (nskb === null) return
  skb_dst_set_noref(nskb, skb_dst(oldskb) as dst_entry)
  nskb.mark = n.ipv4.sysctl_fwmark_reflect ? oldskb.mark : 0
  skb_reserve(nskb, LL_MAX_HEADER)
  nf_reject_iphdr_put(nskb, oldskb, IPPROTO_TCP, ip4_dst_hoplimit(skb_dst(nskb) as dst_entry))
  nf_reject_ip_tcphdr_put(nskb, oldskb, oth)
  if (ip_route_me_harder(n, sk, nskb, RTN_UNSPEC) || nskb.len > dst4_mtu(skb_dst(nskb) as dst_entry)) {
    kfree_skb(nskb)
    return
  }
  nf_ct_attach(nskb, oldskb)
  nf_ct_set_closing(skb_nfct(oldskb))
  ip_local_out(n, nskb.sk, nskb)
})

/** tells the sender that the packet may not go there */
export const nf_send_unreach = kfunc('nf_send_unreach', (skb_in: sk_buff, code: number, hook: number): void => {
  const iph = ip_hdr(skb_in)
  if (iph.frag_off & IP_OFFSET) return
  if (!skb_valid_dst(skb_in) && nf_reject_fill_skb_dst(skb_in) < 0) return
  const { protocol } = iph
  const covered = protocol === IPPROTO_TCP || protocol === IPPROTO_UDP
  if (skb_csum_unnecessary(skb_in) || !covered || nf_ip_checksum(skb_in, hook, ip_hdrlen(skb_in), protocol) === 0)
    icmp_send(skb_in, ICMP_DEST_UNREACH, code, 0)
})
