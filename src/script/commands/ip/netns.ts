import { fail, type Words } from '../words.ts'
import { asJson, type Context } from './context.ts'

/** `ip netns list|add|delete|identify` */
export function ipNetns(c: Context, w: Words): string {
  const what = w.done ? 'list' : w.next()
  if ('list'.startsWith(what) || what === 'show') {
    const names = c.host.netnsNames()
    return c.json
      ? asJson(
          c,
          names.map((name) => ({ name })),
        )
      : names.map((n) => `${n}\n`).join('')
  }
  if ('add'.startsWith(what)) {
    const name = w.next()
    if (!c.host.addNetns(name)) fail(`Cannot create namespace file "/run/netns/${name}": File exists`)
    return ''
  }
  if ('delete'.startsWith(what)) {
    const name = w.next()
    if (!c.host.deleteNetns(name)) fail(`Cannot remove namespace file "/run/netns/${name}": No such file or directory`)
    return ''
  }
  if ('identify'.startsWith(what)) return c.net.name === '' ? '' : `${c.net.name}\n`
  if (what === 'set' || ['attach', 'pids', 'monitor', 'list-id'].some((o) => o.startsWith(what)))
    fail(`"ip netns ${what}" is not there on this host.`)
  fail(`Command "${what}" is unknown, try "ip netns help".`, 255)
}
