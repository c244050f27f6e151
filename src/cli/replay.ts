import { type Command, Option } from 'commander'
import { addTraceOptions, gather, type TraceOptions } from './options.ts'

/** `skbtrace replay`'s own options. */
export interface ReplayOptions extends TraceOptions {
  device: string
  set: string[]
  before?: string
  acceptMac: boolean
}

/** `skbtrace replay FILE.pcap` */
export function addReplay(program: Command): void {
  const c = program
    .command('replay')
    .description("put a capture's frames before a device, and see what the kernel does with each")
    .argument('<file>', 'the capture (pcap or pcapng, also .gz or .zst); - is standard input')
    .optionsGroup('Where the frames come in:')
    .addOption(
      new Option('--device <device>', 'eth0 as one of these, or lo; 10.0.0.1/24 and fd00::1/64 are its addresses')
        .choices(['e1000', 'virtio_net', 'veth', 'lo', 'eth0'])
        .default('e1000'),
    )
    .option('--accept-mac', "give each frame that is for another host this device's MAC address", false)
    .option('--set <command>', "a command of the host before: 'ip addr add ...'", gather, [])
    .option('--before <file>', 'a scenario before: sockets that listen, routes, rules')
  addTraceOptions(c, 'text')
  c.addHelpText(
    'after',
    `
Frames come at the times of the capture. Each has a heading with what became
of it:
  skbtrace replay a.pcapng
  skbtrace replay a.pcap --accept-mac --set 'ip addr add 10.9.0.5/24 dev eth0'
  skbtrace send --bytes 100 -o a.pcap && skbtrace replay a.pcap --device lo`,
  )
  c.action(async (file: string, options: ReplayOptions) => {
    const { replay } = await import('./replay_capture.ts')
    await replay(file, options)
  })
}
