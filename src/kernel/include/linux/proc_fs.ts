import type { net } from '../net/net_namespace.ts'
import { core_initcall } from './init.ts'

/** files of /proc/net by name: each says what a reader gets, or null where it is not there in that namespace */
let files = new Map<string, (n: net) => string | null>()
core_initcall(() => {
  files = new Map()
})

/** proc_create_net_single() */
export function proc_create_net(name: string, show: (n: net) => string | null): void {
  files.set(name, show)
}
export const proc_net_names = (n: net): string[] => [...files].flatMap(([name, show]) => (show(n) === null ? [] : [name])).sort()
/** @returns null when there is no such file */
export const proc_net_read = (n: net, name: string): string | null => files.get(name)?.(n) ?? null

/** seq_setwidth() and seq_pad(): a line of a fixed width */
export const seq_line = (text: string, width: number): string => `${text.padEnd(width)}\n`
/** printf's %0<n>X */
export const hex = (v: number, width: number): string => (v >>> 0).toString(16).toUpperCase().padStart(width, '0')
/** an IPv4 address as its bytes lie in memory, %08X of a little-endian machine */
export const be32 = (a: number): string => hex(((a & 0xff) << 24) | ((a & 0xff00) << 8) | ((a >>> 8) & 0xff00) | (a >>> 24), 8)
