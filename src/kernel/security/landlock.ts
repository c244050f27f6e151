import { kfunc } from '../../trace/kfunc.ts'
import { MSG_FASTOPEN } from '../include/generated/enums.ts'
import type { file } from '../include/linux/fs.ts'
import type { sockaddr, socket } from '../include/linux/net.ts'
import type { msghdr } from '../include/linux/socket.ts'
import type { sock } from '../include/net/sock.ts'
import { put_pid } from '../kernel/pid.ts'

// security/landlock/{net,fs,task}.c: attached to every kernel that has it; no process here is in a landlock domain

const LANDLOCK_ACCESS_NET_BIND_TCP = 1
const LANDLOCK_ACCESS_NET_CONNECT_TCP = 2

const current_check_access_socket = kfunc(
  'current_check_access_socket',
  (sock: socket, address: sockaddr, addrlen: number, access_request: number): number => 0,
)

export const hook_socket_bind = kfunc('hook_socket_bind', (sock: socket, address: sockaddr, addrlen: number): number =>
  current_check_access_socket(sock, address, addrlen, LANDLOCK_ACCESS_NET_BIND_TCP),
)
export const hook_socket_connect = kfunc('hook_socket_connect', (sock: socket, address: sockaddr, addrlen: number): number =>
  current_check_access_socket(sock, address, addrlen, LANDLOCK_ACCESS_NET_CONNECT_TCP),
)
export const hook_socket_sendmsg = kfunc('hook_socket_sendmsg', (sock: socket, msg: msghdr, size: number): number => {
  const address = msg.msg_name
  if (msg.msg_flags & MSG_FASTOPEN && address !== null)
    return current_check_access_socket(sock, address, msg.msg_namelen, LANDLOCK_ACCESS_NET_CONNECT_TCP)
  return 0
})
export const hook_unix_stream_connect = kfunc('hook_unix_stream_connect', (sock: sock, other: sock, newsk: sock): number => 0)
export const hook_unix_may_send = kfunc('hook_unix_may_send', (sock: socket | null, other: socket | null): number => 0)
export const hook_file_alloc_security = kfunc('hook_file_alloc_security', (file: file): number => 0)
const landlock_put_ruleset_deferred = kfunc('landlock_put_ruleset_deferred', (ruleset: null): void => {})
export const hook_file_free_security = kfunc('hook_file_free_security', (file: file): void => {
  put_pid(null)
  landlock_put_ruleset_deferred(null)
})
export const hook_inode_free_security_rcu = kfunc('hook_inode_free_security_rcu', (inode_security: object): void => {})
