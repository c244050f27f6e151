import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import {
  IPPROTO_AH,
  IPPROTO_DCCP,
  IPPROTO_ESP,
  IPPROTO_IPIP,
  IPPROTO_IPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
} from '../../include/generated/enums.ts'
import { ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from '../../include/linux/if_ether.ts'
import { skb_vlan_tag_present, VLAN_HLEN } from '../../include/linux/if_vlan.ts'
import { NEXTHDR_DEST, NEXTHDR_FRAGMENT, NEXTHDR_HOP, NEXTHDR_ROUTING } from '../../include/linux/in6.ts'
import { subsys_initcall } from '../../include/linux/init.ts'
import { put_be32 } from '../../include/linux/ip.ts'
import { siphash_key_t } from '../../include/linux/siphash.ts'
import { type sk_buff, skb_network_offset } from '../../include/linux/skbuff.ts'
import type { flowi6 } from '../../include/net/flow.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { siphash } from '../../lib/siphash.ts'
import { skb_header_pointer } from './skbuff.ts'

let hashrnd: siphash_key_t | null = null
subsys_initcall(() => {
  hashrnd = null
})

/** keys beside control and basic, that a dissector may use */
export const KEY_IPV4_ADDRS = 1
export const KEY_IPV6_ADDRS = 2
const KEY_PORTS = 4
const KEY_FLOW_LABEL = 8

/** struct flow_dissector: which keys it is asked for */
export interface flow_dissector {
  readonly used_keys: number
}
const flow_keys_dissector: flow_dissector = { used_keys: KEY_IPV4_ADDRS | KEY_IPV6_ADDRS | KEY_PORTS | KEY_FLOW_LABEL }
/** net/xfrm/xfrm_policy.c: what IPsec's policies select by */
export const xfrm_session_dissector: flow_dissector = { used_keys: KEY_IPV4_ADDRS | KEY_IPV6_ADDRS | KEY_PORTS }
const flow_keys_basic_dissector: flow_dissector = { used_keys: 0 }
const dissector_uses_key = (d: flow_dissector, key: number): boolean => (d.used_keys & key) !== 0

const FLOW_DIS_IS_FRAGMENT = 1
const FLOW_DIS_FIRST_FRAG = 2
const FLOW_DIS_ENCAPSULATION = 4
const FLOW_DISSECTOR_F_PARSE_1ST_FRAG = 1
const FLOW_DISSECTOR_F_STOP_AT_FLOW_LABEL = 2
export const FLOW_DISSECTOR_F_STOP_AT_ENCAP = 4
/** headers within headers that are followed */
const MAX_FLOW_DISSECT_HDRS = 15

/** struct flow_keys: what tells one flow from another. `thoff` is from the start of the data. */
export class flow_keys {
  addr_type = 0
  flags = 0
  thoff = 0
  n_proto = 0
  ip_proto = 0
  flow_label = 0
  /** source port in the upper half */
  ports = 0
  /** 4 or 16 bytes each are used */
  readonly src: Uint8Array = new Uint8Array(16)
  readonly dst: Uint8Array = new Uint8Array(16)

  set_v4addrs(src: number, dst: number): void {
    this.addr_type = KEY_IPV4_ADDRS
    put_be32(this.src, 0, src)
    put_be32(this.dst, 0, dst)
  }
}

/** include/linux/in.h: how far behind the protocol's header its ports are, negative when it has none */
export const proto_ports_offset = kfunc('proto_ports_offset', (proto: number): number => {
  switch (proto) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_DCCP:
    case IPPROTO_ESP:
    case IPPROTO_SCTP:
    case IPPROTO_UDPLITE:
      return 0
    case IPPROTO_AH:
      return 4
  }
  return -22
})

const room = new Uint8Array(40)
/** `len` bytes at `offset` of the data, null when there are not so many; good until the next call */
function header_of(skb: sk_buff, offset: number, len: number): Uint8Array | null {
  const at = skb_header_pointer(skb, offset, len, room)
  if (at === -2) return null
  return at === -1 ? room : skb.head.bytes.subarray(at, at + len)
}

const u16 = (b: Uint8Array, i: number): number => ((b[i] ?? 0) << 8) | (b[i + 1] ?? 0)
const u32 = (b: Uint8Array, i: number): number => ((u16(b, i) << 16) | u16(b, i + 2)) >>> 0

/** both ports as they lie in the header, 0 for a protocol without any; `thoff` from the start of the data */
export const __skb_flow_get_ports = kfunc('__skb_flow_get_ports', (skb: sk_buff, thoff: number, ip_proto: number): number => {
  const poff = proto_ports_offset(ip_proto)
  if (poff < 0) return 0
  const ports = header_of(skb, thoff + poff, 4)
  return ports === null ? 0 : u32(ports, 0)
})

const __skb_flow_dissect_ports = kfunc(
  '__skb_flow_dissect_ports',
  (skb: sk_buff, flow_dissector: flow_dissector, keys: flow_keys, nhoff: number, ip_proto: number): void => {
    if (!dissector_uses_key(flow_dissector, KEY_PORTS)) return
    keys.ports = __skb_flow_get_ports(skb, nhoff, ip_proto)
  },
)

/** Follows the headers of a packet and keeps what the dissector asks for. @returns false when a header is cut off or wrong */
export const __skb_flow_dissect = kfunc(
  '__skb_flow_dissect',
  (_net: net | null, skb: sk_buff, flow_dissector: flow_dissector, keys: flow_keys, flags: number): boolean => {
    let proto = skb_vlan_tag_present(skb) ? skb.vlan_proto : skb.protocol
    let nhoff = skb_network_offset(skb)
    let ip_proto = 0
    let num_hdrs = 0
    let tag_seen = false
    // a program that dissects in the kernel's place would be looked up here
    rcu_read_lock()
    rcu_read_unlock()

    let ret = true
    let done = false
    proto_again: while (!done) {
      done = true
      switch (proto) {
        case ETH_P_IP: {
          const iph = header_of(skb, nhoff, 20)
          const ihl = (iph?.[0] ?? 0) & 15
          if (iph === null || ihl < 5) {
            ret = false
            break proto_again
          }
          nhoff += ihl * 4
          ip_proto = iph[9] ?? 0
          if (dissector_uses_key(flow_dissector, KEY_IPV4_ADDRS)) {
            keys.src.set(iph.subarray(12, 16))
            keys.dst.set(iph.subarray(16, 20))
            keys.addr_type = KEY_IPV4_ADDRS
          }
          const frag_off = u16(iph, 6)
          if (frag_off & 0x3fff) {
            keys.flags |= FLOW_DIS_IS_FRAGMENT
            if (frag_off & 0x1fff) break proto_again
            keys.flags |= FLOW_DIS_FIRST_FRAG
            if (!(flags & FLOW_DISSECTOR_F_PARSE_1ST_FRAG)) break proto_again
          }
          break
        }
        case ETH_P_IPV6: {
          const iph = header_of(skb, nhoff, 40)
          if (iph === null) {
            ret = false
            break proto_again
          }
          ip_proto = iph[6] ?? 0
          nhoff += 40
          if (dissector_uses_key(flow_dissector, KEY_IPV6_ADDRS)) {
            keys.src.set(iph.subarray(8, 24))
            keys.dst.set(iph.subarray(24, 40))
            keys.addr_type = KEY_IPV6_ADDRS
          }
          const label = u32(iph, 0) & 0xfffff
          if (label !== 0 && dissector_uses_key(flow_dissector, KEY_FLOW_LABEL)) keys.flow_label = label
          if (label !== 0 && flags & FLOW_DISSECTOR_F_STOP_AT_FLOW_LABEL) break proto_again
          break
        }
        case ETH_P_8021AD:
        case ETH_P_8021Q: {
          if (!tag_seen && skb_vlan_tag_present(skb)) proto = skb.protocol
          else {
            const vlan = header_of(skb, nhoff, VLAN_HLEN)
            if (vlan === null) {
              ret = false
              break proto_again
            }
            proto = u16(vlan, 2)
            nhoff += VLAN_HLEN
          }
          tag_seen = true
          if (++num_hdrs > MAX_FLOW_DISSECT_HDRS) break proto_again
          done = false
          continue
        }
        default:
          ret = false
          break proto_again
      }

      for (let ip_again = true; ip_again; ) {
        ip_again = false
        switch (ip_proto) {
          case NEXTHDR_HOP:
          case NEXTHDR_ROUTING:
          case NEXTHDR_DEST: {
            if (proto !== ETH_P_IPV6) break
            const opthdr = header_of(skb, nhoff, 2)
            if (opthdr === null) {
              ret = false
              break proto_again
            }
            ip_proto = opthdr[0] ?? 0
            nhoff += ((opthdr[1] ?? 0) + 1) << 3
            ip_again = true
            break
          }
          case NEXTHDR_FRAGMENT: {
            if (proto !== ETH_P_IPV6) break
            const fh = header_of(skb, nhoff, 8)
            if (fh === null) {
              ret = false
              break proto_again
            }
            keys.flags |= FLOW_DIS_IS_FRAGMENT
            nhoff += 8
            ip_proto = fh[0] ?? 0
            if (!(u16(fh, 2) & 0xfff8)) {
              keys.flags |= FLOW_DIS_FIRST_FRAG
              ip_again = (flags & FLOW_DISSECTOR_F_PARSE_1ST_FRAG) !== 0
            }
            break
          }
          case IPPROTO_IPIP:
          case IPPROTO_IPV6:
            proto = ip_proto === IPPROTO_IPIP ? ETH_P_IP : ETH_P_IPV6
            keys.flags |= FLOW_DIS_ENCAPSULATION
            if (!(flags & FLOW_DISSECTOR_F_STOP_AT_ENCAP)) done = false
            break
        }
        if (!(keys.flags & FLOW_DIS_IS_FRAGMENT)) __skb_flow_dissect_ports(skb, flow_dissector, keys, nhoff, ip_proto)
        if (ip_again && ++num_hdrs > MAX_FLOW_DISSECT_HDRS) ip_again = false
      }
      if (!done && ++num_hdrs > MAX_FLOW_DISSECT_HDRS) done = true
    }
    keys.thoff = Math.min(nhoff, skb.len)
    keys.n_proto = proto
    keys.ip_proto = ip_proto
    return ret
  },
)

const basic = new flow_keys()
/** include/linux/skbuff.h: no more than the protocols, and where the transport header is */
export const skb_flow_dissect_flow_keys_basic = kfunc(
  'skb_flow_dissect_flow_keys_basic',
  (n: net | null, skb: sk_buff, flow: flow_keys): boolean => __skb_flow_dissect(n, skb, flow_keys_basic_dissector, flow, 0),
)
/** include/linux/skbuff.h: all that a flow is told by */
export const skb_flow_dissect_flow_keys = kfunc(
  'skb_flow_dissect_flow_keys',
  (skb: sk_buff, flow: flow_keys, flags: number): boolean => __skb_flow_dissect(null, skb, flow_keys_dissector, flow, flags),
)
/** include/linux/skbuff.h: finds the transport header of a packet that came without one */
export const skb_probe_transport_header = kfunc('skb_probe_transport_header', (skb: sk_buff): void => {
  if (skb.transport_header !== 0xffff) return
  basic.flags = 0
  basic.thoff = 0
  if (skb_flow_dissect_flow_keys_basic(null, skb, basic)) skb.transport_header = skb.data + basic.thoff
})

const __flow_hash_secret_init = (): siphash_key_t => {
  if (hashrnd === null) {
    hashrnd = new siphash_key_t()
    for (let i = 0; i < 4; i++) hashrnd.key[i] = random.u32()
  }
  return hashrnd
}

const swab16 = (x: number): number => ((x & 0xff) << 8) | (x >> 8)

/** both directions of a flow hash alike: the lower address and the lower port come first */
const __flow_hash_consistentify = kfunc('__flow_hash_consistentify', (keys: flow_keys): void => {
  const n = keys.addr_type === KEY_IPV4_ADDRS ? 4 : keys.addr_type === KEY_IPV6_ADDRS ? 16 : 0
  if (n === 0) return
  // addresses of IPv4 and ports are compared as they lie in memory, by a machine that has the low byte first
  const dst = keys.dst.slice(0, n)
  const before = keys.src.slice(0, n)
  if (n === 4) {
    dst.reverse()
    before.reverse()
  }
  if (Buffer.compare(dst, before) < 0) {
    const src = keys.src.slice(0, n)
    keys.src.set(keys.dst.subarray(0, n))
    keys.dst.set(src)
  }
  const [sport, dport] = [keys.ports >>> 16, keys.ports & 0xffff]
  if (swab16(dport) < swab16(sport)) keys.ports = ((dport << 16) | sport) >>> 0
})

/** what follows `control` in the kernel's struct flow_keys. VLANs, key id and ICMP are never asked for, so they stay 0 */
const hashed = new Uint8Array(72)
const HASHED_FLOW_LABEL = 4
const HASHED_PORTS = 28
const HASHED_ADDRS = 36
const __flow_hash_from_keys = kfunc('__flow_hash_from_keys', (keys: flow_keys, keyval: siphash_key_t): number => {
  __flow_hash_consistentify(keys)
  const n = keys.addr_type === KEY_IPV6_ADDRS ? 16 : keys.addr_type === KEY_IPV4_ADDRS ? 4 : 0
  const d = new DataView(hashed.buffer)
  hashed.fill(0)
  d.setUint16(0, keys.n_proto)
  d.setUint8(2, keys.ip_proto)
  d.setUint32(HASHED_FLOW_LABEL, keys.flow_label, true)
  d.setUint32(HASHED_PORTS, keys.ports)
  hashed.set(keys.src.subarray(0, n), HASHED_ADDRS)
  hashed.set(keys.dst.subarray(0, n), HASHED_ADDRS + n)
  // the union of addresses is cut to what is used, and the struct ends in four bytes of padding
  return siphash(hashed, HASHED_ADDRS + 2 * n + 4, keyval) >>> 0 || 1
})

const flow_keys_have_l4 = (keys: flow_keys): boolean => keys.ports !== 0 || keys.flow_label !== 0

/** a hash of the packet's flow, found from its headers: skb->hash */
export const __skb_get_hash_net = kfunc('__skb_get_hash_net', (n: net | null, skb: sk_buff): void => {
  const keys = new flow_keys()
  __skb_flow_dissect(n, skb, flow_keys_dissector, keys, FLOW_DISSECTOR_F_STOP_AT_FLOW_LABEL)
  const hash = __flow_hash_from_keys(keys, __flow_hash_secret_init())
  skb.sw_hash = 1
  skb.l4_hash = flow_keys_have_l4(keys) ? 1 : 0
  skb.hash = hash >>> 0
})

/** include/linux/skbuff.h */
export const skb_get_hash = kfunc('skb_get_hash', (skb: sk_buff): number => {
  if (!skb.l4_hash && !skb.sw_hash) __skb_get_hash_net(null, skb)
  return skb.hash >>> 0
})

export const flow_hash_from_keys_seed = kfunc('flow_hash_from_keys_seed', (keys: flow_keys, keyval: siphash_key_t): number =>
  __flow_hash_from_keys(keys, keyval),
)
const flow_hash_from_keys = kfunc('flow_hash_from_keys', (keys: flow_keys): number =>
  __flow_hash_from_keys(keys, __flow_hash_secret_init()),
)

/** the same from what an IPv6 route was looked up for, when there is no header yet */
export const __get_hash_from_flowi6 = kfunc('__get_hash_from_flowi6', (fl6: flowi6, keys: flow_keys): number => {
  keys.src.set(fl6.saddr)
  keys.dst.set(fl6.daddr)
  keys.addr_type = KEY_IPV6_ADDRS
  keys.ports = ((fl6.fl6_sport << 16) | fl6.fl6_dport) >>> 0
  keys.ip_proto = fl6.flowi6_proto
  return flow_hash_from_keys(keys)
})

/** include/linux/skbuff.h */
export const skb_get_hash_flowi6 = kfunc('skb_get_hash_flowi6', (skb: sk_buff, fl6: flowi6): number => {
  if (!skb.l4_hash && !skb.sw_hash) {
    const keys = new flow_keys()
    const hash = __get_hash_from_flowi6(fl6, keys)
    skb.sw_hash = 1
    skb.l4_hash = flow_keys_have_l4(keys) ? 1 : 0
    skb.hash = hash >>> 0
  }
  return skb.hash >>> 0
})
