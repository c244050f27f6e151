/** what two hosts may be joined by */
export type Driver = 'veth' | 'e1000' | 'virtio_net'
export const drivers: readonly Driver[] = ['veth', 'e1000', 'virtio_net']

/** milliseconds after which a card has its link and hears what comes, and what it says of itself then is said */
export const SETTLED_MS = 4000

/** What a user would type to join the host and `peer` by a device of that kind: eth0 on both, 10.0.0.1/24 here, 10.0.0.2/24 there. */
export const twoHosts = (driver: Driver): string[] => [
  driver === 'veth' ? 'ip link add eth0 type veth peer name eth0 netns peer' : `hw eth0 ${driver}`,
  'ip addr add 10.0.0.1/24 dev eth0',
  'ip link set eth0 up',
  'ip -n peer addr add 10.0.0.2/24 dev eth0',
  'ip -n peer link set eth0 up',
  // what a card says while its link comes up is behind them, and they hear each other
  ...(driver === 'veth' ? [] : [`sleep_ms(${SETTLED_MS})`]),
]
