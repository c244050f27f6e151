// What bench.mjs measures inside one process: packets and calls with tracing off, and with a text trace.
import { World } from '../src/cli/send_world.ts'
import { defaults, FunctionGraph } from '../src/formats/function_graph.ts'
import { Output } from '../src/formats/output.ts'
import { SkbNotes } from '../src/formats/text.ts'
import { Host } from '../src/host/host.ts'
import { listen, type Sink } from '../src/trace/tracer.ts'

interface Sender {
  send(): void
}

function sender(proto: 'tcp' | 'udp', bytes: number): Sender {
  const w = new World(new Host(), proto)
  w.connect(() => {})
  const b = w.host.process.map(bytes, 'pattern')
  return {
    send: () => {
      w.host.process.syscall('sendto', w.fd, b.address, bytes, 0, 0, 0)
      w.host.runDue()
    },
  }
}

/** frames and traced calls of `count` sends */
function count(proto: 'tcp' | 'udp', bytes: number, sends: number): { frames: number; calls: number; all: number } {
  const s = sender(proto, bytes)
  const n = { frames: 0, calls: 0, all: 0 }
  const sink: Sink = {
    enter: (call) => {
      n.all++
      if (call.visible) n.calls++
    },
    exit: () => {},
    frame: () => {
      n.frames++
    },
  }
  listen(sink)
  for (let i = 0; i < sends; i++) s.send()
  listen(null)
  return n
}

const seconds = (body: () => void): number => {
  const t = process.hrtime.bigint()
  body()
  return Number(process.hrtime.bigint() - t) / 1e9
}

interface Figures {
  framesPerSecond: number
  callsPerSecond: number
  tracedPerSecond: number
}

/** `detail`: what the text trace shows */
export function measure(
  proto: 'tcp' | 'udp',
  bytes: number,
  sends: number,
  detail: 'path' | 'net' | 'full',
  text: boolean,
): Figures {
  const n = count(proto, bytes, sends)
  const off = sender(proto, bytes)
  for (let i = 0; i < sends / 4; i++) off.send()
  const dark = seconds(() => {
    for (let i = 0; i < sends; i++) off.send()
  })
  const on = sender(proto, bytes)
  const out = Output.open('/dev/null')
  const graph = new FunctionGraph(
    out,
    { ...defaults, view: text ? 'source' : 'ftrace', detail },
    text ? new SkbNotes({ hexdump: 'layers', bold: (t) => t, once: true }) : null,
  )
  listen(graph)
  const traced = (times: number): void => {
    for (let i = 0; i < times; i++) {
      graph.begin('> send', null)
      on.send()
      graph.end('')
    }
  }
  traced(sends / 4)
  const light = seconds(() => traced(sends))
  listen(null)
  out.finish()
  return { framesPerSecond: n.frames / dark, callsPerSecond: n.all / dark, tracedPerSecond: (text ? n.all : n.calls) / light }
}
