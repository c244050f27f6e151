import { load_modules } from '../../kernel/include/linux/init.ts'
import type { net_device } from '../../kernel/include/linux/netdevice.ts'
import { netif_carrier_ok, netif_running } from '../../kernel/net/core/dev.ts'
import { failed, type HostCommand, type Outcome, ok } from '../command.ts'
import { type Driver, driverOf } from './ethtool/driver.ts'
import { changeFeatures, showFeatures } from './ethtool/features.ts'
import { colons } from './ip/context.ts'
import { CommandFailure } from './words.ts'

const BAD = 'ethtool: bad command line argument(s)\nFor more information run ethtool -h\n'
const NO_DEVICE = 'netlink error: no device matches name (offset 24)\nnetlink error: No such device\n'
const NOT_SUPPORTED = 'netlink error: Operation not supported\n'

/** what the real one knows and a device here has not */
const absent = new Set(
  '-a -A -C -d -e -E -f -G -L -m -n -N -p -q -Q -r -s -t -T -u -U -w -W -x -X --cable-test --module-info --monitor --phy-statistics --show-eee --show-fec --show-priv-flags --show-time-stamping --statistics-all'.split(
    ' ',
  ),
)

type Handler = (d: net_device, driver: Driver | null, rest: readonly string[]) => Outcome

/** a handler, and how it says that there is no such device */
const handlers: Readonly<Record<string, { run: Handler; missing?: Outcome }>> = {
  k: { run: (d) => ok(showFeatures(d)) },
  K: { run: (d, _driver, rest) => (rest.length === 0 ? failed(BAD) : changeFeatures(d, rest)) },
  i: { run: (_d, driver) => info(driver), missing: failed('Cannot get driver information: No such device\n', 71) },
  S: { run: statistics, missing: failed('Cannot get stats strings information: No such device\n', 96) },
  g: { run: rings },
  l: { run: channels },
  c: { run: coalesce },
  P: { run: (d) => ok(permanent(d)) },
}
const options: Readonly<Record<string, string>> = {
  '-k': 'k',
  '--show-features': 'k',
  '--show-offload': 'k',
  '-K': 'K',
  '--features': 'K',
  '--offload': 'K',
  '-i': 'i',
  '--driver': 'i',
  '-S': 'S',
  '--statistics': 'S',
  '-g': 'g',
  '--show-ring': 'g',
  '-l': 'l',
  '--show-channels': 'l',
  '-c': 'c',
  '--show-coalesce': 'c',
  '-P': 'P',
  '--show-permaddr': 'P',
}

/** ethtool(8): what a device and its driver say of themselves, and the features that can be switched */
export const ethtool: HostCommand = (host, words, netns): Outcome => {
  load_modules()
  const [, first = '', ...others] = words
  if (first === '') return failed(BAD)
  if (absent.has(first)) return failed(`ethtool: the option '${first}' is not there on this host\n`)
  const letter = options[first]
  if (first.startsWith('-') && letter === undefined) return failed(BAD)
  const [name, ...rest] = letter === undefined ? [first, ...others] : others
  if (name === undefined) return failed(BAD)
  const dev = host.netns(netns).dev_name_head.get(name)
  const handler =
    letter === undefined ? { run: settings, missing: failed(`${NO_DEVICE}No data available\n`, 75) } : handlers[letter]
  if (handler === undefined) return failed(BAD)
  if (dev === undefined) return handler.missing ?? failed(NO_DEVICE)
  try {
    return handler.run(dev, driverOf(dev), rest)
  } catch (e) {
    if (e instanceof CommandFailure) return failed(`${e.message}\n`, e.status)
    throw e
  }
}

function settings(d: net_device, driver: Driver | null): Outcome {
  const link = `\tLink detected: ${netif_running(d) && netif_carrier_ok(d) ? 'yes' : 'no'}\n`
  if (driver?.port === undefined) return ok(`Settings for ${d.name}:\n${link}`)
  const card = driver.name === 'e1000'
  const modes = ['10baseT/Half 10baseT/Full', '100baseT/Half 100baseT/Full', '1000baseT/Full']
  const list = (title: string): string => `\t${title}${modes.join(`\n\t${' '.repeat(title.length)}`)}\n`
  const speed = driver.speed === null || driver.speed === undefined ? 'Unknown!' : `${driver.speed}Mb/s`
  const duplex = driver.speed === null || driver.speed === undefined ? 'Unknown! (255)' : 'Full'
  return ok(
    `Settings for ${d.name}:\n` +
      (card
        ? `\tSupported ports: [ TP ]\n${list('Supported link modes:   ')}\tSupported pause frame use: No\n\tSupports auto-negotiation: Yes\n` +
          `\tSupported FEC modes: Not reported\n${list('Advertised link modes:  ')}\tAdvertised pause frame use: No\n` +
          '\tAdvertised auto-negotiation: Yes\n\tAdvertised FEC modes: Not reported\n'
        : '\tSupported ports: [  ]\n\tSupported link modes:   Not reported\n\tSupported pause frame use: No\n' +
          '\tSupports auto-negotiation: No\n\tSupported FEC modes: Not reported\n\tAdvertised link modes:  Not reported\n' +
          '\tAdvertised pause frame use: No\n\tAdvertised auto-negotiation: No\n\tAdvertised FEC modes: Not reported\n') +
      `\tSpeed: ${speed}\n\tDuplex: ${duplex}\n\tAuto-negotiation: ${card ? 'on' : 'off'}\n\tPort: ${driver.port}\n\tPHYAD: 0\n` +
      `\tTransceiver: internal\n${driver.port === 'Twisted Pair' ? '\tMDI-X: Unknown\n' : ''}${link}`,
  )
}

function info(driver: Driver | null): Outcome {
  if (driver === null) return failed('Cannot get driver information: Operation not supported\n', 71)
  const yes = (v: boolean): string => (v ? 'yes' : 'no')
  const card = driver.name === 'e1000'
  return ok(
    `driver: ${driver.name}\nversion: ${driver.version}\nfirmware-version: ${driver.firmware}\nexpansion-rom-version: \n` +
      `bus-info: ${driver.bus}\nsupports-statistics: ${yes(driver.statistics !== undefined)}\nsupports-test: ${yes(card)}\n` +
      `supports-eeprom-access: ${yes(card)}\nsupports-register-dump: ${yes(card)}\nsupports-priv-flags: no\n`,
  )
}

function statistics(d: net_device, driver: Driver | null): Outcome {
  if (driver?.statistics === undefined) return failed('no stats available\n', 94)
  return ok(
    `NIC statistics:\n${driver
      .statistics(d)
      .map(([n, v]) => `     ${n}: ${v}\n`)
      .join('')}`,
  )
}

const orNone = (v: number | null | undefined): string => (v === null || v === undefined ? 'n/a' : String(v))

function rings(d: net_device, driver: Driver | null): Outcome {
  const r = driver?.rings?.(d)
  if (r === undefined) return failed(NOT_SUPPORTED)
  const block = ([rx, tx]: [number, number]): string => `RX:\t\t${rx}\nRX Mini:\tn/a\nRX Jumbo:\tn/a\nTX:\t\t${tx}\n`
  return ok(
    `Ring parameters for ${d.name}:\nPre-set maximums:\n${block(r.most)}Current hardware settings:\n${block(r.now)}` +
      'RX Buf Len:\t\tn/a\nCQE Size:\t\tn/a\nTX Push:\toff\nTCP data split:\tn/a\n',
  )
}

function channels(d: net_device, driver: Driver | null): Outcome {
  const c = driver?.channels?.(d)
  if (c === undefined) return failed(NOT_SUPPORTED)
  const block = (separate: number | null): string =>
    `RX:\t\t${orNone(separate)}\nTX:\t\t${orNone(separate)}\nOther:\t\tn/a\nCombined:\t${orNone(c.combined)}\n`
  const now = c.separate === null ? null : d.real_num_tx_queues
  return ok(`Channel parameters for ${d.name}:\nPre-set maximums:\n${block(c.separate)}Current hardware settings:\n${block(now)}`)
}

function coalesce(d: net_device, driver: Driver | null): Outcome {
  const c = driver?.coalesce
  if (c === undefined) return failed(NOT_SUPPORTED)
  const group = (names: string): string =>
    `${names
      .split(' ')
      .map((n) => `${n}: ${orNone(c[n])}\n`)
      .join('')}\n`
  return ok(
    `Coalesce parameters for ${d.name}:\nAdaptive RX: ${driver?.name === 'virtio_net' ? 'off' : 'n/a'}  TX: n/a\n` +
      group('stats-block-usecs sample-interval pkt-rate-low pkt-rate-high') +
      group('rx-usecs rx-frames rx-usecs-irq rx-frames-irq') +
      group('tx-usecs tx-frames tx-usecs-irq tx-frames-irq') +
      group('rx-usecs-low rx-frame-low tx-usecs-low tx-frame-low') +
      group('rx-usecs-high rx-frame-high tx-usecs-high tx-frame-high') +
      'CQE mode RX: n/a  TX: n/a\n\n',
  )
}

const permanent = (d: net_device): string =>
  `Permanent address: ${d.perm_addr.every((b) => b === 0) ? 'not set' : colons(d.perm_addr)}\n`
