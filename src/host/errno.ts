import * as errno from '../kernel/include/linux/errno.ts'

let names: Map<number, string> | null = null

/** `EPIPE` for 32; the number itself where Linux has no name for it */
export function errnoName(value: number): string {
  if (names === null) {
    names = new Map()
    for (const [name, value] of Object.entries(errno)) if (!names.has(value)) names.set(value, name)
  }
  return names.get(value) ?? String(value)
}
