import { beforeAll, describe, expect, it } from 'vitest'
import { Host } from '../../src/host/host.ts'
import { type HostCommand, loadCommands } from '../../src/script/command.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { type CardEvent, listen } from '../../src/trace/tracer.ts'

let commands: ReadonlyMap<string, HostCommand>
beforeAll(async () => {
  commands = await loadCommands(['hw', 'ip', 'ethtool'])
})

/** what the host's own card is told and does for a send() of `bytes` */
function events(card: string, bytes: number, ...setup: string[]): CardEvent[] {
  const host = new Host()
  const out: CardEvent[] = []
  const runner = new Runner(
    host,
    {
      begin: () =>
        listen({
          enter: () => {},
          exit: () => {},
          card: (e) => {
            if (e.netns === '') out.push({ ...e, bytes: e.bytes?.slice() ?? null })
          },
        }),
      end: () => listen(null),
    },
    commands,
  )
  runner.run(
    parseScenario(`hw eth0 ${card}
ip addr add 10.0.0.1/24 dev eth0
ip -n peer addr add 10.0.0.2/24 dev eth0
${setup.join('\n')}
l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) @peer
bind(l, 10.0.0.2:8080) @peer
listen(l, 8) @peer
c = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
connect(c, 10.0.0.2:8080)
s = accept(l) @peer
> send(c, ${bytes}, 0)`),
  )
  return out
}

const descriptors = (list: readonly CardEvent[]) => list.filter((e) => e.what === 'descriptor' && e.name === 'tx')
const wire = (list: readonly CardEvent[]) => list.filter((e) => e.what === 'wire').map((e) => e.bytes?.length)

describe("what a card's events say", () => {
  it('82540EM: the context and data descriptors of a segmented packet (3.3.6, 3.3.7 of the manual)', () => {
    const list = events('e1000', 4096)
    const tail = list.find((e) => e.what === 'register')
    expect(tail?.name).toBe('TDT')
    const [context, ...data] = descriptors(list)
    // Ethernet 14, IPv4 20, TCP 32 bytes; its checksum lies at 10 in IPv4's header and at 16 in TCP's
    expect(context?.fields).toEqual({
      type: 'context',
      IPCSS: 14,
      IPCSO: 14 + 10,
      IPCSE: 14 + 20 - 1,
      TUCSS: 34,
      TUCSO: 34 + 16,
      TUCSE: 0,
      PAYLEN: 4096,
      HDRLEN: 66,
      MSS: 1448,
      TUCMD: 'TCP IP TSE DEXT',
    })
    expect(data.reduce((n, d) => n + Number(d.fields.DTALEN), 0)).toBe(66 + 4096)
    expect(data.map((d) => d.fields.POPTS)).toEqual(data.map(() => 'IXSM TXSM'))
    expect(data.map((d) => String(d.fields.DCMD).includes('EOP'))).toEqual(data.map((_, i) => i === data.length - 1))
    const indices = descriptors(list).map((d) => d.index)
    expect(indices).toEqual(indices.map((_, i) => (indices[0] ?? 0) + i))
    expect(tail?.index).toBe((indices.at(-1) ?? 0) + 1)
    expect(wire(list)).toEqual([1514, 1514, 66 + 1200])
  })

  it('82540EM: one frame of one buffer', () => {
    const list = events('e1000', 100, 'ethtool -K eth0 tso off')
    expect(wire(list)).toEqual([166])
    expect(descriptors(list).map((d) => d.fields.type)).toContain('data')
  })

  it('virtio: the header says what is left to do (5.1.6.2), and the frame is one', () => {
    const list = events('virtio_net', 4096)
    expect(list.find((e) => e.what === 'register')).toMatchObject({ name: 'queue_notify', index: 1 })
    expect(list.find((e) => e.what === 'header')?.fields).toEqual({
      flags: 'NEEDS_CSUM',
      gso_type: 'TCPV4',
      hdr_len: 66,
      gso_size: 1448,
      csum_start: 34,
      csum_offset: 16,
    })
    expect(wire(list)).toEqual([66 + 4096])
    // the buffers of the chain are the header, 12 bytes, and the frame
    const buffers = descriptors(list).filter((d) => d.fields.flags !== 'INDIRECT')
    expect(buffers.reduce((n, d) => n + Number(d.fields.len), 0)).toBe(12 + 66 + 4096)
  })

  it('virtio: nothing is left to do when all offloads are off', () => {
    const list = events('virtio_net', 4096, 'ethtool -K eth0 tso off gso off tx off sg off')
    expect(list.filter((e) => e.what === 'header').map((e) => [e.fields.flags, e.fields.gso_type])).toEqual([
      ['0', 'NONE'],
      ['0', 'NONE'],
      ['0', 'NONE'],
    ])
    expect(wire(list)).toEqual([1514, 1514, 66 + 1200])
  })
})
