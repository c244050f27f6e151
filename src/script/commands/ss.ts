import type { Host } from '../../host/host.ts'
import type { net } from '../../kernel/include/net/net_namespace.ts'
import { failed, type HostCommand, ok } from '../command.ts'
import { netnsOf } from './ip/context.ts'
import { render } from './ss/columns.ts'
import { ALL, CONNECTED, LISTENING, parseFilter } from './ss/filter.ts'
import { type Database, databases, list, type Wanted } from './ss/sockets.ts'
import { summary } from './ss/summary.ts'
import { CommandFailure, fail } from './words.ts'

interface Options extends Wanted {
  header: boolean
  summary: boolean
  /** -a, -l */
  states: number | null
  net: net
}

const long: Readonly<Record<string, string>> = {
  numeric: 'n',
  all: 'a',
  listening: 'l',
  options: 'o',
  extended: 'e',
  memory: 'm',
  processes: 'p',
  info: 'i',
  summary: 's',
  ipv4: '4',
  ipv6: '6',
  packet: '0',
  tcp: 't',
  udp: 'u',
  raw: 'w',
  unix: 'x',
  family: 'f',
  'no-header': 'H',
  oneline: 'O',
  query: 'A',
  socket: 'A',
  net: 'N',
}

const tables: Readonly<Record<string, readonly Database[]>> = {
  all: databases,
  inet: ['raw', 'udp', 'tcp'],
  tcp: ['tcp'],
  udp: ['udp'],
  raw: ['raw'],
  unix: ['u_str', 'u_dgr', 'u_seq'],
  unix_stream: ['u_str'],
  unix_dgram: ['u_dgr'],
  unix_seqpacket: ['u_seq'],
  packet: ['p_raw', 'p_dgr'],
  packet_raw: ['p_raw'],
  packet_dgram: ['p_dgr'],
}
const letters: Readonly<Record<string, string>> = { t: 'tcp', u: 'udp', w: 'raw', x: 'unix', '0': 'packet' }
/** what the real one has and this host has not */
const absent = 'rTbEZzMSdKDFhV'

function parse(host: Host, words: readonly string[], n: net): { o: Options; rest: string[] } {
  const o: Options = {
    net: n,
    wanted: new Set(),
    family: 0,
    numeric: false,
    options: false,
    details: false,
    memory: false,
    processes: false,
    info: false,
    oneline: false,
    header: true,
    summary: false,
    states: null,
    filter: { states: null, test: () => true },
  }
  const rest: string[] = []
  const add = (name: string): void => {
    for (const d of tables[name] ?? []) o.wanted.add(d)
  }
  const family = (f: string): void => {
    if (f === 'inet') o.family = 4
    else if (f === 'inet6') o.family = 6
    else if (f === 'link') add('packet')
    else if (f === 'unix') add('unix')
    else fail(`ss: "${f}" is invalid family`, 255)
  }
  const query = (q: string): void => {
    for (const name of q.split(',')) {
      if (!Object.hasOwn(tables, name)) fail(`ss: "${name}" is illegal socket table id`, 255)
      add(name)
    }
  }
  const netns = (name: string): void => {
    o.net = netnsOf(host, name) ?? fail(`Cannot open network namespace "${name}": No such file or directory`, 1)
  }
  const flag: Readonly<Record<string, () => void>> = {
    n: () => {
      o.numeric = true
    },
    a: () => {
      o.states = ALL
    },
    l: () => {
      o.states ??= LISTENING
    },
    o: () => {
      o.options = true
    },
    e: () => {
      o.options = true
      o.details = true
    },
    m: () => {
      o.memory = true
    },
    p: () => {
      o.processes = true
    },
    i: () => {
      o.info = true
    },
    s: () => {
      o.summary = true
    },
    '4': () => family('inet'),
    '6': () => family('inet6'),
  }
  const valued: Readonly<Record<string, (v: string) => void>> = { f: family, A: query, N: netns }

  for (let i = 1; i < words.length; i++) {
    const word = words[i] ?? ''
    if (!word.startsWith('-') || word === '-') {
      rest.push(word)
      continue
    }
    const m = /^--([a-z-]+)(?:=(.*))?$/.exec(word)
    const group =
      m === null ? word.slice(1) : (long[m[1] ?? ''] ?? fail(`ss: the option '${word}' is not there on this host`, 255))
    for (let j = 0; j < group.length; j++) {
      const c = group[j] ?? ''
      if (Object.hasOwn(valued, c)) {
        const value = m === null ? group.slice(j + 1) || words[++i] : (m[2] ?? words[++i])
        valued[c]?.(value ?? fail(`ss: option requires an argument -- '${c}'`, 255))
        break
      }
      if (Object.hasOwn(letters, c)) add(letters[c] ?? '')
      else if (c === 'H') o.header = false
      else if (c === 'O') o.oneline = true
      else if (Object.hasOwn(flag, c)) flag[c]?.()
      else fail(absent.includes(c) ? `ss: the option '-${c}' is not there on this host` : `ss: invalid option -- '${c}'`, 255)
    }
  }
  if (o.family !== 0 && o.wanted.size === 0) add('inet')
  if (o.wanted.size === 0) add('all')
  return { o, rest }
}

/** ss(8): the sockets of a namespace */
export const ss: HostCommand = (host, words, netns) => {
  try {
    const { o, rest } = parse(host, words, host.netns(netns))
    if (o.summary) return ok(summary(o.net))
    const named = parseFilter(rest)
    o.filter = { states: named.states ?? o.states ?? CONNECTED, test: named.test }
    const { states } = o.filter
    const rows = list(host, o.net, o)
    const oneState = states !== null && (states & (states - 1)) === 0
    return ok(render(rows, { netid: o.wanted.size > 1, state: !oneState, header: o.header }))
  } catch (e) {
    if (e instanceof CommandFailure) return failed(`${e.message}\n`, e.status)
    throw e
  }
}
