import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readPcap } from '../support/pcap.ts'
import { readPcapng } from '../support/pcapng.ts'
import { hasTool } from '../support/tools.ts'

const bin = resolve(process.env.SKBTRACE_BIN ?? 'bin/skbtrace.js')
let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const run = (args: string[], input = '') =>
  spawnSync(process.execPath, [bin, ...args], {
    encoding: 'utf8',
    cwd: dir,
    input,
    maxBuffer: 1 << 28,
    env: { PATH: process.env.PATH },
  })
const graph = (text: string): string[] => text.split('\n').filter((l) => /^ 0\)/.test(l))
const bytesOf = (pcap: string, port: number): number[] =>
  readPcapng(pcap).packets.flatMap((p) => {
    const b = p.data
    const t = 14 + 4 * ((b[14] ?? 0) & 15)
    const tcp = b[23] === 6
    return (((b[t + 2] ?? 0) << 8) | (b[t + 3] ?? 0)) === port ? [...b.subarray(t + (tcp ? 4 * ((b[t + 12] ?? 0) >> 4) : 8))] : []
  })

describe('wrong input', () => {
  it.each([
    [['send', '--nonsense'], /unknown option '--nonsense'/],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['send', '--bytes', '-1'], /--bytes/],
    [['send', '--bytes', '12Q'], /number of bytes from 0/],
    [['send', '--bytes', '999999999999'], /number of bytes/],
    [['send', '--proto', 'sctp'], /tcp, udp, unix/],
    [['send', '--count', '0'], /whole number from 1/],
    [['send', '--flags', 'MSG_NONSENSE'], /MSG_NONSENSE/],
    [['send', '--data', 'x', '--bytes', '3'], /only one of/],
    [['send', '--proto', 'udp', '--nodelay'], /--nodelay is for --proto tcp/],
    [['send', '--call', 'write', '--flags', 'MSG_MORE'], /--flags is for/],
    [['send', '--file', 'nowhere'], /nowhere: no such file or directory/],
    [['send', '--file', '/'], /^skbtrace: \/: is a directory/],
    [['send', '--file', ''], /^skbtrace: '': no such file/],
    [['send', '--file', '/dev/zero'], /^skbtrace: \/dev\/zero: more than 536870912 bytes; --bytes sends/],
    [['send', '--mtu', '10'], /--mtu 10: IPv4 wants 68 bytes/],
    [['send', '--mtu', '1000', '--ipv6', '--device', 'veth'], /--mtu 1000: IPv6 wants 1280 bytes/],
    [['send', '--set', 'ping 10.0.0.1'], /--set 'ping 10\.0\.0\.1': .*'ping'.*the commands are hw, ip, tc/],
    [['send', '--set', 'ip addr del 127.0.0.1/8 dev lo'], /bind\(\) before what is traced: EADDRNOTAVAIL/],
    [['send', '--graph-function', 'nonsense'], /--graph-function nonsense: no function of this run/],
    [['send', '--graph-function', '[z-a]'], /--graph-function \[z-a\]: no function of this run/],
    [['send', '--notrace', 'tcp_v6_rcv'], /--notrace tcp_v6_rcv: no function of this run/],
    [['send', '--diagram', 'flow'], /--diagram flow is for mermaid/],
    [['send', '--at', 'ip_output'], /--at ip_output is for svg/],
    [['send', '--weight', 'bytes'], /--weight bytes is for folded and speedscope/],
    [['send', '--pcap-points', 'all'], /--pcap-points all is for pcapng/],
    [['send', '--pcap', 'x', '--output', './x'], /-o .*x is given twice/],
    [['send', '--output', ''], /-o '': it wants the name of a file/],
    [['run', '/dev/zero'], /^skbtrace: \/dev\/zero: more than 67108864 bytes/],
    [['run', '.'], /^skbtrace: \.: is a directory/],
    [['bogus', '--help'], /unknown command 'bogus'/],
    [['help', 'bogus'], /unknown command 'bogus'/],
    [['symbols', 'tcp_*', 'nonsense'], /no simulated function is named nonsense/],
    [['symbols', ''], /no simulated function is named ''/],
    [['send', '--cc', 'nonsense'], /--cc nonsense: the kernel refuses it \(ENOENT\)/],
    [['send', '-o', 'no/such/place'], /no\/such\/place: no such file or directory/],
    [['send', 'something'], /'something' is no argument/],
    [['run', 'nowhere.scn'], /nowhere\.scn: no such file or directory/],
    [['symbols', 'nonsense_*'], /no simulated function/],
  ])('%j is one clear line', (args, message) => {
    const r = run(args)
    expect(r.stdout).toBe('')
    expect(r.stderr).toMatch(/^skbtrace: .*\n$/)
    expect(r.stderr).toMatch(message)
    expect(r.status).toBe(args.includes('-o') ? 1 : 2)
    expect(readdirSync(dir)).toEqual([])
  })

  it('never sends what is in a file to the terminal as commands', () => {
    writeFileSync(join(dir, 'x.scn'), `${String.fromCharCode(27)}]0;title${String.fromCharCode(7)}${'y'.repeat(500)}`)
    const r = run(['run', 'x.scn'])
    expect(r.stderr).toMatch(/^skbtrace: x\.scn:1:1: [ -~]{10,250}\n$/)
    expect(r.status).toBe(2)
  })

  it('names a timer that there is not, and where standard input is wrong', () => {
    const r = run(['run', '-'], 'sleep_ms(1)\n> timer(no_such_timer, 10)\n')
    expect(r.stderr).toMatch(/^skbtrace: standard input:2:9: .*'no_such_timer'\n$/)
    expect(r.status).toBe(2)
  })

  it('says when a scenario has nothing that is traced', () => {
    const r = run(['run', '-'], 's = socket(AF_INET, SOCK_DGRAM, 0)\n')
    expect(r.stderr).toBe('skbtrace: standard input: no line begins with >, so that no call is traced\n')
    expect(r.status).toBe(0)
  })

  it('names line and column of a mistake in a scenario, and writes nothing', () => {
    writeFileSync(join(dir, 'x.scn'), 's = socket(AF_INET, SOCK_DGRAM, 0)\n> send(t, 1, 0)\n')
    const r = run(['run', 'x.scn', '-o', 'out', '--pcap', 'out.pcapng'])
    expect(r.stderr).toMatch(/^skbtrace: x\.scn:2:8: .*'t'.*\n$/)
    expect(r.status).toBe(2)
    expect(readdirSync(dir)).toEqual(['x.scn'])
  })
})

describe('help', () => {
  it('has examples, and fits into 80 columns', () => {
    const r = run(['--help'])
    expect(r.status).toBe(0)
    expect(r.stdout).toContain('skbtrace send --bytes 4096')
    const verbs = ['send', 'run', 'convert', 'replay', 'paths', 'symbols', 'repl', 'tour']
    for (const args of [['--help'], ...verbs.map((v) => [v, '--help'])])
      for (const line of run(args).stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
    expect(run(['help', 'send']).stdout).toBe(run(['send', '--help']).stdout)
    expect(run(['--version']).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('send', () => {
  it('shows the way of the packet, and no more than a reader wants', () => {
    const r = run(['send', '--bytes', '4096'])
    expect(r.status, r.stderr).toBe(0)
    const names = graph(r.stdout).map((l) => l.slice(l.indexOf('|  ') + 3).trim())
    const opened = names.filter((n) => !n.startsWith('}'))
    expect(opened.length).toBeGreaterThanOrEqual(40)
    expect(opened.length).toBeLessThanOrEqual(90)
    let at = -1
    for (const n of [
      '__sys_sendto',
      'inet_sendmsg',
      'tcp_sendmsg',
      'tcp_sendmsg_locked',
      'tcp_stream_alloc_skb',
      'tcp_push',
      'tcp_write_xmit',
      '__tcp_transmit_skb',
      'skb_clone',
      '__ip_queue_xmit',
      'ip_local_out',
      'ip_output',
      'ip_finish_output2',
      '__dev_queue_xmit',
      'dev_hard_start_xmit',
      'loopback_xmit',
      'enqueue_to_backlog',
      'process_backlog',
      'ip_rcv',
      'ip_local_deliver',
      'tcp_v4_rcv',
      'tcp_rcv_established',
      'tcp_queue_rcv',
    ]) {
      const next = opened.findIndex((l, i) => i > at && l.startsWith(`${n}(`))
      expect(next, n).toBeGreaterThan(at)
      at = next
    }
    expect(r.stdout).toMatch(/\n# = 4096\n$/)
  })

  it('prints the same each time, and something else for another seed', () => {
    expect(run(['send']).stdout).toBe(run(['send', '--bytes', '4096', '--seed', '1']).stdout)
    expect(run(['send']).stdout).not.toBe(run(['send', '--seed', '2']).stdout)
  })

  it.each(['tcp', 'udp'])('sends the bytes that come in (%s)', (proto) => {
    run(['send', '-', '--proto', proto, '--pcap', 'x.pcapng'], 'hello\n')
    expect(Buffer.from(bytesOf(join(dir, 'x.pcapng'), 8080)).toString()).toBe('hello\n')
  })

  it('sends a file, and shows all of it when asked', () => {
    const text = readFileSync('README.md')
    writeFileSync(join(dir, 'f'), text)
    const r = run(['send', '--file', 'f', '--hexdump', 'full', '--pcap', 'x.pcapng'])
    expect(r.status, r.stderr).toBe(0)
    expect(Buffer.from(bytesOf(join(dir, 'x.pcapng'), 8080)).equals(text)).toBe(true)
    if (!hasTool('text2pcap')) return
    const t = spawnSync('text2pcap', ['-F', 'pcap', '-', 'out.pcap'], { cwd: dir, input: r.stdout })
    expect(t.status).toBe(0)
    const frames = readPcap(join(dir, 'out.pcap'))
    expect(frames.some((f) => Buffer.from(f.data).includes(text))).toBe(true)
  })

  it.each(['send', 'write', 'sendto', 'sendmsg', 'writev', 'sendmmsg', 'sendfile'])('makes the call %s', (c) => {
    for (const proto of c === 'sendfile' ? ['tcp', 'unix'] : ['tcp', 'udp', 'unix']) {
      const r = run(['send', '--call', c, '--proto', proto, '--bytes', '700'])
      expect(r.status, r.stderr).toBe(0)
      expect(r.stdout, `${c} ${proto}`).toMatch(c === 'sendmmsg' ? /\n# = 1\n$/ : /\n# = 700\n$/)
    }
  })

  it('enters by the system call send, as other machines do', () => {
    expect(run(['send', '--entry', 'send']).stdout).toContain('__x64_sys_send() {')
    expect(run(['send']).stdout).toContain('__x64_sys_sendto() {')
  })

  it('says what the kernel decided', () => {
    expect(run(['send', '--why']).stdout).toMatch(/\/\* \w+: .+ \(.+=.+\) \*\//)
  })

  it('has no colours in a pipe, unless asked for them', () => {
    const csi = String.fromCharCode(27)
    expect(run(['send']).stdout).not.toContain(csi)
    expect(run(['send', '--color']).stdout).toContain(csi)
  })

  it('ends quietly when the reader does', () => {
    const r = spawnSync('bash', ['-c', `set -o pipefail; ${process.execPath} ${bin} send --bytes 1M --detail full | head -5`], {
      encoding: 'utf8',
    })
    expect(r.stdout.split('\n').length).toBe(6)
    expect(r.stderr).toBe('')
    expect(r.status).toBe(0)
  })

  it('writes a file', () => {
    run(['send', '-o', 'trace'])
    expect(readFileSync(join(dir, 'trace'), 'utf8')).toBe(run(['send']).stdout)
    expect(existsSync(join(dir, 'trace'))).toBe(true)
  })
})

describe('symbols', () => {
  it('lists what is simulated', () => {
    const { stdout } = run(['symbols', 'tcp_sendmsg', 'lock_sock'])
    expect(stdout).toMatch(/^lock_sock +include\/net\/sock\.h:\d+ +inlined in \d+ callers?\n/)
    expect(stdout).toMatch(/\ntcp_sendmsg +net\/ipv4\/tcp\.c:1353 +traced/)
  })

  it('lists what is loaded only when it is needed, too', () => {
    const { stdout } = run(['symbols', 'tcp_v6_rcv', 'e1000_xmit_frame', 'nft_do_chain', 'vxlan_xmit'])
    expect(stdout.trim().split('\n').length).toBe(4)
  })
})
