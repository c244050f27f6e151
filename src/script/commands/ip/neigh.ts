import { HZ, IFF_LOOPBACK, NUD_NOARP } from '../../../kernel/include/generated/enums.ts'
import { dotted } from '../../../kernel/include/linux/in.ts'
import type { net_device } from '../../../kernel/include/linux/netdevice.ts'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../../../kernel/include/linux/rtnetlink.ts'
import {
  NTF_ROUTER,
  NUD_DELAY,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  NUD_VALID,
  type neighbour,
} from '../../../kernel/include/net/neighbour.ts'
import { jiffies } from '../../../kernel/kernel/time/timer.ts'
import { neigh_add, neigh_delete, neigh_for_each } from '../../../kernel/net/core/neighbour.ts'
import { arp_tbl } from '../../../kernel/net/ipv4/arp.ts'
import type { Json } from '../json.ts'
import { fail, rtnl, type Words } from '../words.ts'
import { address, asJson, type Context, colons, device, prefix, refuse6 } from './context.ts'

const USAGE = 255

const states: Readonly<Record<string, number>> = {
  permanent: NUD_PERMANENT,
  reachable: NUD_REACHABLE,
  noarp: NUD_NOARP,
  none: 0,
  stale: NUD_STALE,
  incomplete: NUD_INCOMPLETE,
  delay: NUD_DELAY,
  probe: NUD_PROBE,
  failed: NUD_FAILED,
}
const order = ['incomplete', 'reachable', 'stale', 'delay', 'probe', 'failed', 'noarp', 'permanent']

/** `ip neigh add|change|replace|delete|show|flush` */
export function ipNeighbour(c: Context, w: Words): string {
  const what = w.done ? 'show' : w.next()
  if (c.family === 6) fail('"ip -6 neigh" is not there on this host.')
  if ('add'.startsWith(what)) return change(c, w, NLM_F_CREATE | NLM_F_EXCL)
  if ('change'.startsWith(what) || what === 'chg') return change(c, w, NLM_F_REPLACE)
  if ('replace'.startsWith(what)) return change(c, w, NLM_F_CREATE | NLM_F_REPLACE)
  if ('delete'.startsWith(what)) return change(c, w, null)
  if ('show'.startsWith(what) || 'lst'.startsWith(what) || 'list'.startsWith(what)) return show(c, w)
  if ('flush'.startsWith(what)) return flush(c, w)
  if ('get'.startsWith(what)) fail('"ip neigh get" is not there on this host.')
  fail(`Command "${what}" is unknown, try "ip neigh help".`, USAGE)
}

/** `flags` null: delete */
function change(c: Context, w: Words, flags: number | null): string {
  let lladdr: Uint8Array | null = null
  let state = NUD_PERMANENT
  let dst: number | null = null
  let dev: string | null = null
  let router = false
  while (!w.done) {
    const word = w.next()
    if (word === 'lladdr') lladdr = w.lladdr()
    else if (word === 'nud') {
      const s = w.next()
      const v = Object.hasOwn(states, s) ? states[s] : /^\d+$/.test(s) ? Number(s) : undefined
      if (v === undefined) w.invalid(s, 'nud state is bad')
      state = v
    } else if (word === 'dev') dev = w.next()
    else if (word === 'router') router = true
    else if (['proxy', 'extern_learn', 'managed', 'use', 'protocol'].includes(word))
      fail(`Error: "${word}" is not there on this host.`)
    else {
      if (word !== 'to') w.back()
      refuse6(w.peek)
      if (dst !== null) w.garbage('to', w.next())
      dst = address(w, 'any valid address')
    }
  }
  if (dev === null || dst === null) fail('Device and destination are required arguments.', USAGE)
  const d = device(c, dev)
  const to = dst
  rtnl(() =>
    flags === null ? neigh_delete(arp_tbl, d, to) : neigh_add(arp_tbl, d, to, lladdr, state, router ? NTF_ROUTER : 0, flags),
  )
  return ''
}

interface Wanted {
  dev: net_device | null
  to: { address: number; length: number } | null
  states: number | null
  unused: boolean
}

function filter(c: Context, w: Words): Wanted {
  const f: Wanted = { dev: null, to: null, states: null, unused: false }
  while (!w.done) {
    const word = w.next()
    if (word === 'dev') f.dev = device(c, w.next())
    else if (word === 'nud') {
      const s = w.next()
      const v = s === 'all' ? 0xffff : Object.hasOwn(states, s) ? states[s] : undefined
      if (v === undefined) w.invalid(s, 'nud state is bad')
      f.states = (f.states ?? 0) | v
    } else if (word === 'unused') f.unused = true
    else if (['proxy', 'vrf', 'master', 'nomaster', 'protocol'].includes(word))
      fail(`Error: "${word}" is not there on this host.`)
    else {
      if (word !== 'to') w.back()
      f.to = prefix(w)
    }
  }
  return f
}

function wanted(c: Context, f: Wanted): neighbour[] {
  const found: neighbour[] = []
  neigh_for_each(
    arp_tbl,
    (n: neighbour) => {
      if (n.dev.nd_net !== c.net || n.dev.flags & IFF_LOOPBACK) return
      if (f.dev !== null && n.dev !== f.dev) return
      // iproute2 leaves out what has no link-layer address to resolve
      if (f.states === null ? n.nud_state & NUD_NOARP || n.nud_state === 0 : !(n.nud_state & f.states)) return
      const key = n.primary_key as number
      if (f.to !== null && f.to.length > 0 && (key ^ f.to.address) >>> (32 - f.to.length) !== 0) return
      found.push(n)
    },
    null,
  )
  return found
}

function show(c: Context, w: Words): string {
  const found = wanted(c, filter(c, w))
  return c.json
    ? asJson(
        c,
        found.map((n) => rowOf(c, n)),
      )
    : found.map((n) => line(c, n)).join('')
}

interface Shown {
  dst: string
  dev: string
  lladdr: string | undefined
  refcnt: number | undefined
  used: number | undefined
  confirmed: number | undefined
  updated: number | undefined
  probes: number | undefined
  router: null | undefined
  state: string[]
}

function rowOf(c: Context, n: neighbour): Shown & { [key: string]: Json | undefined } {
  const age = (j: number): number | undefined => (c.stats > 0 ? Math.floor(Math.max(0, jiffies() - j) / HZ) : undefined)
  return {
    dst: dotted(n.primary_key as number),
    dev: n.dev.name,
    lladdr: n.nud_state & NUD_VALID ? colons(n.ha.subarray(0, 6)) : undefined,
    refcnt: c.stats > 0 ? n.refcnt - 1 || undefined : undefined,
    used: age(n.used),
    confirmed: age(n.confirmed),
    updated: age(n.updated),
    probes: c.stats > 0 ? n.probes : undefined,
    router: n.flags & NTF_ROUTER ? null : undefined,
    state: order.filter((s) => (states[s] ?? 0) & n.nud_state).map((s) => s.toUpperCase()),
  }
}

function line(c: Context, n: neighbour): string {
  const r = rowOf(c, n)
  let out = `${r.dst} dev ${r.dev} `
  if (r.lladdr !== undefined) out += `lladdr ${r.lladdr} `
  if (r.router === null) out += 'router '
  // as the real one prints it: nothing stands before "probes"
  if (c.stats > 0)
    out += `${r.refcnt === undefined ? '' : ` ref ${r.refcnt}`} used ${r.used}/${r.confirmed}/${r.updated}probes ${r.probes} `
  return `${out}${r.state.join(',')} \n`
}

function flush(c: Context, w: Words): string {
  if (w.done) fail('Flush requires arguments.')
  const f = filter(c, w)
  for (const n of wanted(c, f)) {
    if (f.states === null && n.nud_state & NUD_PERMANENT) continue
    rtnl(() => neigh_delete(arp_tbl, n.dev, n.primary_key))
  }
  return ''
}
