import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../../kernel/include/linux/rtnetlink.ts'
import './tc/disciplines.ts'
import { load_modules } from '../../kernel/include/linux/init.ts'
import type { net_device } from '../../kernel/include/linux/netdevice.ts'
import type { ref } from '../../kernel/include/linux/types.ts'
import type { net } from '../../kernel/include/net/net_namespace.ts'
import type { Qdisc } from '../../kernel/include/net/sch_generic.ts'
import { qdiscs_of, tc_ctl_tclass, tc_get_qdisc, tc_modify_qdisc } from '../../kernel/net/sched/sch_api.ts'
import { failed, type HostCommand, type Outcome, ok } from '../command.ts'
import { type Json, json } from './json.ts'
import { kinds } from './tc/kinds.ts'
import { classid, handle, showClass, showHandle } from './tc/units.ts'
import { CommandFailure, errorText, fail, Words } from './words.ts'

const TC_H_ROOT = 0xffffffff

/** the kernel's answer to a request, in iproute2's words */
function answer(err: number, extack: ref<string>): void {
  if (err >= 0) return
  fail(extack.v === '' ? `RTNETLINK answers: ${errorText(-err)}` : `Error: ${extack.v}${extack.v.endsWith('.') ? '' : '.'}`, 2)
}

const device = (n: net, name: string): net_device => n.dev_name_head.get(name) ?? fail(`Cannot find device "${name}"`, 1)

const flagsOf: Readonly<Record<string, number>> = {
  add: NLM_F_EXCL | NLM_F_CREATE,
  change: 0,
  replace: NLM_F_CREATE | NLM_F_REPLACE,
  link: NLM_F_REPLACE,
  delete: 0,
}
const verb = (word: string, list: readonly string[]): string => list.find((v) => v.startsWith(word)) ?? ''

interface Shown {
  stats: boolean
  details: boolean
  json: boolean
  pretty: boolean
  oneline: boolean
}

function counters(q: Qdisc): {
  bytes: number
  packets: number
  drops: number
  overlimits: number
  requeues: number
  backlog: number
  qlen: number
} {
  const { bstats, qstats } = q
  return {
    bytes: bstats.bytes,
    packets: bstats.packets,
    drops: qstats.drops,
    overlimits: qstats.overlimits,
    requeues: qstats.requeues,
    backlog: qstats.backlog,
    qlen: q.q.qlen,
  }
}
const statLines = (c: ReturnType<typeof counters>): string =>
  ` Sent ${c.bytes} bytes ${c.packets} pkt (dropped ${c.drops}, overlimits ${c.overlimits} requeues ${c.requeues}) \n` +
  ` backlog ${c.backlog}b ${c.qlen}p requeues ${c.requeues}\n`

/** `named`: the device was not asked for by name, so its name is said */
function showQdisc(q: Qdisc, s: Shown, named: boolean): string {
  const { id } = q.ops
  const kind = kinds[id]
  const place = q.parent === TC_H_ROOT ? 'root' : `parent ${showClass(q.parent)}`
  const refcnt = q.refcnt !== 1 ? ` refcnt ${q.refcnt}` : ''
  const dev = named ? `dev ${q.dev.name} ` : ''
  const options = kind?.print(q.ops.dump?.(q) ?? {}, s.details) ?? ''
  let out = `qdisc ${id} ${showHandle(q.handle)} ${dev}${place}${refcnt} ${options}\n`
  if (!s.stats) return out
  out += statLines(counters(q))
  const own = q.ops.dump_stats === undefined ? undefined : kind?.stats?.(q.ops.dump_stats(q))
  return own === undefined ? out : `${out}${own}\n`
}

function qdiscJson(q: Qdisc, s: Shown, named: boolean): Json {
  const { id } = q.ops
  const kind = kinds[id]
  const root = q.parent === TC_H_ROOT
  const { bytes, packets, drops, overlimits, requeues, backlog, qlen } = counters(q)
  return {
    kind: id,
    handle: showHandle(q.handle),
    dev: named ? q.dev.name : undefined,
    root: root ? true : undefined,
    parent: root ? undefined : showClass(q.parent),
    refcnt: q.refcnt !== 1 ? q.refcnt : undefined,
    options: kind?.json(q.ops.dump?.(q) ?? {}) ?? {},
    ...(s.stats
      ? {
          bytes,
          packets,
          drops,
          overlimits,
          requeues,
          backlog,
          qlen,
          ...(q.ops.dump_stats === undefined ? {} : kind?.statsJson?.(q.ops.dump_stats(q))),
        }
      : {}),
  }
}

function qdisc(n: net, w: Words, s: Shown): string {
  const said = w.peek
  const command = w.done
    ? 'show'
    : verb(w.next(), ['add', 'delete', 'del', 'change', 'replace', 'link', 'get', 'show', 'list', 'lst'])
  if (command === '' || command === 'get') fail(`Command "${said}" is unknown, try "tc qdisc help".`, 255)
  const showing = ['show', 'list', 'lst'].includes(command)
  let dev: net_device | null = null
  let parent = 0
  let h = 0
  let kind = ''
  while (!w.done) {
    if (w.take('dev')) {
      if (dev !== null) w.garbage('dev', w.peek)
      dev = device(n, w.next())
    } else if (w.take('root')) {
      if (parent) fail('Error: "root" is duplicate parent ID', 255)
      parent = TC_H_ROOT
    } else if (w.take('parent')) parent = classid(w.next())
    else if (w.take('handle')) h = handle(w.next())
    else if (['ingress', 'clsact'].includes(w.peek)) fail(`tc: ${w.peek} is not there`, 255)
    else if (w.peek === 'invisible' && showing) w.next()
    else if (showing) fail(`What is "${w.peek}"? Try "tc qdisc help".`, 255)
    else {
      kind = w.next()
      break
    }
  }
  if (showing) {
    const all = dev === null ? n.dev_base_head : [dev]
    const found = all
      .flatMap((d) => qdiscs_of(d))
      .filter((q) => !parent || q.parent === parent)
      .filter((q) => !h || q.handle === h)
    if (s.json)
      return `${json(
        found.map((q) => qdiscJson(q, s, dev === null)),
        s.pretty,
      )}\n`
    return found.map((q) => showQdisc(q, s, dev === null)).join('')
  }
  if (dev === null) fail('Cannot find device ""', 1)
  const extack = { v: '' }
  if (command.startsWith('del')) {
    answer(tc_get_qdisc({ dev, parent, handle: h, kind, options: null, flags: 0 }, extack), extack)
    return ''
  }
  const k = kind === '' ? undefined : Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
  if (kind !== '' && k === undefined) fail(`Unknown qdisc "${kind}", hence option "${w.peek}" is unparsable`, 1)
  const options = k?.parse(w) ?? null
  answer(tc_modify_qdisc({ dev, parent, handle: h, kind, options, flags: flagsOf[command] ?? 0 }, extack), extack)
  return ''
}

function tclass(n: net, w: Words, s: Shown): string {
  const command = w.done ? 'show' : verb(w.next(), ['add', 'delete', 'del', 'change', 'replace', 'show', 'list', 'lst'])
  if (command === '') fail('Command is unknown, try "tc class help".', 255)
  const showing = ['show', 'list', 'lst'].includes(command)
  let dev: net_device | null = null
  let parent = 0
  let id = 0
  let kind = ''
  while (!w.done) {
    if (w.take('dev')) dev = device(n, w.next())
    else if (w.take('classid')) id = classid(w.next())
    else if (w.take('root')) parent = TC_H_ROOT
    else if (w.take('parent')) parent = classid(w.next())
    else if (showing) fail(`What is "${w.peek}"? Try "tc class help".`, 255)
    else {
      kind = w.next()
      break
    }
  }
  if (dev === null) fail('Cannot find device ""', 1)
  if (showing) {
    let out = ''
    for (const q of qdiscs_of(dev)) {
      const { cl_ops } = q.ops
      cl_ops?.walk(q, (cl) => {
        const d = cl_ops.dump?.(q, cl) ?? null
        if (d === null || (id && d.classid !== id)) return
        const place = d.parentid === TC_H_ROOT ? 'root' : `parent ${showClass(d.parentid)}`
        const leaf = d.leaf === null || d.leaf.handle === 0 ? '' : `leaf ${showHandle(d.leaf.handle)} `
        out += `class ${q.ops.id} ${showClass(d.classid)} ${place} ${leaf}${kinds[q.ops.id]?.printClass?.(d.options, s.details) ?? ''}\n`
        if (s.stats) out += `${statLines(d.stats)}${kinds[q.ops.id]?.classStats?.(d.xstats ?? {}) ?? ''}\n`
      })
    }
    return out
  }
  const k = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
  const remove = command.startsWith('del')
  if (!remove && k?.parseClass === undefined) fail(`Error: Qdisc "${kind}" is classless.`, 1)
  const options = remove ? null : (k?.parseClass?.(w) ?? null)
  const extack = { v: '' }
  answer(tc_ctl_tclass(dev, parent, id, kind, options, flagsOf[command] ?? 0, remove, extack), extack)
  return ''
}

/** tc(8): queue disciplines and their classes */
export const tc: HostCommand = (host, words, netns): Outcome => {
  load_modules()
  const w = new Words(words, 1)
  let where = netns
  const s: Shown = { stats: false, details: false, json: false, pretty: false, oneline: false }
  try {
    while (w.peek.startsWith('-')) {
      const o = w.next().replace(/^--?/, '')
      if (o === 'n' || o === 'net' || o === 'netns') where = w.next()
      else if (o !== '' && 'statistics'.startsWith(o)) s.stats = true
      else if (o !== '' && 'details'.startsWith(o)) s.details = true
      else if (o !== '' && 'json'.startsWith(o)) s.json = true
      else if (o !== '' && 'pretty'.startsWith(o)) s.pretty = true
      else if (o !== '' && 'oneline'.startsWith(o)) s.oneline = true
      else if (
        ['raw', 'iec', 'graph', 'batch', 'force', 'timestamp', 'tshort', 'color', 'cf', 'conf', 'Numeric'].some((x) =>
          x.startsWith(o),
        )
      )
        fail(`Option "-${o}" is not there on this host.`, 255)
      else fail(`Option "-${o}" is unknown, try "tc -help".`, 255)
    }
    let n: net
    try {
      n = host.netns(where)
    } catch {
      return failed(`Cannot open network namespace "${where}": No such file or directory\n`, 255)
    }
    const object = w.done ? '' : w.next()
    const lines = (text: string): string => (s.oneline && !s.json ? text.replaceAll('\n', '\\') : text)
    if (object !== '' && 'qdisc'.startsWith(object)) return ok(lines(qdisc(n, w, s)))
    if (object !== '' && 'class'.startsWith(object)) return ok(lines(tclass(n, w, s)))
    if (['filter', 'chain', 'action', 'monitor', 'exec'].some((x) => object !== '' && x.startsWith(object)))
      return failed(`tc: object "${object}" is not there\n`, 255)
    return failed(`Object "${object}" is unknown, try "tc help".\n`, 1)
  } catch (e) {
    if (e instanceof CommandFailure) return failed(`${e.message}\n`, e.status)
    throw e
  }
}
