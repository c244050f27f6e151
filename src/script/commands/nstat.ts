import type { Host } from '../../host/host.ts'
import { load_modules } from '../../kernel/include/linux/init.ts'
import type { net } from '../../kernel/include/net/net_namespace.ts'
import { failed, type HostCommand, ok } from '../command.ts'
import { json } from './json.ts'
import { proc_net_read } from './proc_net.ts'
import { CommandFailure, fail } from './words.ts'

/** gauges and constants, which no difference is made of */
const useless = new Set([
  'IpForwarding',
  'IpDefaultTTL',
  'TcpRtoAlgorithm',
  'TcpRtoMin',
  'TcpRtoMax',
  'TcpMaxConn',
  'TcpCurrEstab',
])

/** lines that come in twos: names, values */
function twos(text: string | null): [string, number][] {
  const lines = (text ?? '').split('\n').filter((l) => l !== '')
  const out: [string, number][] = []
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [head = '', ...names] = (lines[i] ?? '').split(' ')
    const [, ...values] = (lines[i + 1] ?? '').split(' ')
    names.forEach((name, j) => {
      out.push([`${head.replace(':', '')}${name}`, Number(values[j])])
    })
  }
  return out
}

/** every counter of the namespace, in the order in which nstat reads the files */
export function counters(n: net): Map<string, number> {
  const six: [string, number][] = (proc_net_read(n, 'snmp6') ?? '')
    .split('\n')
    .filter((l) => l !== '')
    .map((l) => {
      const [name = '', value] = l.split(/\s+/)
      return [name, Number(value)]
    })
  return new Map(
    [...twos(proc_net_read(n, 'snmp')), ...six, ...twos(proc_net_read(n, 'netstat'))].filter(([name]) => !useless.has(name)),
  )
}

/** what nstat printed last; on a real machine in ~/.nstat.u0 */
const histories = new WeakMap<Host, Map<string, Map<string, number>>>()

interface Options {
  absolute: boolean
  zeros: boolean
  keep: boolean
  reset: boolean
  silent: boolean
  json: boolean
  pretty: boolean
}
const flags: Readonly<Record<string, keyof Options>> = {
  a: 'absolute',
  z: 'zeros',
  s: 'keep',
  r: 'reset',
  n: 'silent',
  j: 'json',
  p: 'pretty',
}
const long: Readonly<Record<string, string>> = {
  ignore: 'a',
  zeros: 'z',
  noupdate: 's',
  reset: 'r',
  nooutput: 'n',
  json: 'j',
  pretty: 'p',
}

/** nstat(8): the counters of /proc/net/snmp, snmp6 and netstat, and how much they grew since it was called last */
export const nstat: HostCommand = (host, words, netns) => {
  load_modules()
  const o: Options = { absolute: false, zeros: false, keep: false, reset: false, silent: false, json: false, pretty: false }
  const patterns: RegExp[] = []
  try {
    for (const word of words.slice(1)) {
      if (!word.startsWith('-') || word === '-') {
        patterns.push(glob(word))
        continue
      }
      const group = word.startsWith('--') ? (long[word.slice(2)] ?? word.slice(1)) : word.slice(1)
      for (const c of group) {
        const k = Object.hasOwn(flags, c) ? flags[c] : undefined
        if (k === undefined)
          fail('dt'.includes(c) ? `nstat: the option '-${c}' is not there on this host` : `nstat: invalid option -- '${c}'`, 255)
        o[k] = true
      }
    }
  } catch (e) {
    if (e instanceof CommandFailure) return failed(`${e.message}\n`, e.status)
    throw e
  }
  const now = counters(host.netns(netns))
  const mine = histories.get(host) ?? new Map<string, Map<string, number>>()
  histories.set(host, mine)
  const before = o.absolute || o.reset ? undefined : mine.get(netns)
  if (!o.keep) mine.set(netns, now)
  const shown = [...now]
    .map(([name, v]): [string, number] => [name, v - (before?.get(name) ?? 0)])
    .filter(([name, v]) => (v !== 0 || o.zeros) && (patterns.length === 0 || patterns.some((p) => p.test(name))))
  if (o.silent) return ok()
  if (o.json) return ok(`${json({ kernel: Object.fromEntries(shown) }, o.pretty)}\n`)
  return ok(`#kernel\n${shown.map(([name, v]) => `${name.padEnd(31)} ${String(v).padEnd(16)} ${'0.0'.padStart(5)}\n`).join('')}`)
}

/** fnmatch(3) of the whole name */
const glob = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')
      .replaceAll('[!', '[^')}$`,
  )
