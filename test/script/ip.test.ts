import { beforeAll, describe, expect, it } from 'vitest'
import { Host } from '../../src/host/host.ts'
import { commandsOf, type HostCommand, loadCommands } from '../../src/script/command.ts'

let ip: HostCommand
beforeAll(async () => {
  const command = (await loadCommands(['ip'])).get('ip')
  if (command === undefined) throw new Error('no ip')
  ip = command
})

/** runs lines on one host; what the last printed, or its error */
function run(...lines: string[]): string {
  const host = new Host({})
  let last = ''
  for (const line of lines) {
    const r = ip(host, line.split(' '), '')
    host.runDue()
    last = r.stdout + r.stderr + (r.status === 0 ? '' : `[${r.status}]`)
  }
  return last
}

const pair = ['ip link add eth0 type veth peer name eth0 netns peer', 'ip addr add 10.0.0.1/24 dev eth0', 'ip link set eth0 up']
const both = [...pair, 'ip -n peer addr add 10.0.0.2/24 dev eth0', 'ip -n peer link set eth0 up']

describe('ip', () => {
  it('makes a veth pair whose link comes with the second end', () => {
    expect(run(...pair, 'ip link show eth0')).toContain('2: eth0@if2: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue')
    expect(run(...both, 'ip link show eth0')).toContain('<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP')
  })
  it('shows addresses as iproute2 does', () => {
    expect(
      run(...both, 'ip -4 addr show dev eth0')
        .split('\n')
        .slice(1),
    ).toEqual(['    inet 10.0.0.1/24 scope global eth0', '       valid_lft forever preferred_lft forever', ''])
  })
  it('adds, shows and refuses routes', () => {
    const routes = [...both, 'ip route add default via 10.0.0.2', 'ip route add unreachable 10.8.0.0/16']
    expect(run(...routes, 'ip route')).toBe(
      'default via 10.0.0.2 dev eth0 \n10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.1 \nunreachable 10.8.0.0/16 \n',
    )
    expect(run(...routes, 'ip route add default via 10.0.0.2')).toBe('RTNETLINK answers: File exists\n[2]')
    expect(run(...routes, 'ip route add 1.0.0.0/8 via 9.9.9.9')).toBe('Error: Nexthop has invalid gateway.\n[2]')
    expect(run(...routes, 'ip route get 10.8.0.1')).toBe('RTNETLINK answers: No route to host\n[2]')
  })
  it('keeps rules by preference', () => {
    expect(run('ip rule add fwmark 1 table 100', 'ip rule')).toBe(
      '0:\tfrom all lookup local\n32765:\tfrom all fwmark 0x1 lookup 100\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n',
    )
  })
  it('keeps neighbours', () => {
    expect(run(...both, 'ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev eth0', 'ip neigh')).toBe(
      '10.0.0.7 dev eth0 lladdr 02:00:00:00:00:07 PERMANENT \n',
    )
  })
  it('says what is wrong in the words of iproute2', () => {
    expect(run('ip link set nosuch up')).toBe('Cannot find device "nosuch"\n[1]')
    expect(run('ip foo')).toBe('Object "foo" is unknown, try "ip help".\n[1]')
    expect(run('ip link add d type foo')).toBe('Error: Unknown device type.\n[2]')
    expect(run(...pair, 'ip link set eth0 mtu 20')).toBe('Error: mtu less than device minimum.\n[2]')
    expect(run(...pair, 'ip addr add 10.0.0.1/24 dev eth0')).toBe('Error: ipv4: Address already assigned.\n[2]')
    expect(run('ip -n nobody link')).toContain('Cannot open network namespace "nobody"')
  })
  it('moves a device into a namespace that it made', () => {
    const lines = ['ip link add dummy0 type dummy', 'ip netns add x', 'ip link set dummy0 netns x']
    expect(run(...lines, 'ip -n x -br link show dummy0')).toMatch(/^dummy0 +DOWN /)
    expect(run(...lines, 'ip link show dummy0')).toBe('Device "dummy0" does not exist.\n[1]')
  })
  it('knows the commands that a line names', () => {
    expect(commandsOf(['ip', 'netns', 'exec', 'peer', 'nft', 'list'])).toEqual(['ip', 'nft'])
  })
})
