import { describe, expect, test } from 'vitest'
import type { sk_buff } from '../../src/kernel/include/linux/skbuff.ts'
import { play } from '../support/play.ts'
import { runScenario } from '../support/scenario.ts'

const veth = `
ip link add eth0 type veth peer name eth0 netns peer
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
ip -n peer addr add 10.0.0.2/24 dev eth0
ip -n peer link set eth0 up
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
`

/** what each run of rtnl_notify() was handed, little-endian */
async function told(text: string): Promise<Buffer[]> {
  const out: Buffer[] = []
  const enter = (call: { fn: { name: string } }, skb?: unknown): void => {
    if (call.fn.name !== 'rtnl_notify') return
    const { head, data, len } = skb as sk_buff
    out.push(Buffer.from(head.bytes.slice(data, data + len)))
  }
  await play(text, { enter, exit: () => {} }, (p) => p.line(text))
  return out
}
/** the attributes behind `at`, by type: rtnetlink(7) */
function attributes(m: Buffer, at: number): Map<number, string> {
  const out = new Map<number, string>()
  for (let i = at; i < m.length; i += (m.readUInt16LE(i) + 3) & ~3)
    out.set(m.readUInt16LE(i + 2), m.subarray(i + 4, i + m.readUInt16LE(i)).toString('hex'))
  return out
}

describe('what `ip monitor neigh` would be told', () => {
  test('an address that was asked for and found: RTM_NEWNEIGH', async () => {
    const messages = await told(`${veth}ip -n peer link set eth0 address 02:00:00:00:00:02\nsendto(u, 1, 0, 10.0.0.2:9)`)
    const found = messages.find((m) => attributes(m, 28).get(1) === '0a000002') ?? Buffer.alloc(0)
    expect(found.readUInt32LE(0)).toBe(found.length)
    expect(found.readUInt16LE(4)).toBe(28)
    // ndmsg: AF_INET, NUD_REACHABLE, RTN_UNICAST
    expect([found[16], found[24], found[27]]).toEqual([2, 2, 1])
    expect(attributes(found, 28).get(2)).toBe('020000000002')
    expect([...attributes(found, 28).keys()]).toEqual([1, 2, 4, 3])
  })

  test('a bridge that learns where somebody is: RTM_NEWNEIGH of AF_BRIDGE, once', async () => {
    const bridge = `ip link add br0 type bridge
ip link set eth0 master br0
ip link set br0 up
p = socket(AF_PACKET, SOCK_RAW, 0) @peer
sendto(p, "\\xff\\xff\\xff\\xff\\xff\\xff\\x02\\0\\0\\0\\0\\x07\\x88\\xb5hello", 0, dev:eth0) @peer
sendto(p, "\\xff\\xff\\xff\\xff\\xff\\xff\\x02\\0\\0\\0\\0\\x07\\x88\\xb5hello", 0, dev:eth0) @peer
`
    const learned = (await told(veth + bridge)).filter((m) => attributes(m, 28).get(2) === '020000000007')
    expect(learned.map((m) => [m.readUInt16LE(4), m[16]])).toEqual([[28, 7]])
  })
})

test('the copy of a broadcast that a host makes for itself is not on the wire', async () => {
  const { frames } = await runScenario(`${veth}setsockopt(u, SOL_SOCKET, SO_BROADCAST, 1)\nsendto(u, 100, 0, 10.0.0.255:9)`)
  expect(frames.map((f) => [f.netns, f.direction])).toEqual([
    ['', 'out'],
    ['peer', 'in'],
  ])
})

// recorded on Linux 6.12.117
test.each([
  ['by addresses', 0, [5000, 5000, 5000, 5000, 5000, 5000, 5000], '1110011'],
  ['by addresses and ports', 1, [5001, 5002, 5003, 5004, 5005, 5006, 5007], '1001100'],
])('next hops %s, with fib_multipath_hash_seed=12345, are those that Linux takes', async (_what, policy, ports, devices) => {
  const { frames } = await runScenario(`
ip link add dummy0 type dummy
ip link add dummy1 type dummy
ip addr add 10.3.0.1/24 dev dummy0
ip addr add 10.4.0.1/24 dev dummy1
ip link set dummy0 up
ip link set dummy1 up
ip route add 10.8.0.0/16 nexthop via 10.3.0.2 nexthop via 10.4.0.2
sysctl -qw net.ipv4.fib_multipath_hash_seed=12345 net.ipv4.fib_multipath_hash_policy=${policy}
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
bind(u, 0.0.0.0:40000)
${ports.map((port, i) => `sendto(u, 100, 0, 10.8.0.${i + 1}:${port})`).join('\n')}
`)
  expect(frames.filter((f) => f.bytes.length === 142).map((f) => f.device.at(-1))).toEqual([...devices])
})
