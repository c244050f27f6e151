import { beforeAll, describe, expect, it } from 'vitest'
import { Host } from '../../src/host/host.ts'
import { type HostCommand, loadCommands } from '../../src/script/command.ts'

let commands: ReadonlyMap<string, HostCommand>
beforeAll(async () => {
  commands = await loadCommands(['hw', 'tc', 'ethtool'])
})

/** runs lines on a host with two e1000 cards; what the last printed, or its error and status */
function run(...lines: string[]): string {
  const host = new Host()
  let last = ''
  for (const line of ['hw eth0 e1000', ...lines]) {
    const words = line.split(' ')
    const command = commands.get(words[0] ?? '')
    if (command === undefined) throw new Error(line)
    const r = command(host, words, '')
    last = r.stdout + r.stderr.trimEnd() + (r.status === 0 ? '' : ` [${r.status}]`)
  }
  return last
}

describe('tc qdisc', () => {
  it('shows what devices have by default', () => {
    expect(run('tc qdisc show')).toBe(
      'qdisc noqueue 0: dev lo root refcnt 2 \n' +
        'qdisc fq_codel 0: dev eth0 root refcnt 2 limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64 \n',
    )
  })

  it.each([
    ['pfifo_fast', 'qdisc pfifo_fast 8001: root refcnt 2 bands 3 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1\n'],
    ['pfifo limit 10', 'qdisc pfifo 8001: root refcnt 2 limit 10p\n'],
    ['tbf rate 1mbit burst 5kb latency 400ms', 'qdisc tbf 8001: root refcnt 2 rate 1Mbit burst 5Kb lat 400ms \n'],
    ['netem delay 10ms 2ms loss 1%', 'qdisc netem 8001: root refcnt 2 limit 1000 delay 10ms  2ms loss 1%\n'],
    [
      'fq_codel limit 100 noecn',
      'qdisc fq_codel 8001: root refcnt 2 limit 100p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb drop_batch 64 \n',
    ],
    ['prio', 'qdisc prio 8001: root refcnt 2 bands 3 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1\n'],
    ['noqueue', 'qdisc noqueue 8001: root refcnt 2 \n'],
  ])('replace dev eth0 root %s', (kind, shown) => {
    expect(run(`tc qdisc replace dev eth0 root ${kind}`, 'tc qdisc show dev eth0')).toBe(shown)
  })

  it('goes back to the default when the root is deleted', () => {
    expect(run('tc qdisc add dev eth0 root fq', 'tc qdisc del dev eth0 root', 'tc qdisc show dev eth0')).toContain(
      'qdisc fq_codel 0:',
    )
  })

  it.each([
    ['tc qdisc del dev eth0 root', 'Error: Cannot delete qdisc with handle of zero. [2]'],
    ['tc qdisc show dev nope', 'Cannot find device "nope" [1]'],
    ['tc qdisc add dev eth0 root foo', 'Unknown qdisc "foo", hence option "" is unparsable [1]'],
    ['tc qdisc add dev eth0 root tbf rate 1mbit', '"burst" is required. [255]'],
    ['tc qdisc add dev eth0 parent 1:1 fq', 'Error: Failed to find specified qdisc. [2]'],
    ['tc qdisc change dev eth0 root fq', 'Error: Qdisc not found. To create specify NLM_F_CREATE flag. [2]'],
  ])('%s is refused in the words of iproute2', (line, error) => {
    expect(run(line)).toBe(error)
  })

  it('adds only once', () => {
    expect(run('tc qdisc add dev eth0 root fq', 'tc qdisc add dev eth0 root fq')).toBe(
      'Error: Exclusivity flag on, cannot modify. [2]',
    )
  })

  it('makes classes and puts disciplines into them', () => {
    const setup = [
      'tc qdisc add dev eth0 root handle 1: htb default 10',
      'tc class add dev eth0 parent 1: classid 1:1 htb rate 1mbit ceil 2mbit',
      'tc class add dev eth0 parent 1:1 classid 1:10 htb rate 500kbit',
      'tc qdisc add dev eth0 parent 1:10 handle 10: netem delay 5ms',
    ]
    expect(run(...setup, 'tc class show dev eth0')).toBe(
      'class htb 1:1 root prio 0 rate 1Mbit ceil 2Mbit burst 1600b cburst 1600b \n' +
        'class htb 1:10 parent 1:1 leaf 10: prio 0 rate 500Kbit ceil 500Kbit burst 1600b cburst 1600b \n',
    )
    expect(run(...setup, 'tc qdisc show dev eth0')).toContain('qdisc netem 10: parent 1:10 limit 1000 delay 5ms\n')
    expect(run(...setup, 'tc class del dev eth0 classid 1:1')).toBe('Error: HTB class in use. [2]')
  })
})

describe('ethtool', () => {
  it('switches what depends on a feature with it', () => {
    const shown = run('ethtool -K eth0 sg off', 'ethtool -k eth0')
    expect(shown).toContain('scatter-gather: off\n')
    expect(shown).toContain('tcp-segmentation-offload: off\n')
    expect(shown).toContain('generic-segmentation-offload: off\n')
  })

  it('says what it could not do', () => {
    expect(run('ethtool -K eth0 lro on')).toBe(
      'Actual changes:\nrx-lro: off [requested on]\nCould not change any device features [1]',
    )
    expect(run('ethtool -K nope tso on')).toBe(
      'netlink error: no device matches name (offset 24)\nnetlink error: No such device [1]',
    )
  })
})
