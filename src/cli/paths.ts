import { type Command, Option } from 'commander'
import { Output } from '../formats/output.ts'
import { UsageError } from './errors.ts'
import { features, gather, size, wholeNumber } from './options.ts'

interface PathsOptions {
  bytes: number
  device: 'e1000' | 'virtio_net'
  mtu: number
  offload: string[]
  set: string[]
  ways?: string
  json: boolean
  output?: string
  seed: number
}

/** `skbtrace paths` */
export function addPaths(program: Command): void {
  const c = program
    .command('paths')
    .description('compare the ways to send the same bytes: what each costs, in one table')
    .option('--bytes <n>', 'so many bytes (64K by default)', size(1, 1 << 20), 65536)
    .addOption(new Option('--device <driver>', 'the card').choices(['e1000', 'virtio_net']).default('e1000'))
    .option('--mtu <n>', 'of both ends (default 1500)', wholeNumber(576, 1500), 1500)
    .option('--offload <features>', "tso=off,tx=off,...: ethtool's names", features, [])
    .option('--set <command>', 'a command of the host, before (repeatable): --set "tc ..."', gather, [])
    .option('--ways <names>', 'only these, with commas')
    .option('--json', 'for programs', false)
    .option('-o, --output <file>', 'write there instead of standard output')
    .option('--seed <n>', 'of everything that is random (default 1)', wholeNumber(0, 0xffffffff), 1)
  c.addHelpText(
    'after',
    () =>
      '\nThe ways: send, zerocopy and sendfile on a TCP connection; udp; udp_segment;\npacket (AF_PACKET); bypass (the program drives the card itself).',
  )
  c.action(async (o: PathsOptions) => {
    await paths(o)
  })
}

async function paths(o: PathsOptions): Promise<void> {
  const { ways } = await import('./paths/ways.ts')
  const wanted = o.ways?.split(',').map((w) => w.trim())
  const unknown = wanted?.find((w) => !ways.some((x) => x.name === w))
  if (unknown !== undefined) throw new UsageError(`--ways ${unknown}: there are ${ways.map((w) => w.name).join(', ')}`)
  const setting = { bytes: o.bytes, device: o.device, mtu: o.mtu, offload: o.offload.join(' '), set: o.set, seed: o.seed }
  const rows = []
  for (const way of ways)
    if (wanted === undefined || wanted.includes(way.name)) rows.push({ way, result: await way.run(setting) })
  const { asJson, table } = await import('./paths/table.ts')
  const out = o.output === undefined ? Output.stdout() : Output.open(o.output)
  out.write(o.json ? asJson(setting, rows) : table(setting, rows))
  out.finish()
}
