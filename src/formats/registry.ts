import type { Format } from './format.ts'
import { FunctionGraph, type GraphOptions, type Paint } from './function_graph.ts'
import type { Output } from './output.ts'
import { SkbNotes } from './text.ts'

/** What a format is told: what the user wants to see, and what is known of the run. */
export interface FormatOptions {
  graph: GraphOptions
  hexdump: 'none' | 'wire' | 'layers' | 'full'
  /** colours, for what goes to a terminal */
  style: (Paint & { bold(text: string): string }) | null
  /** pcapng: frames where they pass a device, or buffers at each layer's probe point too */
  points: 'devices' | 'all'
  /** pcapng: frames of this network namespace only, '' for the host's own; of all when it is not said */
  netns?: string
  /** folded, speedscope: what the width of a frame means */
  weight: 'instructions' | 'calls' | 'bytes'
  /** mermaid (sequence, flow) and svg (geometry, headers, sequence); each has one of its own when it is not said */
  diagram?: 'sequence' | 'flow' | 'geometry' | 'headers'
  /** svg: the function at which a buffer is drawn, '' for the last one before a driver has it */
  at: string
  /** the command line, without the options that say where its output goes: `skbtrace send --bytes 10` */
  command: string
  /** of skbtrace */
  version: string
  /** the kernel that is simulated: `6.12.117` */
  kernel: string
  seed: number
  /** no process makes the calls that are shown: replay */
  wholeHost: boolean
}

/** One format: what it is called, and what file names mean it. See docs/architecture.md, "A format". */
export interface FormatEntry {
  readonly name: string
  /** of file names; the first is the usual one */
  readonly endings: readonly string[]
  /** not for a terminal */
  readonly binary: boolean
  /** it writes over bytes that it has written before: Output.patch */
  readonly patches?: boolean
  /** false: it prints no addresses of objects, unless --funcgraph-args or -retval ask for them */
  readonly addresses?: boolean
  /** a few words for --help */
  readonly what: string
  /** loads its code; the function makes one that writes to `out` */
  load(): Promise<(out: Output, options: FormatOptions) => Format>
}

/** the two that people read are part of the program itself: nothing is loaded for them */
const graph = (text: boolean) => async (): Promise<(out: Output, options: FormatOptions) => Format> => (out, o) => {
  const once = o.graph.fold && o.graph.detail === 'path'
  const notes = text ? new SkbNotes({ hexdump: o.hexdump, bold: o.style?.bold ?? ((t) => t), once }) : null
  const g = new FunctionGraph(out, o.graph, notes, o.style)
  g.heading()
  return g
}

export const registry: readonly FormatEntry[] = [
  {
    name: 'text',
    endings: ['.txt'],
    binary: false,
    addresses: false,
    what: 'the graph, and the buffers between its lines',
    load: graph(true),
  },
  {
    name: 'function_graph',
    endings: ['.graph'],
    binary: false,
    addresses: false,
    what: "as the kernel's tracer of that name prints",
    load: graph(false),
  },
  {
    name: 'jsonl',
    endings: ['.jsonl'],
    binary: false,
    what: 'every event, for other programs and for convert',
    load: async () => {
      const { Jsonl } = await import('./jsonl.ts')
      return (out, o) => new Jsonl(out, o)
    },
  },
  {
    name: 'pcapng',
    endings: ['.pcapng'],
    binary: true,
    addresses: false,
    what: 'the frames, for Wireshark',
    load: async () => {
      const { Pcapng } = await import('./pcapng.ts')
      return (out, o) => new Pcapng(out, o)
    },
  },
  {
    name: 'pcap',
    endings: ['.pcap'],
    binary: true,
    addresses: false,
    what: 'the frames, for what does not read pcapng',
    load: async () => {
      const { Pcap } = await import('./pcap.ts')
      return (out) => new Pcap(out)
    },
  },
  {
    name: 'trace.dat',
    endings: ['.dat'],
    binary: true,
    addresses: false,
    patches: true,
    what: 'for trace-cmd and KernelShark',
    load: async () => {
      const { TraceDat } = await import('./trace_dat.ts')
      return (out, o) => new TraceDat(out, o)
    },
  },
  {
    name: 'perfetto',
    endings: ['.perfetto.json', '.json'],
    binary: false,
    addresses: false,
    what: 'slices, arrows and curves over time, for ui.perfetto.dev',
    load: async () => {
      const { Perfetto } = await import('./perfetto.ts')
      return (out, o) => new Perfetto(out, o)
    },
  },
  {
    name: 'folded',
    endings: ['.folded'],
    binary: false,
    addresses: false,
    what: 'stacks and their weight, for flamegraph.pl',
    load: async () => {
      const { Folded } = await import('./folded.ts')
      return (out, o) => new Folded(out, o)
    },
  },
  {
    name: 'speedscope',
    endings: ['.speedscope.json'],
    binary: false,
    addresses: false,
    what: 'the same, for speedscope.app',
    load: async () => {
      const { Speedscope } = await import('./speedscope.ts')
      return (out, o) => new Speedscope(out, o)
    },
  },
  {
    name: 'mermaid',
    endings: ['.mmd', '.md'],
    binary: false,
    addresses: false,
    what: 'a diagram for Markdown',
    load: async () => {
      const { Mermaid } = await import('./mermaid.ts')
      return (out, o) => new Mermaid(out, o)
    },
  },
  {
    name: 'html',
    endings: ['.html', '.htm'],
    binary: false,
    what: 'a page to walk through, for any browser',
    load: async () => {
      const { Html } = await import('./html.ts')
      return (out, o) => new Html(out, { title: o.command, graph: o.graph })
    },
  },
  {
    name: 'svg',
    endings: ['.svg'],
    binary: false,
    addresses: false,
    what: 'a drawing: a buffer, its headers, or the frames',
    load: async () => {
      const { Svg } = await import('./svg.ts')
      return (out, o) => new Svg(out, { diagram: o.diagram === 'flow' ? 'geometry' : (o.diagram ?? 'geometry'), at: o.at })
    },
  },
]

/** the format that a file's name means, by its longest ending; compression's ending does not count. undefined for none */
export function formatOfFile(path: string): FormatEntry | undefined {
  const name = path.replace(/\.(gz|zst)$/, '')
  let best: FormatEntry | undefined
  let length = 0
  for (const f of registry)
    for (const ending of f.endings)
      if (ending.length > length && name.endsWith(ending)) {
        best = f
        length = ending.length
      }
  return best
}

/** undefined when there is none of that name */
export const formatByName = (name: string): FormatEntry | undefined => registry.find((f) => f.name === name)
