import type { Statement } from './scenario.ts'

/** kernel modules that are loaded when somebody names what they bring: the word, and where their code is */
const modules: readonly (readonly [word: RegExp, load: () => Promise<unknown>])[] = [
  [/\bdefault_qdisc\b/, () => import('./commands/tc/disciplines.ts')],
  [/\bbbr\b/, () => import('../kernel/net/ipv4/tcp_bbr.ts')],
  [/\bAF_PACKET\b/, () => import('../kernel/net/packet/af_packet.ts')],
  [/\bIPPROTO_ICMP\b/, () => import('../kernel/net/ipv4/ping_sock.ts')],
  [/\bvxlan\b/, () => import('./commands/ip/vxlan.ts')],
]

/** Makes the code ready of whatever module the texts (lines of a scenario, values of options) name, so that the kernel can insert it. */
export async function loadModules(texts: Iterable<string>): Promise<void> {
  const found = new Set<() => Promise<unknown>>()
  for (const text of texts) for (const [word, load] of modules) if (word.test(text)) found.add(load)
  await Promise.all([...found].map((load) => load()))
}

/** all of them */
export async function loadAllModules(): Promise<void> {
  // one after the other: they share modules that import each other, and not every loader finds its way through that twice at a time
  for (const [, load] of modules) await load()
}

/** the texts of a scenario that may name a module */
export const textsOf = (statements: readonly Statement[]): string[] => statements.map((s) => s.text)
