import { expect, it } from 'vitest'
import { runScenario } from '../support/scenario.ts'

it('keeps what was agreed on in the timestamp when a SYN is answered with a cookie', async () => {
  const { printed } = await runScenario(`sysctl -w net.ipv4.tcp_syncookies=2
l = socket(AF_INET, SOCK_STREAM, 0)
bind(l, 127.0.0.1:8080)
listen(l, 8)
c = socket(AF_INET, SOCK_STREAM, 0)
connect(c, 127.0.0.1:8080)
s = accept(l)
send(c, 4096, 0)
ss -tineH`)
  // tcp(7): 2 answers every SYN so. RFC 7323 and RFC 2018: both ends have both options, or neither, and scale as the other end said
  const [accepted, connected] = [...(printed[1] ?? '').matchAll(/\b(ts\b.*?) wscale:(\d+),(\d+)/g)]
  expect(accepted?.[1]?.split(' ')).toContain('sack')
  expect(connected?.[1]?.split(' ')).toContain('sack')
  expect(accepted?.[1]).not.toContain('ecn')
  expect([accepted?.[2], accepted?.[3]]).toEqual([connected?.[3], connected?.[2]])
})
