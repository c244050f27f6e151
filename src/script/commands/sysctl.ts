import { load_modules } from '../../kernel/include/linux/init.ts'
import { failed, type HostCommand, type Outcome } from '../command.ts'
import { type ctl_table, sysctls } from './proc_sys.ts'
import { CommandFailure, errorText, fail } from './words.ts'

interface Options {
  all: boolean
  write: boolean
  quiet: boolean
  ignore: boolean
  values: boolean
  names: boolean
  binary: boolean
  dry: boolean
  pattern: RegExp | null
}

const long: Readonly<Record<string, string>> = {
  all: 'a',
  binary: 'b',
  ignore: 'e',
  names: 'N',
  values: 'n',
  pattern: 'r',
  quiet: 'q',
  write: 'w',
  'dry-run': 'D',
  deprecated: 'o',
}
const flags: Readonly<Record<string, (o: Options) => void>> = {
  a: (o) => {
    o.all = true
  },
  b: (o) => {
    o.binary = true
  },
  e: (o) => {
    o.ignore = true
  },
  N: (o) => {
    o.names = true
  },
  n: (o) => {
    o.values = true
  },
  q: (o) => {
    o.quiet = true
  },
  w: (o) => {
    o.write = true
  },
  D: (o) => {
    o.dry = true
  },
  o: () => {},
}
const same: Readonly<Record<string, string>> = { A: 'a', X: 'a', x: 'o' }

/** sysctl(8) takes either separator: the first one in a name says which it is */
const pathOf = (key: string): string =>
  /[./]/.exec(key)?.[0] === '.' ? key.replace(/[./]/g, (c) => (c === '.' ? '/' : '.')) : key
const keyOf = (path: string): string => path.replace(/[./]/g, (c) => (c === '.' ? '/' : '.'))

function parse(words: readonly string[]): { o: Options; rest: string[] } {
  const o: Options = {
    all: false,
    write: false,
    quiet: false,
    ignore: false,
    values: false,
    names: false,
    binary: false,
    dry: false,
    pattern: null,
  }
  const rest: string[] = []
  const pattern = (text: string): void => {
    try {
      o.pattern = new RegExp(text)
    } catch {
      fail(`sysctl: invalid regular expression '${text}'`)
    }
  }
  for (let i = 1; i < words.length; i++) {
    const word = words[i] ?? ''
    if (!word.startsWith('-') || word === '-') {
      rest.push(word)
      continue
    }
    const m = /^--([a-z-]+)(?:=(.*))?$/.exec(word)
    const letters = m === null ? word.slice(1) : (long[m[1] ?? ''] ?? fail(`sysctl: option '${word}' is not there on this host`))
    for (let j = 0; j < letters.length; j++) {
      const letter = same[letters[j] ?? ''] ?? letters[j] ?? ''
      if (letter === 'r') {
        const value = m === null ? letters.slice(j + 1) || words[++i] : (m[2] ?? words[++i])
        pattern(value ?? fail("sysctl: option requires an argument -- 'r'"))
        break
      }
      if (letter === 'p' || letter === 'f') fail('sysctl: -p is not there: this host has no files of settings')
      const set = Object.hasOwn(flags, letter) ? flags[letter] : undefined
      if (set === undefined) fail(`sysctl: invalid option -- '${letter}'`)
      set(o)
    }
  }
  return { o, rest }
}

/** sysctl(8): reads and sets what is below /proc/sys */
export const sysctl: HostCommand = (host, words, netns): Outcome => {
  load_modules()
  const n = host.netns(netns)
  let stdout = ''
  let stderr = ''
  let status = 0
  const warn = (text: string, failing = 1): void => {
    stderr += `sysctl: ${text}\n`
    status += failing
  }

  const show = (o: Options, path: string, t: ctl_table): void => {
    const key = keyOf(path)
    if (!(t.mode & 0o444) || (o.pattern !== null && !o.pattern.test(key))) return
    if (o.names) stdout += `${key}\n`
    else if (o.binary) stdout += t.read()
    else stdout += o.values ? `${t.read()}\n` : `${key} = ${t.read()}\n`
  }

  const read = (o: Options, key: string): void => {
    const path = pathOf(key).replace(/\/+$/, '')
    const all = sysctls(n)
    const t = all.get(path)
    if (t !== undefined) {
      show(o, path, t)
      return
    }
    const below = [...all].filter(([p]) => p.startsWith(`${path}/`))
    if (below.length === 0 && !o.ignore) warn(`cannot stat /proc/sys/${path}: No such file or directory`)
    for (const [p, file] of below) show(o, p, file)
  }

  const set = (o: Options, word: string): void => {
    const at = word.indexOf('=')
    const path = pathOf(word.slice(0, at).trim())
    const value = word.slice(at + 1).trim()
    const t = sysctls(n).get(path)
    if (t === undefined) {
      if (!o.ignore) warn(`cannot stat /proc/sys/${path}: No such file or directory`)
      return
    }
    // what may not be written is warned about only, in just these words
    const allowed = (t.mode & 0o222) !== 0
    const err = o.dry || !allowed ? 0 : t.write(value)
    if (!allowed) warn(`setting key "${keyOf(path)}": Invalid argument`, 0)
    else if (err < 0) warn(`setting key "${keyOf(path)}": ${errorText(-err)}`)
    else if (!o.quiet) stdout += o.values || o.names ? `${value}\n` : o.binary ? value : `${keyOf(path)} = ${value}\n`
  }

  try {
    const { o, rest } = parse(words)
    if (o.all) {
      for (const [path, t] of sysctls(n)) show(o, path, t)
      return { status: 0, stdout, stderr }
    }
    if (rest.length === 0) return failed("sysctl: no variables specified\nTry `sysctl --help' for more information.\n")
    for (const word of rest) {
      if (word.includes('=')) set(o, word)
      else if (o.write) warn('command line(0): invalid syntax, continuing...')
      else read(o, word)
    }
  } catch (e) {
    if (e instanceof CommandFailure) return failed(`${e.message}\n`, e.status)
    throw e
  }
  return { status, stdout, stderr }
}
