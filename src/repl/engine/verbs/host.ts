import { in_device } from '../../../kernel/include/linux/inetdevice.ts'
import { ipv4 } from '../../../script/scenario.ts'
import { type Debugger, UserError } from '../debugger.ts'
import type { Verb } from './verb.ts'

/** Short words for lines of the scenario language: what they stand for is said, run, and saved. */

const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** `4096`, `64K`, `1M` */
function size(word: string | undefined, verb: string): number {
  const m = /^(\d+)([kmg]?)$/i.exec(word ?? '')
  const n = m === null ? Number.NaN : Number(m[1]) * (units[(m[2] ?? '').toLowerCase()] ?? 1)
  if (!Number.isSafeInteger(n) || n > 0x7ffff000)
    throw new UserError(`${verb} wants a number of bytes, such as ${verb} 4096 or ${verb} 64K`)
  return n
}

const flagsOf = (words: readonly string[], verb: string): string => {
  if (words.length === 0) return '0'
  const flags = words.join('|').replace(/,/g, '|')
  if (!/^(0|MSG_[A-Z_]+(\|MSG_[A-Z_]+)*)$/.test(flags))
    throw new UserError(`${verb}: '${words.join(' ')}' are no flags, such as MSG_MORE MSG_DONTWAIT`)
  return flags
}

/** names that the session's lines have set */
function named(d: Debugger): Set<string> {
  const out = new Set<string>()
  for (const l of d.session.lines) {
    if (l.statement.kind !== 'call') continue
    if (l.statement.target !== null) out.add(l.statement.target)
    if (l.statement.name === 'socketpair' || l.statement.name === 'pipe') out.add('p0').add('p1')
  }
  return out
}

/** `c`, or `c2`, `c3` when that is taken */
function fresh(taken: ReadonlySet<string>, letters: readonly string[]): string[] {
  for (let n = 1; ; n++) {
    const names = letters.map((l) => (n === 1 ? l : `${l}${n}`))
    if (!names.some((x) => taken.has(x))) return names
  }
}

/** the namespace that has an address: '' for the host's own, null when none has it */
function whose(d: Debugger, address: number): string | null {
  if (address >>> 24 === 127) return ''
  return d.session.at(d.session.length, (_s, _w, machine) => {
    const { host } = machine
    for (const ns of ['', ...host.netnsNames()])
      for (const dev of host.netns(ns).dev_base_head)
        if (dev.ip_ptr instanceof in_device)
          for (let a = dev.ip_ptr.ifa_list; a !== null; a = a.ifa_next) if (a.ifa_local >>> 0 === address >>> 0) return ns
    return null
  })
}

/** ports that the session's lines have bound a listener or receiver to */
function freePort(d: Debugger, first: number): number {
  const used = new Set<number>()
  for (const l of d.session.lines)
    if (l.statement.kind === 'call' && l.statement.name === 'bind')
      for (const a of l.statement.args) if (a.arg.kind === 'inet') used.add(a.arg.port)
  let port = first
  while (used.has(port)) port++
  return port
}

interface Target {
  text: string
  netns: string | null
}

function target(d: Debugger, word: string | undefined, first: number, verb: string): Target {
  if (word === undefined) return { text: `127.0.0.1:${freePort(d, first)}`, netns: '' }
  const m = /^(\d+\.\d+\.\d+\.\d+)(?::(\d+))?$/.exec(word)
  const address = m === null ? null : ipv4(m[1] ?? '')
  if (m === null || address === null) throw new UserError(`${verb}: '${word}' is no address such as 10.0.0.2 or 10.0.0.2:8080`)
  return { text: `${m[1]}:${m[2] ?? freePort(d, first)}`, netns: whose(d, address) }
}

function connectLines(d: Debugger, kind: string, word: string | undefined): string[] {
  const taken = named(d)
  if (kind === 'unix') {
    if (taken.has('p0')) throw new UserError('connect unix: p0 and p1 are there already: write(p0, 100)')
    return ['socketpair(AF_UNIX, SOCK_STREAM, 0)']
  }
  const t = target(d, word, kind === 'tcp' ? 8080 : 5000, 'connect')
  const at = t.netns === null || t.netns === '' ? '' : ` @${t.netns}`
  if (kind === 'udp') {
    const [r = 'r', u = 'u'] = fresh(taken, ['r', 'u'])
    const receiver =
      t.netns === null ? [] : [`${r} = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)${at}`, `bind(${r}, ${t.text})${at}`]
    return [...receiver, `${u} = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)`, `connect(${u}, ${t.text})`]
  }
  const [l = 'l', c = 'c', s = 's'] = fresh(taken, ['l', 'c', 's'])
  const listener =
    t.netns === null
      ? []
      : [`${l} = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)${at}`, `bind(${l}, ${t.text})${at}`, `listen(${l}, 8)${at}`]
  return [
    ...listener,
    `${c} = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)`,
    `connect(${c}, ${t.text})`,
    ...(t.netns === null ? [] : [`${s} = accept(${l})${at}`]),
  ]
}

/** the newest of the names that a verb made: `c3` before `c` */
function newest(d: Debugger, letter: string): string | null {
  let best: string | null = null
  for (const n of named(d)) if (new RegExp(`^${letter}\\d*$`).test(n)) best = n
  return best
}

async function does(d: Debugger, lines: readonly string[]): Promise<void> {
  d.say('echo', lines.join('\n'))
  // what makes the connection is not what was asked for
  const first = lines.findIndex((l) => l.startsWith('>'))
  await d.run(lines, Math.max(0, first))
}

export const host: readonly Verb[] = [
  {
    names: ['send'],
    usage: 'send BYTES [FLAGS]',
    summary: 'sends so many bytes over the connection that was made last; makes one when there is none',
    more: 'The bytes are 0, 1, 2 … 255, 0, 1 … Anything else is a system call: send(c, 4096, MSG_MORE), sendmsg(c, [100,200], 0).',
    examples: ['send 4096', 'send 64K', 'send 100 MSG_MORE'],
    group: 'host',
    run: async (d, rest) => {
      const [bytes, ...flags] = rest.split(/\s+/)
      const n = size(bytes, 'send')
      const f = flagsOf(flags, 'send')
      const c = newest(d, 'c')
      if (c === null) await does(d, [...connectLines(d, 'tcp', undefined), `> send(c, ${n}, ${f})`])
      else await does(d, [`> send(${c}, ${n}, ${f})`])
    },
  },
  {
    names: ['udp'],
    usage: 'udp BYTES [ADDRESS[:PORT]]',
    summary: 'sends a datagram, to oneself unless told otherwise',
    examples: ['udp 512', 'udp 1400 10.0.0.2:5000'],
    group: 'host',
    run: async (d, rest) => {
      const [bytes, word] = rest.split(/\s+/)
      const n = size(bytes, 'udp')
      const u = newest(d, 'u')
      if (u !== null && word === undefined) await does(d, [`> send(${u}, ${n}, 0)`])
      else {
        const lines = connectLines(d, 'udp', word)
        const name = /^(u\d*) =/.exec(lines.find((l) => /^u\d* =/.test(l)) ?? '')?.[1] ?? 'u'
        await does(d, [...lines, `> send(${name}, ${n}, 0)`])
      }
    },
  },
  {
    names: ['connect'],
    usage: 'connect [tcp|udp|unix] [ADDRESS[:PORT]]',
    summary: 'makes and connects sockets: c to s over TCP, u to r over UDP, p0 to p1 over AF_UNIX',
    more: 'The other end is made in the network namespace that has the address.',
    examples: ['connect', 'connect 10.0.0.2:8080', 'connect unix'],
    takes: ['tcp', 'udp', 'unix'],
    group: 'host',
    run: async (d, rest) => {
      const words = rest.split(/\s+/).filter((w) => w !== '')
      const kind = /^(tcp|udp|unix)$/.test(words[0] ?? '') ? (words.shift() ?? 'tcp') : 'tcp'
      if (words.length > 1) throw new UserError(`connect takes one address, not '${words.join(' ')}'`)
      await does(d, connectLines(d, kind, words[0]))
    },
  },
  {
    names: ['recv'],
    usage: 'recv [BYTES]',
    summary: 'reads what has arrived at the other end',
    examples: ['recv', 'recv 100'],
    group: 'host',
    run: async (d, rest) => {
      const n = rest === '' ? 65536 : size(rest, 'recv')
      let from: string | null = null
      for (const name of named(d)) if (/^([sr]\d*|p1)$/.test(name)) from = name
      if (from === null) throw new UserError("nobody could receive anything yet: try 'connect' or 'send 4096'")
      const line = `> ${from === 'p1' ? `read(p1, ${n})` : `recv(${from}, ${n}, MSG_DONTWAIT)`}`
      await does(d, [line])
    },
  },
  {
    names: ['wait'],
    usage: 'wait MILLISECONDS',
    summary: 'lets time pass: timers, interrupts and the other end run',
    examples: ['wait 40', 'wait 1000'],
    group: 'host',
    run: async (d, rest) => {
      if (!/^\d+$/.test(rest)) throw new UserError('wait wants milliseconds, such as wait 40')
      await does(d, [`sleep_ms(${rest})`])
    },
  },
]
