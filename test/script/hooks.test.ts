import { expect, test } from 'vitest'
import { Host } from '../../src/host/host.ts'
import { loadCommands } from '../../src/script/command.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'

test('a rule that was there before a card was plugged in is still asked', async () => {
  const lines = parseScenario(`nft add table ip t
nft 'add chain ip t o { type filter hook output priority 0; policy drop; }'
hw eth0 virtio_net
u = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
> sendto(u, 100, 0, 127.0.0.1:5000)`)
  const commands = await loadCommands(['nft', 'hw'])
  const results: string[] = []
  new Runner(new Host(), { begin: () => {}, end: (r) => results.push(r) }, commands).run(lines)
  expect(results).toEqual(['-1 EPERM'])
})
