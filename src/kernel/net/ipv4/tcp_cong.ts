import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import { TCPF_CLOSE, TCPF_LISTEN } from '../../include/generated/enums.ts'
import { EEXIST, EINVAL, ENOENT, EPERM } from '../../include/linux/errno.ts'
import { early_initcall, late_initcall } from '../../include/linux/init.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { inet_csk } from '../../include/net/inet_connection_sock.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import {
  TCP_CA_UNSPEC,
  TCP_CONG_NEEDS_ECN,
  TCP_CONG_NON_RESTRICTED,
  type tcp_congestion_ops,
  tcp_sk,
  type tcp_sock,
} from '../../include/net/tcp.ts'
import { capable } from '../../kernel/capability.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { request_module } from '../../kernel/module/kmod.ts'
import { module_put, try_module_get } from '../../kernel/module/main.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { init_net } from '../core/net_namespace.ts'
import { tp_sock_addrs } from '../core/net-traces.ts'
import { sock_net } from '../core/sock.ts'
import {
  INET_ECN_dontxmit,
  INET_ECN_xmit,
  tcp_ca_needs_ecn,
  tcp_in_slow_start,
  tcp_is_cwnd_limited,
  tcp_snd_cwnd,
  tcp_snd_cwnd_set,
} from './tcp_inlines.ts'

const CAP_NET_ADMIN = 12
/** what `net.ipv4.tcp_congestion_control` is set to at boot: CONFIG_DEFAULT_TCP_CONG */
const CONFIG_DEFAULT_TCP_CONG = 'cubic'

let tcp_cong_list: tcp_congestion_ops[] = []
const tcp_cong_list_lock = new spinlock_t()

/** the algorithm that is always there; made anew at boot */
export let tcp_reno: tcp_congestion_ops

/** Bob Jenkins' hash of a name, as include/linux/jhash.h computes it */
export function jhash_name(name: string): number {
  const k = new TextEncoder().encode(name)
  const rol = (x: number, n: number): number => (x << n) | (x >>> (32 - n))
  const at = (i: number): number => k[i] ?? 0
  const word = (i: number): number => at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24)
  // the seed of tcp_cong.c is the length
  let a = (0xdeadbeef + k.length + k.length) | 0
  let b = a
  let c = a
  let i = 0
  for (; k.length - i > 12; i += 12) {
    a = (a + word(i)) | 0
    b = (b + word(i + 4)) | 0
    c = (c + word(i + 8)) | 0
    a = (a - c) ^ rol(c, 4)
    c = (c + b) | 0
    b = (b - a) ^ rol(a, 6)
    a = (a + c) | 0
    c = (c - b) ^ rol(b, 8)
    b = (b + a) | 0
    a = (a - c) ^ rol(c, 16)
    c = (c + b) | 0
    b = (b - a) ^ rol(a, 19)
    a = (a + c) | 0
    c = (c - b) ^ rol(b, 4)
    b = (b + a) | 0
  }
  if (i < k.length) {
    a = (a + word(i)) | 0
    b = (b + word(i + 4)) | 0
    c = (c + word(i + 8)) | 0
    c = ((c ^ b) - rol(b, 14)) | 0
    a = ((a ^ c) - rol(c, 11)) | 0
    b = ((b ^ a) - rol(a, 25)) | 0
    c = ((c ^ b) - rol(b, 16)) | 0
    a = ((a ^ c) - rol(c, 4)) | 0
    b = ((b ^ a) - rol(a, 14)) | 0
    c = ((c ^ b) - rol(b, 24)) | 0
  }
  return c >>> 0
}

export const tcp_ca_find = kfunc('tcp_ca_find', (name: string): tcp_congestion_ops | null => {
  for (const e of tcp_cong_list) if (e.name === name) return e
  return null
})

export const tcp_set_ca_state = kfunc('tcp_set_ca_state', (sk: sock, ca_state: number): void => {
  const icsk = inet_csk(sk)
  if (tracer.on) tracepoint('tcp', 'tcp_cong_state_set', { skaddr: sk.kaddr, ...tp_sock_addrs(sk), cong_state: ca_state })
  if (icsk.icsk_ca_ops.set_state) {
    if (tracer.on) traceIndirect('icsk->icsk_ca_ops->set_state', nameOf(icsk.icsk_ca_ops.set_state))
    icsk.icsk_ca_ops.set_state(sk, ca_state)
  }
  if (tracer.on && icsk.icsk_ca_state !== ca_state)
    decide('tcp_set_ca_state', CA_STATES[ca_state] ?? String(ca_state), {
      before: CA_STATES[icsk.icsk_ca_state] ?? icsk.icsk_ca_state,
    })
  icsk.icsk_ca_state = ca_state
})

const CA_STATES = ['Open', 'Disorder', 'CWR', 'Recovery', 'Loss']

/** an algorithm that is a module is loaded when somebody who may do so names it */
export const tcp_ca_find_autoload = kfunc('tcp_ca_find_autoload', (name: string): tcp_congestion_ops | null => {
  const ca = tcp_ca_find(name)
  if (ca !== null || !capable(CAP_NET_ADMIN)) return ca
  rcu_read_unlock()
  request_module(`tcp_${name}`)
  rcu_read_lock()
  return tcp_ca_find(name)
})

export const tcp_ca_find_key = kfunc('tcp_ca_find_key', (key: number): tcp_congestion_ops | null => {
  for (const e of tcp_cong_list) if (e.key === key) return e
  return null
})

export const tcp_validate_congestion_control = kfunc('tcp_validate_congestion_control', (ca: tcp_congestion_ops): number =>
  ca.cong_avoid || ca.cong_control ? 0 : -EINVAL,
)

/** @returns -EEXIST when an algorithm of that name is there */
export const tcp_register_congestion_control = kfunc('tcp_register_congestion_control', (ca: tcp_congestion_ops): number => {
  let ret = tcp_validate_congestion_control(ca)
  if (ret) return ret
  ca.key = jhash_name(ca.name)
  spin_lock(tcp_cong_list_lock)
  if (ca.key === TCP_CA_UNSPEC || tcp_ca_find_key(ca.key)) ret = -EEXIST
  else tcp_cong_list.push(ca)
  spin_unlock(tcp_cong_list_lock)
  return ret
})

export const tcp_assign_congestion_control = kfunc('tcp_assign_congestion_control', (sk: sock): void => {
  const net = sock_net(sk)
  const icsk = inet_csk(sk)
  rcu_read_lock()
  let ca = net.ipv4.tcp_congestion_control
  if (ca === null || !try_module_get(null)) ca = tcp_reno
  icsk.icsk_ca_ops = ca
  rcu_read_unlock()
  icsk.icsk_ca_priv = null
  if (ca.flags & TCP_CONG_NEEDS_ECN) INET_ECN_xmit(sk)
  else INET_ECN_dontxmit(sk)
})

export const tcp_init_congestion_control = kfunc('tcp_init_congestion_control', (sk: sock): void => {
  const icsk = inet_csk(sk)
  tcp_sk(sk).prior_ssthresh = 0
  if (icsk.icsk_ca_ops.init) {
    if (tracer.on) traceIndirect('icsk->icsk_ca_ops->init', nameOf(icsk.icsk_ca_ops.init))
    icsk.icsk_ca_ops.init(sk)
  }
  if (tcp_ca_needs_ecn(sk)) INET_ECN_xmit(sk)
  else INET_ECN_dontxmit(sk)
  icsk.icsk_ca_initialized = 1
})

export const tcp_reinit_congestion_control = kfunc('tcp_reinit_congestion_control', (sk: sock, ca: tcp_congestion_ops): void => {
  const icsk = inet_csk(sk)
  tcp_cleanup_congestion_control(sk)
  icsk.icsk_ca_ops = ca
  icsk.icsk_ca_setsockopt = 1
  icsk.icsk_ca_priv = null
  if (ca.flags & TCP_CONG_NEEDS_ECN) INET_ECN_xmit(sk)
  else INET_ECN_dontxmit(sk)
  if (!((1 << sk.sk_state) & (TCPF_CLOSE | TCPF_LISTEN))) tcp_init_congestion_control(sk)
})

export const tcp_cleanup_congestion_control = kfunc('tcp_cleanup_congestion_control', (sk: sock): void => {
  const icsk = inet_csk(sk)
  if (icsk.icsk_ca_ops.release) icsk.icsk_ca_ops.release(sk)
  module_put(null)
})

/** @returns -ENOENT when there is none of that name, -EPERM for a restricted one in a namespace of its own */
export const tcp_set_default_congestion_control = kfunc(
  'tcp_set_default_congestion_control',
  (net: net, name: string): number => {
    let ret = 0
    rcu_read_lock()
    const ca = tcp_ca_find_autoload(name)
    if (!ca) ret = -ENOENT
    else if (net !== init_net && !(ca.flags & TCP_CONG_NON_RESTRICTED)) ret = -EPERM
    else {
      try_module_get(null)
      const prev = net.ipv4.tcp_congestion_control
      net.ipv4.tcp_congestion_control = ca
      if (prev) module_put(null)
      ca.flags |= TCP_CONG_NON_RESTRICTED
    }
    rcu_read_unlock()
    return ret
  },
)

export const tcp_get_available_congestion_control = kfunc('tcp_get_available_congestion_control', (): string => {
  rcu_read_lock()
  const names = tcp_cong_list.map((ca) => ca.name).join(' ')
  rcu_read_unlock()
  return names
})

export const tcp_get_default_congestion_control = kfunc('tcp_get_default_congestion_control', (net: net): string => {
  rcu_read_lock()
  const name = net.ipv4.tcp_congestion_control?.name ?? ''
  rcu_read_unlock()
  return name
})

export const tcp_get_allowed_congestion_control = kfunc('tcp_get_allowed_congestion_control', (): string => {
  rcu_read_lock()
  const names = tcp_cong_list
    .filter((ca) => ca.flags & TCP_CONG_NON_RESTRICTED)
    .map((ca) => ca.name)
    .join(' ')
  rcu_read_unlock()
  return names
})

/** @returns -ENOENT when one of the names is unknown; then nothing is changed */
export const tcp_set_allowed_congestion_control = kfunc('tcp_set_allowed_congestion_control', (val: string): number => {
  const names = val.split(' ').filter((s) => s !== '')
  spin_lock(tcp_cong_list_lock)
  let ret = 0
  for (const name of names) if (!tcp_ca_find(name)) ret = -ENOENT
  if (ret === 0) {
    for (const ca of tcp_cong_list) ca.flags &= ~TCP_CONG_NON_RESTRICTED
    for (const name of names) {
      const ca = tcp_ca_find(name)
      if (ca) ca.flags |= TCP_CONG_NON_RESTRICTED
    }
  }
  spin_unlock(tcp_cong_list_lock)
  return ret
})

/** setsockopt(TCP_CONGESTION). @returns -EPERM, -ENOENT */
export const tcp_set_congestion_control = kfunc(
  'tcp_set_congestion_control',
  (sk: sock, name: string, load: boolean, cap_net_admin: boolean): number => {
    const icsk = inet_csk(sk)
    let err = 0
    if (icsk.icsk_ca_dst_locked) return -EPERM
    rcu_read_lock()
    const ca = load ? tcp_ca_find_autoload(name) : tcp_ca_find(name)
    if (ca === icsk.icsk_ca_ops) icsk.icsk_ca_setsockopt = 1
    else if (!ca) err = -ENOENT
    else if (!(ca.flags & TCP_CONG_NON_RESTRICTED || cap_net_admin)) err = -EPERM
    else {
      try_module_get(null)
      tcp_reinit_congestion_control(sk, ca)
    }
    rcu_read_unlock()
    return err
  },
)

/** grows cwnd by one for each packet acknowledged, up to ssthresh; returns how many packets were left over */
export const tcp_slow_start = kfunc('tcp_slow_start', (tp: tcp_sock, acked: number): number => {
  const before = tcp_snd_cwnd(tp)
  const cwnd = Math.min(before + acked, tp.snd_ssthresh)
  tcp_snd_cwnd_set(tp, Math.min(cwnd, tp.snd_cwnd_clamp))
  if (tracer.on)
    decide('tcp_slow_start', 'slow start', { acked, cwnd_before: before, cwnd: tp.snd_cwnd, ssthresh: tp.snd_ssthresh })
  return acked - (cwnd - before)
})

/** congestion avoidance: one packet more for each `w` acknowledged */
export const tcp_cong_avoid_ai = kfunc('tcp_cong_avoid_ai', (tp: tcp_sock, w: number, acked: number): void => {
  if (tp.snd_cwnd_cnt >= w) {
    tp.snd_cwnd_cnt = 0
    tcp_snd_cwnd_set(tp, tcp_snd_cwnd(tp) + 1)
  }
  tp.snd_cwnd_cnt += acked
  if (tp.snd_cwnd_cnt >= w) {
    const delta = Math.floor(tp.snd_cwnd_cnt / w)
    tp.snd_cwnd_cnt -= delta * w
    tcp_snd_cwnd_set(tp, tcp_snd_cwnd(tp) + delta)
  }
  tcp_snd_cwnd_set(tp, Math.min(tcp_snd_cwnd(tp), tp.snd_cwnd_clamp))
  if (tracer.on) decide('tcp_cong_avoid_ai', 'congestion avoidance', { acked, w, cwnd: tp.snd_cwnd, cwnd_cnt: tp.snd_cwnd_cnt })
})

export const tcp_reno_cong_avoid = kfunc('tcp_reno_cong_avoid', (sk: sock, ack: number, acked: number): void => {
  const tp = tcp_sk(sk)
  if (!tcp_is_cwnd_limited(sk)) {
    if (tracer.on)
      decide('tcp_reno_cong_avoid', 'cwnd not used up: stays', {
        ack,
        acked,
        cwnd: tp.snd_cwnd,
        max_packets_out: tp.max_packets_out,
      })
    return
  }
  let left = acked
  if (tcp_in_slow_start(tp)) {
    left = tcp_slow_start(tp, left)
    if (!left) return
  }
  tcp_cong_avoid_ai(tp, tcp_snd_cwnd(tp), left)
})

export const tcp_reno_ssthresh = kfunc('tcp_reno_ssthresh', (sk: sock): number => Math.max(tcp_snd_cwnd(tcp_sk(sk)) >>> 1, 2))

export const tcp_reno_undo_cwnd = kfunc('tcp_reno_undo_cwnd', (sk: sock): number => {
  const tp = tcp_sk(sk)
  return Math.max(tcp_snd_cwnd(tp), tp.prior_cwnd)
})

early_initcall(() => {
  tcp_cong_list = []
  tcp_reno = {
    name: 'reno',
    key: 0,
    flags: TCP_CONG_NON_RESTRICTED,
    ssthresh: tcp_reno_ssthresh,
    cong_avoid: tcp_reno_cong_avoid,
    undo_cwnd: tcp_reno_undo_cwnd,
  }
})

export const tcp_congestion_default = kfunc('tcp_congestion_default', (): number =>
  tcp_set_default_congestion_control(init_net, CONFIG_DEFAULT_TCP_CONG),
)
late_initcall(() => {
  tcp_congestion_default()
})
