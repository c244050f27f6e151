/** functions whose buffer is shown at their entry: those that the recordings in fixtures/refs probed */
export const probed: ReadonlySet<string> = new Set(
  `__tcp_transmit_skb tcp_v4_send_check ip_local_out __ip_local_out ip_output ip_mc_output ip_finish_output2 __dev_queue_xmit
  sch_direct_xmit validate_xmit_skb loopback_xmit veth_xmit dummy_xmit e1000_xmit_frame netif_rx_internal ip_rcv ip_local_deliver
  tcp_v4_rcv tcp_v4_do_rcv tcp_rcv_established udp_rcv ip6_output ip6_finish_output2 ipv6_rcv tcp_v6_rcv ip_send_skb udp_send_skb
  sk_skb_reason_drop __kfree_skb neigh_resolve_output arp_xmit tcp_ack packet_xmit br_dev_xmit vlan_dev_hard_start_xmit
  fq_codel_enqueue pfifo_fast_enqueue fq_enqueue`.split(/\s+/),
)
