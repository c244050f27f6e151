import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { HZ } from '../../include/generated/enums.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { siphash_key_t } from '../../include/linux/siphash.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { ktime_get_real_ns } from '../../kernel/time/timekeeping.ts'
import { jiffies } from '../../kernel/time/timer.ts'
import { siphash, siphash_3u32, siphash_4u32, siphash_high } from '../../lib/siphash.ts'

const EPHEMERAL_PORT_SHUFFLE_PERIOD = 10 * HZ
/** include/linux/once.h: the machine had connections before, its key was made then */
let net_secret: siphash_key_t | null = null

core_initcall(() => {
  net_secret = null
})

/** outside every call, as it happened before the first that is watched: not get_random_bytes() */
function net_secret_init(): siphash_key_t {
  if (net_secret === null) {
    net_secret = new siphash_key_t()
    for (let i = 0; i < 4; i++) net_secret.key[i] = random.u32()
  }
  return net_secret
}

/** a clock of 64 nanoseconds keeps numbers of old connections away from new ones */
const seq_scale = kfunc('seq_scale', (seq: number): number => (seq + (Math.floor(ktime_get_real_ns() / 64) % 0x100000000)) >>> 0)

export interface tcp_seq_and_ts_off {
  seq: number
  ts_off: number
}

/** initial sequence number and timestamp offset of a connection; addresses and ports in host order */
export const secure_tcp_seq_and_ts_off = kfunc(
  'secure_tcp_seq_and_ts_off',
  (n: net, saddr: number, daddr: number, sport: number, dport: number): tcp_seq_and_ts_off => {
    const seq = siphash_3u32(saddr, daddr, ((sport << 16) | dport) >>> 0, net_secret_init())
    const st = { seq, ts_off: siphash_high() }
    if (n.ipv4.sysctl_tcp_timestamps !== 1) st.ts_off = 0
    st.seq = seq_scale(st.seq)
    return st
  },
)

/** the same for IPv6; addresses are 16 bytes */
export const secure_tcpv6_seq_and_ts_off = kfunc(
  'secure_tcpv6_seq_and_ts_off',
  (n: net, saddr: Uint8Array, daddr: Uint8Array, sport: number, dport: number): tcp_seq_and_ts_off => {
    const combined = new Uint8Array(36)
    combined.set(saddr)
    combined.set(daddr, 16)
    combined.set([sport >> 8, sport, dport >> 8, dport], 32)
    const seq = siphash(combined, combined.length, net_secret_init())
    const st = { seq, ts_off: siphash_high() }
    if (n.ipv4.sysctl_tcp_timestamps !== 1) st.ts_off = 0
    st.seq = seq_scale(st.seq)
    return st
  },
)

export const secure_ipv6_port_ephemeral = kfunc(
  'secure_ipv6_port_ephemeral',
  (saddr: Uint8Array, daddr: Uint8Array, dport: number): number => {
    const combined = new Uint8Array(38)
    const period = Math.floor(jiffies() / EPHEMERAL_PORT_SHUFFLE_PERIOD)
    combined.set(saddr)
    combined.set(daddr, 16)
    combined.set([period, period >> 8, period >> 16, period >> 24, dport >> 8, dport], 32)
    return siphash(combined, combined.length, net_secret_init())
  },
)

export const secure_ipv4_port_ephemeral = kfunc(
  'secure_ipv4_port_ephemeral',
  (saddr: number, daddr: number, dport: number): number =>
    siphash_4u32(saddr, daddr, dport, Math.floor(jiffies() / EPHEMERAL_PORT_SHUFFLE_PERIOD), net_secret_init()),
)
