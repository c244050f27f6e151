// The functions whose buffers a recording holds, as kprobes; and their trace as the lines of skb.jsonl.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const probed =
  '__tcp_transmit_skb tcp_v4_send_check ip_local_out __ip_local_out ip_output ip_mc_output ip_finish_output2 __dev_queue_xmit sch_direct_xmit validate_xmit_skb loopback_xmit veth_xmit dummy_xmit e1000_xmit_frame netif_rx_internal ip_rcv ip_local_deliver tcp_v4_rcv tcp_v4_do_rcv tcp_rcv_established udp_rcv ip6_output ip6_finish_output2 ipv6_rcv tcp_v6_rcv ip_send_skb udp_send_skb sk_skb_reason_drop __kfree_skb neigh_resolve_output arp_xmit tcp_ack packet_xmit br_dev_xmit vlan_dev_hard_start_xmit fq_codel_enqueue pfifo_fast_enqueue fq_enqueue'.split(
    ' ',
  )
const registers = ['%di', '%si', '%dx', '%cx', '%r8', '%r9']
/** of struct sk_buff in that build: fixtures/kernel/structs.txt */
const fields = [
  ['len', 112, 'u32'],
  ['data_len', 116, 'u32'],
  ['cloned', 126, 'x8'],
  ['ip_summed', 128, 'x8'],
  ['protocol', 180, 'x16'],
  ['transport', 182, 'u16'],
  ['network', 184, 'u16'],
  ['mac', 186, 'u16'],
  ['tail', 188, 'u32'],
  ['end', 192, 'u32'],
  ['head', 200, 'x64'],
  ['data', 208, 'x64'],
  ['truesize', 216, 'u32'],
]
const UNSET = 65535
/** bytes of the head that a line holds, in two halves: a kprobe's array has 64 at most */
const LINEAR = 128

/** @returns the lines for kprobe_events */
export function kprobes(facts) {
  const rows = readFileSync(join(facts, 'symbols.tsv'), 'utf8').split('\n')
  const params = new Map(rows.map((row) => row.split('\t')).map((c) => [c[0], c[5] ?? '']))
  return probed.map((fn) => {
    const at = (params.get(fn) ?? '').split(', ').findIndex((p) => /sk_buff \*[^*]*$/.test(p))
    const r = registers[at]
    const fetch = fields.map(([name, offset, type]) => `${name}=+${offset}(${r}):${type}`)
    return `p:k/${fn} ${fn} skb=${r}:x64 ${fetch.join(' ')} d0=+0(+208(${r})):x8[64] d1=+64(+208(${r})):x8[64]`
  })
}

/** @returns the lines of skb.jsonl for a trace in which a marker stands before each call */
export function buffers(trace) {
  const lines = []
  const numbers = new Map()
  let call = 0
  for (const line of trace.split('\n')) {
    const mark = /tracing_mark_write: CALL (\d+)/.exec(line)
    if (mark !== null) call = Number(mark[1])
    const hit = /^\s*\S+-\d+\s+\[\d+\]\s+(\S+)\s+[\d.]+: (\w+): \(.*?\) (.*)$/.exec(line)
    if (hit === null) continue
    const [, flags, fn, text] = hit
    const v = new Map([...text.matchAll(/(\w+)=(\{[^}]*\}|\S+)/g)].map((m) => [m[1], m[2]]))
    if (!v.has('truesize')) continue
    const n = (name) => Number(v.get(name))
    const offset = (name) => (n(name) === UNSET ? null : n(name))
    const skb = v.get('skb')
    if (!numbers.has(skb)) numbers.set(skb, numbers.size + 1)
    const bytes = ['d0', 'd1'].flatMap((d) => (v.get(d)?.startsWith('{') ? v.get(d).slice(1, -1).split(',').map(Number) : []))
    const protocol = n('protocol')
    lines.push({
      call,
      fn,
      softirq: flags[2] === 's',
      skb: numbers.get(skb),
      len: n('len'),
      data_len: n('data_len'),
      truesize: n('truesize'),
      headroom: Number(BigInt(v.get('data')) - BigInt(v.get('head'))),
      tail: n('tail'),
      end: n('end'),
      mac_header: offset('mac'),
      network_header: offset('network'),
      transport_header: offset('transport'),
      protocol: `0x${(((protocol & 0xff) << 8) | (protocol >> 8)).toString(16).padStart(4, '0')}`,
      ip_summed: (n('ip_summed') >> 5) & 3,
      cloned: n('cloned') & 1,
      linear: Buffer.from(bytes.slice(0, Math.max(0, Math.min(LINEAR, n('len') - n('data_len'))))).toString('hex'),
    })
  }
  return lines.map((l) => `${JSON.stringify(l)}\n`).join('')
}
