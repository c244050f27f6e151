import { load_modules } from '../../../kernel/include/linux/init.ts'
import type { net } from '../../../kernel/include/net/net_namespace.ts'
import { proc_net_read } from '../proc_net.ts'

/** the number behind a word of a line of /proc/net/sockstat, 0 when it is not there */
function number(text: string | null, line: string, word: string): number {
  const l = text?.split('\n').find((x) => x.startsWith(`${line}:`))
  return Number(new RegExp(`\\b${word} (-?\\d+)`).exec(l ?? '')?.[1] ?? 0)
}

/** `ss -s`, out of the files that the real one reads */
export function summary(n: net): string {
  load_modules()
  const four = proc_net_read(n, 'sockstat')
  const six = proc_net_read(n, 'sockstat6')
  const inuse = (name: string): [number, number] => [number(four, name, 'inuse'), number(six, `${name}6`, 'inuse')]
  const tcp = inuse('TCP')
  const udp = inuse('UDP')
  const raw = inuse('RAW')
  const frag = inuse('FRAG')
  const alloc = number(four, 'TCP', 'alloc')
  const tw = number(four, 'TCP', 'tw')
  const row = (name: string, [a, b]: [number, number]): string =>
    `${name}\t  ${[a + b, a, b].map((v) => String(v).padEnd(9)).join(' ')}\n`
  return (
    `Total: ${number(four, 'sockets', 'used')}\n` +
    `TCP:   ${alloc + tw} (estab ${n.mib.tcp.CurrEstab}, closed ${Math.max(0, alloc - (tcp[0] + tcp[1] - tw))}, ` +
    `orphaned ${number(four, 'TCP', 'orphan')}, timewait ${tw})\n\n` +
    `Transport Total     IP        IPv6\n` +
    row('RAW', raw) +
    row('UDP', udp) +
    row('TCP', tcp) +
    row('INET', [tcp[0] + udp[0] + raw[0], tcp[1] + udp[1] + raw[1]]) +
    row('FRAG', frag) +
    '\n'
  )
}
