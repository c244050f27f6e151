import type { TracedSkb } from '../trace/tracer.ts'

/** What detail `path` looks at in a buffer. */

const ETH_P_IP = 0x0800
const ETH_P_IPV6 = 0x86dd
const TCP = 6
const ACK = 0x10

/** where a buffer's IP header begins, 0 when it has none yet; what a card received has no offsets at first */
function networkHeader(skb: TracedSkb): number {
  if (skb.network_header > 0 && skb.network_header < skb.tail) return skb.network_header
  const { data, bytes } = skb
  if (skb.protocol === ETH_P_IP || skb.protocol === ETH_P_IPV6) return data
  const type = ((bytes[data + 12] as number) << 8) | (bytes[data + 13] as number)
  return skb.tail - data >= 54 && (type === ETH_P_IP || type === ETH_P_IPV6) ? data + 14 : 0
}

/** an acknowledgement without data: nothing of the message is in it */
export function isBareAck(skb: TracedSkb): boolean {
  // the kernel's own mark, skb_set_tcp_pure_ack()
  if (skb.truesize === 2) return true
  if (skb.data_len > 0) return false
  const n = networkHeader(skb)
  if (n === 0 || n + 40 > skb.tail) return false
  const b = skb.bytes
  const version = (b[n] as number) >> 4
  let t = 0
  let end = 0
  if (version === 4) {
    if (b[n + 9] !== TCP) return false
    t = n + ((b[n] as number) & 15) * 4
    end = n + (((b[n + 2] as number) << 8) | (b[n + 3] as number))
  } else if (version === 6) {
    if (b[n + 6] !== TCP || n + 60 > skb.tail) return false
    t = n + 40
    end = t + (((b[n + 4] as number) << 8) | (b[n + 5] as number))
  } else return false
  return b[t + 13] === ACK && end === t + ((b[t + 12] as number) >> 4) * 4
}

/** a number that changes when a buffer's shape or its first bytes do */
export function fingerprint(skb: TracedSkb): number {
  let h = Math.imul(Math.imul(skb.data + 31 * skb.len, 31) + skb.data_len, 31)
  const end = Math.min(skb.tail, skb.data + 64)
  const { bytes } = skb
  for (let i = skb.data; i < end; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193)
  return h
}
