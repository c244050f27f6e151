import { describe, expect, test } from 'vitest'
import { runScenario } from '../support/scenario.ts'

/* What the 82540EM does for VLANs (manual, 9) and frames above 1518 bytes (3.2 and RCTL.LPE in 13.4.22). */

const conversation = (address: string, bytes: number): string => `
l = socket(AF_INET, SOCK_STREAM, 0) @peer
bind(l, ${address}:80) @peer
listen(l, 5) @peer
c = socket(AF_INET, SOCK_STREAM, 0)
connect(c, ${address}:80)
a = accept(l) @peer
send(c, ${bytes}, 0)
sleep_ms(1000)
drain(a) @peer
`
const vlan = (id: number, peerId = id): string => `hw eth0 e1000
ip link add link eth0 name v type vlan id ${id}
ip addr add 10.5.0.1/24 dev v
ip link set v up
ip -n peer link add link eth0 name v type vlan id ${peerId}
ip -n peer addr add 10.5.0.2/24 dev v
ip -n peer link set v up
`
const tag = (frame: Uint8Array): number[] => [...frame.subarray(12, 16)]

describe('VLANs', () => {
  test('the card puts the tag into every frame, also into those that it cuts itself', async () => {
    const { results, wire } = await runScenario(vlan(5) + conversation('10.5.0.2', 20_000))
    expect(results.at(-1)).toBe('drain = 20000')
    expect(wire.length).toBeGreaterThan(15)
    expect([...new Set(wire.map((f) => tag(f).join()))]).toEqual(['129,0,0,5'])
    expect(Math.max(...wire.map((f) => f.length))).toBe(1518)
  })

  test('and drops frames of a VLAN that nobody here has', async () => {
    const { results } = await runScenario(`${vlan(5, 6)}u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
r = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) @peer
sendto(u, 100, 0, 10.5.0.2:9)
sleep_ms(10)
recv(r, 2000, MSG_DONTWAIT)`)
    expect(results.at(-1)).toBe('recv = -1 EAGAIN')
  })

  test('with rxvlan off the kernel writes and reads the tags', async () => {
    const text = vlan(5).replace('ip link add link', 'ethtool -K eth0 rxvlan off\nip link add link')
    const { results, wire } = await runScenario(text + conversation('10.5.0.2', 20_000))
    expect(results.at(-1)).toBe('drain = 20000')
    expect([...new Set(wire.map((f) => tag(f).join()))]).toEqual(['129,0,0,5'])
  })
})

describe('large frames', () => {
  const plain = `ip addr add 10.0.0.1/24 dev eth0
ip -n peer addr add 10.0.0.2/24 dev eth0
`
  test.each(['e1000', 'virtio_net'])('%s with an MTU of 9000', async (card) => {
    const mtu = 'ip link set eth0 mtu 9000\nip -n peer link set eth0 mtu 9000\n'
    const { results, wire } = await runScenario(`hw eth0 ${card}\n${mtu}${plain}${conversation('10.0.0.2', 100_000)}`)
    expect(results.at(-1)).toBe('drain = 100000')
    if (card === 'e1000') expect(Math.max(...wire.map((f) => f.length))).toBe(9014)
  })

  test('a receiver with an MTU of 1500 does not take them', async () => {
    const { results } = await runScenario(`hw eth0 e1000
ip link set eth0 mtu 9000
${plain}r = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) @peer
bind(r, 10.0.0.2:9) @peer
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
sleep_ms(4000)
sendto(u, 100, 0, 10.0.0.2:9)
sendto(u, 8000, 0, 10.0.0.2:9)
sleep_ms(50)
recv(r, 9000, MSG_DONTWAIT) @peer
recv(r, 9000, MSG_DONTWAIT) @peer`)
    expect(results.slice(-2)).toEqual(['recv = 100', 'recv = -1 EAGAIN'])
  })

  test('the MTU can change while packets are on their way', async () => {
    const { results } = await runScenario(`hw eth0 e1000
ip link set eth0 mtu 9000
ip -n peer link set eth0 mtu 9000
${plain}${conversation('10.0.0.2', 50_000)}ip link set eth0 mtu 1500
send(c, 50000, 0)
sleep_ms(8000)
drain(a) @peer`)
    expect(results.at(-1)).toBe('drain = 50000')
  })
})
