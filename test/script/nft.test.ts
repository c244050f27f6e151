import { describe, expect, test } from 'vitest'
import { ScenarioError } from '../../src/script/scenario.ts'
import { type Play, play } from '../support/play.ts'

/* nft(8): sets with names, limits, reject, IPv6. The listings are laid out as its manual's. */

const sockets = `
r = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
bind(r, 127.0.0.1:5000)
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)`
const lines = (p: Play, text: string): string =>
  text
    .trim()
    .split('\n')
    .reduce((_, l) => p.line(l), '')

/** runs the lines; what the last one returned or printed */
const last = (text: string, ...then: string[]): Promise<string[]> =>
  play([text, ...then].join('\n'), null, (p) => {
    lines(p, text)
    return then.map((l) => p.line(l))
  })

const table = `
nft add table inet f
nft 'add chain inet f out { type filter hook output priority 0; policy accept; }'`
const to = (port: number): string => `sendto(u, 100, 0, 127.0.0.1:${port})`

test('braces and semicolons may be quoted, or escaped as people type them into a shell', async () => {
  const [escaped] = await last(
    `nft add table inet f
nft add chain inet f out \\{ type filter hook output priority 0 \\; policy accept\\; }`,
    'nft list ruleset',
  )
  const [quoted] = await last(table, 'nft list ruleset')
  expect(escaped).toBe(quoted)
})

describe('sets with names', () => {
  test('what is in the set matches, from the moment that it is added until it is deleted', async () => {
    const results = await last(
      `${sockets}${table}
nft 'add set inet f ports { type inet_service; }'
nft add rule inet f out udp dport @ports drop`,
      to(5000),
      "nft 'add element inet f ports { 5000, 5001 }'",
      to(5000),
      to(5001),
      to(5002),
      "nft 'delete element inet f ports { 5000 }'",
      to(5000),
      to(5001),
    )
    expect(results.filter((r) => r !== '')).toEqual(['100', '-1 EPERM', '-1 EPERM', '100', '100', '-1 EPERM'])
  })

  test('intervals and prefixes; != is what is outside', async () => {
    const results = await last(
      `${sockets}${table}
nft 'add set inet f nets { type ipv4_addr; flags interval; elements = { 127.0.0.0/30, 127.0.1.5-127.0.1.9 }; }'
nft add rule inet f out ip daddr != @nets drop`,
      'sendto(u, 1, 0, 127.0.0.3:5000)',
      'sendto(u, 1, 0, 127.0.0.4:5000)',
      'sendto(u, 1, 0, 127.0.1.4:5000)',
      'sendto(u, 1, 0, 127.0.1.5:5000)',
      'sendto(u, 1, 0, 127.0.1.9:5000)',
      'sendto(u, 1, 0, 127.0.1.10:5000)',
    )
    expect(results.map((r) => r === '1')).toEqual([true, false, false, true, true, false])
  })

  test('maps to verdicts, with chains', async () => {
    const results = await last(
      `${sockets}${table}
nft add chain inet f deny
nft 'add rule inet f deny udp length 9 accept'
nft add rule inet f deny drop
nft 'add map inet f v { type inet_service : verdict; elements = { 5000 : accept, 5001 : jump deny, 5002 : drop }; }'
nft add rule inet f out udp dport vmap @v`,
      to(5000),
      to(5001),
      'sendto(u, 1, 0, 127.0.0.1:5001)',
      to(5002),
      to(5003),
    )
    expect(results).toEqual(['100', '-1 EPERM', '1', '-1 EPERM', '100'])
  })

  test('are listed in their table, and loaded from a table block', async () => {
    const [listed] = await last(
      `nft 'table ip t { set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 1.2.3.4 } }; chain c { type filter hook input priority filter; ip saddr @s counter packets 0 bytes 0 accept; } }'`,
      'nft list ruleset',
    )
    expect(listed).toBe(`table ip t {
	set s {
		type ipv4_addr
		flags interval
		elements = { 1.2.3.4, 10.0.0.0/8 }
	}

	chain c {
		type filter hook input priority filter; policy accept;
		ip saddr @s counter packets 0 bytes 0 accept
	}
}
`)
  })

  test.each([
    ["nft 'add set ip t s { type colour; }'", 'unknown datatype colour'],
    ["nft 'add set ip t s { type inet_service; elements = { 10-20 }; }'", "You must add 'flags interval'"],
    ["nft 'add set ip t s { type inet_service; size 1; elements = { 1, 2 }; }'", 'Too many open files in system'],
    ['nft add rule ip t c tcp dport @nothing accept', 'No such file or directory'],
    ['nft \'add rule ip t c log prefix "x"\'', 'the statement log is not there on this host'],
    ['nft add rule ip t c limit rate 0/second accept', 'wrong limit'],
  ])('%s is refused with the place underlined', async (line, message) => {
    await play(line, null, (p) => {
      p.line('nft add table ip t')
      p.line('nft add chain ip t c')
      try {
        p.line(line)
        expect.unreachable()
      } catch (e) {
        expect(e).toBeInstanceOf(ScenarioError)
        expect(String(e)).toContain(message)
        expect(String(e)).toMatch(/\n *\^+/)
      }
    })
  })

  test('a set that a rule asks cannot be deleted', async () => {
    await play("nft 'x'", null, (p) => {
      for (const l of [
        'add table ip t',
        'add chain ip t c',
        "'add set ip t s { type inet_service; }'",
        'add rule ip t c tcp dport @s drop',
      ])
        p.line(`nft ${l}`)
      expect(() => p.line('nft delete set ip t s')).toThrow('Device or resource busy')
      p.line('nft flush chain ip t c')
      p.line('nft delete set ip t s')
    })
  })
})

describe('limits', () => {
  test('so many at once, then as many as the rate gives; over is the rest', async () => {
    const burst = Array.from({ length: 4 }, () => to(5000))
    const results = await last(
      `${sockets}${table}
nft add rule inet f out udp dport 5000 limit rate over 10/second burst 3 packets drop`,
      ...burst,
      'sleep_ms(210)',
      ...burst,
    )
    expect(results.map((r) => r === '100')).toEqual([true, true, true, false, false, true, true, false, false])
  })

  test('of bytes', async () => {
    // 128 bytes each with its headers; the bucket holds a second's worth and the burst
    const results = await last(
      `${sockets}${table}
nft add rule inet f out udp dport 5000 limit rate 256 bytes/second burst 128 bytes accept
nft add rule inet f out udp dport 5000 drop`,
      ...Array.from({ length: 4 }, () => to(5000)),
    )
    expect(results).toEqual(['100', '100', '100', '-1 EPERM'])
  })

  test('are listed with their burst', async () => {
    const [listed] = await last(
      'nft add table ip t\nnft add chain ip t c\nnft add rule ip t c limit rate over 400/minute\nnft add rule ip t c limit rate 1 mbytes/second burst 4 kbytes',
      'nft list chain ip t c',
    )
    expect(listed).toContain('\t\tlimit rate over 400/minute burst 5 packets\n\t\tlimit rate 1 mbytes/second burst 4 kbytes\n')
  })
})

const veth = `
ip link add eth0 type veth peer name eth0 netns peer
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
ip -n peer addr add 10.0.0.2/24 dev eth0
ip -n peer link set eth0 up`

describe('chains of type route', () => {
  const marks = (type: string): string => `${veth}
ip rule add fwmark 7 lookup 100
ip route add prohibit default table 100
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
nft add table inet t
nft 'add chain inet t o { type ${type} hook output priority 0; }'
nft add rule inet t o udp dport 5001 meta mark set 7`

  test('a packet that they change is routed again; a filter leaves it on its way', async () => {
    const sends = ['sendto(u, 100, 0, 10.0.0.2:5000)', 'sendto(u, 100, 0, 10.0.0.2:5001)']
    expect(await last(marks('route'), ...sends)).toEqual(['100', '-1 EACCES'])
    expect(await last(marks('filter'), ...sends)).toEqual(['100', '100'])
  })

  test('are at output only, for IPv6 as well', async () => {
    await expect(last("nft add table inet t\nnft 'add chain inet t i { type route hook input priority 0; }'")).rejects.toThrow(
      'Operation not supported',
    )
    const [sent] = await last(
      `nft add table ip6 t
nft 'add chain ip6 t o { type route hook output priority 0; }'
nft add rule ip6 t o meta mark set 7
u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)`,
      'sendto(u, 100, 0, [::1]:5000)',
    )
    expect(sent).toBe('100')
  })
})

test('reject before routing finds the way back itself', async () => {
  const results = await last(
    `${veth}
nft add table inet t
nft 'add chain inet t p { type filter hook prerouting priority -300; }'
nft add rule inet t p udp dport 5000 reject
nft add rule inet t p tcp dport 8080 reject with tcp reset
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) @peer
connect(u, 10.0.0.1:5000) @peer
c = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) @peer`,
    'send(u, 100, 0) @peer',
    'send(u, 100, 0) @peer',
    'connect(c, 10.0.0.1:8080) @peer',
  )
  expect(results).toEqual(['100', '-1 ECONNREFUSED', '-1 ECONNREFUSED'])
})

describe('IPv6', () => {
  test('reject tells the sender: ICMPv6 for UDP, a reset for TCP', async () => {
    const results = await last(
      `nft add table ip6 f
nft 'add chain ip6 f in { type filter hook input priority 0; }'
nft add rule ip6 f in udp dport 5000 reject
nft add rule ip6 f in tcp dport 8080 reject with tcp reset
nft add rule ip6 f in udp dport 5001 reject with icmpv6 admin-prohibited
r = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)
bind(r, [::1]:5000)
u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)
connect(u, [::1]:5000)
v = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)
connect(v, [::1]:5001)
l = socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP)
bind(l, [::1]:8080)
listen(l, 8)
c = socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP)`,
      'send(u, 100, 0)',
      'send(u, 100, 0)',
      'send(v, 100, 0)',
      'send(v, 100, 0)',
      'connect(c, [::1]:8080)',
    )
    expect(results).toEqual(['100', '-1 ECONNREFUSED', '100', '-1 EACCES', '-1 ECONNREFUSED'])
  })
})
