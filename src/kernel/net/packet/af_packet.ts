import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { decide, traceIndirect, tracer } from '../../../trace/tracer.ts'
import { virtio_net_hdr_from_skb, virtio_net_hdr_set_proto, virtio_net_hdr_to_skb } from '../../drivers/net/virtio_net_hdr.ts'
import {
  ARPHRD_ETHER,
  IFF_UP,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_PEEK,
  MSG_TRUNC,
  NET_XMIT_CN,
  NETDEV_DOWN,
  NETDEV_UNREGISTER,
  NETDEV_UP,
  PACKET_LOOPBACK,
  PACKET_OUTGOING,
  SKB_CONSUMED,
  SKB_DROP_REASON_PACKET_SOCK_ERROR,
  SKB_GSO_TCPV4,
  SKB_GSO_TCPV6,
  SOCK_DEAD,
  SOCK_DGRAM,
  SOCK_NOFCS,
  SOCK_PACKET,
  SOCK_RAW,
} from '../../include/generated/enums.ts'
import {
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENETDOWN,
  ENOBUFS,
  ENODEV,
  ENOPROTOOPT,
  ENOTCONN,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
} from '../../include/linux/errno.ts'
import { ETH_P_8021Q, ETH_P_ALL } from '../../include/linux/if_ether.ts'
import * as P from '../../include/linux/if_packet.ts'
import { eth_type_vlan, skb_vlan_tag_get, skb_vlan_tag_present, VLAN_HLEN } from '../../include/linux/if_vlan.ts'
import { mutex } from '../../include/linux/mutex.ts'
import type { proto_ops, sockaddr, socket } from '../../include/linux/net.ts'
import type { net_device, packet_type } from '../../include/linux/netdevice.ts'
import {
  __skb_queue_tail,
  CHECKSUM_PARTIAL,
  type sk_buff,
  skb_is_gso,
  skb_mac_offset,
  skb_network_offset,
  skb_reset_mac_header,
  skb_reset_network_header,
  skb_set_network_header,
  skb_shinfo,
} from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, GFP_KERNEL } from '../../include/linux/slab.ts'
import { type msghdr, PF_PACKET, SOL_PACKET } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import type { ref } from '../../include/linux/types.ts'
import type { net } from '../../include/net/net_namespace.ts'
import { type proto, sock, sockcm_cookie } from '../../include/net/sock.ts'
import { ns_capable } from '../../kernel/capability.ts'
import { mutex_init, mutex_lock, mutex_unlock } from '../../kernel/locking/mutex.ts'
import { spin_lock, spin_lock_bh, spin_unlock, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { declare_module } from '../../kernel/module/kmod.ts'
import { rcu_read_lock, rcu_read_unlock, synchronize_net } from '../../kernel/rcu.ts'
import { copy_from_iter_full, iov_iter_advance } from '../../lib/iov_iter.ts'
import { copy_to_sockptr, get_user } from '../../lib/usercopy.ts'
import {
  memcpy_from_msg,
  memcpy_to_msg,
  skb_copy_datagram_from_iter,
  skb_copy_datagram_msg,
  skb_free_datagram,
  skb_recv_datagram,
} from '../core/datagram.ts'
import {
  __dev_get_by_index,
  __dev_remove_pack,
  dev_add_pack,
  dev_direct_xmit,
  dev_get_by_index,
  dev_get_by_index_rcu,
  dev_get_by_name_rcu,
  dev_hard_header,
  dev_has_header,
  dev_hold,
  dev_parse_header,
  dev_parse_header_protocol,
  dev_put,
  dev_queue_xmit,
  dev_set_allmulti,
  dev_set_promiscuity,
  dev_validate_header,
  netdev_notifier_info_to_dev,
  netdev_pick_tx,
  type notifier_block,
  register_netdevice_notifier,
  vlan_get_protocol_and_depth,
} from '../core/dev.ts'
import { skb_dst_drop } from '../core/dst.ts'
import { skb_probe_transport_header } from '../core/flow_dissector.ts'
import { put_cmsg } from '../core/scm.ts'
import {
  consume_skb,
  kfree_skb,
  nf_reset_ct,
  pskb_trim,
  sk_skb_reason_drop,
  skb_clear_delivery_time,
  skb_clone,
  skb_csum_unnecessary,
  skb_header_pointer,
  skb_pull,
  skb_push,
  skb_put,
  skb_queue_purge,
  skb_record_rx_queue,
  skb_reserve,
  skb_set_delivery_type_by_clockid,
  skb_share_check,
} from '../core/skbuff.ts'
import {
  __sock_put,
  lock_sock,
  proto_register,
  release_sock,
  sk_alloc,
  sk_error_report,
  skb_set_owner_r,
  skb_setup_tx_timestamp,
  sock_alloc_send_pskb,
  sock_cmsg_send,
  sock_flag,
  sock_hold,
  sock_init_data,
  sock_net,
  sock_no_accept,
  sock_no_connect,
  sock_no_ioctl,
  sock_no_listen,
  sock_no_shutdown,
  sock_no_socketpair,
  sock_orphan,
  sock_prot_inuse_add,
  sock_put,
  sock_queue_rcv_skb,
  sock_recv_cmsgs,
  sock_recv_errqueue,
  sock_skb_set_dropcount,
  sock_wmalloc,
  sockcm_init,
} from '../core/sock.ts'
import { eth_hdr } from '../ethernet/eth.ts'
import { sock_register } from '../socket.ts'

const PAGE_SIZE = 4096
const MAX_SKB_FRAGS = 17
const PAGE_ALLOC_COSTLY_ORDER = 3
const HH_DATA_MOD = 16
const SS_UNCONNECTED = 1
const CAP_NET_RAW = 13
const SIZEOF_IPV6HDR = 40
const SIZEOF_SOCKADDR = 16
const SPKT_DEVICE = 2
const NOTIFY_DONE = 0
const TPACKET_V1 = 0
const TPACKET_V3 = 2

/** struct packet_sock; `num` is the EtherType that it wants, in host order as elsewhere */
class packet_sock extends sock {
  auxdata = false
  origdev = false
  qdisc_bypass = false
  running = false
  pressure = false
  copy_thresh = 0
  tp_version = TPACKET_V1
  tp_reserve = 0
  tp_loss = false
  tp_has_off = false
  tp_tstamp = 0
  tp_packets = 0
  tp_drops = 0
  readonly bind_lock: spinlock_t = new spinlock_t()
  readonly pg_vec_lock: mutex = new mutex()
  vnet_hdr_sz = 0
  ifindex = 0
  num = 0
  mclist: packet_mclist[] = []
  cached_dev: net_device | null = null
  readonly prot_hook: packet_type = {
    type: 0,
    ignore_outgoing: false,
    dev: null,
    func: packet_rcv,
    af_packet_net: null,
    af_packet_priv: this,
  }
}
const pkt_sk = (sk: sock): packet_sock => sk as packet_sock

interface packet_mclist {
  ifindex: number
  count: number
  type: number
  alen: number
  addr: Uint8Array
}

/** struct packet_skb_cb: whom a frame came from, and how long it was */
interface packet_skb_cb {
  origlen: number
  sll: P.sockaddr_ll
}
const PACKET_SKB_CB = (skb: sk_buff): packet_skb_cb => skb.cb as packet_skb_cb

const LL_RESERVED_SPACE_EX = (dev: net_device, hlen: number): number =>
  ((hlen + dev.needed_headroom) & ~(HH_DATA_MOD - 1)) + HH_DATA_MOD
const net_xmit_errno = (err: number): number => (err !== NET_XMIT_CN ? -ENOBUFS : 0)
const ntohs = (v: number): number => ((v & 0xff) << 8) | ((v >> 8) & 0xff)
const sk_filter_of = (sk: sock): unknown => sk.sk_filter

const packet_pick_tx_queue = kfunc('packet_pick_tx_queue', (skb: sk_buff): number => {
  const dev = skb.dev as net_device
  const { ndo_select_queue } = dev.netdev_ops
  skb_record_rx_queue(skb, 0)
  if (!ndo_select_queue) return netdev_pick_tx(dev, skb, null)
  if (tracer.on) traceIndirect('ops->ndo_select_queue', nameOf(ndo_select_queue))
  const queue_index = ndo_select_queue(dev, skb, null)
  return queue_index >= dev.real_num_tx_queues ? 0 : queue_index
})

const packet_xmit = kfunc('packet_xmit', (po: packet_sock, skb: sk_buff): number => {
  if (!po.qdisc_bypass) return dev_queue_xmit(skb)
  if (tracer.on) decide('packet_xmit', 'past the queue discipline: PACKET_QDISC_BYPASS', { len: skb.len })
  return dev_direct_xmit(skb, packet_pick_tx_queue(skb))
})

const packet_cached_dev_get = kfunc('packet_cached_dev_get', (po: packet_sock): net_device | null => {
  rcu_read_lock()
  const dev = po.cached_dev
  if (dev !== null) dev_hold(dev)
  rcu_read_unlock()
  return dev
})
const packet_cached_dev_assign = (po: packet_sock, dev: net_device | null): void => {
  po.cached_dev = dev
}
const packet_cached_dev_reset = (po: packet_sock): void => {
  po.cached_dev = null
}

const __register_prot_hook = kfunc('__register_prot_hook', (sk: sock): void => {
  const po = pkt_sk(sk)
  if (po.running) return
  dev_add_pack(po.prot_hook)
  sock_hold(sk)
  po.running = true
})
const register_prot_hook = kfunc('register_prot_hook', (sk: sock): void => __register_prot_hook(sk))

/** with `sync`, waits until nobody delivers to the socket any more */
const __unregister_prot_hook = kfunc('__unregister_prot_hook', (sk: sock, sync: boolean): void => {
  const po = pkt_sk(sk)
  po.running = false
  __dev_remove_pack(po.prot_hook)
  __sock_put(sk)
  if (!sync) return
  spin_unlock(po.bind_lock)
  synchronize_net()
  spin_lock(po.bind_lock)
})
const unregister_prot_hook = kfunc('unregister_prot_hook', (sk: sock, sync: boolean): void => {
  if (pkt_sk(sk).running) __unregister_prot_hook(sk, sync)
})

const packet_sock_destruct = kfunc('packet_sock_destruct', (sk: sock): void => {
  skb_queue_purge(sk.sk_error_queue)
})

// ---- receiving

/** bytes that the socket's filter leaves of a packet */
const run_filter = kfunc('run_filter', (_skb: sk_buff, sk: sock, res: number): number => {
  rcu_read_lock()
  const kept = sk_filter_of(sk) === null ? res : 0
  rcu_read_unlock()
  return kept
})

const packet_rcv_vnet = kfunc('packet_rcv_vnet', (msg: msghdr, skb: sk_buff, len: ref<number>, vnet_hdr_sz: number): number => {
  const vnet_hdr = new Uint8Array(12)
  if (len.v < vnet_hdr_sz) return -EINVAL
  len.v -= vnet_hdr_sz
  if (virtio_net_hdr_from_skb(skb, new DataView(vnet_hdr.buffer), true, true, 0)) return -EINVAL
  return memcpy_to_msg(msg, vnet_hdr, vnet_hdr_sz)
})

/**
 * Takes a frame for a socket, on its way in or out. One that is not shared is kept, of others a clone is made; what the protocols
 * get is as it was.
 */
const packet_rcv = kfunc('packet_rcv', (given: sk_buff, dev: net_device, pt: packet_type, orig_dev: net_device): number => {
  let skb = given
  const { data: skb_head, len: skb_len } = skb
  const restore = (): void => {
    if (skb_head !== skb.data && skb.users !== 1) {
      skb.data = skb_head
      skb.len = skb_len
    }
  }
  if (skb.pkt_type === PACKET_LOOPBACK) {
    sk_skb_reason_drop(null, skb, SKB_CONSUMED)
    return 0
  }
  const sk = pt.af_packet_priv as sock
  const po = pkt_sk(sk)
  if (dev.nd_net !== sock_net(sk)) {
    sk_skb_reason_drop(sk, skb, SKB_CONSUMED)
    return 0
  }
  skb.dev = dev
  if (dev_has_header(dev)) {
    if (sk.sk_type !== SOCK_DGRAM) skb_push(skb, skb.data - skb.mac_header)
    // what goes out has its link header yet
    else if (skb.pkt_type === PACKET_OUTGOING) skb_pull(skb, skb_network_offset(skb))
  }
  let snaplen = skb.len
  const res = run_filter(skb, sk, snaplen)
  if (!res) {
    restore()
    sk_skb_reason_drop(sk, skb, SKB_CONSUMED)
    return 0
  }
  if (snaplen > res) snaplen = res

  let full = sk.sk_rmem_alloc >= sk.sk_rcvbuf
  if (!full && skb.users !== 1) {
    const nskb = skb_clone(skb, GFP_ATOMIC)
    if (nskb === null) full = true
    else {
      restore()
      consume_skb(skb)
      skb = nskb
    }
  }
  if (!full) {
    const sll = new P.sockaddr_ll(new Uint8Array(P.SLL_ADDR + 32))
    sll.sll_hatype = dev.type
    sll.sll_pkttype = skb.pkt_type
    sll.sll_ifindex = po.origdev ? orig_dev.ifindex : dev.ifindex
    sll.sll_halen = dev_parse_header(skb, sll.sll_addr)
    skb.cb = { origlen: skb.len, sll } satisfies packet_skb_cb
    full = pskb_trim(skb, snaplen) !== 0
  }
  if (full) {
    if (tracer.on)
      decide('packet_rcv', 'dropped: the receive buffer is full', { rmem_alloc: sk.sk_rmem_alloc, rcvbuf: sk.sk_rcvbuf })
    po.tp_drops++
    sk.sk_drops++
    restore()
    sk_skb_reason_drop(sk, skb, SKB_DROP_REASON_PACKET_SOCK_ERROR)
    return 0
  }
  skb_set_owner_r(skb, sk)
  skb.dev = null
  skb_dst_drop(skb)
  nf_reset_ct(skb)
  spin_lock(sk.sk_receive_queue.lock)
  po.tp_packets++
  sock_skb_set_dropcount(sk, skb)
  skb_clear_delivery_time(skb)
  __skb_queue_tail(sk.sk_receive_queue, skb)
  spin_unlock(sk.sk_receive_queue.lock)
  if (tracer.on) traceIndirect('sk->sk_data_ready', nameOf(sk.sk_data_ready))
  sk.sk_data_ready(sk)
  return 0
})

/** the same for sockets of the old type SOCK_PACKET */
const packet_rcv_spkt = kfunc(
  'packet_rcv_spkt',
  (given: sk_buff, dev: net_device, pt: packet_type, _orig_dev: net_device): number => {
    const sk = pt.af_packet_priv as sock
    if (given.pkt_type === PACKET_LOOPBACK || dev.nd_net !== sock_net(sk)) {
      kfree_skb(given)
      return 0
    }
    const skb = skb_share_check(given, GFP_ATOMIC)
    if (skb === null) return 0
    skb_dst_drop(skb)
    nf_reset_ct(skb)
    if (dev_has_header(dev)) skb_push(skb, skb.data - skb.mac_header)
    const spkt = new Uint8Array(P.SLL_ADDR + 32)
    new DataView(spkt.buffer).setUint16(0, dev.type, true)
    spkt.set(Buffer.from(dev.name.slice(0, 13), 'latin1'), SPKT_DEVICE)
    new DataView(spkt.buffer).setUint16(16, skb.protocol)
    skb.cb = { origlen: skb.len, sll: new P.sockaddr_ll(spkt) } satisfies packet_skb_cb
    if (sock_queue_rcv_skb(sk, skb) !== 0) kfree_skb(skb)
    return 0
  },
)

// ---- sending

/** finds where the headers of a frame are that a program wrote */
const packet_parse_headers = kfunc('packet_parse_headers', (skb: sk_buff, sock: socket): void => {
  skb_reset_mac_header(skb)
  if ((!skb.protocol || skb.protocol === ETH_P_ALL) && sock.type === SOCK_RAW) skb.protocol = dev_parse_header_protocol(skb)
  skb_probe_transport_header(skb)
  const depth: ref<number> = { v: 0 }
  if (
    skb.dev?.type === ARPHRD_ETHER &&
    eth_type_vlan(skb.protocol) &&
    vlan_get_protocol_and_depth(skb, skb.protocol, depth) !== 0
  )
    skb_set_network_header(skb, depth.v)
})

/** a frame with a VLAN tag may be four bytes longer than the MTU says */
const packet_extra_vlan_len_allowed = kfunc('packet_extra_vlan_len_allowed', (dev: net_device, skb: sk_buff): boolean => {
  if (dev.type !== ARPHRD_ETHER) return false
  skb_reset_mac_header(skb)
  return eth_hdr(skb).h_proto === ETH_P_8021Q
})

const cut_name = (bytes: Uint8Array, at: number, room: number): string => {
  const name = bytes.subarray(at, at + room)
  const end = name.indexOf(0)
  return Buffer.from(end < 0 ? name : name.subarray(0, end)).toString('latin1')
}

const packet_sendmsg_spkt = kfunc('packet_sendmsg_spkt', (sock: socket, msg: msghdr, len: number): number => {
  const sk = sock.sk as sock
  const saddr = msg.msg_name
  if (saddr === null) return -ENOTCONN
  if (msg.msg_namelen < SIZEOF_SOCKADDR) return -EINVAL
  // struct sockaddr_pkt: family, 14 bytes of the name, protocol
  const proto = msg.msg_namelen === 18 ? ((saddr.bytes[16] ?? 0) << 8) | (saddr.bytes[17] ?? 0) : 0
  const name = cut_name(saddr.bytes, SPKT_DEVICE, 13)
  let skb: sk_buff | null = null
  let hard_header_len = 0
  for (;;) {
    rcu_read_lock()
    const dev = dev_get_by_name_rcu(sock_net(sk), name)
    let err = 0
    if (dev === null) err = -ENODEV
    else if (!(dev.flags & IFF_UP)) err = -ENETDOWN
    else {
      if (skb === null) ({ hard_header_len } = dev)
      if (len > dev.mtu + hard_header_len + VLAN_HLEN) err = -EMSGSIZE
    }
    if (err || dev === null) {
      rcu_read_unlock()
      kfree_skb(skb)
      return err
    }
    if (skb === null) {
      const reserved = LL_RESERVED_SPACE_EX(dev, hard_header_len)
      const hhlen = dev_has_header(dev) ? hard_header_len : 0
      rcu_read_unlock()
      skb = sock_wmalloc(sk, len + reserved + dev.needed_tailroom, 0, GFP_KERNEL)
      if (skb === null) return -ENOBUFS
      skb_reserve(skb, reserved)
      skb_reset_network_header(skb)
      if (hhlen) {
        skb.data -= hhlen
        skb.tail -= hhlen
        if (len < hhlen) skb_reset_network_header(skb)
      }
      const at = skb_put(skb, len)
      const bad = memcpy_from_msg(skb.head.bytes.subarray(at, at + len), msg, len)
      if (bad) {
        kfree_skb(skb)
        return bad
      }
      continue
    }
    if (!dev_validate_header(dev, skb, len) || !skb.len) err = -EINVAL
    else if (len > dev.mtu + hard_header_len && !packet_extra_vlan_len_allowed(dev, skb)) err = -EMSGSIZE
    const sockc = new sockcm_cookie()
    if (!err) {
      sockcm_init(sockc, sk)
      if (msg.msg_controllen) err = sock_cmsg_send(sk, msg, sockc)
    }
    if (err) {
      rcu_read_unlock()
      kfree_skb(skb)
      return err
    }
    skb.protocol = proto
    skb.dev = dev
    skb.priority = sk.sk_priority
    skb.mark = sk.sk_mark
    skb_set_delivery_type_by_clockid(skb, sockc.transmit_time, sk.sk_clockid)
    skb_setup_tx_timestamp(skb, sockc.tsflags)
    packet_parse_headers(skb, sock)
    dev_queue_xmit(skb)
    rcu_read_unlock()
    return len
  }
})

const __packet_snd_vnet_parse = kfunc('__packet_snd_vnet_parse', (vnet_hdr: DataView, len: number): number => {
  const needed = vnet_hdr.getUint16(6, true) + vnet_hdr.getUint16(8, true) + 2
  if (vnet_hdr.getUint8(0) & 1 && needed > vnet_hdr.getUint16(2, true)) vnet_hdr.setUint16(2, needed, true)
  return vnet_hdr.getUint16(2, true) > len ? -EINVAL : 0
})

/** takes the header that says what the kernel is to do with the packet off the message */
const packet_snd_vnet_parse = kfunc(
  'packet_snd_vnet_parse',
  (msg: msghdr, len: ref<number>, vnet_hdr: DataView, vnet_hdr_sz: number): number => {
    if (len.v < vnet_hdr_sz) return -EINVAL
    len.v -= vnet_hdr_sz
    const bytes = new Uint8Array(vnet_hdr.buffer)
    if (!copy_from_iter_full(bytes, bytes.length, msg.msg_iter)) return -EFAULT
    const ret = __packet_snd_vnet_parse(vnet_hdr, len.v)
    if (ret) return ret
    if (vnet_hdr_sz !== bytes.length) iov_iter_advance(msg.msg_iter, vnet_hdr_sz - bytes.length)
    return 0
  },
)

/** room for `len` bytes behind `reserve`, of which all but `linear` lie in pages once it is more than a page */
const packet_alloc_skb = kfunc(
  'packet_alloc_skb',
  (
    sk: sock,
    prepad: number,
    reserve: number,
    len: number,
    linear_wanted: number,
    noblock: number,
    err: ref<number>,
  ): sk_buff | null => {
    let linear = linear_wanted
    if (prepad + len < PAGE_SIZE || !linear) linear = len
    const most = MAX_SKB_FRAGS * (PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER)
    if (len - linear > most) linear = len - most
    const skb = sock_alloc_send_pskb(sk, prepad + linear, len - linear, noblock, err, PAGE_ALLOC_COSTLY_ORDER)
    if (skb === null) return null
    skb_reserve(skb, reserve)
    skb_put(skb, linear)
    skb.data_len = len - linear
    skb.len += len - linear
    return skb
  },
)

const packet_snd = kfunc('packet_snd', (sock: socket, msg: msghdr, size: number): number => {
  const sk = sock.sk as sock
  const po = pkt_sk(sk)
  const { vnet_hdr_sz } = po
  let dev: net_device | null
  let proto: number
  let addr: Uint8Array | null = null
  const out = (err: number): number => {
    dev_put(dev)
    return err
  }
  if (msg.msg_name === null) {
    dev = packet_cached_dev_get(po)
    proto = po.num
  } else {
    const saddr = new P.sockaddr_ll(msg.msg_name.bytes)
    if (msg.msg_namelen < P.SIZEOF_SOCKADDR_LL) return -EINVAL
    if (msg.msg_namelen < saddr.sll_halen + P.SLL_ADDR) return -EINVAL
    proto = saddr.sll_protocol
    dev = dev_get_by_index(sock_net(sk), saddr.sll_ifindex)
    if (sock.type === SOCK_DGRAM) {
      if (dev !== null && msg.msg_namelen < dev.addr_len + P.SLL_ADDR) return out(-EINVAL)
      addr = saddr.sll_addr
    }
  }
  if (dev === null) return -ENXIO
  if (!(dev.flags & IFF_UP)) return out(-ENETDOWN)

  const sockc = new sockcm_cookie()
  sockcm_init(sockc, sk)
  sockc.mark = sk.sk_mark
  if (msg.msg_controllen) {
    const err = sock_cmsg_send(sk, msg, sockc)
    if (err) return out(err)
  }
  const { hard_header_len } = dev
  const reserve = sock.type === SOCK_RAW ? hard_header_len : 0
  const vnet_hdr = new DataView(new ArrayBuffer(10))
  const left: ref<number> = { v: size }
  if (vnet_hdr_sz) {
    const err = packet_snd_vnet_parse(msg, left, vnet_hdr, vnet_hdr_sz)
    if (err) return out(err)
  }
  let len = left.v
  const gso_type = vnet_hdr.getUint8(1)
  if (sock_flag(sk, SOCK_NOFCS)) return out(-EPROTONOSUPPORT)
  if (!gso_type && len > dev.mtu + reserve + VLAN_HLEN) {
    if (tracer.on) decide('packet_snd', 'too large for the device', { len, mtu: dev.mtu, reserve })
    return out(-EMSGSIZE)
  }
  const hlen = LL_RESERVED_SPACE_EX(dev, hard_header_len)
  const linear = Math.max(vnet_hdr.getUint16(2, true), Math.min(len, hard_header_len))
  const errp: ref<number> = { v: -ENOBUFS }
  const skb = packet_alloc_skb(sk, hlen + dev.needed_tailroom, hlen, len, linear, msg.msg_flags & MSG_DONTWAIT, errp)
  if (skb === null) return out(errp.v)
  const drop = (err: number): number => {
    kfree_skb(skb)
    return out(err)
  }
  skb_reset_network_header(skb)
  let offset = 0
  if (sock.type === SOCK_DGRAM) {
    offset = dev_hard_header(skb, dev, proto, addr, null, len)
    if (offset < 0) return drop(-EINVAL)
  } else if (reserve) {
    skb_reserve(skb, -reserve)
    if (len < reserve + SIZEOF_IPV6HDR && dev.min_header_len !== hard_header_len) skb_reset_network_header(skb)
  }
  const bad = skb_copy_datagram_from_iter(skb, offset, msg.msg_iter, len)
  if (bad) return drop(bad)
  if ((sock.type === SOCK_RAW && !dev_validate_header(dev, skb, len)) || !skb.len) return drop(-EINVAL)
  skb_setup_tx_timestamp(skb, sockc.tsflags)
  if (!gso_type && len > dev.mtu + reserve && !packet_extra_vlan_len_allowed(dev, skb)) return drop(-EMSGSIZE)

  skb.protocol = proto
  skb.dev = dev
  skb.priority = sk.sk_priority
  skb.mark = sockc.mark
  skb_set_delivery_type_by_clockid(skb, sockc.transmit_time, sk.sk_clockid)
  packet_parse_headers(skb, sock)
  if (vnet_hdr_sz) {
    const err = virtio_net_hdr_to_skb(skb, vnet_hdr)
    if (err) return drop(err)
    len += vnet_hdr_sz
    virtio_net_hdr_set_proto(skb, vnet_hdr)
  }
  let err = packet_xmit(po, skb)
  if (err > 0) err = net_xmit_errno(err)
  return out(err || len)
})

const packet_sendmsg = kfunc('packet_sendmsg', (sock: socket, msg: msghdr, len: number): number => packet_snd(sock, msg, len))

// ---- a socket's life

const packet_release = kfunc('packet_release', (sock: socket): number => {
  const { sk } = sock
  if (sk === null) return 0
  const n = sock_net(sk)
  const po = pkt_sk(sk)
  const list = sockets(n)
  mutex_lock(list.sklist_lock)
  list.sklist.splice(list.sklist.indexOf(po), 1)
  __sock_put(sk)
  mutex_unlock(list.sklist_lock)
  sock_prot_inuse_add(n, sk.sk_prot, -1)
  spin_lock(po.bind_lock)
  unregister_prot_hook(sk, false)
  po.num = 0
  packet_cached_dev_reset(po)
  dev_put(po.prot_hook.dev)
  po.prot_hook.dev = null
  spin_unlock(po.bind_lock)
  packet_flush_mclist(sk)
  lock_sock(sk)
  release_sock(sk)
  synchronize_net()
  sock_orphan(sk)
  sock.sk = null
  skb_queue_purge(sk.sk_receive_queue)
  sock_put(sk)
  return 0
})

/** which device, and frames of which type, the socket is for from now on */
const packet_do_bind = kfunc('packet_do_bind', (sk: sock, name: string | null, ifindex: number, wanted: number): number => {
  const po = pkt_sk(sk)
  let dev: net_device | null = null
  let ret = 0
  lock_sock(sk)
  spin_lock(po.bind_lock)
  const proto = wanted || po.num
  rcu_read_lock()
  if (name !== null) dev = dev_get_by_name_rcu(sock_net(sk), name)
  else if (ifindex) dev = dev_get_by_index_rcu(sock_net(sk), ifindex)
  if (dev === null && (name !== null || ifindex)) ret = -ENODEV
  else {
    const need_rehook = po.prot_hook.type !== proto || po.prot_hook.dev !== dev
    if (need_rehook) {
      if (dev !== null) dev_hold(dev)
      if (po.running) {
        rcu_read_unlock()
        po.num = 0
        __unregister_prot_hook(sk, true)
        rcu_read_lock()
        if (dev !== null) dev_get_by_index_rcu(sock_net(sk), dev.ifindex)
      }
      po.num = proto
      po.prot_hook.type = proto
      dev_put(po.prot_hook.dev)
      if (dev !== null) dev_hold(dev)
      po.prot_hook.dev = dev
      po.ifindex = dev?.ifindex ?? 0
      packet_cached_dev_assign(po, dev)
      dev_put(dev)
    }
    if (proto !== 0 && need_rehook) {
      if (dev === null || dev.flags & IFF_UP) register_prot_hook(sk)
      else {
        sk.sk_err = ENETDOWN
        if (!sock_flag(sk, SOCK_DEAD)) sk_error_report(sk)
      }
    }
  }
  rcu_read_unlock()
  spin_unlock(po.bind_lock)
  release_sock(sk)
  return ret
})

const packet_bind_spkt = kfunc('packet_bind_spkt', (sock: socket, uaddr: sockaddr, addr_len: number): number => {
  if (addr_len !== SIZEOF_SOCKADDR) return -EINVAL
  return packet_do_bind(sock.sk as sock, cut_name(uaddr.bytes, SPKT_DEVICE, 14), 0, 0)
})

const packet_bind = kfunc('packet_bind', (sock: socket, uaddr: sockaddr, addr_len: number): number => {
  const sll = new P.sockaddr_ll(uaddr.bytes)
  if (addr_len < P.SIZEOF_SOCKADDR_LL) return -EINVAL
  if (sll.sll_family !== PF_PACKET) return -EINVAL
  return packet_do_bind(sock.sk as sock, null, sll.sll_ifindex, sll.sll_protocol)
})

const packet_proto: proto = { name: 'PACKET', obj_size: 1472, alloc: () => new packet_sock() }

/** `protocol` as a program gives it: in network order */
const packet_create = kfunc('packet_create', (n: net, sock: socket, protocol: number, kern: number): number => {
  const proto = ntohs(protocol)
  if (!ns_capable(null, CAP_NET_RAW)) return -EPERM
  if (sock.type !== SOCK_DGRAM && sock.type !== SOCK_RAW && sock.type !== SOCK_PACKET) return -ESOCKTNOSUPPORT
  sock.state = SS_UNCONNECTED
  const sk = sk_alloc(n, PF_PACKET, GFP_KERNEL, packet_proto, kern)
  if (sk === null) return -ENOBUFS
  sock.ops = sock.type === SOCK_PACKET ? packet_ops_spkt : packet_ops
  const po = pkt_sk(sk)
  sock_init_data(sock, sk)
  sk.sk_family = PF_PACKET
  po.num = proto
  packet_cached_dev_reset(po)
  sk.sk_destruct = packet_sock_destruct
  mutex_init(po.pg_vec_lock)
  po.prot_hook.func = sock.type === SOCK_PACKET ? packet_rcv_spkt : packet_rcv
  po.prot_hook.af_packet_priv = sk
  po.prot_hook.af_packet_net = sock_net(sk)
  if (proto) {
    po.prot_hook.type = proto
    __register_prot_hook(sk)
  }
  const list = sockets(n)
  mutex_lock(list.sklist_lock)
  sock_hold(sk)
  list.sklist.push(po)
  mutex_unlock(list.sklist_lock)
  sock_prot_inuse_add(n, packet_proto, 1)
  return 0
})

/** the tag of a frame whose data begins behind it */
const vlan_get_tci = kfunc('vlan_get_tci', (skb: sk_buff, dev: net_device | null): number => {
  if (dev === null || dev.min_header_len !== dev.hard_header_len) return 0
  const vhdr = new Uint8Array(VLAN_HLEN)
  const at = skb_header_pointer(skb, skb_mac_offset(skb) + dev.hard_header_len, VLAN_HLEN, vhdr)
  if (at === -2) return 0
  const b = at === -1 ? vhdr : skb.head.bytes.subarray(at, at + VLAN_HLEN)
  return ((b[0] ?? 0) << 8) | (b[1] ?? 0)
})
const vlan_get_protocol_dgram = kfunc('vlan_get_protocol_dgram', (skb: sk_buff): number =>
  eth_type_vlan(skb.protocol) ? vlan_get_protocol_and_depth(skb, skb.protocol, null) : skb.protocol,
)

/** struct tpacket_auxdata: what is known of a frame beside its bytes */
function auxdata(sock: socket, skb: sk_buff, origlen: number, sll: P.sockaddr_ll): Uint8Array {
  let status = P.TP_STATUS_USER
  if (skb.ip_summed === CHECKSUM_PARTIAL) status |= P.TP_STATUS_CSUMNOTREADY
  else if (skb.pkt_type !== PACKET_OUTGOING && skb_csum_unnecessary(skb)) status |= P.TP_STATUS_CSUM_VALID
  if (skb_is_gso(skb) && skb_shinfo(skb).gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)) status |= P.TP_STATUS_GSO_TCP
  let tci = 0
  let tpid = 0
  if (skb_vlan_tag_present(skb)) {
    tci = skb_vlan_tag_get(skb)
    tpid = skb.vlan_proto
    status |= P.TP_STATUS_VLAN_VALID | P.TP_STATUS_VLAN_TPID_VALID
  } else if (sock.type === SOCK_DGRAM && eth_type_vlan(skb.protocol)) {
    rcu_read_lock()
    const dev = dev_get_by_index_rcu(sock_net(sock.sk as sock), sll.sll_ifindex)
    if (dev !== null) {
      tci = vlan_get_tci(skb, dev)
      tpid = skb.protocol
      status |= P.TP_STATUS_VLAN_VALID | P.TP_STATUS_VLAN_TPID_VALID
    }
    rcu_read_unlock()
  }
  const aux = new Uint8Array(20)
  const d = new DataView(aux.buffer)
  d.setUint32(0, status, true)
  d.setUint32(4, origlen, true)
  d.setUint32(8, skb.len, true)
  d.setUint16(14, skb_network_offset(skb), true)
  d.setUint16(16, tci, true)
  d.setUint16(18, tpid, true)
  return aux
}

const packet_rcv_try_clear_pressure = kfunc('packet_rcv_try_clear_pressure', (po: packet_sock): void => {
  if (!po.pressure) return
  spin_lock_bh(po.sk_receive_queue.lock)
  po.pressure = false
  spin_unlock_bh(po.sk_receive_queue.lock)
})

const packet_recvmsg = kfunc('packet_recvmsg', (sock: socket, msg: msghdr, size: number, flags: number): number => {
  const sk = sock.sk as sock
  const po = pkt_sk(sk)
  const vnet_hdr_len = po.vnet_hdr_sz
  if (flags & ~(MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_ERRQUEUE)) return -EINVAL
  if (flags & MSG_ERRQUEUE) return sock_recv_errqueue(sk, msg, size, SOL_PACKET, P.PACKET_TX_TIMESTAMP)
  const err: ref<number> = { v: 0 }
  const skb = skb_recv_datagram(sk, flags, err)
  if (skb === null) return err.v
  packet_rcv_try_clear_pressure(po)
  const len: ref<number> = { v: size }
  if (vnet_hdr_len) {
    const bad = packet_rcv_vnet(msg, skb, len, vnet_hdr_len)
    if (bad) {
      skb_free_datagram(sk, skb)
      return bad
    }
  }
  let copied = skb.len
  if (copied > len.v) {
    copied = len.v
    msg.msg_flags |= MSG_TRUNC
  }
  const bad = skb_copy_datagram_msg(skb, 0, msg, copied)
  if (bad) {
    skb_free_datagram(sk, skb)
    return bad
  }
  const { sll, origlen } = PACKET_SKB_CB(skb)
  if (sock.type !== SOCK_PACKET) {
    sll.sll_family = PF_PACKET
    sll.sll_protocol = sock.type === SOCK_DGRAM ? vlan_get_protocol_dgram(skb) : skb.protocol
  }
  sock_recv_cmsgs(msg, sk, skb)
  if (msg.msg_name !== null) {
    const used = sock.type === SOCK_PACKET ? 18 : sll.sll_halen + P.SLL_ADDR
    msg.msg_namelen = Math.max(used, sock.type === SOCK_PACKET ? 0 : P.SIZEOF_SOCKADDR_LL)
    msg.msg_name.bytes.fill(0, P.SLL_ADDR, P.SIZEOF_SOCKADDR_LL)
    msg.msg_name.bytes.set(sll.bytes.subarray(0, used))
  }
  if (po.auxdata) {
    const aux = auxdata(sock, skb, origlen, sll)
    put_cmsg(msg, SOL_PACKET, P.PACKET_AUXDATA, aux.length, aux)
  }
  const ret = vnet_hdr_len + (flags & MSG_TRUNC ? skb.len : copied)
  skb_free_datagram(sk, skb)
  return ret
})

const packet_getname_spkt = kfunc('packet_getname_spkt', (sock: socket, uaddr: sockaddr, peer: number): number => {
  if (peer) return -EOPNOTSUPP
  uaddr.clear()
  uaddr.sa_family = PF_PACKET
  rcu_read_lock()
  const dev = dev_get_by_index_rcu(sock_net(sock.sk as sock), pkt_sk(sock.sk as sock).ifindex)
  if (dev !== null) uaddr.bytes.set(Buffer.from(dev.name.slice(0, 13), 'latin1'), SPKT_DEVICE)
  rcu_read_unlock()
  return SIZEOF_SOCKADDR
})

const packet_getname = kfunc('packet_getname', (sock: socket, uaddr: sockaddr, peer: number): number => {
  if (peer) return -EOPNOTSUPP
  const po = pkt_sk(sock.sk as sock)
  const sll = new P.sockaddr_ll(uaddr.bytes)
  sll.sll_family = PF_PACKET
  sll.sll_ifindex = po.ifindex
  sll.sll_protocol = po.num
  sll.sll_pkttype = 0
  rcu_read_lock()
  const dev = dev_get_by_index_rcu(sock_net(po), po.ifindex)
  sll.sll_hatype = dev?.type ?? 0
  sll.sll_halen = dev?.addr_len ?? 0
  if (dev !== null) sll.sll_addr.set(dev.dev_addr.subarray(0, dev.addr_len))
  rcu_read_unlock()
  return P.SLL_ADDR + sll.sll_halen
})

// ---- options

/** what a membership changes on the device; the cards here have no filters for single addresses */
const packet_dev_mc = kfunc('packet_dev_mc', (dev: net_device, i: packet_mclist, what: number): number => {
  switch (i.type) {
    case P.PACKET_MR_MULTICAST:
    case P.PACKET_MR_UNICAST:
      return i.alen !== dev.addr_len ? -EINVAL : 0
    case P.PACKET_MR_PROMISC:
      return dev_set_promiscuity(dev, what)
    case P.PACKET_MR_ALLMULTI:
      return dev_set_allmulti(dev, what)
  }
  return 0
})

const same = (a: packet_mclist, b: packet_mclist): boolean =>
  a.ifindex === b.ifindex && a.type === b.type && a.alen === b.alen && Buffer.compare(a.addr, b.addr) === 0

const packet_mc_add = kfunc('packet_mc_add', (sk: sock, mreq: packet_mclist): number => {
  const po = pkt_sk(sk)
  const dev = __dev_get_by_index(sock_net(sk), mreq.ifindex)
  if (dev === null) return -ENODEV
  if (mreq.alen > dev.addr_len) return -EINVAL
  const old = po.mclist.find((ml) => same(ml, mreq))
  if (old !== undefined) {
    old.count++
    return 0
  }
  const err = packet_dev_mc(dev, mreq, 1)
  if (!err) po.mclist.unshift(mreq)
  return err
})
const packet_mc_drop = kfunc('packet_mc_drop', (sk: sock, mreq: packet_mclist): number => {
  const po = pkt_sk(sk)
  const i = po.mclist.findIndex((ml) => same(ml, mreq))
  const ml = po.mclist[i]
  if (ml === undefined || --ml.count > 0) return 0
  po.mclist.splice(i, 1)
  const dev = __dev_get_by_index(sock_net(sk), ml.ifindex)
  if (dev !== null) packet_dev_mc(dev, ml, -1)
  return 0
})
const packet_flush_mclist = kfunc('packet_flush_mclist', (sk: sock): void => {
  const po = pkt_sk(sk)
  for (let ml = po.mclist.shift(); ml !== undefined; ml = po.mclist.shift()) {
    const dev = __dev_get_by_index(sock_net(sk), ml.ifindex)
    if (dev !== null) packet_dev_mc(dev, ml, -1)
  }
})

/** struct packet_mreq: ifindex, type, length of the address, address */
function read_mreq(optval: Uint8Array, optlen: number): packet_mclist | number {
  if (optlen < 16) return -EINVAL
  const d = new DataView(optval.buffer, optval.byteOffset, optval.byteLength)
  const alen = d.getUint16(6, true)
  if (optlen < alen + 8) return -EINVAL
  return { ifindex: d.getInt32(0, true), type: d.getUint16(4, true), alen, addr: optval.slice(8, 8 + alen), count: 1 }
}

const packet_setsockopt = kfunc(
  'packet_setsockopt',
  (sock: socket, level: number, optname: number, optval: Uint8Array, optlen: number): number => {
    const sk = sock.sk as sock
    const po = pkt_sk(sk)
    if (level !== SOL_PACKET) return -ENOPROTOOPT
    if (optname === P.PACKET_ADD_MEMBERSHIP || optname === P.PACKET_DROP_MEMBERSHIP) {
      const mreq = read_mreq(optval, optlen)
      if (typeof mreq === 'number') return mreq
      return optname === P.PACKET_ADD_MEMBERSHIP ? packet_mc_add(sk, mreq) : packet_mc_drop(sk, mreq)
    }
    const value = (): number => new DataView(optval.buffer, optval.byteOffset).getInt32(0, true)
    /** options that count for the rings too: under the lock */
    const locked = (set: () => void): number => {
      lock_sock(sk)
      set()
      release_sock(sk)
      return 0
    }
    switch (optname) {
      case P.PACKET_AUXDATA:
      case P.PACKET_ORIGDEV:
        if (optlen < 4) return -EINVAL
        if (optname === P.PACKET_AUXDATA) po.auxdata = value() !== 0
        else po.origdev = value() !== 0
        return 0
      case P.PACKET_VNET_HDR:
      case P.PACKET_VNET_HDR_SZ: {
        if (sock.type !== SOCK_RAW || optlen < 4) return -EINVAL
        const val = value()
        if (optname === P.PACKET_VNET_HDR_SZ && val !== 0 && val !== 10 && val !== 12) return -EINVAL
        return locked(() => {
          po.vnet_hdr_sz = optname === P.PACKET_VNET_HDR_SZ ? val : val ? 10 : 0
        })
      }
    }
    if (optlen !== 4) return known_option(optname) ? -EINVAL : -ENOPROTOOPT
    const val = value()
    switch (optname) {
      case P.PACKET_COPY_THRESH:
        po.copy_thresh = val
        return 0
      case P.PACKET_VERSION:
        if (val < TPACKET_V1 || val > TPACKET_V3) return -EINVAL
        return locked(() => {
          po.tp_version = val
        })
      case P.PACKET_RESERVE:
        if (val < 0) return -EINVAL
        return locked(() => {
          po.tp_reserve = val
        })
      case P.PACKET_LOSS:
        return locked(() => {
          po.tp_loss = val !== 0
        })
      case P.PACKET_TX_HAS_OFF:
        return locked(() => {
          po.tp_has_off = val !== 0
        })
      case P.PACKET_TIMESTAMP:
        po.tp_tstamp = val
        return 0
      case P.PACKET_IGNORE_OUTGOING:
        if (val < 0 || val > 1) return -EINVAL
        po.prot_hook.ignore_outgoing = val === 1
        return 0
      case P.PACKET_QDISC_BYPASS:
        po.qdisc_bypass = val !== 0
        return 0
    }
    // rings in memory that the program shares, and groups of sockets, are not simulated
    return -ENOPROTOOPT
  },
)
const known_option = (optname: number): boolean =>
  [
    P.PACKET_COPY_THRESH,
    P.PACKET_VERSION,
    P.PACKET_RESERVE,
    P.PACKET_LOSS,
    P.PACKET_TX_HAS_OFF,
    P.PACKET_TIMESTAMP,
    P.PACKET_IGNORE_OUTGOING,
    P.PACKET_QDISC_BYPASS,
  ].includes(optname)

/** sizes of struct tpacket_hdr, tpacket2_hdr and tpacket3_hdr */
const TPACKET_HDRLEN = [32, 32, 48]

const packet_getsockopt = kfunc(
  'packet_getsockopt',
  (sock: socket, level: number, optname: number, optval: number, optlen: ref<number>): number => {
    const sk = sock.sk as sock
    const po = pkt_sk(sk)
    if (level !== SOL_PACKET) return -ENOPROTOOPT
    if (optlen.v < 0) return -EINVAL
    const data = new Uint8Array(12)
    const d = new DataView(data.buffer)
    let lv = 4
    let val = 0
    switch (optname) {
      case P.PACKET_STATISTICS: {
        spin_lock_bh(sk.sk_receive_queue.lock)
        const { tp_packets, tp_drops } = po
        po.tp_packets = 0
        spin_unlock_bh(sk.sk_receive_queue.lock)
        po.tp_drops = 0
        lv = po.tp_version === TPACKET_V3 ? 12 : 8
        val = tp_packets + tp_drops
        d.setUint32(4, tp_drops, true)
        break
      }
      case P.PACKET_AUXDATA:
        val = Number(po.auxdata)
        break
      case P.PACKET_ORIGDEV:
        val = Number(po.origdev)
        break
      case P.PACKET_VNET_HDR:
        val = Number(po.vnet_hdr_sz !== 0)
        break
      case P.PACKET_VNET_HDR_SZ:
        val = po.vnet_hdr_sz
        break
      case P.PACKET_COPY_THRESH:
        val = po.copy_thresh
        break
      case P.PACKET_VERSION:
        val = po.tp_version
        break
      case P.PACKET_HDRLEN: {
        if (optlen.v < 4) return -EINVAL
        const version = get_user(optval, 4)
        if (version === -1) return -EFAULT
        const length = TPACKET_HDRLEN[version]
        if (length === undefined) return -EINVAL
        val = length
        break
      }
      case P.PACKET_RESERVE:
        val = po.tp_reserve
        break
      case P.PACKET_LOSS:
        val = Number(po.tp_loss)
        break
      case P.PACKET_TIMESTAMP:
        val = po.tp_tstamp
        break
      case P.PACKET_FANOUT:
        break
      case P.PACKET_IGNORE_OUTGOING:
        val = Number(po.prot_hook.ignore_outgoing)
        break
      case P.PACKET_TX_HAS_OFF:
        val = Number(po.tp_has_off)
        break
      case P.PACKET_QDISC_BYPASS:
        val = Number(po.qdisc_bypass)
        break
      default:
        return -ENOPROTOOPT
    }
    d.setUint32(0, val, true)
    optlen.v = Math.min(optlen.v, lv)
    return copy_to_sockptr(optval, data, optlen.v)
  },
)

/** a device that goes down takes its sockets off the wire; one that comes up puts them back */
const packet_notifier = kfunc('packet_notifier', (_this: notifier_block, msg: number, ptr: unknown): number => {
  const dev = netdev_notifier_info_to_dev(ptr)
  rcu_read_lock()
  for (const po of sockets(dev.nd_net).sklist) {
    if (msg === NETDEV_UNREGISTER)
      for (const ml of po.mclist.filter((m) => m.ifindex === dev.ifindex)) {
        packet_dev_mc(dev, ml, -1)
        po.mclist.splice(po.mclist.indexOf(ml), 1)
      }
    if (dev.ifindex !== po.ifindex) continue
    if (msg === NETDEV_UNREGISTER || msg === NETDEV_DOWN) {
      spin_lock(po.bind_lock)
      if (po.running) {
        __unregister_prot_hook(po, false)
        po.sk_err = ENETDOWN
        if (!sock_flag(po, SOCK_DEAD)) sk_error_report(po)
      }
      if (msg === NETDEV_UNREGISTER) {
        packet_cached_dev_reset(po)
        po.ifindex = -1
        dev_put(po.prot_hook.dev)
        po.prot_hook.dev = null
      }
      spin_unlock(po.bind_lock)
    } else if (msg === NETDEV_UP) {
      spin_lock(po.bind_lock)
      if (po.num) register_prot_hook(po)
      spin_unlock(po.bind_lock)
    }
  }
  rcu_read_unlock()
  return NOTIFY_DONE
})

/** struct netns_packet */
interface netns_packet {
  readonly sklist_lock: mutex
  readonly sklist: packet_sock[]
}
const sockets = (n: net): netns_packet => {
  let p = n.gen.get('packet') as netns_packet | undefined
  if (p === undefined) {
    p = { sklist_lock: new mutex(), sklist: [] }
    n.gen.set('packet', p)
  }
  return p
}

let packet_ops: proto_ops
let packet_ops_spkt: proto_ops

function packet_init(): number {
  packet_ops = {
    family: PF_PACKET,
    release: packet_release,
    bind: packet_bind,
    connect: sock_no_connect,
    socketpair: sock_no_socketpair,
    accept: sock_no_accept,
    getname: packet_getname,
    ioctl: sock_no_ioctl,
    listen: sock_no_listen,
    shutdown: sock_no_shutdown,
    setsockopt: packet_setsockopt,
    getsockopt: packet_getsockopt,
    sendmsg: packet_sendmsg,
    recvmsg: packet_recvmsg,
  }
  packet_ops_spkt = {
    family: PF_PACKET,
    release: packet_release,
    bind: packet_bind_spkt,
    connect: sock_no_connect,
    socketpair: sock_no_socketpair,
    accept: sock_no_accept,
    getname: packet_getname_spkt,
    ioctl: sock_no_ioctl,
    listen: sock_no_listen,
    shutdown: sock_no_shutdown,
    sendmsg: packet_sendmsg_spkt,
    recvmsg: packet_recvmsg,
  }
  register_netdevice_notifier({ notifier_call: packet_notifier })
  proto_register(packet_proto, 0)
  sock_register({ family: PF_PACKET, create: packet_create })
  return 0
}

declare_module(`net-pf-${PF_PACKET}`, packet_init)
