import { type EventLayout, formatText } from './layout.ts'
import { PAGE } from './ring.ts'

/** What stands in a trace.dat before the pages: trace-cmd.dat.v6(5). */

const utf8 = new TextEncoder()

const HEADER_PAGE = `\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;
`
const HEADER_EVENT = `# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
`

const OPTION_CPUSTAT = 2
const OPTION_TRACECLOCK = 4
const OPTION_UNAME = 5

interface Head {
  ftrace: readonly EventLayout[]
  tracepoints: readonly EventLayout[]
  kallsyms: string
  /** `pid comm` a line */
  cmdlines: string
  uname: string
  clock: string
  /** what `trace-cmd report --stat` prints of the one CPU */
  cpustat: string
  /** where the pages are; 0: behind the head, at the next page */
  offset: number
  /** of the pages, in bytes */
  size: number
}

const u16 = (v: number): Uint8Array => Uint8Array.of(v & 255, v >> 8)
function u32(v: number): Uint8Array {
  const b = new Uint8Array(4)
  new DataView(b.buffer).setUint32(0, v, true)
  return b
}
function u64(v: number): Uint8Array {
  const b = new Uint8Array(8)
  new DataView(b.buffer).setBigUint64(0, BigInt(v), true)
  return b
}

/** the whole head; when the pages follow it, padded to the page that they begin at */
export function headBytes(h: Head): Uint8Array {
  const parts: Uint8Array[] = []
  let length = 0
  const put = (...list: Uint8Array[]): void => {
    for (const b of list) {
      parts.push(b)
      length += b.length
    }
  }
  const text = (t: string): Uint8Array => utf8.encode(t)
  const long = (t: string): void => {
    const b = text(t)
    put(u64(b.length), b)
  }
  const option = (id: number, t: string): void => {
    const b = text(`${t}\0`)
    put(u16(id), u32(b.length), b)
  }

  // little-endian, longs of eight bytes
  put(Uint8Array.of(0x17, 0x08, 0x44), text('tracing6\0'), Uint8Array.of(0, 8), u32(PAGE))
  put(text('header_page\0'))
  long(HEADER_PAGE)
  put(text('header_event\0'))
  long(HEADER_EVENT)
  put(u32(h.ftrace.length))
  for (const e of h.ftrace) long(formatText(e))
  const systems = new Map<string, EventLayout[]>()
  for (const e of h.tracepoints) systems.set(e.system, [...(systems.get(e.system) ?? []), e])
  put(u32(systems.size))
  for (const [name, events] of systems) {
    put(text(`${name}\0`), u32(events.length))
    for (const e of events) long(formatText(e))
  }
  const symbols = text(h.kallsyms)
  put(u32(symbols.length), symbols)
  // no formats of trace_printk()
  put(u32(0))
  long(h.cmdlines)
  // one CPU
  put(u32(1))
  put(text('options  \0'))
  option(OPTION_CPUSTAT, h.cpustat)
  option(OPTION_TRACECLOCK, h.clock)
  option(OPTION_UNAME, h.uname)
  put(u16(0), text('flyrecord\0'))
  const end = length + 16
  const offset = h.offset === 0 ? Math.ceil(end / PAGE) * PAGE : h.offset
  put(u64(offset), u64(h.size))
  if (h.offset === 0) put(new Uint8Array(offset - end))
  const out = new Uint8Array(length)
  let at = 0
  for (const b of parts) {
    out.set(b, at)
    at += b.length
  }
  return out
}
