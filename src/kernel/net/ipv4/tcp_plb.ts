import { kfunc } from '../../../trace/kfunc.ts'
import { get_random_u32_below } from '../../drivers/char/random.ts'
import { HZ } from '../../include/generated/enums.ts'
import type { sock } from '../../include/net/sock.ts'
import { before, tcp_sk } from '../../include/net/tcp.ts'
import { sk_rethink_txhash, sock_net } from '../core/sock.ts'
import { tcp_jiffies32 } from './tcp_inlines.ts'

/** include/net/tcp.h struct tcp_plb_state. `pause_until` in jiffies. */
export class tcp_plb_state {
  consec_cong_rounds = 0
  pause_until = 0
}

/** once in a round trip; `cong_ratio` is the share of packets marked with congestion, in 256ths, negative for unknown */
export const tcp_plb_update_state = kfunc('tcp_plb_update_state', (sk: sock, plb: tcp_plb_state, cong_ratio: number): void => {
  const { ipv4 } = sock_net(sk)
  if (!ipv4.sysctl_tcp_plb_enabled) return
  if (cong_ratio >= 0) {
    if (cong_ratio < ipv4.sysctl_tcp_plb_cong_thresh) plb.consec_cong_rounds = 0
    else if (plb.consec_cong_rounds < ipv4.sysctl_tcp_plb_rehash_rounds) plb.consec_cong_rounds++
  }
})

export const tcp_plb_check_rehash = kfunc('tcp_plb_check_rehash', (sk: sock, plb: tcp_plb_state): void => {
  const net = sock_net(sk)
  const { ipv4 } = net
  if (!ipv4.sysctl_tcp_plb_enabled) return
  const tp = tcp_sk(sk)
  const forced_rehash = plb.consec_cong_rounds >= ipv4.sysctl_tcp_plb_rehash_rounds
  const idle = ipv4.sysctl_tcp_plb_idle_rehash_rounds
  const idle_rehash = idle !== 0 && !tp.packets_out && plb.consec_cong_rounds >= idle
  if (!forced_rehash && !idle_rehash) return

  const now = tcp_jiffies32()
  const max_suspend = 2 * ipv4.sysctl_tcp_plb_suspend_rto_sec * HZ
  if (plb.pause_until && (!before(now, plb.pause_until) || before((now + max_suspend) >>> 0, plb.pause_until)))
    plb.pause_until = 0
  if (plb.pause_until) return
  sk_rethink_txhash(sk)
  plb.consec_cong_rounds = 0
  tp.plb_rehash++
  net.mib.linux.TCPPLBRehash++
})

export const tcp_plb_update_state_upon_rto = kfunc('tcp_plb_update_state_upon_rto', (sk: sock, plb: tcp_plb_state): void => {
  const { ipv4 } = sock_net(sk)
  if (!ipv4.sysctl_tcp_plb_enabled) return
  let pause = ipv4.sysctl_tcp_plb_suspend_rto_sec * HZ
  pause += get_random_u32_below(pause)
  plb.pause_until = (tcp_jiffies32() + pause) >>> 0
  plb.consec_cong_rounds = 0
})
