import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { Host } from '../../src/host/host.ts'
import { type net_device, netdev_priv, rtnl_link_stats64 } from '../../src/kernel/include/linux/netdevice.ts'
import { dev_get_stats } from '../../src/kernel/net/core/dev.ts'
import { qdiscs_of } from '../../src/kernel/net/sched/sch_api.ts'
import { type HostCommand, loadCommands } from '../../src/script/command.ts'
import { loadNeeds, runnerOn } from '../../src/script/needs.ts'
import { nobody } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { listen, type Sink, type TracedSkb } from '../../src/trace/tracer.ts'

// What went over the wires, as the frame events have it, against what ip -s, tc -s, ethtool -S and nstat count.

const REFS = 'fixtures/refs'
const ETH_ZLEN = 60
const ETH_HLEN = 14

/** frames of a device: buffers and bytes, and what they are when each segment is a frame of its own */
class Seen {
  buffers = 0
  bytes = 0
  segments = 0
  segmentBytes = 0
  /** no frame shorter than the least that Ethernet has */
  paddedBytes = 0
  tcpSegments = 0
  ip = 0
  ipBytes = 0
}

/** where the transport header and the IP header of a frame begin; 0 for no IPv4 */
function headers(skb: TracedSkb): { ip: number; protocol: number; length: number } {
  const at = skb.data + ETH_HLEN
  const type = ((skb.bytes[at - 2] ?? 0) << 8) | (skb.bytes[at - 1] ?? 0)
  if (type === 0x800) {
    const ihl = ((skb.bytes[at] ?? 0) & 15) * 4
    return { ip: 4, protocol: skb.bytes[at + 9] ?? 0, length: at + ihl - skb.data }
  }
  return type === 0x86dd ? { ip: 6, protocol: skb.bytes[at + 6] ?? 0, length: ETH_HLEN + 40 } : { ip: 0, protocol: 0, length: 0 }
}

class Frames implements Sink {
  readonly out = new Map<string, Seen>()
  readonly in = new Map<string, Seen>()
  enter(): void {}
  exit(): void {}
  frame(device: string, netns: string, direction: 'in' | 'out', skb: TracedSkb): void {
    const of = direction === 'out' ? this.out : this.in
    const key = `${netns}/${device}`
    const s = of.get(key) ?? new Seen()
    of.set(key, s)
    const link = skb.mac_header < skb.data ? skb.data - skb.mac_header : 0
    const n = Math.max(1, skb.gso_segs)
    s.buffers++
    s.bytes += skb.len + link
    s.segments += n
    if (direction === 'in') return
    const { ip, protocol, length } = headers(skb)
    const transport = protocol === 6 ? ((skb.bytes[skb.data + length + 12] ?? 0) >> 4) * 4 : 8
    const whole = skb.len + (n - 1) * (length + transport)
    s.segmentBytes += whole
    s.paddedBytes += n === 1 ? Math.max(ETH_ZLEN, whole) : whole
    if (protocol === 6) s.tcpSegments += n
    if (ip === 4) {
      s.ip++
      s.ipBytes += skb.len - ETH_HLEN
    }
  }
}

interface Run {
  frames: Frames
  host: Host
  /** counters of a device since the first line, or since its card was plugged in */
  stats(netns: string, name: string): rtnl_link_stats64
  sent(netns: string, name: string): { packets: number; bytes: number }
  nstat(netns: string): Map<string, number>
}

async function run(name: string): Promise<Run> {
  const statements = parseScenario(readFileSync(`${REFS}/${name}/scenario.scn`, 'utf8'))
  const needs = await loadNeeds(statements)
  const commands = await loadCommands(['nstat'])
  const host = new Host()
  const frames = new Frames()
  const before = new Map<string, rtnl_link_stats64>()
  const queued = new Map<string, { packets: number; bytes: number }>()
  const read = (d: net_device): rtnl_link_stats64 => dev_get_stats(d, new rtnl_link_stats64())
  const root = (d: net_device): { packets: number; bytes: number } => {
    const [q] = qdiscs_of(d)
    return { packets: q?.bstats.packets ?? 0, bytes: q?.bstats.bytes ?? 0 }
  }
  // what a card says while its link comes up is not among the frame events
  const plugging =
    (command: HostCommand): HostCommand =>
    (h, words, netns) => {
      const outcome = command(h, words, netns)
      for (const ns of ['', 'peer'])
        for (const d of h.netns(ns).dev_base_head) {
          const where = `${ns}/${d.name}`
          if (words[0] === 'hw') before.set(where, read(d))
          // a discipline that was just put there has counted nothing, or what its card said before
          const { packets, bytes } = root(d)
          const seen = frames.out.get(where) ?? new Seen()
          queued.set(where, { packets: packets - seen.segments, bytes: bytes - seen.segmentBytes })
        }
      return outcome
    }
  listen(frames)
  const wrapped = new Map([...commands].map(([k, c]) => [k, k === 'hw' || k === 'tc' ? plugging(c) : c]))
  runnerOn(host, { ...needs, commands: wrapped }, nobody).run(statements)
  listen(null)
  const device = (ns: string, dev: string): net_device => {
    const d = host.netns(ns).dev_name_head.get(dev)
    if (d === undefined) throw new Error(`${ns}/${dev}`)
    return d
  }
  return {
    frames,
    host,
    stats: (ns, dev) => {
      const now = read(device(ns, dev))
      const then = before.get(`${ns}/${dev}`) ?? new rtnl_link_stats64()
      for (const k of Object.keys(now) as (keyof rtnl_link_stats64)[]) now[k] -= then[k]
      return now
    },
    sent: (ns, dev) => {
      const now = root(device(ns, dev))
      const then = queued.get(`${ns}/${dev}`) ?? { packets: 0, bytes: 0 }
      return { packets: now.packets - then.packets, bytes: now.bytes - then.bytes }
    },
    nstat: (ns) =>
      new Map(
        (commands.get('nstat')?.(host, ['nstat', '-az'], ns).stdout ?? '')
          .split('\n')
          .slice(1)
          .map((l) => {
            const [k = '', v] = l.split(/\s+/)
            return [k, Number(v)] as const
          }),
      ),
  }
}

afterEach(() => listen(null))

type Kind = 'lo' | 'e1000' | 'virtio_net' | 'other'
const kindOf = (d: net_device): Kind => {
  if (d.name === 'lo') return 'lo'
  if (d.rtnl_link_ops !== null) return 'other'
  return 'tx_ring' in netdev_priv<object>(d) ? 'e1000' : 'virtio_net'
}

describe('counters add up with the wire', () => {
  it.each(readdirSync(REFS))('%s', async (name) => {
    const r = await run(name)
    for (const ns of ['', 'peer']) {
      let ip = 0
      let ipBytes = 0
      let segments = 0
      const devices = r.host.netns(ns).dev_base_head
      for (const d of devices) {
        const where = `${ns}/${d.name}`
        const out = r.frames.out.get(where) ?? new Seen()
        const into = r.frames.in.get(where) ?? new Seen()
        const s = r.stats(ns, d.name)
        const kind = kindOf(d)
        const tx = { packets: s.tx_packets, bytes: s.tx_bytes }
        // loopback takes the link's header off before it counts; e1000 counts frames and fills them up, the others count buffers
        if (kind === 'lo') expect(tx, where).toEqual({ packets: out.buffers, bytes: out.bytes - ETH_HLEN * out.buffers })
        else if (kind === 'e1000') expect(tx, where).toEqual({ packets: out.segments, bytes: out.paddedBytes })
        else expect(tx, where).toEqual({ packets: out.buffers, bytes: out.bytes })

        if (kind === 'lo') expect(s.rx_packets, where).toBe(out.buffers)
        else if (kind === 'other' && d.rtnl_link_ops?.kind !== 'dummy') {
          // a bridge counts what it hands up without the link's header
          const less = d.rtnl_link_ops?.kind === 'bridge' ? ETH_HLEN * into.buffers : 0
          expect({ packets: s.rx_packets, bytes: s.rx_bytes }, where).toEqual({ packets: into.buffers, bytes: into.bytes - less })
        } else expect(s.rx_packets, where).toBeGreaterThanOrEqual(into.buffers)

        const q = qdiscs_of(d)[0]
        if (q !== undefined && q.ops.id !== 'noqueue')
          expect(r.sent(ns, d.name), `${where} ${q.ops.id}`).toEqual({ packets: out.segments, bytes: out.segmentBytes })
        // what a bridge sends is counted again by the port that it goes out of
        if (d.master === null) {
          ip += out.ip
          ipBytes += out.ipBytes
          segments += out.tcpSegments
        }
      }
      const n = r.nstat(ns)
      const of = (k: string): number => n.get(k) ?? 0
      expect(of('TcpOutSegs') + of('TcpRetransSegs'), `${ns} TCP`).toBe(segments)
      if (devices.every((d) => ['lo', 'other'].includes(kindOf(d)))) {
        expect(of('IpOutTransmits'), `${ns} IP`).toBe(ip)
        expect(of('IpExtOutOctets'), `${ns} IP`).toBe(ipBytes)
      }
    }
  })

  it.each(['e1000-tcp4-send-64000', 'virtio-tcp4-zerocopy-16384'])('%s: what one card sent, the other one got', async (name) => {
    const r = await run(name)
    const [a, b] = ['', 'peer'].map((ns) => {
      const d = r.host.netns(ns).dev_name_head.get('eth0')
      const priv = d?.priv as {
        hw?: { counters: { gptc: number; gprc: number; gotc: number; gorc: number } }
        card?: { counters: { sent: number; received: number } }
      }
      const c = priv.hw?.counters
      return c === undefined
        ? { out: priv.card?.counters.sent, in: priv.card?.counters.received }
        : { out: [c.gptc, c.gotc], in: [c.gprc, c.gorc] }
    })
    expect(a?.out).toEqual(b?.in)
    expect(b?.out).toEqual(a?.in)
  })
})
