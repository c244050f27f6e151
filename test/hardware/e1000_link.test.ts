import { expect, test } from 'vitest'
import { clock } from '../../src/sim/clock.ts'
import { play } from '../support/play.ts'

const setup = `hw eth0 e1000
ip addr add 10.0.0.1/24 dev eth0
ip -n peer addr add 10.0.0.2/24 dev eth0
r = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) @peer
bind(r, 10.0.0.2:5000) @peer
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
`
const send = 'sendto(u, 100, 0, 10.0.0.2:5000)'

/**
 * As recorded on Linux 6.12.117 with QEMU's card: after `ip link set eth0 mtu 1000` the first request for an address left 2.05 s later,
 * when the driver's watchdog had seen the link again.
 */
test('a change of the MTU takes the link away until the watchdog looks again, two seconds later', async () => {
  const out: { at: number; length: number }[] = []
  await play(
    setup,
    {
      enter: () => {},
      exit: () => {},
      frame: (device, netns, direction, skb) => {
        if (device === 'eth0' && netns === '' && direction === 'out') out.push({ at: clock.ns(), length: skb.len })
      },
      // what the queue is while there is no link belongs to no host: nothing of it is counted
      counters: () => {},
    },
    ({ line }) => {
      line(setup)
      line(send)
      // changes of a link are heeded once a second
      line('sleep_ms(1200)')
      expect(out.map((f) => f.length)).toEqual([42, 142])
      out.length = 0
      line('ip link set eth0 mtu 1000')
      const changed = clock.ns()
      expect(line(send)).toBe('100')
      line('sleep_ms(1900)')
      expect(out).toEqual([])
      line('sleep_ms(300)')
      expect(line(send)).toBe('100')
      const [first] = out
      expect(((first?.at ?? 0) - changed) / 1e9).toBeGreaterThan(2)
    },
  )
})

test('what comes within a second of a change of the receive control is taken after it', async () => {
  await play(setup, null, ({ line }) => {
    line(setup)
    line(send)
    line('sleep_ms(50)')
    expect(line('recv(r, 100, MSG_DONTWAIT) @peer')).toBe('100')
    // the filter is written, and with it the receive control
    line('ip -n peer link set eth0 promisc on')
    line(send)
    line('sleep_ms(900)')
    expect(line('recv(r, 100, MSG_DONTWAIT) @peer')).toBe('-1 EAGAIN')
    line('sleep_ms(200)')
    expect(line('recv(r, 100, MSG_DONTWAIT) @peer')).toBe('100')
  })
})
