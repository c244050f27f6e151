import type { Host } from '../../host/host.ts'
import { commandsOf, type HostCommand, loadCommands } from '../../script/command.ts'
import { cableOf } from '../../script/commands/hw.ts'
import { loadIpv6 } from '../../script/ipv6.ts'
import { type CommandStatement, parseLine, ScenarioError } from '../../script/scenario.ts'
import { SETTLED_MS } from '../../script/two_hosts.ts'
import { UsageError } from '../errors.ts'
import type { SendOptions } from './options.ts'

/** One command line, and the option that it comes from, '' for what a device needs anyhow. */
interface Line {
  readonly option: string
  readonly text: string
}

/** the device's name on both ends */
export const deviceName = (o: SendOptions): string => (o.device === 'lo' ? 'lo' : o.device === 'dummy' ? 'dummy0' : 'eth0')

const hasPeer = (o: SendOptions): boolean => o.device !== 'lo' && o.device !== 'dummy'

/** what a user would type to make the hosts that the options describe */
function lines(o: SendOptions, ipv6: boolean): Line[] {
  const dev = deviceName(o)
  const out: Line[] = []
  const add = (option: string, ...texts: string[]): void => {
    for (const text of texts) out.push({ option, text })
  }
  if (o.device === 'veth') add('', `ip link add ${dev} type veth peer name ${dev} netns peer`)
  else if (o.device === 'dummy') add('', `ip link add ${dev} type dummy`)
  else if (o.device !== 'lo') add('', `hw ${dev} ${o.device}`)
  if (o.mtu !== undefined) {
    const option = `--mtu ${o.mtu}`
    add(option, `ip link set dev ${dev} mtu ${o.mtu}`)
    if (hasPeer(o)) add(option, `ip -n peer link set dev ${dev} mtu ${o.mtu}`)
  }
  if (o.device !== 'lo') {
    add('', `ip addr add 10.0.0.1/24 dev ${dev}`, `ip link set ${dev} up`)
    if (ipv6) add('', `ip -6 addr add fd00::1/64 dev ${dev} nodad`)
  }
  if (hasPeer(o)) {
    add('', `ip -n peer addr add 10.0.0.2/24 dev ${dev}`, `ip -n peer link set ${dev} up`)
    if (ipv6) add('', `ip -n peer -6 addr add fd00::2/64 dev ${dev} nodad`)
  }
  if (o.qdisc !== undefined) add(`--qdisc '${o.qdisc}'`, `tc qdisc replace dev ${dev} root ${o.qdisc}`)
  if (o.offload.length > 0) {
    const pairs = o.offload.filter((_, i) => i % 2 === 0).map((name, i) => `${name}=${o.offload[2 * i + 1] ?? ''}`)
    add(`--offload ${pairs.join(',')}`, `ethtool -K ${dev} ${o.offload.join(' ')}`)
  }
  for (const text of o.set) add(`--set '${text}'`, text)
  return out
}

function parse({ option, text }: Line): CommandStatement {
  try {
    const s = parseLine(text, 1)
    if (s?.kind === 'command') return s
  } catch (e) {
    if (!(e instanceof ScenarioError)) throw e
    throw new UsageError(`${option}: ${e.message}`)
  }
  throw new UsageError(`${option}: it wants a command of the host, such as ip, tc, ethtool, nft`)
}

/** Commands that are ready to run, on any host. */
export interface Setup {
  /** makes the hosts what the options say */
  configure(host: Host): void
  /** what a command of --show prints, or complains of */
  run(host: Host, text: string): string
  /** the first command of --show that failed, and why; '' when none did */
  readonly refused: string
}

/**
 * Loads what the options need of the host's commands. `ipv6`: the host has it.
 * @throws UsageError for a command that is none
 */
export async function prepare(o: SendOptions, ipv6: boolean): Promise<Setup> {
  const setup = lines(o, ipv6).map((line) => ({ line, statement: parse(line) }))
  const shown = o.show
    .filter((text) => text !== 'rings' && text !== 'registers')
    .map((text) => parse({ option: `--show '${text}'`, text }))
  const all = [...setup.map((s) => s.statement), ...shown]
  const commands = await loadCommands(all.flatMap((s) => commandsOf(s.words)))
  const socket = ipv6 ? parseLine('s = socket(AF_INET6, SOCK_DGRAM, 0)', 1) : null
  const init6 = await loadIpv6(socket === null ? all : [socket, ...all])
  const command = (s: CommandStatement): HostCommand => {
    const f = commands.get(s.name)
    if (f === undefined) throw new UsageError(`'${s.name}' is not there`)
    return f
  }
  let refused = ''
  return {
    get refused() {
      return refused
    },
    configure(host) {
      init6?.()
      for (const { line, statement } of setup) {
        const { status, stderr } = command(statement)(host, statement.words, '')
        host.runDue()
        if (status !== 0)
          throw new UsageError(`${line.option === '' ? line.text : line.option}: ${stderr.trim() || `${statement.name} fails`}`)
      }
      // a link that comes up says so to all that want to know within a second or two
      if (o.device !== 'lo') host.sleep(SETTLED_MS)
      const { delay, loss, rate } = o
      if (delay !== undefined || loss !== undefined || rate !== undefined)
        cableOf(host, deviceName(o))?.set({
          seed: o.seed,
          ...(delay === undefined ? {} : { delay }),
          ...(loss === undefined ? {} : { loss }),
          ...(rate === undefined ? {} : { rate }),
        })
    },
    run(host, text) {
      const s = shown.find((c) => c.text === text.trim()) ?? parse({ option: `--show '${text}'`, text })
      const { status, stdout, stderr } = command(s)(host, s.words, '')
      host.runDue()
      if (status !== 0 && refused === '') refused = `--show '${text}': ${stderr.trim() || `${s.name} fails`}`
      return stdout + stderr
    },
  }
}
