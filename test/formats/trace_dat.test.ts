import { spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dropReasons, tracepoints } from '../../src/formats/trace_dat/events.ts'
import { formatText } from '../../src/formats/trace_dat/layout.ts'
import { addressBytes } from '../../src/formats/trace_dat/record.ts'
import { hasTool } from '../support/tools.ts'
import { scenario, written, writtenText } from '../support/written.ts'

const refs = join(import.meta.dirname, '../../fixtures/refs')
const traceCmd = hasTool('trace-cmd')
if (!traceCmd) console.warn('trace-cmd is not installed: what it reads of a trace.dat is not tested')

/** what trace-cmd prints of a file; it must have nothing to complain about */
function report(path: string, ...args: string[]): string {
  const r = spawnSync('trace-cmd', ['report', ...args, '-i', path], { encoding: 'utf8', maxBuffer: 1 << 28 })
  expect(r.stderr).toBe('')
  expect(r.status).toBe(0)
  return r.stdout
}

/** lines of a graph as pairs of duration and text; a function in one line is written as two */
function graph(lines: readonly (readonly [string, string])[]): string[] {
  return lines.flatMap(([took, text]) => {
    const leaf = /^( *)(\S+)\(\);/.exec(text)
    if (leaf === null) return [`${took} ${text.replace(/ \/\*.*/, '')}`]
    return [` ${leaf[1]}${leaf[2]}() {`, `${took} ${leaf[1]}}`]
  })
}
const reported = (text: string): string[] =>
  graph(
    [...text.matchAll(/funcgraph_(?:entry|exit): *(?:[+!#*@$] *)?(?:([\d.]+) us *)?\| {2}(.*)$/gm)].map((m) => [
      m[1] ?? '',
      m[2] ?? '',
    ]),
  )
const printed = (text: string): string[] =>
  graph([...text.matchAll(/^ 0\) (?:[ +!#*@$] *)(?:([\d.]+) us *)? *\| {2}(.*)$/gm)].map((m) => [m[1] ?? '', m[2] ?? ''])).filter(
    (l) => l.trim() !== '',
  )

/** the score's own reader of function_graph, which a report is as well */
interface Graph {
  parse(text: string): unknown
  normalize(roots: unknown, scope: 'full'): unknown
  print(roots: unknown): string
}

describe.skipIf(!traceCmd)('trace-cmd report', () => {
  it.each([
    ['lo-tcp4-send-4096', 'path'],
    ['lo-tcp4-send-4096', 'full'],
    ['veth-udp4-frag-4000', 'net'],
    ['e1000-tcp4-tso-off', 'full'],
  ] as const)('prints the tree and durations that function_graph prints: %s, %s', async (name, detail) => {
    const text = scenario(name)
    const expected = await writtenText('function_graph', text, { graph: { detail, view: 'ftrace' } })
    await written('trace.dat', text, (path) => expect(reported(report(path))).toEqual(printed(expected)), { graph: { detail } })
  })

  it.each(['lo-udp4-sendto-512', 'lo-udp4-recv', 'lo-tcp4-send-1', 'veth-udp4-frag-4000'])(
    'prints the calls that the real kernel made: %s',
    async (name) => {
      const calls = readFileSync(join(refs, name, 'calls-full.txt'), 'utf8')
        .split('\n')
        .filter((l) => l !== '' && !l.startsWith('#'))
      const { parse, normalize, print } = (await import(join(refs, '../score/graph.mjs'))) as Graph
      await written(
        'trace.dat',
        scenario(name),
        (path) =>
          expect(
            print(normalize(parse(report(path)), 'full'))
              .split('\n')
              .filter((l) => l !== ''),
          ).toEqual(calls),
        { graph: { detail: 'full' } },
      )
    },
  )

  it('has tracepoints in the function that they are of, in the words of the kernel', async () => {
    await written('trace.dat', scenario('lo-udp4-noport'), (path) => {
      const lines = report(path).split('\n')
      const at = lines.findIndex((l) => l.includes('net_dev_queue:'))
      expect(lines[at]).toMatch(/net_dev_queue: +dev=lo skbaddr=0xffff[0-9a-f]{12} len=142$/)
      expect(lines.slice(0, at).findLast((l) => l.includes('funcgraph_entry'))).toMatch(/__dev_queue_xmit\(\) \{/)
      const dropped = lines.find((l) => l.includes('kfree_skb:'))
      expect(dropped).toMatch(
        /kfree_skb: +skbaddr=0xffff\w+ rx_sk=\(?nil\)? protocol=2048 location=\w+(\+0x0)? reason: NO_SOCKET$|kfree_skb: +skbaddr=0xffff\w+ rx_sk=0 protocol=2048 location=\w+(\+0x0)? reason: NO_SOCKET$/,
      )
      expect(lines.filter((l) => l.includes('tracing_mark_write'))).toEqual([
        expect.stringContaining('> send(u, 100, 0)'),
        expect.stringContaining('= 100'),
        expect.stringContaining('> send(u, 100, 0)'),
        expect.stringContaining('= -1 ECONNREFUSED'),
      ])
    })
  })

  it('has the addresses, ports and states of sockets', async () => {
    await written('trace.dat', scenario('lo-tcp4-connect'), (path) => {
      const text = report(path)
      expect(text).toMatch(
        /inet_sock_set_state: +family=AF_INET protocol=IPPROTO_TCP sport=\d+ dport=8080 saddr=127\.0\.0\.1 daddr=127\.0\.0\.1 saddrv6=::ffff:127\.0\.0\.1 daddrv6=::ffff:127\.0\.0\.1 oldstate=TCP_CLOSE newstate=TCP_SYN_SENT/,
      )
    })
    await written('trace.dat', scenario('lo-tcp4-send-4096'), (path) =>
      expect(report(path)).toMatch(
        /tcp_probe: +family=AF_INET src=127\.0\.0\.1:8080 dest=127\.0\.0\.1:40000 mark=0 data_len=4096 .* snd_cwnd=10 /,
      ),
    )
    await written('trace.dat', scenario('lo-tcp6-send-4096'), (path) =>
      expect(report(path)).toMatch(/tcp_probe: +family=AF_INET6 src=\[::1\]:8080 dest=\[::1\]:40000 /),
    )
  })

  it('says what ran as a softirq, whose trace it is, and when', async () => {
    await written('trace.dat', scenario('lo-tcp4-send-4096'), (path) => {
      const lines = report(path, '-l').split('\n')
      expect(lines.find((l) => l.includes('ip_rcv()'))).toMatch(/^ *[\w-]+-1234 +0\.\.s\.\./)
      expect(lines.find((l) => l.includes('tcp_sendmsg()'))).toMatch(/^ *[\w-]+-1234 +0\.\.\.\.\. +\d+\.\d{6}: funcgraph_entry/)
    })
  })

  it('keeps long pauses: a retransmission timeout between two runs', async () => {
    await written('trace.dat', scenario('veth-tcp4-rto'), (path) => {
      const times = [...report(path).matchAll(/\] +(\d+\.\d+): funcgraph_entry: .*tcp_write_timer\(\)/g)].map((m) => Number(m[1]))
      expect(times.length).toBe(2)
      // at least TCP_RTO_MIN, more than 2^27 ns: the distance of two events does not fit into its word
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(0.2)
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeLessThan(0.22)
    })
  })

  it('filters, and tells what there is', async () => {
    await written('trace.dat', scenario('lo-tcp4-send-4096'), (path) => {
      const some = report(path, '-F', 'funcgraph_entry: depth < 3').split('\n')
      expect(some.filter((l) => l.includes('funcgraph_entry')).map((l) => / (\w+)\(\)/.exec(l)?.[1])).toEqual([
        '__x64_sys_sendto',
        '__sys_sendto',
        'inet_sendmsg',
      ])
      expect(report(path, '--cpu', '0')).toContain('tcp_sendmsg')
      expect(report(path, '--stat')).toMatch(/CPU: 0\nentries: 0\noverrun: 0/)
      expect(report(path, '--uname')).toContain('6.12.117')
    })
  })

  it('says with --why what was decided', async () => {
    const options = { graph: { why: true } }
    await written(
      'trace.dat',
      scenario('lo-tcp4-send-4096'),
      (path) => expect(report(path)).toMatch(/print: +tcp_cwnd_test: congestion window allows \d+ segments \(/),
      options,
    )
  })

  it('writes a long trace as it goes, and its head at the end', async () => {
    const calls = Array.from({ length: 900 }, () => '> sendto(u, 512, 0, 127.0.0.1:5000)').join('\n')
    const text = `l = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)\nbind(l, 127.0.0.1:5000)\nu = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)\n${calls}`
    await written(
      'trace.dat',
      text,
      (path) => {
        expect(statSync(path).size).toBeGreaterThan(9 << 20)
        const lines = report(path, '-F', 'funcgraph_entry: depth == 0').split('\n')
        expect(lines.filter((l) => l.includes('x64_sys_call()')).length).toBe(900)
      },
      { graph: { detail: 'full' } },
    )
  })
})

describe('the formats of events', () => {
  it('has the drop reasons of the kernel, by their numbers', () => {
    const text = readFileSync(join(refs, '../kernel/enums.txt'), 'utf8')
    const section = /## enum skb_drop_reason [\s\S]*?\n\n?(?=##)/.exec(text)?.[0] ?? ''
    const rows = [...section.matchAll(/^(\w+) SKB_DROP_REASON_(\w+)/gm)].map((m) => [Number(m[1]), m[2]])
    expect(rows.length).toBeGreaterThan(90)
    const real = rows.filter(([, name]) => name !== 'SUBSYS_MASK')
    expect(dropReasons.filter(([, name]) => name !== 'MAX')).toEqual(real.filter(([, name]) => name !== 'MAX'))
  })

  it('lays fields out as the compiler does', () => {
    // /sys/kernel/tracing/events/net/net_dev_queue/format and skb/kfree_skb/format of a running kernel
    const text = (name: string): string => formatText(tracepoints.find((e) => e.name === name) as (typeof tracepoints)[0])
    expect(text('net_dev_queue')).toContain(
      '\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;\n\tfield:unsigned int len;\toffset:16;\tsize:4;\tsigned:0;\n\tfield:__data_loc char[] name;\toffset:20;\tsize:4;\tsigned:0;\n\nprint fmt: "dev=%s skbaddr=%p len=%u", __get_str(name), REC->skbaddr, REC->len\n',
    )
    expect(text('kfree_skb')).toContain(
      '\tfield:unsigned short protocol;\toffset:32;\tsize:2;\tsigned:0;\n\tfield:enum skb_drop_reason reason;\toffset:36;\tsize:4;\tsigned:0;\n',
    )
    expect(text('tcp_probe')).toContain(
      '\tfield:__u32 mark;\toffset:72;\tsize:4;\tsigned:0;\n\tfield:__u16 data_len;\toffset:76;\tsize:2;',
    )
  })

  it('writes addresses in network order', () => {
    expect([...addressBytes('10.0.0.254', 4)]).toEqual([10, 0, 0, 254])
    // RFC 4291, 2.2 and 2.5.5.2
    expect(Buffer.from(addressBytes('2001:db8::8:800:200c:417a', 16)).toString('hex')).toBe('20010db80000000000080800200c417a')
    expect(Buffer.from(addressBytes('::ffff:129.144.52.38', 16)).toString('hex')).toBe('00000000000000000000ffff81903426')
    expect(Buffer.from(addressBytes('::', 16)).toString('hex')).toBe('00'.repeat(16))
  })
})
