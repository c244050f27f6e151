import { kfunc } from '../../../trace/kfunc.ts'
import { PACKET_HOST, RTN_LOCAL, RTN_UNICAST } from '../../include/generated/enums.ts'
import { EINVAL } from '../../include/linux/errno.ts'
import { ICMP_PARAMETERPROB } from '../../include/linux/icmp.ts'
import {
  get_be32,
  IPOPT_CIPSO,
  IPOPT_COPIED,
  IPOPT_END,
  IPOPT_LSRR,
  IPOPT_NOOP,
  IPOPT_RA,
  IPOPT_RR,
  IPOPT_SSRR,
  IPOPT_TIMESTAMP,
  IPOPT_TS_PRESPEC,
  IPOPT_TS_TSANDADDR,
  IPOPT_TS_TSONLY,
  ip_hdr,
  put_be32,
  SIZEOF_IPHDR,
} from '../../include/linux/ip.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_KERNEL } from '../../include/linux/slab.ts'
import type { ref } from '../../include/linux/types.ts'
import { IPCB, ip_options } from '../../include/net/ip.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { type rtable, skb_rtable } from '../../include/net/route.ts'
import { __kmalloc_noprof, kfree } from '../../mm/slub.ts'
import { refdst_drop, skb_dst_drop, skb_dstref_restore, skb_dstref_steal } from '../core/dst.ts'
import { inet_current_timestamp } from './af_inet.ts'
import { fib_compute_spec_dst, inet_addr_type } from './fib_frontend.ts'
import { icmp_send } from './icmp.ts'
import { ip_send_check } from './ip_output.ts'
import { ip_route_input, ip_rt_get_source } from './route.ts'

const at = (b: Uint8Array, i: number): number => b[i] as number

/** writes options behind the header, and fills in what only the way out knows: addresses and times */
export const ip_options_build = kfunc('ip_options_build', (skb: sk_buff, from: ip_options, daddr: number, rt: rtable): void => {
  const b = skb.head.bytes
  const iph = skb.network_header
  const { opt } = IPCB(skb)
  opt.assign(from)
  b.set(from.__data.subarray(0, from.optlen), iph + SIZEOF_IPHDR)
  if (opt.srr) put_be32(b, iph + opt.srr + at(b, iph + opt.srr + 1) - 4, daddr)
  if (opt.rr_needaddr) ip_rt_get_source(b, skb, rt, iph + opt.rr + at(b, iph + opt.rr + 2) - 5)
  if (opt.ts_needaddr) ip_rt_get_source(b, skb, rt, iph + opt.ts + at(b, iph + opt.ts + 2) - 9)
  if (opt.ts_needtime) put_be32(b, iph + opt.ts + at(b, iph + opt.ts + 2) - 5, inet_current_timestamp())
})

/** the options that an answer to `skb` has to carry: routes turned round, records continued */
export const __ip_options_echo = kfunc(
  '__ip_options_echo',
  (n: net, dopt: ip_options, skb: sk_buff, sopt: ip_options): number => {
    dopt.reset()
    if (sopt.optlen === 0) return 0
    const s = skb.head.bytes
    const sptr = skb.network_header
    const d = new Uint8Array(44)
    dopt.__data = d
    let dptr = 0
    if (sopt.rr) {
      const optlen = at(s, sptr + sopt.rr + 1)
      const soffset = at(s, sptr + sopt.rr + 2)
      dopt.rr = dopt.optlen + SIZEOF_IPHDR
      d.set(s.subarray(sptr + sopt.rr, sptr + sopt.rr + optlen), dptr)
      if (sopt.rr_needaddr && soffset <= optlen) {
        if (soffset + 3 > optlen) return -EINVAL
        d[dptr + 2] = soffset + 4
        dopt.rr_needaddr = 1
      }
      dptr += optlen
      dopt.optlen += optlen
    }
    if (sopt.ts) {
      const optlen = at(s, sptr + sopt.ts + 1)
      let soffset = at(s, sptr + sopt.ts + 2)
      dopt.ts = dopt.optlen + SIZEOF_IPHDR
      d.set(s.subarray(sptr + sopt.ts, sptr + sopt.ts + optlen), dptr)
      if (soffset <= optlen) {
        if (sopt.ts_needaddr) {
          if (soffset + 3 > optlen) return -EINVAL
          dopt.ts_needaddr = 1
          soffset += 4
        }
        if (sopt.ts_needtime) {
          if (soffset + 3 > optlen) return -EINVAL
          if ((at(d, dptr + 3) & 15) !== IPOPT_TS_PRESPEC) {
            dopt.ts_needtime = 1
            soffset += 4
          } else {
            dopt.ts_needtime = 0
            if (soffset + 7 <= optlen && inet_addr_type(n, get_be32(d, dptr + soffset - 1)) !== RTN_UNICAST) {
              dopt.ts_needtime = 1
              soffset += 8
            }
          }
        }
        d[dptr + 2] = soffset
      }
      dptr += optlen
      dopt.optlen += optlen
    }
    if (sopt.srr) {
      const start = sptr + sopt.srr
      const optlen = at(s, start + 1)
      let soffset = at(s, start + 2)
      let doffset = 0
      let faddr = 0
      if (soffset > optlen) soffset = optlen + 1
      soffset -= 4
      if (soffset > 3) {
        faddr = get_be32(s, start + soffset - 1)
        for (soffset -= 4, doffset = 4; soffset > 3; soffset -= 4, doffset += 4)
          d.set(s.subarray(start + soffset - 1, start + soffset + 3), dptr + doffset - 1)
        // RFC 1812: an illegal route that ends in its own source
        if (ip_hdr(skb).saddr === get_be32(s, start + soffset + 3)) doffset -= 4
      }
      if (doffset > 3) {
        dopt.faddr = faddr
        d[dptr] = at(s, start)
        d[dptr + 1] = doffset + 3
        d[dptr + 2] = 4
        dptr += doffset + 3
        dopt.srr = dopt.optlen + SIZEOF_IPHDR
        dopt.optlen += doffset + 3
        dopt.is_strictroute = sopt.is_strictroute
      }
    }
    if (sopt.cipso) {
      const optlen = at(s, sptr + sopt.cipso + 1)
      dopt.cipso = dopt.optlen + SIZEOF_IPHDR
      d.set(s.subarray(sptr + sopt.cipso, sptr + sopt.cipso + optlen), dptr)
      dptr += optlen
      dopt.optlen += optlen
    }
    while (dopt.optlen & 3) {
      d[dptr++] = IPOPT_END
      dopt.optlen++
    }
    return 0
  },
)

/** blanks the options that only the first fragment carries */
export const ip_options_fragment = kfunc('ip_options_fragment', (skb: sk_buff): void => {
  const b = skb.head.bytes
  const { opt } = IPCB(skb)
  let o = skb.network_header + SIZEOF_IPHDR
  let l = opt.optlen
  while (l > 0) {
    const type = at(b, o)
    if (type === IPOPT_END) return
    if (type === IPOPT_NOOP) {
      l--
      o++
      continue
    }
    const optlen = at(b, o + 1)
    if (optlen < 2 || optlen > l) return
    if (!IPOPT_COPIED(type)) b.fill(IPOPT_NOOP, o, o + optlen)
    l -= optlen
    o += optlen
  }
  opt.ts = 0
  opt.rr = 0
  opt.rr_needaddr = 0
  opt.ts_needaddr = 0
  opt.ts_needtime = 0
})

/** CAP_NET_RAW: programs in the simulation run as root */
const may_use_raw_options = true

/**
 * Reads the options of a packet, or (`skb` null) of a program: `opt.__data`. -EINVAL leaves in `info` where the fault is, in the
 * upper byte, as ICMP wants it.
 */
export const __ip_options_compile = kfunc(
  '__ip_options_compile',
  (n: net, opt: ip_options, skb: sk_buff | null, info: ref<number> | null): number => {
    let spec_dst = 0
    const rt = skb !== null ? skb_rtable(skb) : null
    const b = skb !== null ? skb.head.bytes : opt.__data
    let o = skb !== null ? skb.network_header + SIZEOF_IPHDR : 0
    const iph = o - SIZEOF_IPHDR
    const fault = (where: number): number => {
      if (info !== null) info.v = ((where - iph) << 24) >>> 0
      return -EINVAL
    }
    const own_address = (): number => {
      if (spec_dst === 0 && skb !== null) spec_dst = fib_compute_spec_dst(skb)
      return spec_dst
    }
    for (let l = opt.optlen; l > 0; ) {
      const type = at(b, o)
      if (type === IPOPT_END) {
        for (o++, l--; l > 0; o++, l--)
          if (at(b, o) !== IPOPT_END) {
            b[o] = IPOPT_END
            opt.is_changed = 1
          }
        break
      }
      if (type === IPOPT_NOOP) {
        l--
        o++
        continue
      }
      if (l < 2) return fault(o)
      const optlen = at(b, o + 1)
      if (optlen < 2 || optlen > l) return fault(o)
      const pointer = at(b, o + 2)
      switch (type) {
        case IPOPT_SSRR:
        case IPOPT_LSRR:
          if (optlen < 3) return fault(o + 1)
          if (pointer < 4) return fault(o + 2)
          if (opt.srr) return fault(o)
          if (skb === null) {
            if (pointer !== 4 || optlen < 7 || (optlen - 3) & 3) return fault(o + 1)
            opt.faddr = get_be32(b, o + 3)
            if (optlen > 7) b.copyWithin(o + 3, o + 7, o + optlen)
          }
          opt.is_strictroute = type === IPOPT_SSRR ? 1 : 0
          opt.srr = o - iph
          break
        case IPOPT_RR:
          if (opt.rr) return fault(o)
          if (optlen < 3) return fault(o + 1)
          if (pointer < 4) return fault(o + 2)
          if (pointer <= optlen) {
            if (pointer + 3 > optlen) return fault(o + 2)
            if (rt !== null) {
              put_be32(b, o + pointer - 1, own_address())
              opt.is_changed = 1
            }
            b[o + 2] = pointer + 4
            opt.rr_needaddr = 1
          }
          opt.rr = o - iph
          break
        case IPOPT_TIMESTAMP:
          if (opt.ts) return fault(o)
          if (optlen < 4) return fault(o + 1)
          if (pointer < 5) return fault(o + 2)
          if (pointer <= optlen) {
            let timeptr = -1
            if (pointer + 3 > optlen) return fault(o + 2)
            switch (at(b, o + 3) & 15) {
              case IPOPT_TS_TSONLY:
                if (skb !== null) timeptr = o + pointer - 1
                opt.ts_needtime = 1
                b[o + 2] = pointer + 4
                break
              case IPOPT_TS_TSANDADDR:
                if (pointer + 7 > optlen) return fault(o + 2)
                if (rt !== null) {
                  put_be32(b, o + pointer - 1, own_address())
                  timeptr = o + pointer + 3
                }
                opt.ts_needaddr = 1
                opt.ts_needtime = 1
                b[o + 2] = pointer + 8
                break
              case IPOPT_TS_PRESPEC:
                if (pointer + 7 > optlen) return fault(o + 2)
                if (inet_addr_type(n, get_be32(b, o + pointer - 1)) === RTN_UNICAST) break
                if (skb !== null) timeptr = o + pointer + 3
                opt.ts_needtime = 1
                b[o + 2] = pointer + 8
                break
              default:
                if (skb === null && !may_use_raw_options) return fault(o + 3)
            }
            if (timeptr >= 0) {
              put_be32(b, timeptr, inet_current_timestamp())
              opt.is_changed = 1
            }
          } else if ((at(b, o + 3) & 15) !== IPOPT_TS_PRESPEC) {
            const overflow = at(b, o + 3) >> 4
            if (overflow === 15) return fault(o + 3)
            if (skb !== null) {
              b[o + 3] = (at(b, o + 3) & 15) | ((overflow + 1) << 4)
              opt.is_changed = 1
            }
          }
          opt.ts = o - iph
          break
        case IPOPT_RA:
          if (optlen < 4) return fault(o + 1)
          if (pointer === 0 && at(b, o + 3) === 0) opt.router_alert = o - iph
          break
        case IPOPT_CIPSO:
          if ((skb === null && !may_use_raw_options) || opt.cipso) return fault(o)
          opt.cipso = o - iph
          break
        default:
          if (skb === null && !may_use_raw_options) return fault(o)
      }
      l -= optlen
      o += optlen
    }
    return 0
  },
)

export const ip_options_compile = kfunc('ip_options_compile', (n: net, opt: ip_options, skb: sk_buff | null): number => {
  const info: ref<number> = { v: 0 }
  const ret = __ip_options_compile(n, opt, skb, info)
  if (ret !== 0 && skb !== null) icmp_send(skb, ICMP_PARAMETERPROB, 0, info.v)
  return ret
})

/** puts options back into the shape in which a program gave them */
export const ip_options_undo = kfunc('ip_options_undo', (opt: ip_options): void => {
  const d = opt.__data
  if (opt.srr) {
    const o = opt.srr - SIZEOF_IPHDR
    d.copyWithin(o + 7, o + 3, o + 3 + at(d, o + 1) - 7)
    put_be32(d, o + 3, opt.faddr)
  }
  const back = (o: number, clear: boolean): void => {
    const p = at(d, o + 2) - 4
    d[o + 2] = p
    if (clear) d.fill(0, o + p - 1, o + p + 3)
  }
  if (opt.rr_needaddr) back(opt.rr - SIZEOF_IPHDR, true)
  if (opt.ts) {
    const o = opt.ts - SIZEOF_IPHDR
    if (opt.ts_needtime) {
      back(o, true)
      if ((at(d, o + 3) & 15) === IPOPT_TS_PRESPEC) back(o, false)
    }
    if (opt.ts_needaddr) back(o, true)
  }
})

/** takes a program's options; `optp` gets them, and loses what it had */
export const ip_options_get = kfunc(
  'ip_options_get',
  (n: net, optp: ref<ip_options | null>, data: Uint8Array, len: number): number => {
    let optlen = len
    const opt = new ip_options()
    __kmalloc_noprof(32 + ((optlen + 3) & ~3), GFP_KERNEL)
    opt.__data = new Uint8Array((optlen + 3) & ~3)
    opt.__data.set(data.subarray(0, optlen))
    while (optlen & 3) optlen++
    opt.optlen = optlen
    if (optlen && ip_options_compile(n, opt, null)) {
      kfree(opt)
      return -EINVAL
    }
    kfree(optp.v)
    optp.v = opt
    return 0
  },
)

/** what a router does to the options of a packet that it passes on */
export const ip_forward_options = kfunc('ip_forward_options', (skb: sk_buff): void => {
  const { opt } = IPCB(skb)
  const rt = skb_rtable(skb) as rtable
  const b = skb.head.bytes
  const raw = skb.network_header
  if (opt.rr_needaddr) {
    const o = raw + opt.rr
    ip_rt_get_source(b, skb, rt, o + at(b, o + 2) - 5)
    opt.is_changed = 1
  }
  if (opt.srr_is_hit) {
    const o = raw + opt.srr
    let srrptr = at(b, o + 2)
    const srrspace = at(b, o + 1)
    for (; srrptr <= srrspace; srrptr += 4) {
      if (srrptr + 3 > srrspace || get_be32(b, o + srrptr - 1) === opt.nexthop) break
    }
    if (srrptr + 3 <= srrspace) {
      opt.is_changed = 1
      ip_hdr(skb).daddr = opt.nexthop
      ip_rt_get_source(b, skb, rt, o + srrptr - 1)
      b[o + 2] = srrptr + 4
    }
    if (opt.ts_needaddr) {
      const t = raw + opt.ts
      ip_rt_get_source(b, skb, rt, t + at(b, t + 2) - 9)
      opt.is_changed = 1
    }
  }
  if (opt.is_changed) {
    opt.is_changed = 0
    ip_send_check(ip_hdr(skb))
  }
})

/** the next hop of a source route that came as far as here */
export const ip_options_rcv_srr = kfunc('ip_options_rcv_srr', (skb: sk_buff, dev: net_device): number => {
  const { opt } = IPCB(skb)
  const iph = ip_hdr(skb)
  const b = skb.head.bytes
  const o = skb.network_header + opt.srr
  const rt = skb_rtable(skb)
  if (rt === null) return 0
  if (skb.pkt_type !== PACKET_HOST) return -EINVAL
  if (rt.rt_type === RTN_UNICAST) {
    if (!opt.is_strictroute) return 0
    icmp_send(skb, ICMP_PARAMETERPROB, 0, 16 << 24)
    return -EINVAL
  }
  if (rt.rt_type !== RTN_LOCAL) return -EINVAL
  let srrptr = at(b, o + 2)
  const srrspace = at(b, o + 1)
  let nexthop = 0
  for (; srrptr <= srrspace; srrptr += 4) {
    if (srrptr + 3 > srrspace) {
      icmp_send(skb, ICMP_PARAMETERPROB, 0, ((opt.srr + 2) << 24) >>> 0)
      return -EINVAL
    }
    nexthop = get_be32(b, o + srrptr - 1)
    const orefdst = skb_dstref_steal(skb)
    const err = ip_route_input(skb, nexthop, iph.saddr, iph.tos & 0xfc, dev)
    const rt2 = skb_rtable(skb)
    if (err || rt2 === null || (rt2.rt_type !== RTN_UNICAST && rt2.rt_type !== RTN_LOCAL)) {
      skb_dst_drop(skb)
      skb_dstref_restore(skb, orefdst)
      return -EINVAL
    }
    refdst_drop(orefdst)
    if (rt2.rt_type !== RTN_LOCAL) break
    iph.daddr = nexthop
    opt.is_changed = 1
  }
  if (srrptr <= srrspace) {
    opt.srr_is_hit = 1
    opt.nexthop = nexthop
    opt.is_changed = 1
  }
  return 0
})
