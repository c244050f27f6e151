import { expect, test } from 'vitest'
import { play } from '../support/play.ts'

const sockets = (address: string, peer: string): string => `r = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)${peer}
bind(r, [${address}]:5000)${peer}
u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)
sendto(u, 1, 0, [${address}]:5000)
sleep_ms(2000)
recv(r, 9000, 0)${peer}
`
const hosts = (device: string): string => `${device}
ip -6 addr add fd00::1/64 dev eth0 nodad
ip link set eth0 up
ip -n peer -6 addr add fd00::2/64 dev eth0 nodad
ip -n peer link set eth0 up
sleep_ms(4000)
${sockets('fd00::2', ' @peer')}`

test.each([
  ['lo', sockets('::1', ''), '::1', ''],
  ['veth', hosts('ip link add eth0 type veth peer name eth0 netns peer'), 'fd00::2', ' @peer'],
  ['e1000', hosts('hw eth0 e1000'), 'fd00::2', ' @peer'],
  ['virtio_net', hosts('hw eth0 virtio_net'), 'fd00::2', ' @peer'],
])('UDP_SEGMENT over IPv6 and %s: one call, three datagrams', async (_, setup, address, peer) => {
  await play(setup, null, ({ line }) => {
    line(setup)
    expect(line(`sendmsg(u, 2500, 0, [${address}]:5000, UDP_SEGMENT=1000)`)).toBe('2500')
    line('sleep_ms(100)')
    const sizes = [1, 2, 3, 4].map(() => line(`recv(r, 9000, MSG_DONTWAIT)${peer}`))
    expect(sizes).toEqual(['1000', '1000', '500', '-1 EAGAIN'])
    // who asked for joined datagrams gets them joined
    line(`setsockopt(r, SOL_UDP, UDP_GRO, 1)${peer}`)
    if (address === '::1') {
      line(`sendmsg(u, 2500, 0, [${address}]:5000, UDP_SEGMENT=1000)`)
      expect(line(`recv(r, 9000, MSG_DONTWAIT)${peer}`)).toBe('2500')
    }
  })
})
