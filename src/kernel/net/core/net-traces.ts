import { traceCounters, tracepoint } from '../../../trace/tracer.ts'
import { TCQ_F_BUILTIN } from '../../include/generated/enums.ts'
import { dotted } from '../../include/linux/in.ts'
import { in6_ntop, in6addr_any } from '../../include/linux/in6.ts'
import { ip_hdr } from '../../include/linux/ip.ts'
import { ipv6_hdr } from '../../include/linux/ipv6.ts'
import type { netdev_queue } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { inet_rsk, inet_sk } from '../../include/net/inet_sock.ts'
import type { request_sock } from '../../include/net/request_sock.ts'
import type { Qdisc } from '../../include/net/sch_generic.ts'
import type { sock, sock_common } from '../../include/net/sock.ts'

/**
 * The fields of tracepoints that several files have: include/trace/events/{net,tcp,sock,qdisc}.h. Names and order are Linux's. An
 * address is text here, as %pI4, %pI6c and %pISpc print it: `127.0.0.1`, `::ffff:127.0.0.1`, `127.0.0.1:8080`, `[fd00::1]:8080`.
 */

type Fields = Record<string, unknown>

const AF_INET6 = 10
const UNSET = 0xffff

const mapped = (a: number): string => `::ffff:${dotted(a)}`

const own6 = (sk: sock_common): string => in6_ntop(sk.skc_v6_rcv_saddr ?? in6addr_any)
const peer6 = (sk: sock_common): string => in6_ntop(sk.skc_v6_daddr ?? in6addr_any)

/** TP_STORE_ADDRS, and the ports and family that go with it */
export function tp_sock_addrs(sk: sock): Fields {
  const { inet_saddr = 0, inet_sport = 0 } = inet_sk(sk)
  const six = sk.skc_family === AF_INET6
  return {
    sport: inet_sport,
    dport: sk.skc_dport,
    family: sk.skc_family,
    saddr: dotted(inet_saddr),
    daddr: dotted(sk.skc_daddr),
    saddr_v6: six ? own6(sk) : mapped(inet_saddr),
    daddr_v6: six ? peer6(sk) : mapped(sk.skc_daddr),
  }
}

/** TP_STORE_ADDR_PORTS: both ends as socket addresses */
export function tp_sock_ends(sk: sock): { saddr: string; daddr: string } {
  const { inet_saddr = 0, inet_sport = 0 } = inet_sk(sk)
  if (sk.skc_family === AF_INET6) return { saddr: `[${own6(sk)}]:${inet_sport}`, daddr: `[${peer6(sk)}]:${sk.skc_dport}` }
  return { saddr: `${dotted(inet_saddr)}:${inet_sport}`, daddr: `${dotted(sk.skc_daddr)}:${sk.skc_dport}` }
}

/** TP_STORE_ADDR_PORTS_SKB: the ends that a TCP segment or a UDP datagram names, and its ports */
export function tp_skb_ends(skb: sk_buff): { saddr: string; daddr: string; sport: number; dport: number } {
  const { bytes } = skb.head
  const t = skb.transport_header
  const sport = ((bytes[t] ?? 0) << 8) | (bytes[t + 1] ?? 0)
  const dport = ((bytes[t + 2] ?? 0) << 8) | (bytes[t + 3] ?? 0)
  if ((bytes[skb.network_header] ?? 0) >> 4 === 6) {
    const h = ipv6_hdr(skb)
    return { saddr: `[${in6_ntop(h.saddr)}]:${sport}`, daddr: `[${in6_ntop(h.daddr)}]:${dport}`, sport, dport }
  }
  const h = ip_hdr(skb)
  return { saddr: `${dotted(h.saddr)}:${sport}`, daddr: `${dotted(h.daddr)}:${dport}`, sport, dport }
}

/** tcp_event_sk */
export const tp_tcp_event_sk = (sk: sock): Fields => ({ skaddr: sk.kaddr, ...tp_sock_addrs(sk), sock_cookie: sk.skc_cookie })

/** tcp_event_sk_skb */
export const tp_tcp_event_sk_skb = (sk: sock, skb: sk_buff | null): Fields => ({
  skbaddr: skb?.kaddr ?? 0,
  skaddr: sk.kaddr,
  state: sk.skc_state,
  ...tp_sock_addrs(sk),
})

/** tcp_bad_csum: nothing is known but the packet */
export function trace_tcp_bad_csum(skb: sk_buff): void {
  const { saddr, daddr } = tp_skb_ends(skb)
  tracepoint('tcp', 'tcp_bad_csum', { skbaddr: skb.kaddr, saddr, daddr })
}

/** tcp_send_reset: `skb` is what caused the reset, null when this side gives up by itself. Shown in the direction of the RST. */
export function trace_tcp_send_reset(sk: sock | null, skb: sk_buff | null, reason: number, full: boolean): void {
  let ends = { saddr: '', daddr: '' }
  if (sk !== null && full) ends = tp_sock_ends(sk)
  else if (skb !== null) {
    const { saddr, daddr } = tp_skb_ends(skb)
    ends = { saddr: daddr, daddr: saddr }
  }
  tracepoint('tcp', 'tcp_send_reset', {
    skbaddr: skb?.kaddr ?? 0,
    skaddr: sk?.kaddr ?? 0,
    state: sk === null ? 0 : sk.skc_state,
    reason,
    saddr: ends.saddr,
    daddr: ends.daddr,
  })
}

export function trace_tcp_retransmit_synack(sk: sock, req: request_sock): void {
  const ireq = inet_rsk(req)
  const six = sk.skc_family === AF_INET6
  tracepoint('tcp', 'tcp_retransmit_synack', {
    skaddr: sk.kaddr,
    req: 0,
    sport: ireq.skc_num,
    dport: ireq.skc_dport,
    family: sk.skc_family,
    saddr: dotted(ireq.ir_loc_addr),
    daddr: dotted(ireq.ir_rmt_addr),
    saddr_v6: six ? own6(ireq) : mapped(ireq.ir_loc_addr),
    daddr_v6: six ? peer6(ireq) : mapped(ireq.ir_rmt_addr),
  })
}

/** tcp_hash_event */
export function trace_tcp_hash(name: string, sk: sock, skb: sk_buff): void {
  const { saddr, daddr, sport, dport } = tp_skb_ends(skb)
  const flags = skb.head.bytes[skb.transport_header + 13] ?? 0
  tracepoint('tcp', name, {
    net_cookie: 1,
    skbaddr: skb.kaddr,
    skaddr: sk.kaddr,
    state: sk.skc_state,
    saddr,
    daddr,
    l3index: 0,
    sport,
    dport,
    family: sk.skc_family,
    fin: (flags & 1) !== 0,
    syn: (flags & 2) !== 0,
    rst: (flags & 4) !== 0,
    psh: (flags & 8) !== 0,
    ack: (flags & 16) !== 0,
  })
}

export function trace_udp_fail_queue_rcv_skb(rc: number, sk: sock, skb: sk_buff): void {
  const { saddr, daddr, sport, dport } = tp_skb_ends(skb)
  tracepoint('udp', 'udp_fail_queue_rcv_skb', { rc, sport, dport, family: sk.skc_family, saddr, daddr })
}

export function trace_net_dev_start_xmit(skb: sk_buff, name: string): void {
  const { shinfo } = skb.head
  const transport = skb.transport_header !== UNSET
  tracepoint('net', 'net_dev_start_xmit', {
    name,
    queue_mapping: skb.queue_mapping,
    skbaddr: skb.kaddr,
    vlan_tagged: skb.vlan_proto !== 0,
    vlan_proto: skb.vlan_proto,
    vlan_tci: skb.vlan_tci,
    protocol: skb.protocol,
    ip_summed: skb.ip_summed,
    len: skb.len,
    data_len: skb.data_len,
    network_offset: skb.network_header - skb.data,
    transport_offset_valid: transport,
    transport_offset: transport ? skb.transport_header - skb.data : 0,
    tx_flags: shinfo.tx_flags,
    gso_size: shinfo.gso_size,
    gso_segs: shinfo.gso_segs,
    gso_type: shinfo.gso_type,
  })
}

/** net_dev_rx_verbose_template: netif_rx_entry, netif_receive_skb_entry, napi_gro_receive_entry */
export function trace_rx_entry(event: string, skb: sk_buff): void {
  const { shinfo } = skb.head
  tracepoint('net', event, {
    name: skb.devName,
    napi_id: skb.napi_id,
    queue_mapping: skb.queue_mapping,
    skbaddr: skb.kaddr,
    vlan_tagged: skb.vlan_proto !== 0,
    vlan_proto: skb.vlan_proto,
    vlan_tci: skb.vlan_tci,
    protocol: skb.protocol,
    ip_summed: skb.ip_summed,
    hash: skb.hash,
    l4_hash: skb.l4_hash !== 0,
    len: skb.len,
    data_len: skb.data_len,
    truesize: skb.truesize,
    mac_header_valid: skb.mac_header !== UNSET,
    mac_header: skb.mac_header - skb.data,
    nr_frags: shinfo.frags.length,
    gso_size: shinfo.gso_size,
    gso_type: shinfo.gso_type,
  })
}

/** qdisc_enqueue, and what is in the queue now */
export function trace_qdisc_enqueue(qdisc: Qdisc, txq: netdev_queue, skb: sk_buff): void {
  const { handle, parent } = qdisc
  tracepoint('qdisc', 'qdisc_enqueue', {
    qdisc: 0,
    txq: 0,
    skbaddr: skb.kaddr,
    ifindex: txq.dev.ifindex,
    handle,
    parent,
  })
  // noop, what stands in while a device has no link, belongs to no host
  if (!(qdisc.flags & TCQ_F_BUILTIN)) traceCounters(qdisc)
}

/** qdisc_dequeue: `packets` left in one go, `skb` first; null when there was none */
export function trace_qdisc_dequeue(qdisc: Qdisc, txq: netdev_queue, packets: number, skb: sk_buff | null): void {
  tracepoint('qdisc', 'qdisc_dequeue', {
    qdisc: 0,
    txq: 0,
    packets: skb === null ? 0 : packets,
    skbaddr: skb?.kaddr ?? 0,
    ifindex: txq.dev.ifindex,
    handle: qdisc.handle,
    parent: qdisc.parent,
    txq_state: txq.state,
  })
  if (!(qdisc.flags & TCQ_F_BUILTIN)) traceCounters(qdisc)
}

/** qdisc_reset, qdisc_destroy */
export function trace_qdisc_gone(event: 'qdisc_reset' | 'qdisc_destroy', q: Qdisc): void {
  const kind = q.flags & TCQ_F_BUILTIN ? 'noop' : q.ops.id
  tracepoint('qdisc', event, { dev: q.dev_queue?.dev.name ?? '(null)', kind, parent: q.parent, handle: q.handle })
}
