import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SOCK_DGRAM, Stage } from '../../src/cli/paths/stage.ts'
import { ways } from '../../src/cli/paths/ways.ts'
import { takeCard } from '../../src/host/pmd.ts'
import { dma_space } from '../../src/kernel/kernel/dma/mapping.ts'
import { listen } from '../../src/trace/tracer.ts'
import { pcap } from '../support/pcap.ts'
import { hasTool } from '../support/tools.ts'

const setting = (bytes: number, device: 'e1000' | 'virtio_net') => ({ bytes, device, mtu: 1500, offload: '', set: [], seed: 1 })

describe.each(['e1000', 'virtio_net'] as const)('a program that drives %s itself', (device) => {
  it('reaches a socket of the other host, byte for byte', async () => {
    const stage = await Stage.make(setting(5000, device))
    stage.connect(SOCK_DGRAM)
    await stage.command('ip link set eth0 down')
    const driver = takeCard(device, dma_space, stage.cable, 0, { name: 'eth0', netnsName: '' })
    const frames: Uint8Array[] = []
    const calls: string[] = []
    listen({
      enter: (c) => {
        if (c.fn.name === '__alloc_skb' || c.fn.name.startsWith('__x64_sys')) calls.push(c.fn.name)
      },
      exit: () => {},
      card: (e) => {
        if (e.what === 'wire' && e.netns === '') frames.push(e.bytes?.slice() ?? new Uint8Array(0))
      },
    })
    try {
      const data = Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff)
      stage.run(() => driver.send(data, 1472, stage.flow()))
    } finally {
      listen(null)
    }
    expect(calls.filter((c) => c.startsWith('__x64'))).toEqual([])
    stage.settle(5000)
    expect(stage.arrived).toBe(5000)
    expect(frames.map((f) => f.length)).toEqual([1514, 1514, 1514, 42 + 584])
    if (device === 'e1000' && hasTool('tshark')) {
      const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
      try {
        writeFileSync(join(dir, 'x.pcap'), pcap(frames))
        const fields = ['ip.checksum.status', 'udp.checksum.status', 'udp.length']
        const out = execFileSync(
          'tshark',
          [
            ...['-r', join(dir, 'x.pcap'), '-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE', '-T', 'fields'],
            ...fields.flatMap((f) => ['-e', f]),
          ],
          { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
        )
        // 1: good
        expect(out.trim().split('\n')).toEqual(['1\t1\t1480', '1\t1\t1480', '1\t1\t1480', '1\t1\t592'])
      } finally {
        rmSync(dir, { recursive: true, force: true })
      }
    }
  })

  it('and every other way brings the same bytes there', async () => {
    for (const way of ways) {
      const { arrived, taken } = await way.run(setting(20_000, device))
      expect([way.name, arrived]).toEqual([way.name, 20_000])
      expect(taken.firstFrame).toBeLessThanOrEqual(taken.lastFrame ?? -1)
    }
  })

  it('counts what the ways are known for', async () => {
    const take = async (name: string) => {
      const way = ways.find((w) => w.name === name)
      if (way === undefined) throw new Error(name)
      return (await way.run(setting(65_536, device))).taken
    }
    const fromUser = (t: Awaited<ReturnType<typeof take>>): number =>
      [...t.copies].filter(([k]) => k.startsWith('user to')).reduce((n, [, b]) => n + b, 0)
    const send = await take('send')
    const zerocopy = await take('zerocopy')
    const sendfile = await take('sendfile')
    const udp = await take('udp')
    const gso = await take('udp_segment')
    const bypass = await take('bypass')
    // 65536 = 44 * 1472 + 768
    expect(udp.systemCalls).toBe(45)
    expect(udp.frames).toBe(45)
    // UDP_SEGMENT: 44 segments fit into 65507 bytes
    expect(gso.systemCalls).toBe(2)
    expect(gso.frames).toBe(45)
    expect(send.systemCalls).toBe(1)
    // each byte is copied from the program once, or never; what is more are headers and addresses
    expect(Math.round(fromUser(send) / 65_536)).toBe(1)
    expect(fromUser(zerocopy)).toBeLessThan(1000)
    expect(fromUser(sendfile)).toBeLessThan(1000)
    expect(Math.round(fromUser(udp) / 65_536)).toBe(1)
    expect([bypass.systemCalls, bypass.skbs, bypass.interrupts]).toEqual([0, 0, 0])
    // the card fetches every byte, and headers
    for (const t of [send, zerocopy, sendfile, udp, gso, bypass]) expect(t.fetched).toBeGreaterThan(65_536)
  })
})
