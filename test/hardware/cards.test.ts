import { beforeAll, describe, expect, it } from 'vitest'
import { get16, sum16 } from '../../src/hardware/checksum.ts'
import { Host } from '../../src/host/host.ts'
import type { e1000_adapter } from '../../src/kernel/drivers/net/ethernet/intel/e1000/e1000_main.ts'
import type { virtnet_info } from '../../src/kernel/drivers/net/virtio_net.ts'
import { type net_device, netdev_get_tx_queue } from '../../src/kernel/include/linux/netdevice.ts'
import { dma_space } from '../../src/kernel/kernel/dma/mapping.ts'
import { type HostCommand, loadCommands } from '../../src/script/command.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { listen } from '../../src/trace/tracer.ts'

let commands: ReadonlyMap<string, HostCommand>
beforeAll(async () => {
  commands = await loadCommands(['hw', 'ip', 'tc', 'ethtool'])
})

const nothing = { begin() {}, end() {} }
const eth0 = (host: Host, netns = ''): net_device => {
  const dev = host.netns(netns).dev_name_head.get('eth0')
  if (dev === undefined) throw new Error('no eth0')
  return dev
}

/** connects over a card of that kind, sends `bytes`, lets time pass; `received`: what the other end read */
function send(card: string, bytes: number, ...setup: string[]): { host: Host; received: number; wire: Uint8Array[] } {
  const host = new Host()
  const runner = new Runner(host, nothing, commands)
  const step = (text: string): string => {
    let result = ''
    for (const s of parseScenario(text)) result = runner.step(s)
    return result
  }
  const wire: Uint8Array[] = []
  step(`hw eth0 ${card}`)
  if (card === 'e1000')
    listen({
      enter: () => {},
      exit: () => {},
      card: (e) => {
        if (e.what === 'wire' && e.netns === '' && e.bytes !== null) wire.push(e.bytes)
      },
    })
  step('ip addr add 10.0.0.1/24 dev eth0\nip -n peer addr add 10.0.0.2/24 dev eth0\n')
  for (const line of setup) step(line)
  step(`l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) @peer
bind(l, 10.0.0.2:8080) @peer
listen(l, 8) @peer
c = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
connect(c, 10.0.0.2:8080)
s = accept(l) @peer
fcntl(c, F_SETFL, O_NONBLOCK)`)
  let received = 0
  for (let left = bytes; left > 0; ) {
    const variables = runner.variables
    const n = Number(step(`send(c, ${left}, 0)`))
    if (n > 0) left -= n
    host.sleep(500)
    expect(variables.get('s')).toBeGreaterThan(0)
    received += Number(step('drain(s) @peer'))
    if (!(n > 0) && received === 0) break
  }
  host.sleep(2000)
  received += Number(step('drain(s) @peer'))
  listen(null)
  return { host, received, wire }
}

/** of an IPv4 frame: whether the header's and TCP's checksums are right */
function sumsRight(f: Uint8Array): boolean {
  const total = get16(f, 16)
  if (sum16(f, 14, 34) !== 0xffff) return false
  const pseudo = new Uint8Array(12 + total - 20)
  pseudo.set(f.subarray(26, 34))
  pseudo[9] = 6
  pseudo[10] = (total - 20) >> 8
  pseudo[11] = (total - 20) & 0xff
  pseudo.set(f.subarray(34, 14 + total), 12)
  return sum16(pseudo, 0, pseudo.length) === 0xffff
}

describe('e1000', () => {
  it('cuts a large packet into frames of the MTU, with checksums', () => {
    const { received, wire } = send('e1000', 20000)
    expect(received).toBe(20000)
    const tcp = wire.filter((f) => get16(f, 12) === 0x0800)
    expect(Math.max(...tcp.map((f) => f.length))).toBe(1514)
    expect(tcp.every(sumsRight)).toBe(true)
    // the payloads lie one behind the other
    let next: number | null = null
    let payload = 0
    for (const f of tcp) {
      const length = get16(f, 16) - 20 - ((f[46] ?? 0) >> 4) * 4
      if (length === 0) continue
      const seq = get16(f, 38) * 0x10000 + get16(f, 40)
      if (next !== null) expect(seq).toBe(next)
      next = (seq + length) >>> 0
      payload += length
    }
    expect(payload).toBe(20000)
  })

  it('gives the checksum to the kernel when the card may not', () => {
    const { received, wire } = send('e1000', 5000, 'ethtool -K eth0 tso off gso off tx off sg off')
    expect(received).toBe(5000)
    expect(wire.filter((f) => get16(f, 12) === 0x0800).every(sumsRight)).toBe(true)
  })

  it('unmaps what it has sent: the receive buffers and the two rings stay', () => {
    const { host } = send('e1000', 300000)
    let mapped = 0
    for (const netns of ['', 'peer']) {
      const { tx_ring, rx_ring } = eth0(host, netns).priv as e1000_adapter
      expect(tx_ring.buffer_info.filter((b) => b.dma !== 0 || b.skb !== null)).toEqual([])
      mapped += 2 + rx_ring.buffer_info.filter((b) => b.dma !== 0).length
      const { dql } = netdev_get_tx_queue(eth0(host, netns), 0)
      expect(dql.num_queued).toBe(dql.num_completed)
    }
    expect(dma_space.size).toBe(mapped)
  })

  it('counts what went over the wire', () => {
    const { host } = send('e1000', 60000)
    expect(eth0(host).stats.tx_packets).toBe(eth0(host, 'peer').stats.rx_packets - extra(host))
    expect(eth0(host, 'peer').stats.tx_packets).toBe(eth0(host).stats.rx_packets)
  })
})

/** frames of headers only, which the card adds and the driver does not count */
const extra = (host: Host): number => {
  const { hw } = eth0(host).priv as e1000_adapter
  return hw.counters.gptc - eth0(host).stats.tx_packets
}

describe('virtio_net', () => {
  it.each([[[]], [['ethtool -K eth0 tso off gso off tx off sg off']], [['tc qdisc replace dev eth0 root pfifo_fast']]])(
    'delivers everything: %j',
    (setup: string[]) => {
      const { host, received } = send('virtio_net', 300000, ...setup)
      expect(received).toBe(300000)
      for (const netns of ['', 'peer']) {
        const { sq, rq } = eth0(host, netns).priv as virtnet_info
        expect(rq.vq.num_free + 256).toBeGreaterThanOrEqual(256)
        expect(sq.vq.num_free).toBeGreaterThanOrEqual(254)
      }
    },
  )
})

describe('queue disciplines', () => {
  it.each([
    'fq',
    'fq maxrate 8mbit',
    'pfifo limit 50',
    'bfifo limit 30000',
    'tbf rate 10mbit burst 5kb latency 50ms',
    'prio',
    'netem delay 5ms 1ms loss 2%',
    'netem delay 3ms duplicate 5%',
    'netem rate 20mbit',
    'fq_codel limit 20',
    'noqueue',
  ])('%s loses nothing that TCP cannot mend', (q) => {
    for (const card of ['e1000', 'virtio_net']) {
      const { host, received } = send(card, 60000, `tc qdisc replace dev eth0 root ${q}`)
      expect(received, card).toBe(60000)
      const root = eth0(host).qdisc
      expect(root?.q.qlen).toBe(0)
      expect(root?.qstats.backlog).toBe(0)
    }
  })

  it('htb shares a rate among its classes', () => {
    const { host, received } = send(
      'e1000',
      60000,
      'tc qdisc add dev eth0 root handle 1: htb default 10',
      'tc class add dev eth0 parent 1: classid 1:1 htb rate 10mbit',
      'tc class add dev eth0 parent 1:1 classid 1:10 htb rate 2mbit ceil 10mbit burst 15k',
    )
    expect(received).toBe(60000)
    expect(eth0(host).qdisc?.q.qlen).toBe(0)
  })
})
