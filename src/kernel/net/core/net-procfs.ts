import { nameOf } from '../../../trace/kfunc.ts'
import { ETH_P_ALL } from '../../include/linux/if_ether.ts'
import { fs_initcall } from '../../include/linux/init.ts'
import { SOCK_INODE } from '../../include/linux/net.ts'
import { type net_device, type packet_type, rtnl_link_stats64 } from '../../include/linux/netdevice.ts'
import { proc_create_net } from '../../include/linux/proc_fs.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { dev_get_stats, packet_types, softnet } from './dev.ts'
import { net_hotdata } from './hotdata.ts'

const pad = (v: number | string, width: number): string => String(v).padStart(width)

function dev_seq_printf_stats(dev: net_device): string {
  const s = dev_get_stats(dev, new rtnl_link_stats64())
  const rx = [s.rx_bytes, s.rx_packets, s.rx_errors, s.rx_dropped, 0, 0, 0, s.multicast]
  const tx = [s.tx_bytes, s.tx_packets, s.tx_errors, s.tx_dropped, 0, s.collisions, 0, 0]
  const widths = [7, 7, 4, 4, 4, 5, 10, 9, 8, 7, 4, 4, 4, 5, 7, 10]
  return `${pad(dev.name, 6)}: ${[...rx, ...tx].map((v, i) => pad(v, widths[i] ?? 0)).join(' ')}\n`
}

const dev_seq_show = (n: net): string =>
  `Inter-|   Receive${' '.repeat(48)}|  Transmit\n` +
  ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n' +
  [...n.dev_base_head]
    .sort((a, b) => a.ifindex - b.ifindex)
    .map(dev_seq_printf_stats)
    .join('')

/** one processor, one line */
function softnet_seq_show(_n: net): string {
  const sd = softnet
  const [input, process] = [sd.input_pkt_queue.qlen, sd.process_queue.qlen]
  const fields = [
    sd.processed,
    sd.dropped,
    sd.time_squeeze,
    0,
    0,
    0,
    0,
    0,
    0,
    sd.received_rps,
    0,
    input + process,
    0,
    input,
    process,
  ]
  return `${fields.map((v) => (v >>> 0).toString(16).padStart(8, '0')).join(' ')}\n`
}

function ptype_seq_show(n: net): string {
  const line = (pt: packet_type, dev: net_device | null): string => {
    if (pt.af_packet_net !== null && pt.af_packet_net !== n) return ''
    const type = pt.type === ETH_P_ALL ? 'ALL ' : pt.type.toString(16).padStart(4, '0')
    return `${type} ${(dev?.name ?? '').padEnd(8)} ${nameOf(pt.func)}\n`
  }
  return [
    'Type Device      Function\n',
    ...n.dev_base_head.flatMap((dev) => dev.ptype_all.map((pt) => line(pt, dev))),
    ...net_hotdata.ptype_all.map((pt) => line(pt, null)),
    ...packet_types().map((pt) => line(pt, null)),
  ].join('')
}

/** net/packet/af_packet.c */
function packet_seq_show(n: net): string {
  let out = `${'sk'.padEnd(17)}RefCnt Type Proto  Iface R Rmem   User   Inode\n`
  for (const sk of n.packet.sklist as (sock & { ifindex: number; num: number; running: boolean })[]) {
    const left = (v: number, width: number): string => String(v).padEnd(width)
    const inode = sk.sk_socket === null ? 0 : SOCK_INODE(sk.sk_socket).i_ino
    out +=
      `${'0'.repeat(16)} ${left(sk.skc_refcnt, 6)} ${left(sk.sk_type, 4)} ${sk.num.toString(16).padStart(4, '0')}   ` +
      `${left(sk.ifindex, 5)} ${sk.running ? 1 : 0} ${left(sk.sk_rmem_alloc, 6)} ${left(sk.sk_uid, 6)} ${left(inode, 6)}\n`
  }
  return out
}

fs_initcall(() => {
  proc_create_net('dev', dev_seq_show)
  proc_create_net('softnet_stat', softnet_seq_show)
  proc_create_net('ptype', ptype_seq_show)
  proc_create_net('packet', packet_seq_show)
})
