import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readPcap } from '../support/pcap.ts'
import { readPcapng } from '../support/pcapng.ts'
import { hasTool } from '../support/tools.ts'

const bin = join(process.cwd(), 'bin/skbtrace.js')
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
    [['send', '--file', '/'], /illegal operation on a directory/],
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
    for (const args of [['--help'], ['send', '--help'], ['run', '--help'], ['symbols', '--help']])
      for (const line of run(args).stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
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
})
