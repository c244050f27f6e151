import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readPcapng } from '../support/pcapng.ts'

const bin = resolve(process.env.SKBTRACE_BIN ?? 'bin/skbtrace.js')
let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const run = (...args: string[]) =>
  spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', cwd: dir, maxBuffer: 1 << 28, env: { PATH: process.env.PATH } })
const send = (...args: string[]): string => {
  const r = run('send', ...args)
  expect(r.stderr).toBe('')
  expect(r.status).toBe(0)
  return r.stdout
}
/** functions that have a line, in order */
const called = (text: string): string[] => [...text.matchAll(/\|\s+[~-]?([\w.]+)\(\)/g)].map((m) => m[1] ?? '')
/** payload of the frames that went out over a device, by TCP's or UDP's port */
function payload(file: string): Buffer {
  const parts = readPcapng(join(dir, file)).packets.flatMap(({ data: b }) => {
    const v6 = b[12] === 0x86
    const tcp = b[v6 ? 20 : 23] === 6
    const t = v6 ? 54 : 14 + 4 * ((b[14] ?? 0) & 15)
    const port = ((b[t + 2] ?? 0) << 8) | (b[t + 3] ?? 0)
    const end = v6 ? 54 + ((b[18] ?? 0) << 8) + (b[19] ?? 0) : 14 + ((b[16] ?? 0) << 8) + (b[17] ?? 0)
    return port === 8080 ? [b.subarray(t + (tcp ? 4 * ((b[t + 12] ?? 0) >> 4) : 8), end)] : []
  })
  return Buffer.concat(parts)
}

describe('send over each device', () => {
  it('over IPv6 names the address that it sends to', () => {
    const text = send('--ipv6', '--proto', 'udp', '--call', 'sendto', '--bytes', '10')
    expect(text).toContain('> sendto(4, 10, 0, [::1]:8080)')
  })

  const drivers = { lo: 'loopback_xmit', veth: 'veth_xmit', e1000: 'e1000_xmit_frame', virtio_net: 'start_xmit' }

  it.each(Object.entries(drivers))('%s: what was sent goes down to the driver and up to the other end', (device, xmit) => {
    for (const way of [
      ['--proto', 'tcp'],
      ['--proto', 'udp', '--ipv6'],
    ]) {
      const text = send('--device', device, '--data', 'hello, wire', '--pcap', 'x.pcapng', ...way)
      const list = called(text)
      expect(list).toContain(xmit)
      expect(list.indexOf('sock_def_readable'), `${device} ${way}`).toBeGreaterThan(list.indexOf(xmit))
      expect(payload('x.pcapng').toString()).toBe('hello, wire')
      expect(text).toMatch(/\n# = 11\n$/)
    }
  })

  it('dummy: it is swallowed', () => {
    const text = send('--device', 'dummy', '--proto', 'udp', '--bytes', '100')
    expect(called(text)).toContain('dummy_xmit')
    expect(called(text)).not.toContain('sock_def_readable')
    // 100 bytes, UDP 8, IPv4 20, Ethernet 14
    expect(text).toContain('1 frame (142 bytes) out on dummy0')
  })

  it('reads well in 80 columns', () => {
    for (const args of [['--device', 'e1000', '--bytes', '65536'], ['--device', 'virtio_net', '--offload', 'tso=off'], []]) {
      const all = send(...args).split('\n')
      const wide = all.filter((l) => l.length > 80)
      expect(wide.length / all.length, args.join(' ')).toBeLessThan(0.04)
      // all that is wide is a function's name, deep down
      for (const l of wide) expect(l).toMatch(/^ 0\)/)
    }
  })

  it('shows what repeats once, and all of it when asked', () => {
    const args = ['--device', 'e1000', '--bytes', '65536']
    const text = send(...args)
    expect(text).toMatch(/\n# \.\.\. and \d+ times more /)
    expect(text).toContain('{ ... } /* as before')
    const all = send(...args, '--no-fold')
    expect(all).not.toMatch(/\.\.\. and \d+ (times )?more|as before/)
    expect(all.split('\n').length).toBeGreaterThan(1.5 * text.split('\n').length)
    expect(new Set(called(text))).toEqual(new Set(called(all)))
  })

  it('counts frames: with segmentation in the card, more on the wire than from the kernel', () => {
    // 4096 bytes in segments of 1448
    const { length } = [1448, 1448, 1200]
    const flat = (text: string): string => text.replace(/\n# /g, ' ')
    expect(flat(send('--device', 'e1000'))).toContain(`1 frame (4162 bytes) out on eth0, ${length} on the wire`)
    expect(flat(send('--device', 'e1000', '--offload', 'tso=off'))).toContain(`${length} frames (4294 bytes) out on eth0`)
  })
})

describe("send's way", () => {
  it('is configured by the words of tc, ethtool, ip and nft', () => {
    expect(called(send('--device', 'e1000', '--qdisc', 'tbf rate 1mbit burst 3000 limit 60000'))).toContain('tbf_enqueue')
    expect(called(send('--device', 'e1000', '--bytes', '100', '--offload', 'tx=off', '--detail', 'net'))).toContain(
      'skb_checksum_help',
    )
    const shown = send('--device', 'veth', '--mtu', '1280', '--show', 'ip link show eth0')
    expect(shown).toMatch(/\n# \$ ip link show eth0\n# \d+: eth0@.* mtu 1280 /)
  })

  it('passes rules of nft, which may drop what is sent', () => {
    const text = send(
      ...['--proto', 'udp', '--bytes', '10'],
      ...['--set', 'nft add table ip t', '--set', 'nft add chain ip t o { type filter hook output priority 0 ; }'],
      ...['--set', 'nft add rule ip t o udp dport 8080 drop'],
    )
    // net/netfilter/nf_tables_core.c gives the reason with its verdict
    expect(text).toMatch(/# skb \d+ is dropped: NETFILTER_DROP in nft_do_chain\n/)
    expect(text).toContain('1 skb dropped: NETFILTER_DROP in nft_do_chain')
    expect(text).toMatch(/\n# = -1 EPERM\n$/)
  })

  it('ends as in Linux where nobody is', () => {
    expect(send('--to', '127.0.0.1:9')).toMatch(/# > connect\(4, 127\.0\.0\.1:9\)[\s\S]*\n# = -1 ECONNREFUSED\n/)
    expect(send('--to', '8.8.8.8:53')).toMatch(/\n# = -1 ENETUNREACH\n/)
    expect(send('--device', 'veth', '--to', '10.0.0.9:80')).toMatch(/\n# = -1 EHOSTUNREACH\n/)
    // a datagram waits for the neighbour, who is asked three times, a second apart
    const text = send('--device', 'veth', '--proto', 'udp', '--to', '10.0.0.9:53', '--bytes', '10')
    expect(text).toMatch(/\n# = 10\n# 3\.\d+ s later skb \d+ is dropped: NEIGH_FAILED in arp_error_report\n/)
  })

  it('traces connect() where the cable lets nothing through', () => {
    // nobody answers ARP, three times a second apart (RFC 1122 2.3.2.1 leaves that open; net.ipv4.neigh.mcast_solicit is 3)
    const text = send('--device', 'e1000', '--loss', '100%')
    expect(text).toMatch(/^# > connect\(/m)
    expect(text).toMatch(/\n# = -1 EHOSTUNREACH\n$/)
  })

  it('says that a command of --show failed, behind the trace', () => {
    const r = run('send', '--show', 'ip nonsense')
    expect(r.stdout).toContain('# Object "nonsense" is unknown')
    expect(r.stdout).toMatch(/\n# = 4096\n/)
    expect(r.stderr).toMatch(/^skbtrace: --show 'ip nonsense': Object "nonsense" is unknown[^\n]*\n$/)
    expect(r.status).toBe(2)
  })

  it('takes the cable as it is: delay, loss and rate, the same each time', () => {
    const args = [
      '--device',
      'virtio_net',
      '--bytes',
      '20000',
      '--delay',
      '5ms',
      '--loss',
      '30%',
      '--rate',
      '10mbit',
      '--seed',
      '4',
    ]
    const text = send(...args, '--netns', 'all', '--pcap', 'x.pcapng')
    expect(send(...args, '--netns', 'all')).toBe(text)
    expect(text).toContain('# LOST on the cable: ')
    expect(called(text)).toContain('tcp_recvmsg_locked')
  })

  it('does without copies, and cuts datagrams, when asked', () => {
    expect(send('--device', 'virtio_net', '--zerocopy', '--bytes', '16384')).not.toContain('copied user to kernel')
    const text = send('--device', 'veth', '--proto', 'udp', '--udp-segment', '1000', '--bytes', '3000')
    // one buffer of three datagrams goes down: the receiver's side cuts it
    expect(text).toContain('1 frame (3042 bytes) out on eth0')
  })

  it('asks for the neighbour first when it is cold', () => {
    expect(send('--device', 'veth', '--proto', 'udp', '--cold', '--bytes', '5')).toContain('ARP request 10.0.0.1 > 10.0.0.2')
    expect(send('--device', 'veth', '--proto', 'udp', '--bytes', '5')).not.toContain('ARP')
  })
})

describe('contexts', () => {
  it('can be left out', () => {
    const all = send('--device', 'e1000')
    expect(all).toContain('# ---- softirq in peer ---')
    expect(all).toMatch(/ 0\) {3}==========> \| {2}\/\* in peer \*\/\n 0\) .* e1000_intr\(\);\n 0\) {3}<========== \|\n/)
    const task = send('--device', 'e1000', '--context', 'task')
    expect(task).not.toMatch(/==>|# ----/)
    expect(called(task)).toContain('e1000_xmit_frame')
    expect(called(task)).not.toContain('tcp_v4_rcv')
    expect(called(send('--device', 'e1000', '--context', 'softirq'))).not.toContain('tcp_sendmsg')
  })

  it('are those of the other end with --netns peer, of both with all', () => {
    const peer = called(send('--device', 'veth', '--netns', 'peer'))
    expect(peer).toContain('tcp_v4_rcv')
    expect(peer).toContain('tcp_recvmsg')
    expect(peer).not.toContain('tcp_sendmsg')
    const host = called(send('--device', 'veth', '--netns', 'host'))
    expect(host).toContain('tcp_sendmsg')
    expect(host).not.toContain('tcp_v4_rcv')
    const all = new Set(called(send('--device', 'veth', '--netns', 'all')))
    expect([...peer, ...host].filter((f) => !all.has(f))).toEqual([])
  })
})

describe('a card', () => {
  it('shows its rings and registers', () => {
    const text = send('--device', 'e1000', '--bytes', '10', '--show', 'rings', '--show', 'registers')
    expect(text).toMatch(/\n# eth0, tx ring of 256: head (\d+), tail \1\n# {3}\[\d+\]/)
    expect(text).toMatch(/\n# eth0 in peer, rx ring of 256: head \d+, tail \d+\n/)
    expect(text).toMatch(/\n# eth0, registers\n# {3}CTRL 0x[0-9a-f]{8} /)
    expect(send('--device', 'virtio_net', '--bytes', '10', '--show', 'registers')).toMatch(/tx avail\.idx 0x/)
  })
})

describe('what makes no sense', () => {
  it.each([
    [['--device', 'eth0'], /lo, veth, e1000, virtio_net, dummy/],
    [['--device', 'dummy'], /--proto udp/],
    [['--device', 'veth', '--proto', 'unix'], /--device is for --proto tcp or udp/],
    [['--delay', '10ms'], /--delay is for a cable.*netem/],
    [['--device', 'e1000', '--delay', '10'], /a time such as 10ms/],
    [['--device', 'e1000', '--loss', '120%'], /at most 100%/],
    [['--device', 'e1000', '--rate', '0mbit'], /rate of 0/],
    [['--offload', 'tso'], /'tso' is not like tso=off/],
    [['--device', 'e1000', '--offload', 'nonsense=off'], /--offload nonsense=off: /],
    [['--device', 'e1000', '--qdisc', 'bogus'], /--qdisc 'bogus': .*Unknown qdisc "bogus"/],
    [['--device', 'veth', '--mtu', '10'], /--mtu 10: /],
    [['--to', '10.0.0.300:5'], /an address and a port/],
    [['--to', 'localhost:5'], /an address and a port/],
    [['--ipv6', '--to', '10.0.0.2:5'], /IPv4 address/],
    [['--set', 'make coffee'], /--set 'make coffee'/],
    [['--set', 'ip link set dev nosuch up'], /--set 'ip link set dev nosuch up': .*nosuch/],
    [['--set', 's = socket(AF_INET, SOCK_STREAM, 0)'], /a command of the host/],
    [['--show', 'rings'], /a card: --device e1000 or virtio_net/],
    [['--show', 'nonsense'], /--show 'nonsense'/],
    [['--context', 'user'], /task, softirq, hardirq, all/],
    [['--netns', 'nowhere'], /no such network namespace/],
    [['--zerocopy', '--call', 'write'], /--zerocopy is for calls that take flags/],
    [['--udp-segment', '100'], /--udp-segment is for --proto udp/],
    [['--cold'], /--cold is for --proto udp/],
  ])('%j is one clear line', (args, message) => {
    const r = run('send', ...args)
    expect(r.stdout).toBe('')
    expect(r.stderr).toMatch(/^skbtrace: .*\n$/)
    expect(r.stderr).toMatch(message)
    expect(r.status).toBe(2)
    expect(readdirSync(dir)).toEqual([])
  })
})

describe('run', () => {
  it('traces the other end as well', () => {
    const scenario = join(process.cwd(), 'fixtures/refs/veth-tcp4-send-4096/scenario.scn')
    const r = run('run', scenario, '--netns', 'peer')
    expect(r.stderr).toBe('')
    expect(called(r.stdout)).toContain('tcp_v4_rcv')
    expect(called(r.stdout)).not.toContain('tcp_sendmsg')
    expect(run('run', scenario, '--netns', 'nowhere').stderr).toMatch(/no such network namespace/)
  })
})
