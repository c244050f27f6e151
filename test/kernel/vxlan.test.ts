import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { pcap } from '../support/pcap.ts'
import { runScenario } from '../support/scenario.ts'
import { hasTool } from '../support/tools.ts'

/* VXLAN: RFC 7348. Ethernet in UDP, between two hosts with a card each. */

const tunnel = (card: string, options = ''): string => `
hw eth0 ${card}
ip addr add 10.0.0.1/24 dev eth0
ip -n peer addr add 10.0.0.2/24 dev eth0
ip link add vxlan0 type vxlan id 42 remote 10.0.0.2 dstport 4789 dev eth0 ${options}
ip addr add 192.168.7.1/24 dev vxlan0
ip link set vxlan0 up
ip -n peer link add vxlan0 type vxlan id 42 remote 10.0.0.1 dstport 4789 dev eth0 ${options}
ip -n peer addr add 192.168.7.2/24 dev vxlan0
ip -n peer link set vxlan0 up
`
/** at most what a receiver takes that reads nothing until the end: its window, 64 KB at first */
const transfer = (bytes: number): string => `
l = socket(AF_INET, SOCK_STREAM, 0) @peer
bind(l, 192.168.7.2:80) @peer
listen(l, 5) @peer
c = socket(AF_INET, SOCK_STREAM, 0)
connect(c, 192.168.7.2:80)
a = accept(l) @peer
send(c, ${bytes}, 0)
sleep_ms(2000)
drain(a) @peer
`
const datagram = `
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
sendto(u, 100, 0, 192.168.7.2:9)
`

/** fields of each frame as tshark finds them */
function tshark(frames: readonly Uint8Array[], fields: readonly string[], ...options: string[]): string[] {
  const dir = mkdtempSync(join(tmpdir(), 'vxlan'))
  try {
    const file = join(dir, 'x.pcap')
    writeFileSync(file, pcap(frames))
    const args = ['-r', file, '-T', 'fields', ...fields.flatMap((f) => ['-e', f]), ...options]
    return spawnSync('tshark', args, { encoding: 'utf8' })
      .stdout.trim()
      .split('\n')
      .filter((l) => l !== '')
  } finally {
    rmSync(dir, { recursive: true })
  }
}

describe('what arrives', () => {
  test.each(['e1000', 'virtio_net'])('TCP over %s: every byte, once', async (card) => {
    const { results } = await runScenario(tunnel(card) + transfer(60_000))
    expect(results.at(-1)).toBe('drain = 60000')
  })

  test('with segmentation and checksums in software', async () => {
    const { results } = await runScenario(
      tunnel('e1000').replace('ip addr', 'ethtool -K eth0 tso off gso off tx off sg off\nip addr') + transfer(60_000),
    )
    expect(results.at(-1)).toBe('drain = 60000')
  })

  test('a packet too large for the card: in fragments, or with df set an error to the sender, who then sends smaller ones', async () => {
    for (const options of ['', 'df set']) {
      const text = tunnel('e1000', options).replaceAll(' dev eth0 ', ' ').replaceAll('vxlan0 type', 'vxlan0 mtu 1500 type')
      const { results } = await runScenario(text + transfer(20_000))
      expect(results.at(-1)).toBe('drain = 20000')
    }
  })

  test('a device of the same host: without any outer header', async () => {
    const { results, frames } = await runScenario(`
ip link add v1 type vxlan id 1 remote 127.0.0.1 dstport 4789
ip link add br0 type bridge
ip addr add 192.168.7.1/24 dev v1
ip link set v1 up
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
sendto(u, 100, 0, 192.168.7.2:9)`)
    expect(results.at(-1)).toBe('sendto = 100')
    expect(frames.filter((f) => f.device === 'lo')).toEqual([])
  })
})

describe.skipIf(!hasTool('tshark'))('on the wire, by tshark', () => {
  test('the headers: port, flags and VNI of RFC 7348, and the frame inside', async () => {
    const { wire } = await runScenario(tunnel('e1000', 'ttl 12') + datagram)
    const rows = tshark(
      wire,
      ['ip.ttl', 'udp.dstport', 'vxlan.flags', 'vxlan.vni', 'ip.dst', 'data.len'],
      '-Y',
      'vxlan && udp.dstport == 9 && !icmp',
    )
    expect(rows).toEqual(['12,64\t4789,9\t0x0800\t42\t10.0.0.2,192.168.7.2\t100'])
  })

  test('every checksum is right, outside and inside, segments too; the source port is one for a flow', async () => {
    const { wire } = await runScenario(tunnel('e1000') + transfer(50_000))
    const check = ['ip', 'udp', 'tcp'].flatMap((p) => ['-o', `${p}.check_checksum:TRUE`])
    const status = 'ip.checksum.status==0 || udp.checksum.status==0 || tcp.checksum.status==0 || _ws.malformed'
    expect(tshark(wire, ['frame.number'], ...check, '-Y', status)).toEqual([])
    const ports = tshark(wire, ['udp.srcport'], '-Y', 'tcp.dstport == 80')
    expect(ports.length).toBeGreaterThan(30)
    expect(new Set(ports).size).toBe(1)
  })

  test('noudpcsum: the outer checksum is zero', async () => {
    const { wire } = await runScenario(tunnel('e1000', 'noudpcsum') + datagram)
    expect(tshark(wire, ['udp.checksum'], '-Y', 'vxlan && udp.dstport == 9')[0]?.split(',')[0]).toBe('0x0000')
  })
})

test.each([
  ['remote 10.0.0.2', 'vxlan: missing virtual network identifier'],
  ['id 16777216', 'Error: argument "16777216" is wrong: invalid id'],
  ['id 1 remote 239.1.1.1', 'Error: argument "239.1.1.1" is wrong: invalid remote address'],
  ['id 1 group 239.1.1.1', 'Error: Local interface required for multicast remote destination.'],
  ['id 1 dev nope', 'Cannot find device "nope"'],
  ['id 1 external', 'Error: "external" is not there on this host.'],
])('ip link add type vxlan %s', async (words, message) => {
  await expect(runScenario(`ip link add v type vxlan ${words}`)).rejects.toThrow(message)
})
test('a VNI once to a port', async () => {
  const text = 'ip link add v1 type vxlan id 1 dstport 4789\nip link add v2 type vxlan id 1 dstport 4789'
  await expect(runScenario(text)).rejects.toThrow('A VXLAN device with the specified VNI already exists')
})
