// Decodes frames of the recordings with tshark and keeps what it says as expectations of test/decode: node scripts/tshark.mjs
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const out = join(root, 'test/fixtures/tshark')
mkdirSync(out, { recursive: true })
const fields =
  `eth.dst eth.src eth.type vlan.id arp.opcode arp.src.proto_ipv4 arp.dst.proto_ipv4 ip.version ip.hdr_len ip.dsfield ip.len ip.id
  ip.flags.df ip.flags.mf ip.frag_offset ip.ttl ip.proto ip.checksum.status ip.src ip.dst ipv6.plen ipv6.nxt ipv6.hlim ipv6.src ipv6.dst
  tcp.srcport tcp.dstport tcp.seq_raw tcp.ack_raw tcp.hdr_len tcp.flags tcp.window_size_value tcp.checksum tcp.checksum.status
  tcp.urgent_pointer tcp.options.mss_val tcp.options.wscale.shift tcp.options.timestamp.tsval tcp.options.timestamp.tsecr
  tcp.options.sack_perm udp.srcport udp.dstport udp.length udp.checksum udp.checksum.status icmp.type icmp.code
  icmp.checksum.status icmpv6.type icmpv6.code frame.len`.split(/\s+/)
const prefs = [
  '-o',
  'tcp.check_checksum:TRUE',
  '-o',
  'udp.check_checksum:TRUE',
  '-o',
  'ip.check_checksum:TRUE',
  '-o',
  'tcp.relative_sequence_numbers:FALSE',
  '-o',
  'ip.defragment:FALSE',
]
for (const name of readdirSync(join(root, 'fixtures/refs'))) {
  const text = execFileSync(
    'tshark',
    [
      '-r',
      join(root, 'fixtures/refs', name, 'wire.pcap'),
      ...prefs,
      '-T',
      'fields',
      '-E',
      'occurrence=f',
      ...fields.flatMap((f) => ['-e', f]),
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const frames = text
    .split('\n')
    .filter(Boolean)
    .map((l) =>
      Object.fromEntries(
        l
          .split('\t')
          .map((v, i) => [fields[i], v])
          .filter(([, v]) => v !== ''),
      ),
    )
  writeFileSync(join(out, `${name}.json`), `[\n${frames.map((f) => JSON.stringify(f)).join(',\n')}\n]\n`)
}
