import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { IPPROTO_TCP, IPPROTO_UDP } from '../../include/generated/enums.ts'
import { ETH_P_IP, ETH_P_IPV6 } from '../../include/linux/if_ether.ts'
import { subsys_initcall } from '../../include/linux/init.ts'
import { siphash_key_t } from '../../include/linux/siphash.ts'
import { type sk_buff, skb_headlen } from '../../include/linux/skbuff.ts'
import type { flowi6 } from '../../include/net/flow.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { siphash } from '../../lib/siphash.ts'

let hashrnd: siphash_key_t | null = null
subsys_initcall(() => {
  hashrnd = null
})

/** what tells one flow from another: protocol, addresses, ports */
interface flow_keys {
  /** protocol, ports, then both addresses: 4 or 16 bytes each */
  readonly bytes: Uint8Array
  length: number
  has_ports: boolean
}

const __skb_flow_get_ports = kfunc('__skb_flow_get_ports', (skb: sk_buff, thoff: number, ip_proto: number): number => {
  const b = skb.head.bytes
  if (ip_proto !== IPPROTO_TCP && ip_proto !== IPPROTO_UDP) return 0
  const at = thoff
  if (at + 4 > skb.data + skb_headlen(skb)) return 0
  return (((b[at] ?? 0) << 24) | ((b[at + 1] ?? 0) << 16) | ((b[at + 2] ?? 0) << 8) | (b[at + 3] ?? 0)) >>> 0
})

const __skb_flow_dissect = kfunc('__skb_flow_dissect', (_net: net | null, skb: sk_buff, keys: flow_keys): boolean => {
  const b = skb.head.bytes
  const nhoff = skb.network_header
  const end = skb.data + skb_headlen(skb)
  let proto: number
  let addresses: number
  let length: number
  let thoff: number
  let fragment = false
  if (skb.protocol === ETH_P_IP) {
    if (nhoff + 20 > end) return false
    proto = b[nhoff + 9] ?? 0
    addresses = nhoff + 12
    length = 8
    thoff = nhoff + ((b[nhoff] ?? 0) & 15) * 4
    fragment = ((((b[nhoff + 6] ?? 0) << 8) | (b[nhoff + 7] ?? 0)) & 0x3fff) !== 0
  } else if (skb.protocol === ETH_P_IPV6) {
    if (nhoff + 40 > end) return false
    proto = b[nhoff + 6] ?? 0
    addresses = nhoff + 8
    length = 32
    thoff = nhoff + 40
  } else return false
  const ports = fragment ? 0 : __skb_flow_get_ports(skb, thoff, proto)
  keys.bytes[0] = proto
  keys.bytes[4] = ports >>> 24
  keys.bytes[5] = ports >>> 16
  keys.bytes[6] = ports >>> 8
  keys.bytes[7] = ports
  for (let i = 0; i < length; i++) keys.bytes[8 + i] = b[addresses + i] ?? 0
  keys.length = 8 + length
  keys.has_ports = ports !== 0
  return true
})

/** a hash of the packet's flow, found from its headers: skb->hash */
export const __skb_get_hash_net = kfunc('__skb_get_hash_net', (n: net | null, skb: sk_buff): void => {
  if (hashrnd === null) {
    hashrnd = new siphash_key_t()
    for (let i = 0; i < 4; i++) hashrnd.key[i] = random.u32()
  }
  const keys: flow_keys = { bytes: new Uint8Array(40), length: 0, has_ports: false }
  const hash = __skb_flow_dissect(n, skb, keys) ? siphash(keys.bytes, keys.length, hashrnd) || 1 : 0
  skb.sw_hash = 1
  skb.l4_hash = keys.has_ports ? 1 : 0
  skb.hash = hash >>> 0
})

/** include/linux/skbuff.h */
export const skb_get_hash = kfunc('skb_get_hash', (skb: sk_buff): number => {
  if (!skb.l4_hash && !skb.sw_hash) __skb_get_hash_net(null, skb)
  return skb.hash >>> 0
})

const flow_hash_from_keys = kfunc('flow_hash_from_keys', (keys: flow_keys): number => {
  if (hashrnd === null) {
    hashrnd = new siphash_key_t()
    for (let i = 0; i < 4; i++) hashrnd.key[i] = random.u32()
  }
  return siphash(keys.bytes, keys.length, hashrnd) || 1
})

/** the same from what an IPv6 route was looked up for, when there is no header yet */
export const __get_hash_from_flowi6 = kfunc('__get_hash_from_flowi6', (fl6: flowi6, keys: flow_keys | null): number => {
  const k = keys ?? { bytes: new Uint8Array(40), length: 40, has_ports: false }
  k.bytes[0] = fl6.flowi6_proto
  k.bytes[4] = fl6.fl6_sport >> 8
  k.bytes[5] = fl6.fl6_sport
  k.bytes[6] = fl6.fl6_dport >> 8
  k.bytes[7] = fl6.fl6_dport
  k.bytes.set(fl6.saddr, 8)
  k.bytes.set(fl6.daddr, 24)
  k.has_ports = fl6.fl6_sport !== 0 || fl6.fl6_dport !== 0
  return flow_hash_from_keys(k)
})

/** include/linux/skbuff.h */
export const skb_get_hash_flowi6 = kfunc('skb_get_hash_flowi6', (skb: sk_buff, fl6: flowi6): number => {
  if (!skb.l4_hash && !skb.sw_hash) {
    const hash = __get_hash_from_flowi6(fl6, null)
    skb.sw_hash = 1
    skb.l4_hash = fl6.fl6_sport !== 0 || fl6.fl6_dport !== 0 ? 1 : 0
    skb.hash = hash >>> 0
  }
  return skb.hash >>> 0
})
