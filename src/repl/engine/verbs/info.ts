import { globs } from '../../../formats/detail.ts'
import type { Host } from '../../../host/host.ts'
import { hrtimer } from '../../../kernel/include/linux/hrtimer.ts'
import { dotted } from '../../../kernel/include/linux/in.ts'
import { in_device } from '../../../kernel/include/linux/inetdevice.ts'
import { netif_running } from '../../../kernel/include/linux/netdevice.ts'
import { timer_list, timer_pending } from '../../../kernel/include/linux/timer.ts'
import type { sock } from '../../../kernel/include/net/sock.ts'
import { jiffies, jiffies_to_nsecs } from '../../../kernel/kernel/time/timer.ts'
import { clock } from '../../../sim/clock.ts'
import { declaredFunctions, nameOf } from '../../../trace/kfunc.ts'
import { type Debugger, UserError } from '../debugger.ts'
import { paramsOf } from '../params.ts'
import { valueText, wrapValue } from '../print.ts'
import { FREE } from '../recording.ts'
import { handleText, isSocket, isTcp, tcpStateNames } from '../structs.ts'
import { keptText, positionOf } from '../where.ts'
import { describe } from './stopping.ts'
import type { Verb } from './verb.ts'

type Topic = { hint: string; show: (d: Debugger, rest: string) => string[] }

const kib = (n: number): string => (n < 1 << 20 ? `${(n / 1024).toFixed(0)} KiB` : `${(n / 1048576).toFixed(1)} MiB`)

/** columns that are as wide as they have to be */
function table(rows: readonly (readonly string[])[]): string[] {
  const wide: number[] = []
  for (const r of rows) for (const [i, c] of r.entries()) wide[i] = Math.max(wide[i] ?? 0, c.length)
  return rows.map((r) =>
    r
      .map((c, i) => (i === r.length - 1 ? c : c.padEnd(wide[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

function breakpoints(d: Debugger): string[] {
  if (d.breakpoints.length === 0) return ['No breakpoints: break tcp_write_xmit, break drop, watch tp.snd_cwnd …']
  return table([
    ['Num', 'Type', 'Enb', 'Hits', 'What'],
    ...d.breakpoints.map((b) => [
      String(b.id),
      b.temporary ? 'temporary' : b.what,
      b.enabled ? 'y' : 'n',
      String(b.hits),
      `${describe(b)}${b.ignore > 0 ? ` (passed over ${b.ignore} times more)` : ''}`,
    ]),
  ])
}

/** the sockets of a process's descriptors, and those that wait to be accepted */
function sockets(host: Host): { fd: string; sk: sock }[] {
  const out: { fd: string; sk: sock }[] = []
  const seen = new Set<sock>()
  const files = host.process.task.files?.fdt.fd ?? []
  files.forEach((f, fd) => {
    const s = f?.private_data
    if (!isSocket(s) || s.sk === null || seen.has(s.sk)) return
    seen.add(s.sk)
    out.push({ fd: String(fd), sk: s.sk })
  })
  return out
}

function stateOf(sk: sock): string {
  return isTcp(sk) || sk.skc_prot?.name === 'UDP' ? (tcpStateNames[sk.skc_state] ?? String(sk.skc_state)) : ''
}

/** names of variables by descriptor */
function namesByFd(variables: ReadonlyMap<string, number>): Map<number, string> {
  return new Map([...variables].map(([name, fd]) => [fd, name]))
}

function atHost<T>(d: Debugger, body: (host: Host, variables: ReadonlyMap<string, number>) => T): T {
  if (d.readOnly) throw new UserError('this is a recorded trace: there is no host behind it')
  return d.session.at(d.cursor, (_scope, _w, machine) => body(machine.host, machine.runner.variables))
}

function socketTable(d: Debugger): string[] {
  return atHost(d, (host, variables) => {
    const names = namesByFd(variables)
    const rows = sockets(host).map(({ fd, sk }) => [
      `${names.get(Number(fd)) ?? ''}=${fd}`,
      stateOf(sk),
      String(sk.sk_receive_queue.qlen),
      String(sk.sk_rmem_alloc),
      String(sk.sk_write_queue.qlen),
      String(sk.sk_wmem_queued),
      isTcp(sk) ? String(sk.snd_cwnd) : '',
      sk.describe(),
    ])
    return rows.length === 0 ? ['No sockets.'] : table([['FD', 'STATE', 'RX', 'BYTES', 'TX', 'BYTES', 'CWND', 'SOCKET'], ...rows])
  })
}

function fdTable(d: Debugger): string[] {
  return atHost(d, (host, variables) => {
    const names = namesByFd(variables)
    const rows: string[][] = []
    host.process.task.files?.fdt.fd.forEach((f, fd) => {
      if (f === null) return
      const s = f.private_data
      const what = isSocket(s) ? (s.sk === null ? 'socket' : s.sk.describe()) : (f.f_op?.name ?? 'file')
      rows.push([String(fd), names.get(fd) ?? '', what, `flags 0${f.f_flags.toString(8)}`, `pos ${f.f_pos}`])
    })
    return rows.length === 0 ? ['No descriptors but 0, 1 and 2.'] : table(rows)
  })
}

function deviceTable(d: Debugger): string[] {
  return atHost(d, (host) => {
    const rows: string[][] = []
    for (const ns of ['', ...host.netnsNames()])
      for (const dev of host.netns(ns).dev_base_head) {
        const ip = dev.ip_ptr instanceof in_device ? dev.ip_ptr.ifa_list : null
        const q = dev.qdisc
        rows.push([
          `${dev.name}${ns === '' ? '' : ` @${ns}`}`,
          netif_running(dev) ? 'up' : 'down',
          `mtu ${dev.mtu}`,
          ip === null ? '' : dotted(ip.ifa_local),
          q === null ? '' : `${q.ops?.id ?? ''} ${q.handle === 0 ? '' : handleText(q.handle)}`.trim(),
          q === null ? '' : `queue ${q.q.qlen}, sent ${q.bstats.packets}, drops ${q.qstats.drops}`,
        ])
      }
    return table(rows)
  })
}

/** timers that are set: those of sockets, devices and queues, by looking at what can have one */
function timerTable(d: Debugger): string[] {
  return atHost(d, (host) => {
    const rows: { at: number; row: string[] }[] = []
    const add = (owner: string, name: string, v: unknown): void => {
      if (v instanceof timer_list && timer_pending(v)) {
        const at = jiffies_to_nsecs(v.expires - jiffies()) / 1e6
        rows.push({ at, row: [owner, name, nameOf(v.function), `in ${at.toFixed(0)} ms`] })
      } else if (v instanceof hrtimer && v.event !== null) {
        const at = (v.event.at - clock.ns()) / 1e6
        rows.push({ at, row: [owner, name, nameOf(v.function), `in ${at.toFixed(3)} ms`] })
      }
    }
    const all = (owner: string, o: object): void => {
      for (const [name, v] of Object.entries(o)) {
        if (Array.isArray(v)) for (const [i, x] of v.entries()) add(owner, `${name}[${i}]`, x)
        else add(owner, name, v)
      }
    }
    for (const { sk } of sockets(host)) all(sk.describe(), sk)
    for (const ns of ['', ...host.netnsNames()])
      for (const dev of host.netns(ns).dev_base_head) {
        all(dev.name, dev)
        if (dev.qdisc !== null) all(`${dev.name} qdisc`, dev.qdisc)
        if (typeof dev.qdisc?.priv === 'object' && dev.qdisc.priv !== null) all(`${dev.name} qdisc`, dev.qdisc.priv)
      }
    rows.sort((a, b) => a.at - b.at)
    return rows.length === 0 ? ['No timers of sockets or devices are set.'] : table(rows.map((r) => r.row))
  })
}

/** buffers that were seen so far and are not freed yet */
function skbTable(d: Debugger): string[] {
  const r = d.session.recording
  const freed = new Set<number>()
  const end = Math.min(d.cursor, r.length - 1)
  for (let i = 0; i <= end; i++) if (r.kind(i) === FREE) freed.add(r.aux.get(i))
  const live = d.session.skbs.seen(d.cursor).filter((id) => !freed.has(id))
  if (live.length === 0) return ['No buffers.']
  const rows = live.slice(-40).map((id) => {
    const b = d.session.skbs.of(id, d.cursor)
    if (b === null) return [`skb ${id}`]
    return [
      `skb ${id}`,
      `len ${b.len}`,
      `truesize ${b.truesize}`,
      b.frags.length === 0 ? '' : `frags ${b.frags.length}`,
      b.clone_of === 0 ? '' : `clone of ${b.clone_of}`,
      b.devName,
      b.owner,
    ]
  })
  return [...(live.length > 40 ? [`${live.length} buffers, the last 40:`] : []), ...table(rows)]
}

function argsOfFrame(d: Debugger): string[] {
  const entry = d.stack()[d.frame]
  if (entry === undefined) return ['No frame: the cursor is outside of all functions.']
  const r = d.session.recording
  const fn = r.call(entry)?.fn
  if (fn === undefined) return []
  const p = paramsOf(fn)
  const values = r.argsOf(entry)
  if (p.names.length === 0) return ['No arguments.']
  return p.names.map((name, i) => `${name} = ${keptText(values[i] ?? 0, p.pointer[i] ?? false)}  (${p.types[i]})`)
}

function memory(d: Debugger): string[] {
  const m = d.session.memory
  let tracks = 0
  for (const t of d.session.tracks) tracks += 'bytes' in t && typeof t.bytes === 'number' ? t.bytes : 0
  const all = m.events + m.buffers + m.state + tracks
  const n = d.session.length
  return [
    ...table([
      ['events', String(n), kib(m.events)],
      ['buffers', '', kib(m.buffers)],
      ['sockets, queues, rings', '', kib(m.state)],
      ['breakpoints, displays', '', kib(tracks)],
      ['together', n === 0 ? '' : `${(all / n).toFixed(0)} bytes an event`, kib(all)],
    ]),
    "'forget' lets go of it; the session's lines and the host stay.",
  ]
}

function functionsTable(rest: string): string[] {
  if (rest === '') throw new UserError("info functions wants a name or a glob: info functions 'tcp_*'")
  const wanted = globs([rest.replace(/^'(.*)'$/, '$1')])
  const names = [...new Map(declaredFunctions().map((f) => [f.name, f])).values()].filter((f) => wanted?.(f.name))
  if (names.length === 0) return [`No simulated function is named ${rest}.`]
  names.sort((a, b) => (a.name < b.name ? -1 : 1))
  return table(names.map((f) => [f.name, f.symbol.file === '' ? '' : `${f.symbol.file}:${f.symbol.line}`]))
}

function lines(d: Debugger): string[] {
  const { session: s } = d
  if (s.lines.length === 0) return ['No lines yet.']
  const here = s.lineOf(d.cursor)
  return table(
    s.lines.map((l, i) => {
      const start = s.startOf(i + 1)
      const end = s.startOf(i + 2)
      const n = start < 0 ? 'forgotten' : `${(end < 0 ? s.length : end) - start} events`
      return [i + 1 === here && d.cursor < s.length ? '*' : ' ', String(i + 1), n, l.text]
    }),
  )
}

/** counters of the namespaces that are not 0, and what a line changed */
function counters(d: Debugger): string[] {
  return atHost(d, (host) => {
    const out: string[] = []
    for (const ns of ['', ...host.netnsNames()]) {
      const { mib } = host.netns(ns)
      const rows: string[] = []
      for (const [group, values] of Object.entries(mib))
        for (const [name, v] of Object.entries(values as object))
          if (typeof v === 'number' && v !== 0) rows.push(`${group[0]?.toUpperCase()}${group.slice(1)}${name} ${v}`)
      if (rows.length > 0) out.push(wrapValue(`${ns === '' ? 'the host' : ns}: ${rows.join(', ')}`, d.width))
    }
    return out.length === 0 ? ['All counters are 0.'] : out
  })
}

export const topics: Readonly<Record<string, Topic>> = {
  break: { hint: 'breakpoints and watchpoints', show: breakpoints },
  display: {
    hint: 'expressions that are shown at each stop',
    show: (d) => (d.displays.length === 0 ? ['No displays.'] : d.displays.map((x) => `${x.id}: ${x.expr.text}`)),
  },
  frame: {
    hint: 'the frame that is chosen, and the event',
    show: (d) => {
      const p = positionOf(d.session, d.cursor)
      return [
        d.frameText(),
        `  event ${p.event} of ${p.events} (${p.kind}), ${p.ns} ns since boot, ${p.context}`,
        `  line ${p.line}: ${p.lineText}`,
      ]
    },
  },
  args: { hint: 'arguments of the frame that is chosen', show: argsOfFrame },
  skbs: { hint: 'buffers that there are', show: skbTable },
  sockets: { hint: "the process's sockets", show: socketTable },
  devices: { hint: 'network devices and their queues', show: deviceTable },
  timers: { hint: 'timers of sockets and devices that are set', show: timerTable },
  fds: { hint: 'open descriptors', show: fdTable },
  counters: { hint: 'what /proc/net/snmp and netstat count, where it is not 0', show: counters },
  lines: { hint: "the session's lines", show: lines },
  functions: { hint: 'functions that are simulated, by name or glob', show: (_d, rest) => functionsTable(rest) },
  variables: {
    hint: 'variables of the session, and values that were printed',
    show: (d) => {
      const own = d.readOnly ? [] : [...d.session.variables].map(([n, v]) => `${n} = ${v}`)
      const values = [...d.variables].map(([n, v]) => `${n} = ${valueText(v)}`)
      const printed = d.printed
        .slice(-10)
        .map((p, i, a) => wrapValue(`$${d.printed.length - a.length + i + 1} = ${p.text}`, d.width))
      const all = [...own, ...values, ...printed]
      return all.length === 0 ? ['No variables.'] : all
    },
  },
  checkpoints: {
    hint: 'checkpoints',
    show: (d) =>
      d.checkpoints.length === 0 ? ['No checkpoints.'] : d.checkpoints.map((c) => `${c.id}: line ${c.lines}, event ${c.cursor}`),
  },
  memory: { hint: 'what the recording takes', show: memory },
}

export const info: Verb = {
  names: ['info', 'i'],
  usage: `info ${Object.keys(topics).join('|')}`,
  summary: 'lists things, as they are at the cursor',
  examples: ['info sockets', 'info break', 'info functions tcp_*'],
  takes: Object.keys(topics),
  group: 'looking',
  run: (d, rest) => {
    const m = /^(\S*)\s*(.*)$/.exec(rest)
    const word = m?.[1] ?? ''
    const names = Object.keys(topics).filter((t) => t === word || (word !== '' && t.startsWith(word)))
    const exact = names.includes(word) ? word : names.length === 1 ? names[0] : undefined
    const topic = exact === undefined ? undefined : topics[exact]
    if (topic === undefined)
      throw new UserError(
        `info ${names.length > 1 ? `'${word}' may be ${names.join(', ')}` : `wants one of ${Object.keys(topics).join(', ')}`}`,
      )
    d.say(
      'text',
      topic
        .show(d, m?.[2] ?? '')
        .map((l) => l.trimEnd())
        .join('\n'),
    )
  },
}
