import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { callNames } from '../../script/calls.ts'
import { constants } from '../../script/constants.ts'
import { commandNames } from '../../script/scenario.ts'
import { declaredFunctions } from '../../trace/kfunc.ts'
import { eventWords } from './breakpoints.ts'
import type { Debugger } from './debugger.ts'
import { Pointer, Struct } from './evaluate.ts'
import { parseExpr } from './expr.ts'
import { isScenarioLine, quitWords, verbs } from './interpreter.ts'
import { scopeCalls, scopeNames } from './scope.ts'
import { Compiled } from './tracks.ts'
import type { Candidate, Completion } from './types.ts'
import { topics } from './verbs/info.ts'

const MOST = 200

/** words of iproute2 and the others, by what stands before */
const commandWords: Readonly<Record<string, readonly string[]>> = {
  ip: ['link', 'addr', 'route', 'rule', 'neigh', 'netns', '-n', '-s', '-d', '-j', '-br', '-4', '-6'],
  'ip link': ['add', 'set', 'del', 'show'],
  'ip addr': ['add', 'del', 'show'],
  'ip route': ['add', 'del', 'replace', 'show', 'get'],
  'ip rule': ['add', 'del', 'show'],
  'ip neigh': ['add', 'del', 'replace', 'show'],
  'ip netns': ['add', 'del', 'exec', 'list'],
  tc: ['qdisc', 'class', '-s', '-d', '-j', '-n'],
  'tc qdisc': ['add', 'replace', 'change', 'del', 'show'],
  'tc class': ['add', 'change', 'del', 'show'],
  ethtool: ['-k', '-K', '-S', '-i', '-g', '-l', '-c'],
  'ethtool -K': [],
  nft: ['add', 'delete', 'list', 'flush'],
  hw: [],
  'hw eth0': ['e1000', 'virtio_net'],
  ss: ['-t', '-u', '-x', '-a', '-l', '-n', '-i', '-e', '-m'],
  nstat: ['-a', '-z', '-s'],
  sysctl: ['-w', '-a', '-n', '-q'],
}
const qdiscs = ['pfifo_fast', 'pfifo', 'bfifo', 'fq_codel', 'fq', 'tbf', 'prio', 'htb', 'netem', 'mq', 'noqueue']
const features = ['tso', 'gso', 'gro', 'tx', 'rx', 'sg', 'on', 'off']

const plain = (texts: Iterable<string>, hint = ''): Candidate[] => [...texts].map((text) => ({ text, hint }))

let functionNames: string[] | null = null
let declared = 0
function functions(): string[] {
  const all = declaredFunctions()
  if (functionNames === null || declared !== all.length) {
    declared = all.length
    functionNames = [...new Set(all.map((f) => f.name))].sort()
  }
  return functionNames
}

/** what could stand at `cursor` */
export function complete(d: Debugger, line: string, cursor: number): Completion {
  const head = line.slice(0, cursor)
  const { from, candidates } = candidatesFor(d, head)
  const part = head.slice(from)
  const fitting = candidates.filter((c) => c.text.startsWith(part))
  fitting.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
  return { from, to: cursor, candidates: fitting.slice(0, MOST) }
}

/** where the last word begins */
const wordStart = (head: string, characters: RegExp): number => {
  let at = head.length
  while (at > 0 && characters.test(head[at - 1] ?? '')) at--
  return at
}

function candidatesFor(d: Debugger, head: string): { from: number; candidates: Candidate[] } {
  const first = /^\s*([a-z-]+)$/.exec(head)
  if (first !== null || head.trim() === '') {
    const from = head.length - (first?.[1]?.length ?? 0)
    return {
      from,
      candidates: [
        ...verbs.map((v) => ({ text: v.names[0], hint: v.summary })),
        ...plain(quitWords, 'leaves').slice(0, 1),
        ...plain(commandNames, 'a command of the host'),
        ...callNames().map((text) => ({ text: `${text}(`, hint: 'a system call' })),
      ],
    }
  }
  if (isScenarioLine(head)) return scenario(d, head)
  const m = /^\s*([A-Za-z-]+)(?:\/\S*)?\s+/.exec(head)
  const verb = verbs.find((v) => v.names.includes(m?.[1] ?? '')) ?? verbs.find((v) => v.names[0].startsWith(m?.[1] ?? ' '))
  const at = m?.[0].length ?? 0
  if (verb === undefined) return { from: head.length, candidates: [] }
  const condition = /\bif\s+/.exec(head.slice(at))
  if (verb.takes === 'expression' || (condition !== null && verb.takes === 'function')) {
    const start = verb.takes === 'expression' ? at : at + conditionEnd(condition)
    return expression(d, head, start)
  }
  if (verb.takes === 'function') {
    const events = verb.group === 'stopping' ? Object.entries(eventWords).map(([text, e]) => ({ text, hint: e.hint })) : []
    return { from: at, candidates: [...events, ...plain(functions(), 'a function')] }
  }
  if (verb.takes === 'verb')
    return {
      from: at,
      candidates: [...verbs.map((v) => ({ text: v.names[0], hint: v.summary })), ...plain(['calls', 'commands', 'expressions'])],
    }
  if (verb.takes === 'file') return { from: wordStart(head, /[^\s/]/), candidates: files(head.slice(at)) }
  if (verb.names[0] === 'whatif') {
    const inner = candidatesFor(d, head.slice(at))
    return { from: at + inner.from, candidates: inner.candidates.filter((c) => !verbs.some((v) => v.names[0] === c.text)) }
  }
  if (verb.names[0] === 'info') {
    const sub = /^functions\s+/.exec(head.slice(at))
    if (sub !== null) return { from: at + sub[0].length, candidates: plain(functions(), 'a function') }
    return { from: at, candidates: Object.entries(topics).map(([text, t]) => ({ text, hint: t.hint })) }
  }
  return { from: wordStart(head, /\S/), candidates: Array.isArray(verb.takes) ? plain(verb.takes as readonly string[]) : [] }
}

const conditionEnd = (m: RegExpExecArray | null): number => (m === null ? 0 : m.index + m[0].length)

/** names in an expression, or the fields of what stands before the last point */
function expression(d: Debugger, head: string, start: number): { from: number; candidates: Candidate[] } {
  const text = head.slice(start)
  const field = /((?:[A-Za-z_$][\w$]*)(?:(?:\.|->)[A-Za-z_]\w*|\[\d+\]|\([^()]*\))*)(\.|->)(\w*)$/.exec(text)
  if (field !== null) return { from: head.length - (field[3]?.length ?? 0), candidates: fieldsOf(d, field[1] ?? '') }
  const entry = d.stack()[d.frame]
  const args = entry === undefined ? [] : d.argNames(entry)
  return {
    from: wordStart(head, /[\w$]/),
    candidates: [
      ...plain(args, 'an argument'),
      ...Object.entries(scopeNames).map(([t, hint]) => ({ text: t, hint })),
      ...Object.entries(scopeCalls).map(([t, hint]) => ({ text: `${t}(`, hint })),
      ...plain(d.variables.keys(), 'a value with a name'),
    ],
  }
}

function fieldsOf(d: Debugger, text: string): Candidate[] {
  if (d.readOnly) return []
  try {
    const expr = new Compiled(parseExpr(text))
    return d.atCursor((scope) => {
      const v = expr.evaluate(scope)
      const o = v instanceof Struct ? v.of : v
      if (typeof o !== 'object' || o === null || o instanceof Pointer) return []
      const names = new Set<string>()
      for (let p: object | null = o; p !== null && p !== Object.prototype; p = Object.getPrototypeOf(p))
        for (const n of Object.getOwnPropertyNames(p)) if (n !== 'constructor' && !isMethod(o, p, n)) names.add(n)
      return plain(names, 'a field')
    })
  } catch {
    return []
  }
}

function isMethod(o: object, p: object, name: string): boolean {
  const own = Object.getOwnPropertyDescriptor(p, name)
  return p !== o && own !== undefined && typeof own.value === 'function'
}

function files(path: string): Candidate[] {
  const dir = path.includes('/') ? dirname(`${path}x`) : '.'
  try {
    return readdirSync(join(dir), { withFileTypes: true }).map((f) => ({
      text: f.isDirectory() ? `${f.name}/` : f.name,
      hint: '',
    }))
  } catch {
    return []
  }
}

function scenario(d: Debugger, head: string): { from: number; candidates: Candidate[] } {
  const words = head.trimStart().split(/\s+/)
  const [command = ''] = words
  if ((commandNames as readonly string[]).includes(command)) {
    const from = wordStart(head, /\S/)
    const before = words.slice(0, -1).filter((w) => w !== '-n' && w !== 'peer')
    const last = before.at(-1) ?? ''
    const own = commandWords[before.slice(0, 2).join(' ')] ?? commandWords[before[0] ?? ''] ?? []
    const more =
      last === 'dev' ||
      last === 'ethtool' ||
      (command === 'ethtool' && last.startsWith('-')) ||
      (command === 'hw' && before.length === 1)
        ? [...devices(d), ...(command === 'hw' ? ['eth0'] : [])]
        : last === 'root' || command === 'tc'
          ? [...qdiscs, 'dev', 'root', 'parent', 'handle']
          : command === 'ethtool'
            ? features
            : ['dev', 'up', 'down', 'type', 'peer', 'mtu', 'via', 'name', 'netns', ...devices(d)]
    return {
      from,
      candidates:
        before.length <= 1 && own.length > 0 ? plain(own) : plain(new Set([...(before.length === 2 ? own : []), ...more])),
    }
  }
  const from = wordStart(head, /[\w]/)
  const bracket = head.includes('(')
  if (!bracket) return { from, candidates: callNames().map((text) => ({ text: `${text}(`, hint: 'a system call' })) }
  const variables = d.readOnly ? [] : d.variableNames()
  return { from, candidates: [...plain(variables, 'a variable'), ...plain(Object.keys(constants), 'a constant')] }
}

function devices(d: Debugger): string[] {
  return d.readOnly ? [] : d.deviceNames()
}
