import { loadModules, textsOf } from './modules.ts'
import type { Statement } from './scenario.ts'

/** Whether a scenario has anything to do with IPv6: a host is given it only then. */
export const wantsIpv6 = (statements: readonly Statement[]): boolean =>
  statements.some(
    (s) => s.text.includes('AF_INET6') || (s.kind === 'command' && (s.words.includes('-6') || /\bnet[./]ipv6\b/.test(s.text))),
  )

/** some command reads what the kernel shows below /proc */
const showsFiles = (statements: readonly Statement[]): boolean =>
  statements.some((s) => s.kind === 'command' && s.words.some((w) => ['cat', 'nstat', 'ss', 'sysctl'].includes(w)))

/**
 * What brings IPv6 up on the host that was made last; null when the scenario needs none. Its code is loaded only here, and that of
 * the kernel modules that the scenario names.
 */
export async function loadIpv6(statements: readonly Statement[]): Promise<(() => void) | null> {
  await loadModules(textsOf(statements))
  if (!wantsIpv6(statements)) return null
  const [{ inet6_init }, commands, { ip6 }] = await Promise.all([
    import('../kernel/net/ipv6/af_inet6.ts'),
    import('./commands/ip6.ts'),
    import('./commands/ip/context.ts'),
    showsFiles(statements) ? import('./commands/proc_ipv6.ts') : null,
  ])
  ip6.address = commands.changeAddress6
  ip6.route = commands.changeRoute6
  ip6.list = commands.addresses6
  return inet6_init
}

/** the 16 bytes of an address as people write it, null when it is none */
export function parseIn6(text: string): Uint8Array | null {
  let s = text
  const v4 = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(s)
  if (v4 !== null) {
    const b = v4.slice(2).map(Number)
    if (b.some((n) => n > 255)) return null
    const word = (i: number): string => (((b[i] ?? 0) << 8) | (b[i + 1] ?? 0)).toString(16)
    s = `${v4[1]}${word(0)}:${word(2)}`
  }
  const halves = s.split('::')
  if (halves.length > 2) return null
  const words = halves.map((h) => (h === '' ? [] : h.split(':')))
  if (words.flat().some((w) => !/^[0-9a-fA-F]{1,4}$/.test(w))) return null
  const [head = [], tail = []] = words
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null
  const out = new Uint8Array(16)
  const put = (w: string, i: number): void => {
    const n = Number.parseInt(w, 16)
    out[2 * i] = n >> 8
    out[2 * i + 1] = n
  }
  head.forEach(put)
  tail.forEach((w, i) => {
    put(w, 8 - tail.length + i)
  })
  return out
}
