import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Host } from '../../src/host/host.ts'
import { loadNeeds, runnerOn } from '../../src/script/needs.ts'
import { nobody } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'

// test/fixtures/iproute2 has what the tools of Debian 12 (iproute2 6.1, procps 4.0.2, ethtool 6.1) printed on a real machine for the
// same sockets, devices and routes; what is a matter of chance there (ports, inodes, times, MAC addresses) is levelled.

/** what each command of a scenario printed, its error and status */
async function outputs(text: string): Promise<string[]> {
  const statements = parseScenario(text)
  const needs = await loadNeeds(statements)
  const host = new Host()
  const out: string[] = []
  const kept = new Map(
    [...needs.commands].map(([k, c]) => [
      k,
      (h: Host, words: readonly string[], netns: string) => {
        const r = c(h, words, netns)
        out.push(`${r.stdout}${r.stderr}${r.status === 0 ? '' : `[${r.status}]\n`}`)
        return { ...r, status: 0 }
      },
    ]),
  )
  runnerOn(host, { ...needs, commands: kept }, nobody).run(statements)
  return out
}
const last = async (text: string): Promise<string> => (await outputs(text)).at(-1) ?? ''

const connection = `
l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
bind(l, 127.0.0.1:8080)
listen(l, 8)
c = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
bind(c, 127.0.0.1:40000)
connect(c, 127.0.0.1:8080)
a = accept(l)
send(c, 3000, 0)
sleep_ms(50)
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
bind(u, 127.0.0.1:5000)
v = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
sendto(v, 100, 0, 127.0.0.1:5000)
sendto(v, 100, 0, 127.0.0.1:5001)
`

const real = 'test/fixtures/iproute2'
const level = (text: string): string => text.replace(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'MAC')

describe('the layouts of the real tools', () => {
  it.each(readdirSync(real))('%s', async (file) => {
    // `$ command`, and what it printed; before the first, the lines that made what it shows
    const [setup = '', ...blocks] = readFileSync(`${real}/${file}`, 'utf8').split(/^\$ /m)
    const commands = blocks.map((b) => b.slice(0, b.indexOf('\n')))
    const expected = blocks.map((b) => b.slice(b.indexOf('\n') + 1))
    const got = await outputs(`${setup}\n${commands.join('\n')}`)
    const mine = got.slice(-commands.length)
    commands.forEach((c, i) => {
      expect(`$ ${c}\n${level(mine[i] ?? '')}`).toBe(`$ ${c}\n${level(expected[i] ?? '')}`)
    })
  })
})

describe('sysctl', () => {
  it.each([
    ['sysctl net.ipv4.nope', 'sysctl: cannot stat /proc/sys/net/ipv4/nope: No such file or directory\n[1]\n'],
    ['sysctl -w net.ipv4.tcp_sack=300', 'sysctl: setting key "net.ipv4.tcp_sack": Invalid argument\n[1]\n'],
    ['sysctl -w net.ipv4.tcp_sack=', 'sysctl: setting key "net.ipv4.tcp_sack": Invalid argument\n[1]\n'],
    [
      'sysctl -w net.ipv4.tcp_congestion_control=nope',
      'sysctl: setting key "net.ipv4.tcp_congestion_control": No such file or directory\n[1]\n',
    ],
    ['sysctl -w net.ipv4.tcp_sack', 'sysctl: command line(0): invalid syntax, continuing...\n[1]\n'],
    ['sysctl -w net/ipv4/tcp_sack=1', 'net.ipv4.tcp_sack = 1\n'],
    ['sysctl -q -w net.ipv4.tcp_sack=1', ''],
    ['sysctl -n net.unix net.ipv4.tcp_sack', '10\n1\n'],
    ['sysctl -aN -r tcp_[rw]mem', 'net.ipv4.tcp_rmem\nnet.ipv4.tcp_wmem\n'],
    ['ip netns exec peer sysctl -w net.core.wmem_max=1', 'sysctl: setting key "net.core.wmem_max": Invalid argument\n'],
    [
      'ip netns exec peer sysctl net.core.netdev_max_backlog',
      'sysctl: cannot stat /proc/sys/net/core/netdev_max_backlog: No such file or directory\n[1]\n',
    ],
    ['sysctl -w net.core.default_qdisc=nope', 'sysctl: setting key "net.core.default_qdisc": No such file or directory\n[1]\n'],
    [
      'sysctl -w net.ipv4.ip_local_port_range="500 600"',
      'sysctl: setting key "net.ipv4.ip_local_port_range": Invalid argument\n[1]\n',
    ],
  ])('%s', async (line, printed) => {
    expect(await last(line)).toBe(printed)
  })

  it('sets the first numbers of several, as proc_dointvec() does', async () => {
    expect(await last("sysctl -w 'net.ipv4.tcp_wmem=1 2'\nsysctl net.ipv4.tcp_wmem")).toBe('net.ipv4.tcp_wmem = 1\t2\t4194304\n')
  })

  // RFC 7323, RFC 2018: what both ends offer in their SYN follows from the settings
  it.each([
    ['net.ipv4.tcp_timestamps=0', / sack cubic wscale:/],
    ['net.ipv4.tcp_sack=0', / ts cubic wscale:/],
    ['net.ipv4.tcp_window_scaling=0', / ts sack cubic rto:/],
    ['net.ipv4.tcp_congestion_control=reno', / ts sack reno /],
    ['net.ipv4.tcp_congestion_control=bbr', / ts sack bbr .* bbr:\(bw:/],
  ])('%s shows in ss -tie', async (setting, shown) => {
    expect(await last(`sysctl -w ${setting}\n${connection}ss -tie dport = :8080`)).toMatch(shown)
  })

  it('default_qdisc is what the next device gets', async () => {
    expect(await last('sysctl -w net.core.default_qdisc=pfifo_fast\nhw eth0 e1000\ntc qdisc show dev eth0')).toContain(
      'qdisc pfifo_fast 0: root',
    )
  })

  it('ip_forward spreads to all devices', async () => {
    expect(
      await last('sysctl -w net.ipv4.ip_forward=1\nsysctl net.ipv4.conf.lo.forwarding net.ipv4.conf.all.accept_redirects'),
    ).toBe('net.ipv4.conf.lo.forwarding = 1\nnet.ipv4.conf.all.accept_redirects = 0\n')
  })
})

describe('nstat', () => {
  it('shows what grew since it was asked last', async () => {
    expect(
      (await outputs(`${connection}nstat -s UdpNoPorts\nnstat UdpNoPorts\nnstat UdpNoPorts\nnstat -a UdpNoPorts`)).map(
        (o) => o.split(/\s+/)[2],
      ),
    ).toEqual(['1', '1', undefined, '1'])
  })
})

describe('cat', () => {
  it.each([
    ['cat /nope', 'cat: /nope: No such file or directory\n[1]\n'],
    ['cat /proc/net', 'cat: /proc/net: Is a directory\n[1]\n'],
    ['cat /proc/sys/net/ipv4/tcp_sack /sys/class/net/lo/mtu', '1\n65536\n'],
    ['cat /sys/class/net/lo/flags /sys/class/net/lo/operstate /sys/class/net/lo/address', '0x9\nunknown\n00:00:00:00:00:00\n'],
    ['cat /sys/class/net/nope/mtu', 'cat: /sys/class/net/nope/mtu: No such file or directory\n[1]\n'],
  ])('%s', async (line, printed) => {
    expect(await last(line)).toBe(printed)
  })
})

describe('what is not there is refused by name', () => {
  it.each([
    ['ss -K', "ss: the option '-K' is not there on this host\n[255]\n"],
    ['ss -tQ', "ss: invalid option -- 'Q'\n[255]\n"],
    ['ss -tan state foo', 'ss: wrong state name: foo\n[255]\n'],
    ['ss -tan blah', 'Error: an inet prefix is expected rather than "blah".\nCannot parse dst/src address.\n[1]\n'],
    ['nstat -Q', "nstat: invalid option -- 'Q'\n[255]\n"],
    ['ethtool -i nope', 'Cannot get driver information: No such device\n[71]\n'],
    ['ethtool -Q lo', "ethtool: the option '-Q' is not there on this host\n[1]\n"],
    ['ip -x link', 'Option "-x" is unknown, try "ip -help".\n[255]\n'],
    ['ip -batch link', 'Option "-batch" is not there on this host.\n[255]\n'],
    ['sysctl -p', 'sysctl: -p is not there: this host has no files of settings\n[1]\n'],
  ])('%s', async (line, printed) => {
    expect(await last(line)).toBe(printed)
  })
})
