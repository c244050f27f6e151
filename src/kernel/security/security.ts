import { kfunc } from '../../trace/kfunc.ts'
import { ENOPROTOOPT } from '../include/linux/errno.ts'
import type { dentry, file, inode } from '../include/linux/fs.ts'
import { core_initcall } from '../include/linux/init.ts'
import type { sockaddr, socket } from '../include/linux/net.ts'
import type { sk_buff } from '../include/linux/skbuff.ts'
import { GFP_KERNEL, type kmem_cache } from '../include/linux/slab.ts'
import type { msghdr } from '../include/linux/socket.ts'
import type { request_sock } from '../include/net/request_sock.ts'
import type { sock } from '../include/net/sock.ts'
import { call_rcu } from '../kernel/rcu.ts'
import { kfree, kmem_cache_alloc_noprof, kmem_cache_create, kmem_cache_free } from '../mm/slub.ts'
import { cap_capable } from './commoncap.ts'
import { evm_file_release, evm_inode_alloc_security, ima_file_free, ima_inode_free_rcu } from './integrity.ts'
import {
  hook_file_alloc_security,
  hook_file_free_security,
  hook_inode_free_security_rcu,
  hook_socket_bind,
  hook_socket_connect,
  hook_socket_sendmsg,
  hook_unix_may_send,
  hook_unix_stream_connect,
} from './landlock.ts'

/**
 * The security hooks. The kernel that was recorded runs with landlock, capabilities and integrity; AppArmor, SELinux, TOMOYO and BPF
 * have no hooks attached there. A hook that nobody is attached to returns its default.
 */
let lsm_file_cache: kmem_cache
let lsm_inode_cache: kmem_cache

core_initcall(() => {
  lsm_file_cache = kmem_cache_create('lsm_file_cache', 32, 0, 0, null)
  lsm_inode_cache = kmem_cache_create('lsm_inode_cache', 72, 0, 0, null)
})

/** no module that runs keeps anything beside a socket: the size is 0 and nothing is allocated */
const lsm_blob_alloc = kfunc('lsm_blob_alloc', (dest: { sk_security: unknown }, size: number, gfp: number): number => {
  dest.sk_security = null
  return 0
})

const lsm_file_alloc = kfunc('lsm_file_alloc', (file: file): number => {
  kmem_cache_alloc_noprof(lsm_file_cache, GFP_KERNEL)
  file.f_security = {}
  return 0
})

const lsm_inode_alloc = kfunc('lsm_inode_alloc', (inode: inode, gfp: number): number => {
  kmem_cache_alloc_noprof(lsm_inode_cache, gfp)
  inode.i_security = {}
  return 0
})

const lsm_sock_alloc = kfunc('lsm_sock_alloc', (sk: sock, gfp: number): number => lsm_blob_alloc(sk, 0, gfp))

export const security_inode_alloc = kfunc('security_inode_alloc', (inode: inode, gfp: number): number => {
  const rc = lsm_inode_alloc(inode, gfp)
  return rc ? rc : evm_inode_alloc_security(inode)
})

const inode_free_by_rcu = kfunc('inode_free_by_rcu', (head: object): void => {
  hook_inode_free_security_rcu(head)
  ima_inode_free_rcu(head)
  kmem_cache_free(lsm_inode_cache, head)
})

export const security_inode_free = kfunc('security_inode_free', (inode: inode): void => {
  const blob = inode.i_security
  if (blob === null) return
  inode.i_security = null
  call_rcu(blob, inode_free_by_rcu)
})

export const security_file_alloc = kfunc('security_file_alloc', (file: file): number => {
  const rc = lsm_file_alloc(file)
  return rc ? rc : hook_file_alloc_security(file)
})

export const security_file_release = kfunc('security_file_release', (file: file): void => {
  ima_file_free(file)
  evm_file_release(file)
})

export const security_file_free = kfunc('security_file_free', (file: file): void => {
  hook_file_free_security(file)
  const blob = file.f_security
  if (blob !== null) {
    file.f_security = null
    kmem_cache_free(lsm_file_cache, blob)
  }
})

export const security_file_permission = kfunc('security_file_permission', (file: file, mask: number): number => 0)
export const security_file_fcntl = kfunc('security_file_fcntl', (file: file, cmd: number, arg: number): number => 0)
export const security_file_receive = kfunc('security_file_receive', (file: file): number => 0)
export const security_file_open = kfunc('security_file_open', (file: file): number => 0)
export const security_d_instantiate = kfunc('security_d_instantiate', (dentry: dentry, inode: inode): void => {})

/** 0 when the process may; the simulated processes have every capability */
export const security_capable = kfunc('security_capable', (cred: unknown, ns: unknown, cap: number, opts: number): number =>
  cap_capable(cred, ns, cap, opts),
)

export const security_inode_permission = kfunc('security_inode_permission', (inode: inode, mask: number): number => 0)
export const security_unix_stream_connect = kfunc(
  'security_unix_stream_connect',
  (sock: sock, other: sock, newsk: sock): number => hook_unix_stream_connect(sock, other, newsk),
)
export const security_unix_may_send = kfunc('security_unix_may_send', (sock: socket | null, other: socket | null): number =>
  hook_unix_may_send(sock, other),
)
export const security_socket_create = kfunc(
  'security_socket_create',
  (family: number, type: number, protocol: number, kern: number): number => 0,
)
export const security_socket_post_create = kfunc(
  'security_socket_post_create',
  (sock: socket, family: number, type: number, protocol: number, kern: number): number => 0,
)
export const security_socket_socketpair = kfunc('security_socket_socketpair', (socka: socket, sockb: socket): number => 0)
export const security_socket_bind = kfunc('security_socket_bind', (sock: socket, address: sockaddr, addrlen: number): number =>
  hook_socket_bind(sock, address, addrlen),
)
export const security_socket_connect = kfunc(
  'security_socket_connect',
  (sock: socket, address: sockaddr, addrlen: number): number => hook_socket_connect(sock, address, addrlen),
)
export const security_socket_listen = kfunc('security_socket_listen', (sock: socket, backlog: number): number => 0)
export const security_socket_accept = kfunc('security_socket_accept', (sock: socket, newsock: socket): number => 0)
export const security_socket_sendmsg = kfunc('security_socket_sendmsg', (sock: socket, msg: msghdr, size: number): number =>
  hook_socket_sendmsg(sock, msg, size),
)
export const security_socket_recvmsg = kfunc(
  'security_socket_recvmsg',
  (sock: socket, msg: msghdr, size: number, flags: number): number => 0,
)
export const security_socket_getsockname = kfunc('security_socket_getsockname', (sock: socket): number => 0)
export const security_socket_getpeername = kfunc('security_socket_getpeername', (sock: socket): number => 0)
export const security_socket_getsockopt = kfunc(
  'security_socket_getsockopt',
  (sock: socket, level: number, optname: number): number => 0,
)
export const security_socket_setsockopt = kfunc(
  'security_socket_setsockopt',
  (sock: socket, level: number, optname: number): number => 0,
)
export const security_socket_shutdown = kfunc('security_socket_shutdown', (sock: socket, how: number): number => 0)
export const security_sock_rcv_skb = kfunc('security_sock_rcv_skb', (sk: sock, skb: sk_buff): number => 0)
export const security_socket_getpeersec_dgram = kfunc(
  'security_socket_getpeersec_dgram',
  (sock: socket | null, skb: sk_buff | null, secid: unknown): number => -ENOPROTOOPT,
)
export const security_socket_getpeersec_stream = kfunc(
  'security_socket_getpeersec_stream',
  (sock: socket, optval: number, optlen: unknown, len: number): number => -ENOPROTOOPT,
)
export const security_sk_alloc = kfunc('security_sk_alloc', (sk: sock, family: number, priority: number): number =>
  lsm_sock_alloc(sk, priority),
)
export const security_sk_free = kfunc('security_sk_free', (sk: sock): void => {
  kfree(sk.sk_security)
  sk.sk_security = null
})
export const security_sk_clone = kfunc('security_sk_clone', (sk: sock, newsk: sock): void => {})
export const security_sk_classify_flow = kfunc('security_sk_classify_flow', (sk: sock, flic: unknown): void => {})
export const security_req_classify_flow = kfunc('security_req_classify_flow', (req: request_sock, flic: unknown): void => {})
export const security_xfrm_decode_session = kfunc('security_xfrm_decode_session', (_skb: sk_buff, _secid: number): number => 0)
export const security_skb_classify_flow = kfunc('security_skb_classify_flow', (skb: sk_buff, flic: unknown): void => {})
export const security_sock_graft = kfunc('security_sock_graft', (sk: sock, parent: socket): void => {})
export const security_inet_conn_request = kfunc(
  'security_inet_conn_request',
  (sk: sock, skb: sk_buff, req: request_sock): number => 0,
)
export const security_inet_csk_clone = kfunc('security_inet_csk_clone', (newsk: sock, req: request_sock): void => {})
export const security_inet_conn_established = kfunc('security_inet_conn_established', (sk: sock, skb: sk_buff): void => {})
