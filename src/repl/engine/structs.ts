import { dentry, fdtable, file, files_struct, inode, kiocb } from '../../kernel/include/linux/fs.ts'
import { hrtimer } from '../../kernel/include/linux/hrtimer.ts'
import { in_device, in_ifaddr } from '../../kernel/include/linux/inetdevice.ts'
import { iphdr } from '../../kernel/include/linux/ip.ts'
import { list_head } from '../../kernel/include/linux/list.ts'
import { mm_struct } from '../../kernel/include/linux/mm.ts'
import { page_frag } from '../../kernel/include/linux/mm_types.ts'
import { sockaddr, socket, socket_wq } from '../../kernel/include/linux/net.ts'
import { napi_struct, net_device, netdev_queue, rtnl_link_stats64, softnet_data } from '../../kernel/include/linux/netdevice.ts'
import { pipe_inode_info } from '../../kernel/include/linux/pipe_fs_i.ts'
import { task_struct } from '../../kernel/include/linux/sched.ts'
import { sk_buff, sk_buff_head, skb_shared_info } from '../../kernel/include/linux/skbuff.ts'
import { msghdr } from '../../kernel/include/linux/socket.ts'
import { spinlock_t } from '../../kernel/include/linux/spinlock.ts'
import { tcphdr } from '../../kernel/include/linux/tcp.ts'
import { timer_list } from '../../kernel/include/linux/timer.ts'
import { udp_sock, udphdr } from '../../kernel/include/linux/udp.ts'
import { iov_iter } from '../../kernel/include/linux/uio.ts'
import { unix_sock } from '../../kernel/include/net/af_unix.ts'
import { dst_entry } from '../../kernel/include/net/dst.ts'
import { flowi4 } from '../../kernel/include/net/flow.ts'
import { inet_connection_sock } from '../../kernel/include/net/inet_connection_sock.ts'
import { inet_cork, inet_sock } from '../../kernel/include/net/inet_sock.ts'
import { tcp_timewait_sock } from '../../kernel/include/net/inet_timewait_sock.ts'
import { fib_info } from '../../kernel/include/net/ip_fib.ts'
import { neighbour } from '../../kernel/include/net/neighbour.ts'
import { net, netns_ipv4, netns_mib } from '../../kernel/include/net/net_namespace.ts'
import { request_sock } from '../../kernel/include/net/request_sock.ts'
import { rtable } from '../../kernel/include/net/route.ts'
import { Qdisc } from '../../kernel/include/net/sch_generic.ts'
import { sock, sock_common } from '../../kernel/include/net/sock.ts'
import { tcp_request_sock, tcp_skb_cb, tcp_sock } from '../../kernel/include/net/tcp.ts'
import { kfnOf } from '../../trace/kfunc.ts'
import type { TracedSkb } from '../../trace/tracer.ts'

/** The names of the structs behind the simulation's objects, and how one is called in a line of text. */

/** a class of the kernel and its struct's name: a bundle renames classes, so that `constructor.name` says nothing */
const known: readonly (readonly [abstract new (...args: never[]) => object, string])[] = [
  [sk_buff, 'sk_buff'],
  [sk_buff_head, 'sk_buff_head'],
  [skb_shared_info, 'skb_shared_info'],
  [tcp_sock, 'tcp_sock'],
  [udp_sock, 'udp_sock'],
  [unix_sock, 'unix_sock'],
  [inet_connection_sock, 'inet_connection_sock'],
  [inet_sock, 'inet_sock'],
  [tcp_timewait_sock, 'tcp_timewait_sock'],
  [tcp_request_sock, 'tcp_request_sock'],
  [request_sock, 'request_sock'],
  [sock, 'sock'],
  [sock_common, 'sock_common'],
  [socket, 'socket'],
  [socket_wq, 'socket_wq'],
  [net_device, 'net_device'],
  [netdev_queue, 'netdev_queue'],
  [napi_struct, 'napi_struct'],
  [softnet_data, 'softnet_data'],
  [rtnl_link_stats64, 'rtnl_link_stats64'],
  [Qdisc, 'Qdisc'],
  [net, 'net'],
  [netns_ipv4, 'netns_ipv4'],
  [netns_mib, 'netns_mib'],
  [dst_entry, 'dst_entry'],
  [rtable, 'rtable'],
  [neighbour, 'neighbour'],
  [fib_info, 'fib_info'],
  [flowi4, 'flowi4'],
  [in_device, 'in_device'],
  [in_ifaddr, 'in_ifaddr'],
  [inet_cork, 'inet_cork'],
  [tcp_skb_cb, 'tcp_skb_cb'],
  [tcphdr, 'tcphdr'],
  [udphdr, 'udphdr'],
  [iphdr, 'iphdr'],
  [task_struct, 'task_struct'],
  [mm_struct, 'mm_struct'],
  [files_struct, 'files_struct'],
  [fdtable, 'fdtable'],
  [file, 'file'],
  [inode, 'inode'],
  [dentry, 'dentry'],
  [kiocb, 'kiocb'],
  [pipe_inode_info, 'pipe_inode_info'],
  [msghdr, 'msghdr'],
  [iov_iter, 'iov_iter'],
  [sockaddr, 'sockaddr'],
  [page_frag, 'page_frag'],
  [timer_list, 'timer_list'],
  [hrtimer, 'hrtimer'],
  [spinlock_t, 'spinlock_t'],
  [list_head, 'list_head'],
]

const names = new Map<unknown, string>(known)

/** the struct's name of an object, '' where it has none that is known */
export function structName(o: object): string {
  for (let p: object | null = Object.getPrototypeOf(o); p !== null && p !== Object.prototype; p = Object.getPrototypeOf(p)) {
    const name = names.get(p.constructor)
    if (name !== undefined) return name
  }
  return 'truesize' in o && 'transport_header' in o ? 'sk_buff' : ''
}

// which struct an object stands for
export const isSock = (o: unknown): o is sock => o instanceof sock
export const isTcp = (o: unknown): o is tcp_sock => o instanceof tcp_sock
export const isDevice = (o: unknown): o is net_device => o instanceof net_device
export const isQdisc = (o: unknown): o is Qdisc => o instanceof Qdisc
export const isSocket = (o: unknown): o is socket => o instanceof socket
export const isNet = (o: unknown): o is net => o instanceof net
export const isRealSkb = (o: unknown): o is sk_buff => o instanceof sk_buff

/** `tcp#4`: the short name of a socket */
const sockName = (sk: sock_common): string => `${sk.skc_prot?.name?.toLowerCase() ?? 'sock'}#${sk.id}`

/** a queue discipline's handle as tc prints it */
export const handleText = (handle: number): string => `${(handle >>> 16).toString(16)}:${(handle & 0xffff || '').toString(16)}`

/** who an object is, in a word or two: what stands for a pointer; null when it has no identity of its own */
export function identity(o: object): string | null {
  if (o instanceof sk_buff) return `skb ${o.id}`
  if (o instanceof sock) return sockName(o)
  if (o instanceof socket) return o.sk === null ? 'socket' : `socket of ${sockName(o.sk)}`
  if (o instanceof net_device) return o.name
  if (o instanceof net) return o.name === '' ? 'init_net' : `net ${o.name}`
  if (o instanceof Qdisc) return `${o.ops?.id ?? 'qdisc'} ${handleText(o.handle)}`
  if (o instanceof task_struct) return `${o.comm}/${o.pid}`
  if (structName(o) === 'sk_buff') return `skb ${(o as TracedSkb).id}`
  return null
}

/** an object of which nothing is known */
export const NAMELESS = '<…>'

/** An object or a value in a few characters, as an argument list has it. Numbers stay numbers. */
export function brief(v: unknown): number | string {
  switch (typeof v) {
    case 'number':
      return v
    case 'boolean':
      return v ? 1 : 0
    case 'string':
      return JSON.stringify(v)
    case 'bigint':
      return `0x${v.toString(16)}`
    case 'function':
      return kfnOf(v)?.name ?? '<function>'
    case 'object': {
      if (v === null) return 0
      const own = identity(v)
      if (own !== null) return own
      if (v instanceof Uint8Array) return `<${v.length} bytes>`
      if (Array.isArray(v)) return `<${v.length} elements>`
      // a pointer to one value: `int *err`
      if ('v' in v && Object.keys(v).length === 1) return typeof v.v === 'number' ? `&${v.v}` : `&${brief(v.v)}`
      const name = structName(v)
      return name === '' ? NAMELESS : `<${name}>`
    }
    default:
      return 0
  }
}

/** include/net/tcp_states.h */
export const tcpStateNames: readonly string[] =
  '? ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING NEW_SYN_RECV'.split(' ')
/** `TCP_ESTABLISHED` and the others, for expressions */
export const tcpStateNumbers: Readonly<Record<string, number>> = Object.fromEntries(
  tcpStateNames.slice(1).map((name, i) => [`TCP_${name}`, i + 1]),
)
