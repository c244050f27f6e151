import { wrap } from '../../formats/wrap.ts'
import type { Inspectable, RingView } from '../../hardware/card.ts'
import type { Host } from '../../host/host.ts'
import type { net_device } from '../../kernel/include/linux/netdevice.ts'
import type { SendOptions } from './options.ts'
import { deviceName, type Setup } from './setup.ts'

/** descriptors of each ring that are printed */
const LAST = 8

/** the card of a device whose driver keeps it, null for a device without one */
function cardOf(dev: net_device): Inspectable | null {
  const priv = dev.priv as { hw?: Inspectable; card?: Inspectable }
  return priv.hw ?? priv.card ?? null
}

function cards(host: Host, name: string): { title: string; card: Inspectable }[] {
  return ['', 'peer'].flatMap((netns) => {
    const dev = host.netns(netns).dev_name_head.get(name)
    const card = dev === undefined ? null : cardOf(dev)
    return card === null ? [] : [{ title: `${name}${netns === '' ? '' : ` in ${netns}`}`, card }]
  })
}

function ring(title: string, r: RingView): string {
  let out = `${title}, ${r.name} ring of ${r.size}: head ${r.head}, tail ${r.tail}\n`
  for (const d of r.descriptors) {
    const { type, ...rest } = d.fields
    const fields = Object.entries(rest).map(([name, value]) => `${name} ${value}`)
    const head = `#   ${`[${d.index}]`.padEnd(5)} ${type === undefined ? '' : `${String(type).padEnd(7)} `}`
    // what is printed is put behind comment signs by whoever prints it
    out += wrap(head, fields.join(', ')).replace(/^# /gm, '')
  }
  return out
}

/** as a table, four to a line */
function registers(title: string, list: ReadonlyMap<string, number>): string {
  const cells = [...list].map(([name, value]) => `${name} 0x${value.toString(16).padStart(8, '0')}`)
  const wide = Math.max(...cells.map((c) => c.length)) + 2
  const columns = Math.max(1, Math.floor(77 / wide))
  let out = `${title}, registers\n`
  for (let i = 0; i < cells.length; i += columns)
    out += `  ${cells
      .slice(i, i + columns)
      .map((c) => c.padEnd(wide))
      .join('')
      .trimEnd()}\n`
  return out
}

/** What `--show` asks for, as text. */
export function show(host: Host, o: SendOptions, setup: Setup, what: string): string {
  const name = deviceName(o)
  if (what === 'rings')
    return cards(host, name)
      .flatMap(({ title, card }) => card.rings(LAST).map((r) => ring(title, r)))
      .join('')
  if (what === 'registers')
    return cards(host, name)
      .map(({ title, card }) => registers(title, card.registers()))
      .join('')
  return `$ ${what}\n${setup.run(host, what)}`
}
