import type { Host } from '../../../host/host.ts'
import type { net_device } from '../../../kernel/include/linux/netdevice.ts'
import type { net } from '../../../kernel/include/net/net_namespace.ts'
import { __dev_get_by_name } from '../../../kernel/net/core/dev.ts'
import { ipv4 } from '../../scenario.ts'
import { type Json, json } from '../json.ts'
import { fail, type Words } from '../words.ts'

/** What `ip` was told before its object. */
export interface Context {
  host: Host
  net: net
  /** 0 unless -4 or -6 */
  family: 0 | 4 | 6
  /** -s, -d: how often */
  stats: number
  details: number
  oneline: boolean
  brief: boolean
  numeric: boolean
  /** -j, -p */
  json: boolean
  pretty: boolean
}

/** what `ip -6` can do; there when IPv6 was loaded, see loadIpv6() */
export const ip6: {
  address: ((c: Context, w: Words, adding: boolean) => string) | null
  route: ((c: Context, w: Words, adding: boolean) => string) | null
  /** the addresses of a device */
  list: ((d: net_device) => Address6[]) | null
} = { address: null, route: null, list: null }

/** an IPv6 address as `ip addr` shows it: `fd00::1/64` */
export interface Address6 {
  text: string
  /** RT_SCOPE_* */
  scope: number
  nodad: boolean
}

/** @throws CommandFailure when there is no such device */
export function device(c: Context, name: string): net_device {
  const dev = __dev_get_by_name(c.net, name)
  if (dev === null) fail(`Cannot find device "${name}"`)
  return dev
}

/** the namespace that `netns NAME` or `netns PID` names; null when there is none */
export function netnsOf(host: Host, name: string): net | null {
  // process 1 lives in the host's own
  if (name === '1') return host.netns('')
  return name !== '' && host.netnsNames().includes(name) ? host.netns(name) : null
}

export const colons = (a: Uint8Array): string => [...a].map((b) => b.toString(16).padStart(2, '0')).join(':')

interface Prefix {
  address: number
  length: number
  /** a length was written */
  explicit: boolean
}

const ip6Text = /^[0-9a-f]*:[0-9a-f:.]*(\/\d+)?$/i

/** an address of IPv6 where only IPv4 is meant is named, not misread */
export function refuse6(word: string): void {
  if (ip6Text.test(word))
    fail(`Error: an IPv4 address is expected here rather than "${word}"; on this host "ip -6" has addr, and route add and del.`)
}

/** 10.0.0.0/24, 10.0.0.1, default, any, all; a short 10/8 is filled up with zeros as iproute2 does */
export function prefix(w: Words, kind = 'any valid prefix'): Prefix {
  const word = w.next()
  if (word === 'default' || word === 'any' || word === 'all') return { address: 0, length: 0, explicit: false }
  refuse6(word)
  const [text = '', bits] = word.split('/')
  const parts = text.split('.')
  const address = parts.length <= 4 ? ipv4([...parts, '0', '0', '0'].slice(0, 4).join('.')) : null
  let length = 32
  if (bits !== undefined) length = /^\d+$/.test(bits) ? Number(bits) : (maskLength(bits) ?? -1)
  if (address === null || text === '' || parts.some((p) => p === '') || length < 0 || length > 32)
    fail(`Error: ${kind} is expected rather than "${word}".`)
  return { address, length, explicit: bits !== undefined }
}

/** 255.255.255.0 as a length */
function maskLength(text: string): number | null {
  const m = ipv4(text)
  if (m === null) return null
  const n = Math.clz32(~m >>> 0)
  return n === 32 || (m << n) >>> 0 === 0 ? n : null
}

/** an IPv4 address, as a number; `default`, `any` and `all` are 0 */
export function address(w: Words, kind = 'inet address'): number {
  const word = w.next()
  if (word === 'default' || word === 'any' || word === 'all') return 0
  refuse6(word)
  const a = ipv4(word)
  if (a === null) fail(`Error: ${kind} is expected rather than "${word}".`)
  return a
}

/** what a command shows, as -j and -p have it */
export const asJson = (c: Context, rows: readonly Json[]): string => `${json(rows, c.pretty)}\n`
