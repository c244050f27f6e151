import { kfunc } from '../../../trace/kfunc.ts'
import { IPPROTO_TCP, IPPROTO_UDP, SOCK_RAW } from '../../include/generated/enums.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { AF_INET, AF_INET6 } from '../../include/linux/socket.ts'
import type { sock } from '../../include/net/sock.ts'
import { netlink_has_listeners } from '../netlink/af_netlink.ts'
import { sk_destruct } from './sock.ts'

const SKNLGRP_NONE = 0
const SKNLGRP_INET_TCP_DESTROY = 1
const SKNLGRP_INET_UDP_DESTROY = 2
const SKNLGRP_INET6_TCP_DESTROY = 3
const SKNLGRP_INET6_UDP_DESTROY = 4

let cookie = 0
core_initcall(() => {
  cookie = 0
})

export const __sock_gen_cookie = kfunc('__sock_gen_cookie', (sk: sock): number => {
  if (sk.skc_cookie === 0) sk.skc_cookie = ++cookie
  return sk.skc_cookie
})
export const sock_gen_cookie = kfunc('sock_gen_cookie', (sk: sock): number => __sock_gen_cookie(sk))

const sock_diag_destroy_group = kfunc('sock_diag_destroy_group', (sk: sock): number => {
  const v6 = sk.skc_family === AF_INET6
  if ((sk.skc_family !== AF_INET && !v6) || sk.sk_type === SOCK_RAW) return SKNLGRP_NONE
  if (sk.sk_protocol === IPPROTO_TCP) return v6 ? SKNLGRP_INET6_TCP_DESTROY : SKNLGRP_INET_TCP_DESTROY
  if (sk.sk_protocol === IPPROTO_UDP) return v6 ? SKNLGRP_INET6_UDP_DESTROY : SKNLGRP_INET_UDP_DESTROY
  return SKNLGRP_NONE
})

/** does a process watch sockets die (ss -E)? */
export const sock_diag_has_destroy_listeners = kfunc('sock_diag_has_destroy_listeners', (sk: sock): boolean => {
  const group = sock_diag_destroy_group(sk)
  return group !== SKNLGRP_NONE && netlink_has_listeners(null, group) !== 0
})

export const sock_diag_broadcast_destroy = kfunc('sock_diag_broadcast_destroy', (sk: sock): void => sk_destruct(sk))
