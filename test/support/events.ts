import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Format } from '../../src/formats/format.ts'
import { Output } from '../../src/formats/output.ts'
import { clock } from '../../src/sim/clock.ts'
import type { KernelSymbol } from '../../src/trace/facts.ts'
import { type Call, type CallKind, Context, type Kfn, type TracedSkb } from '../../src/trace/tracer.ts'

const known = new Map<string, Kfn>()

/** a kernel function for tests, by name; `what` the first time */
export function fn(name: string, what: Partial<Omit<KernelSymbol, 'name'>> = {}): Kfn {
  let f = known.get(name)
  if (f === undefined) {
    const symbol = {
      name,
      file: 'net/ipv4/tcp.c',
      line: 1,
      kind: 'global',
      ftrace: true,
      params: [],
      returns: 'int',
      cost: 0,
      costP10: 0,
      ...what,
    } as KernelSymbol
    const root = new Context(null, [])
    const skbArg = symbol.params.findIndex((p) => /^struct sk_buff \*/.test(p))
    f = { id: 1000 + known.size, name, symbol, root, skbArg, inlinedWhereBoth: false }
    known.set(name, f)
  }
  return f
}

const nowhere = new Context(null, [])

/** calls of a function: the same object each time, as from the tracer */
const calls = new Map<string, Call>()
export function call(f: Kfn, kind: CallKind = 'call', line = 0): Call {
  const key = `${f.name} ${kind} ${line}`
  let c = calls.get(key)
  if (c === undefined) {
    c = {
      fn: f,
      kind,
      visible: kind === 'call',
      line,
      tail: false,
      known: true,
      from: nowhere,
      context: f.root,
      before: 0,
      after: 0,
    }
    calls.set(key, c)
  }
  return c
}

/** Plays calls to a format: `run(call, ns, body)` takes `ns` of its own. */
export class Player {
  readonly format: Format
  constructor(format: Format) {
    this.format = format
  }
  run(c: Call, ns: number, body: () => void = () => {}, args: unknown[] = [], ret: unknown = 0): void {
    const [a, b, d, e, f, g] = args
    this.format.enter(c, a, b, d, e, f, g)
    clock.now += ns * clock.perNs
    body()
    this.format.exit(c, ret)
  }
}

/** what a format writes, as text */
export function written(play: (out: Output) => void): string {
  const dir = mkdtempSync(join(tmpdir(), 'skbtrace-test-'))
  try {
    const path = join(dir, 'out')
    const out = Output.open(path)
    clock.now = 0
    play(out)
    out.finish()
    return readFileSync(path, 'utf8')
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** a buffer for tests */
export function skb(fields: Partial<TracedSkb> = {}): { -readonly [K in keyof TracedSkb]: TracedSkb[K] } {
  const bytes = fields.bytes ?? new Uint8Array(384)
  return {
    id: 1,
    len: 0,
    data_len: 0,
    truesize: 960,
    bytes,
    data: 320,
    tail: 320,
    end: bytes.length,
    mac_header: 0xffff,
    network_header: 0,
    transport_header: 0xffff,
    protocol: 0,
    ip_summed: 3,
    cloned: 0,
    clone_of: 0,
    owner: '',
    devName: '',
    gso_size: 0,
    gso_segs: 0,
    nr_frags: 0,
    vlan_proto: 0,
    vlan_tci: 0,
    list: null,
    frag: () => new Uint8Array(0),
    ...fields,
  }
}
