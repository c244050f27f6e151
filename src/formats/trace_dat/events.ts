import { type EventLayout, layout } from './layout.ts'

/**
 * The events that a trace.dat of ours has, as Linux 6.12 declares them: kernel/trace/trace_entries.h and include/trace/events. The
 * numbers of ftrace's own are fixed (enum trace_type); those of tracepoints are given out at boot, here in this order from 300.
 */

const FUNCGRAPH_EXIT = 10
const FUNCGRAPH_ENTRY = 11
const PRINT = 5
const FIRST = 300

export const funcgraphEntry = layout(
  'ftrace',
  'funcgraph_entry',
  FUNCGRAPH_ENTRY,
  'unsigned long func; int depth',
  '"--> %ps (%d)", (void *)REC->func, REC->depth',
)
export const funcgraphExit = layout(
  'ftrace',
  'funcgraph_exit',
  FUNCGRAPH_EXIT,
  'unsigned long func; int depth; unsigned int overrun; unsigned long long calltime; unsigned long long rettime',
  '"<-- %ps (%d) (start: %llx  end: %llx) over: %d", (void *)REC->func, REC->depth, REC->calltime, REC->rettime, REC->depth',
  true,
)
/** what somebody wrote into trace_marker */
export const print = layout('ftrace', 'print', PRINT, 'unsigned long ip; char buf[]', '"%ps: %s", (void *)REC->ip, REC->buf')

const symbolic = (list: readonly (readonly [number, string])[]): string => list.map(([v, n]) => `{ ${v}, "${n}" }`).join(', ')
const numbered = (names: string, from: number): [number, string][] => names.split(' ').map((n, i) => [from + i, n])

/** include/net/dropreason-core.h, from SKB_DROP_REASON_NOT_SPECIFIED */
export const dropReasons = numbered(
  'NOT_SPECIFIED NO_SOCKET SOCKET_CLOSE SOCKET_FILTER SOCKET_RCVBUFF UNIX_SKIP_OOB PKT_TOO_SMALL TCP_CSUM UDP_CSUM NETFILTER_DROP OTHERHOST IP_CSUM IP_INHDR IP_RPFILTER UNICAST_IN_L2_MULTICAST XFRM_POLICY IP_NOPROTO PROTO_MEM TCP_AUTH_HDR TCP_MD5NOTFOUND TCP_MD5UNEXPECTED TCP_MD5FAILURE TCP_AONOTFOUND TCP_AOUNEXPECTED TCP_AOKEYNOTFOUND TCP_AOFAILURE SOCKET_BACKLOG TCP_FLAGS TCP_ABORT_ON_DATA TCP_ZEROWINDOW TCP_OLD_DATA TCP_OVERWINDOW TCP_OFOMERGE TCP_RFC7323_PAWS TCP_OLD_SEQUENCE TCP_INVALID_SEQUENCE TCP_INVALID_ACK_SEQUENCE TCP_RESET TCP_INVALID_SYN TCP_CLOSE TCP_FASTOPEN TCP_OLD_ACK TCP_TOO_OLD_ACK TCP_ACK_UNSENT_DATA TCP_OFO_QUEUE_PRUNE TCP_OFO_DROP IP_OUTNOROUTES BPF_CGROUP_EGRESS IPV6DISABLED NEIGH_CREATEFAIL NEIGH_FAILED NEIGH_QUEUEFULL NEIGH_DEAD TC_EGRESS SECURITY_HOOK QDISC_DROP FQ_BAND_LIMIT FQ_HORIZON_LIMIT FQ_FLOW_LIMIT CPU_BACKLOG XDP TC_INGRESS UNHANDLED_PROTO SKB_CSUM SKB_GSO_SEG SKB_BAD_GSO SKB_UCOPY_FAULT DEV_HDR DEV_READY FULL_RING NOMEM HDR_TRUNC TAP_FILTER TAP_TXFILTER ICMP_CSUM INVALID_PROTO IP_INADDRERRORS IP_INNOROUTES PKT_TOO_BIG DUP_FRAG FRAG_REASM_TIMEOUT FRAG_TOO_FAR TCP_MINTTL IPV6_BAD_EXTHDR IPV6_NDISC_FRAG IPV6_NDISC_HOP_LIMIT IPV6_NDISC_BAD_CODE IPV6_NDISC_BAD_OPTIONS IPV6_NDISC_NS_OTHERHOST QUEUE_PURGE TC_COOKIE_ERROR PACKET_SOCK_ERROR TC_CHAIN_NOTFOUND TC_RECLASSIFY_LOOP VXLAN_INVALID_HDR VXLAN_VNI_NOT_FOUND MAC_INVALID_SOURCE VXLAN_ENTRY_EXISTS NO_TX_TARGET IP_TUNNEL_ECN TUNNEL_TXINFO LOCAL_MAC MAX',
  2,
)
/** include/net/rstreason.h */
const resetReasons = numbered(
  'NOT_SPECIFIED NO_SOCKET TCP_INVALID_ACK_SEQUENCE TCP_RFC7323_PAWS TCP_TOO_OLD_ACK TCP_ACK_UNSENT_DATA TCP_FLAGS TCP_OLD_ACK TCP_ABORT_ON_DATA TCP_TIMEWAIT_SOCKET INVALID_SYN TCP_ABORT_ON_CLOSE TCP_ABORT_ON_LINGER TCP_ABORT_ON_MEMORY TCP_STATE TCP_KEEPALIVE_TIMEOUT TCP_DISCONNECT_WITH_DATA MPTCP_RST_EUNSPEC MPTCP_RST_EMPTCP MPTCP_RST_ERESOURCE MPTCP_RST_EPROHIBIT MPTCP_RST_EWQ2BIG MPTCP_RST_EBADPERF MPTCP_RST_EMIDDLEBOX ERROR MAX',
  0,
)
const states = numbered(
  'TCP_ESTABLISHED TCP_SYN_SENT TCP_SYN_RECV TCP_FIN_WAIT1 TCP_FIN_WAIT2 TCP_TIME_WAIT TCP_CLOSE TCP_CLOSE_WAIT TCP_LAST_ACK TCP_LISTEN TCP_CLOSING TCP_NEW_SYN_RECV',
  1,
)

const family = '__print_symbolic(REC->family, { 2, "AF_INET" }, { 10, "AF_INET6" })'
const protocol =
  '__print_symbolic(REC->protocol, { 6, "IPPROTO_TCP" }, { 33, "IPPROTO_DCCP" }, { 132, "IPPROTO_SCTP" }, { 262, "IPPROTO_MPTCP" })'
const state = (field: string): string => `__print_symbolic(REC->${field}, ${symbolic(states)})`

/** a print format: its text, and each of its arguments; a bare name is a field */
const say = (text: string, ...args: string[]): string =>
  [`"${text}"`, ...args.map((a) => (/^\w+$/.test(a) ? `REC->${a}` : a))].join(', ')
const str = (field: string): string => `__get_str(${field})`

const addrs = '__u8 saddr[4]; __u8 daddr[4]; __u8 saddr_v6[16]; __u8 daddr_v6[16]'
const ends = '__u8 saddr[sizeof(struct sockaddr_in6)]; __u8 daddr[sizeof(struct sockaddr_in6)]'
const ports = '__u16 sport; __u16 dport; __u16 family'
const addrsText = 'saddr=%pI4 daddr=%pI4 saddrv6=%pI6c daddrv6=%pI6c'
const addrsArgs = ['saddr', 'daddr', 'saddr_v6', 'daddr_v6']

const list: EventLayout[] = []
function events(system: string, names: string, fields: string, text: string): void {
  for (const name of names.split(' ')) list.push(layout(system, name, FIRST + list.length, fields, text))
}

// ---- net
events(
  'net',
  'net_dev_start_xmit',
  '__data_loc char[] name; u16 queue_mapping; const void * skbaddr; bool vlan_tagged; u16 vlan_proto; u16 vlan_tci; u16 protocol; u8 ip_summed; unsigned int len; unsigned int data_len; int network_offset; bool transport_offset_valid; int transport_offset; u8 tx_flags; u16 gso_size; u16 gso_segs; u16 gso_type',
  say(
    'dev=%s queue_mapping=%u skbaddr=%p vlan_tagged=%d vlan_proto=0x%04x vlan_tci=0x%04x protocol=0x%04x ip_summed=%d len=%u data_len=%u network_offset=%d transport_offset_valid=%d transport_offset=%d tx_flags=%d gso_size=%d gso_segs=%d gso_type=%#x',
    str('name'),
    ...'queue_mapping skbaddr vlan_tagged vlan_proto vlan_tci protocol ip_summed len data_len network_offset transport_offset_valid transport_offset tx_flags gso_size gso_segs gso_type'.split(
      ' ',
    ),
  ),
)
events(
  'net',
  'net_dev_xmit',
  'void * skbaddr; unsigned int len; int rc; __data_loc char[] name',
  say('dev=%s skbaddr=%p len=%u rc=%d', str('name'), 'skbaddr', 'len', 'rc'),
)
events(
  'net',
  'net_dev_xmit_timeout',
  '__data_loc char[] name; __data_loc char[] driver; int queue_index',
  say('dev=%s driver=%s queue=%d', str('name'), str('driver'), 'queue_index'),
)
events(
  'net',
  'net_dev_queue netif_receive_skb netif_rx',
  'void * skbaddr; unsigned int len; __data_loc char[] name',
  say('dev=%s skbaddr=%p len=%u', str('name'), 'skbaddr', 'len'),
)
events(
  'net',
  'napi_gro_frags_entry napi_gro_receive_entry netif_receive_skb_entry netif_receive_skb_list_entry netif_rx_entry',
  '__data_loc char[] name; unsigned int napi_id; u16 queue_mapping; const void * skbaddr; bool vlan_tagged; u16 vlan_proto; u16 vlan_tci; u16 protocol; u8 ip_summed; u32 hash; bool l4_hash; unsigned int len; unsigned int data_len; unsigned int truesize; bool mac_header_valid; int mac_header; unsigned char nr_frags; u16 gso_size; u16 gso_type',
  say(
    'dev=%s napi_id=%#x queue_mapping=%u skbaddr=%p vlan_tagged=%d vlan_proto=0x%04x vlan_tci=0x%04x protocol=0x%04x ip_summed=%d hash=0x%08x l4_hash=%d len=%u data_len=%u truesize=%u mac_header_valid=%d mac_header=%d nr_frags=%d gso_size=%d gso_type=%#x',
    str('name'),
    ...'napi_id queue_mapping skbaddr vlan_tagged vlan_proto vlan_tci protocol ip_summed hash l4_hash len data_len truesize mac_header_valid mac_header nr_frags gso_size gso_type'.split(
      ' ',
    ),
  ),
)
events(
  'net',
  'napi_gro_frags_exit napi_gro_receive_exit netif_receive_skb_exit netif_rx_exit netif_receive_skb_list_exit',
  'int ret',
  say('ret=%d', 'ret'),
)

// ---- skb
events(
  'skb',
  'kfree_skb',
  'void * skbaddr; void * location; void * rx_sk; unsigned short protocol; enum skb_drop_reason reason',
  say(
    'skbaddr=%p rx_sk=%p protocol=%u location=%pS reason: %s',
    'skbaddr',
    'rx_sk',
    'protocol',
    'location',
    `__print_symbolic(REC->reason, ${symbolic(dropReasons)})`,
  ),
)
events('skb', 'consume_skb', 'void * skbaddr; void * location', say('skbaddr=%p location=%pS', 'skbaddr', 'location'))
events('skb', 'skb_copy_datagram_iovec', 'const void * skbaddr; int len', say('skbaddr=%p len=%d', 'skbaddr', 'len'))

// ---- tcp
events(
  'tcp',
  'tcp_retransmit_skb',
  `const void * skbaddr; const void * skaddr; int state; ${ports}; ${addrs}`,
  say(
    `skbaddr=%p skaddr=%p family=%s sport=%hu dport=%hu ${addrsText} state=%s`,
    'skbaddr',
    'skaddr',
    family,
    'sport',
    'dport',
    ...addrsArgs,
    state('state'),
  ),
)
events(
  'tcp',
  'tcp_send_reset',
  `const void * skbaddr; const void * skaddr; int state; enum sk_rst_reason reason; ${ends}`,
  say(
    'skbaddr=%p skaddr=%p src=%pISpc dest=%pISpc state=%s reason=%s',
    'skbaddr',
    'skaddr',
    'saddr',
    'daddr',
    `REC->state ? ${state('state')} : "UNKNOWN"`,
    `__print_symbolic(REC->reason, ${symbolic(resetReasons)})`,
  ),
)
events(
  'tcp',
  'tcp_receive_reset tcp_destroy_sock tcp_rcv_space_adjust',
  `const void * skaddr; ${ports}; ${addrs}; __u64 sock_cookie`,
  say(`family=%s sport=%hu dport=%hu ${addrsText} sock_cookie=%llx`, family, 'sport', 'dport', ...addrsArgs, 'sock_cookie'),
)
events(
  'tcp',
  'tcp_retransmit_synack',
  `const void * skaddr; const void * req; ${ports}; ${addrs}`,
  say(`family=%s sport=%hu dport=%hu ${addrsText}`, family, 'sport', 'dport', ...addrsArgs),
)
events(
  'tcp',
  'tcp_probe',
  `${ends}; ${ports}; __u32 mark; __u16 data_len; __u32 snd_nxt; __u32 snd_una; __u32 snd_cwnd; __u32 ssthresh; __u32 snd_wnd; __u32 srtt; __u32 rcv_wnd; __u64 sock_cookie; const void * skbaddr; const void * skaddr`,
  say(
    'family=%s src=%pISpc dest=%pISpc mark=%#x data_len=%d snd_nxt=%#x snd_una=%#x snd_cwnd=%u ssthresh=%u snd_wnd=%u srtt=%u rcv_wnd=%u sock_cookie=%llx skbaddr=%p skaddr=%p',
    family,
    ...'saddr daddr mark data_len snd_nxt snd_una snd_cwnd ssthresh snd_wnd srtt rcv_wnd sock_cookie skbaddr skaddr'.split(' '),
  ),
)
events(
  'tcp',
  'tcp_bad_csum',
  `const void * skbaddr; ${ends}`,
  say('skbaddr=%p src=%pISpc dest=%pISpc', 'skbaddr', 'saddr', 'daddr'),
)
events(
  'tcp',
  'tcp_cong_state_set',
  `const void * skaddr; ${ports}; ${addrs}; __u8 cong_state`,
  say(`family=%s sport=%hu dport=%hu ${addrsText} cong_state=%u`, family, 'sport', 'dport', ...addrsArgs, 'cong_state'),
)
events(
  'tcp',
  'tcp_hash_bad_header tcp_hash_md5_required tcp_hash_md5_unexpected tcp_hash_md5_mismatch tcp_hash_ao_required',
  `__u64 net_cookie; const void * skbaddr; const void * skaddr; int state; ${ends}; int l3index; ${ports}; bool fin; bool syn; bool rst; bool psh; bool ack`,
  say(
    'net=%llu state=%s family=%s src=%pISpc dest=%pISpc L3index=%d [%c%c%c%c%c]',
    'net_cookie',
    state('state'),
    family,
    'saddr',
    'daddr',
    'l3index',
    "REC->fin ? 'F' : ' '",
    "REC->syn ? 'S' : ' '",
    "REC->rst ? 'R' : ' '",
    "REC->psh ? 'P' : ' '",
    "REC->ack ? '.' : ' '",
  ),
)

// ---- sock
events(
  'sock',
  'sock_rcvqueue_full',
  'int rmem_alloc; unsigned int truesize; int sk_rcvbuf',
  say('rmem_alloc=%d truesize=%u sk_rcvbuf=%d', 'rmem_alloc', 'truesize', 'sk_rcvbuf'),
)
events(
  'sock',
  'sock_exceed_buf_limit',
  'char name[32]; long sysctl_mem[3]; long allocated; int sysctl_rmem; int rmem_alloc; int sysctl_wmem; int wmem_alloc; int wmem_queued; int kind',
  say(
    'proto:%s sysctl_mem=%ld,%ld,%ld allocated=%ld sysctl_rmem=%d rmem_alloc=%d sysctl_wmem=%d wmem_alloc=%d wmem_queued=%d kind=%s',
    'name',
    'REC->sysctl_mem[0]',
    'REC->sysctl_mem[1]',
    'REC->sysctl_mem[2]',
    ...'allocated sysctl_rmem rmem_alloc sysctl_wmem wmem_alloc wmem_queued'.split(' '),
    '__print_symbolic(REC->kind, { 0, "SK_MEM_SEND" }, { 1, "SK_MEM_RECV" })',
  ),
)
events(
  'sock',
  'inet_sock_set_state',
  `const void * skaddr; int oldstate; int newstate; ${ports}; __u16 protocol; ${addrs}`,
  say(
    `family=%s protocol=%s sport=%hu dport=%hu ${addrsText} oldstate=%s newstate=%s`,
    family,
    protocol,
    'sport',
    'dport',
    ...addrsArgs,
    state('oldstate'),
    state('newstate'),
  ),
)
events(
  'sock',
  'inet_sk_error_report',
  `int error; ${ports}; __u16 protocol; ${addrs}`,
  say(
    `family=%s protocol=%s sport=%hu dport=%hu ${addrsText} error=%d`,
    family,
    protocol,
    'sport',
    'dport',
    ...addrsArgs,
    'error',
  ),
)
events(
  'sock',
  'sk_data_ready',
  'const void * skaddr; __u16 family; __u16 protocol; unsigned long ip',
  say('family=%u protocol=%u func=%ps', 'family', 'protocol', '(void *)REC->ip'),
)
events(
  'sock',
  'sock_send_length sock_recv_length',
  'void * sk; __u16 family; __u16 protocol; int ret; int flags',
  say(
    'sk address = %p, family = %s protocol = %s, length = %d, error = %d, flags = 0x%x',
    'sk',
    family,
    protocol,
    '!(REC->flags & 2) ? (REC->ret > 0 ? REC->ret : 0) : 0',
    'REC->ret < 0 ? REC->ret : 0',
    'flags',
  ),
)

// ---- qdisc
events(
  'qdisc',
  'qdisc_dequeue',
  'struct Qdisc * qdisc; const struct netdev_queue * txq; int packets; void * skbaddr; int ifindex; u32 handle; u32 parent; unsigned long txq_state',
  say(
    'dequeue ifindex=%d qdisc handle=0x%X parent=0x%X txq_state=0x%lX packets=%d skbaddr=%p',
    ...'ifindex handle parent txq_state packets skbaddr'.split(' '),
  ),
)
events(
  'qdisc',
  'qdisc_enqueue',
  'struct Qdisc * qdisc; const struct netdev_queue * txq; void * skbaddr; int ifindex; u32 handle; u32 parent',
  say('enqueue ifindex=%d qdisc handle=0x%X parent=0x%X skbaddr=%p', 'ifindex', 'handle', 'parent', 'skbaddr'),
)
const handle = (field: string): string[] => [
  `(unsigned int) ((REC->${field})&(0xFFFF0000U)) >> 16`,
  `(unsigned int) ((REC->${field})&(0x0000FFFFU))`,
]
events(
  'qdisc',
  'qdisc_reset qdisc_destroy',
  '__data_loc char[] dev; __data_loc char[] kind; u32 parent; u32 handle',
  say('dev=%s kind=%s parent=%x:%x handle=%x:%x', str('dev'), str('kind'), ...handle('parent'), ...handle('handle')),
)
events(
  'qdisc',
  'qdisc_create',
  '__data_loc char[] dev; __data_loc char[] kind; u32 parent',
  say('dev=%s kind=%s parent=%x:%x', str('dev'), str('kind'), ...handle('parent')),
)

// ---- napi, neigh, udp
events(
  'napi',
  'napi_poll',
  'struct napi_struct * napi; __data_loc char[] dev_name; int work; int budget',
  say('napi poll on napi struct %p for device %s work %d budget %d', 'napi', str('dev_name'), 'work', 'budget'),
)
events(
  'neigh',
  'neigh_create',
  'u32 family; __data_loc char[] dev; int entries; u8 created; u8 gc_exempt; u8 primary_key4[4]; u8 primary_key6[16]',
  say(
    'family %d dev %s entries %d primary_key4 %pI4 primary_key6 %pI6c created %d gc_exempt %d',
    'family',
    str('dev'),
    ...'entries primary_key4 primary_key6 created gc_exempt'.split(' '),
  ),
)
events(
  'udp',
  'udp_fail_queue_rcv_skb',
  `int rc; ${ports}; ${ends}`,
  say('rc=%d family=%s src=%pISpc dest=%pISpc', 'rc', family, 'saddr', 'daddr'),
)

/** tracepoints, in order of their numbers */
export const tracepoints: readonly EventLayout[] = list
