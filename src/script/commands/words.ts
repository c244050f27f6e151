import { errnoName } from '../../host/errno.ts'
import { ext_ack } from '../../kernel/include/linux/netlink.ts'

/** A command ends here: what it says on standard error, and its exit status. */
export class CommandFailure extends Error {
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

/** @throws CommandFailure */
export function fail(message: string, status = 1): never {
  throw new CommandFailure(message, status)
}

/** strerror(3) for what these commands meet */
const strerror: Readonly<Record<string, string>> = {
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  ESRCH: 'No such process',
  EACCES: 'Permission denied',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  ENODEV: 'No such device',
  ENFILE: 'Too many open files in system',
  EINVAL: 'Invalid argument',
  ENOSPC: 'No space left on device',
  ERANGE: 'Numerical result out of range',
  ELOOP: 'Too many levels of symbolic links',
  ENOMEM: 'Cannot allocate memory',
  ENXIO: 'No such device or address',
  EXDEV: 'Invalid cross-device link',
  EOPNOTSUPP: 'Operation not supported',
  EAFNOSUPPORT: 'Address family not supported by protocol',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  ENETDOWN: 'Network is down',
  ENETUNREACH: 'Network is unreachable',
  ENOBUFS: 'No buffer space available',
  ENOTCONN: 'Transport endpoint is not connected',
  EHOSTUNREACH: 'No route to host',
  EAGAIN: 'Resource temporarily unavailable',
}
/** strerror(3) */
export const errorText = (errno: number): string => strerror[errnoName(errno)] ?? `Unknown error ${errno}`

/**
 * Makes a request of the kernel and says of its error what iproute2 says: the kernel's own words where it had some.
 * @param request returns 0 or more, or a negative errno
 * @throws CommandFailure with status 2
 */
export function rtnl(request: () => number): void {
  ext_ack.msg = ''
  const err = request()
  if (err >= 0) return
  const { msg } = ext_ack
  fail(msg === '' ? `RTNETLINK answers: ${errorText(-err)}` : `Error: ${msg}${msg.endsWith('.') ? '' : '.'}`, 2)
}

/** iproute2 exits with -1 for a mistake on the command line */
const USAGE = 255

/** The words of a command line, read from left to right as iproute2 does. Mistakes are told in its words. */
export class Words {
  readonly #words: readonly string[]
  #at: number

  constructor(words: readonly string[], at = 0) {
    this.#words = words
    this.#at = at
  }

  get done(): boolean {
    return this.#at >= this.#words.length
  }
  /** the next word, which stays there; '' at the end */
  get peek(): string {
    return this.#words[this.#at] ?? ''
  }
  get rest(): string[] {
    return this.#words.slice(this.#at)
  }

  /** takes the next word */
  next(): string {
    const w = this.#words[this.#at]
    if (w === undefined) fail('Command line is not complete. Try option "help"', USAGE)
    this.#at++
    return w
  }

  /** takes the next word if it is one of these */
  take(...names: string[]): boolean {
    if (this.done || !names.includes(this.peek)) return false
    this.#at++
    return true
  }

  back(): void {
    this.#at--
  }

  invalid(word: string, what: string): never {
    fail(`Error: argument "${word}" is wrong: ${what}`, USAGE)
  }
  garbage(keyword: string, word: string): never {
    fail(`Error: either "${keyword}" is duplicate, or "${word}" is a garbage.`, USAGE)
  }

  /** a whole number of 32 bits */
  number(what: string): number {
    const w = this.next()
    const v = /^(0x[0-9a-f]+|\d+)$/i.test(w) ? Number(w) : Number.NaN
    if (!(v <= 0xffffffff)) this.invalid(w, what)
    return v
  }

  onOff(keyword: string): boolean {
    const w = this.next()
    if (w !== 'on' && w !== 'off') fail(`Error: argument of "${keyword}" must be "on" or "off", not "${w}"`, USAGE)
    return w === 'on'
  }

  /** a link-layer address */
  lladdr(): Uint8Array {
    const w = this.next()
    const parts = w.split(':')
    if (parts.length !== 6 || parts.some((p) => !/^[0-9a-f]{1,2}$/i.test(p))) fail(`"${w}" is invalid lladdr.`, 1)
    return Uint8Array.from(parts, (p) => Number.parseInt(p, 16))
  }
}

/**
 * A command out of those that begin with what was typed: iproute2 takes any prefix, and the first in its list that fits.
 * @returns null when none does
 */
export function byPrefix<T>(list: readonly (readonly [string, T])[], word: string): T | null {
  return list.find(([name]) => name.startsWith(word))?.[1] ?? null
}
