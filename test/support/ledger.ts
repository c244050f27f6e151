import { live_objects } from '../../src/kernel/mm/slub.ts'
import type { Sink, TracedSkb } from '../../src/trace/tracer.ts'
import { type Play, play } from './play.ts'
import { type RandomScenario, type Send, scenarioText } from './random_scenarios.ts'

const MSG_DONTWAIT = 0x40

/** objects that outlive the sockets in Linux too: what was learnt of routes, neighbours, connections and stations */
const caches =
  /^(rtable|rt6_info|ip6_dst_cache|neighbour|inet_peer|nf_conntrack|bridge_fdb_cache|fq_flow_cache|fib6_nodes|ip_fib_\w+)$/

/** Counts what is dropped, and makes a number of everything that happens. */
class Ledger implements Sink {
  drops = 0
  /** another run of the same scenario must come to the same number */
  fingerprint = 0
  /** what the protocol's sendmsg returned since this was emptied: sendmmsg() does not say how much of its last message went */
  taken: number[] = []
  #note(n: number): void {
    this.fingerprint = (Math.imul(this.fingerprint, 31) + n) | 0
  }
  enter(call: { fn: { id: number } }): void {
    this.#note(call.fn.id)
  }
  exit(call: { fn: { name: string } }, ret: unknown): void {
    if (typeof ret === 'number' && /^(tcp_sendmsg|unix_stream_sendmsg)$/.test(call.fn.name)) this.taken.push(ret)
  }
  drop(skb: TracedSkb, reason: string): void {
    this.#note(skb.len)
    if (reason !== '') this.drops++
  }
  frame(_device: string, _netns: string, _direction: string, skb: TracedSkb): void {
    for (let i = skb.data; i < skb.tail; i++) this.#note(skb.bytes[i] ?? 0)
  }
}

/** byte i of every buffer is i & 0xff */
const pattern = (from: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (from + i) & 0xff)

/** buffers that lie one after the other in one piece of memory, and how much was taken of each */
function vector(lengths: readonly number[], taken: readonly number[]): Uint8Array[] {
  const out: Uint8Array[] = []
  let at = 0
  for (const [i, n] of lengths.entries()) {
    const t = taken[i] ?? -1
    if (t >= 0) out.push(pattern(at, t))
    at += n
  }
  return out
}

/** everything that waits on a descriptor, a piece for each call, empty datagrams too; whether there was any */
function readAll(p: Play, fd: number, stream: boolean, into: Uint8Array[]): boolean {
  for (let any = false; ; any = true) {
    const b = p.host.process.map(300_000, 'untouched')
    const n = p.host.process.syscall('recvfrom', fd, b.address, b.length, MSG_DONTWAIT, 0, 0)
    if (n > 0 || (n === 0 && !stream)) into.push(p.host.process.peek(b.address, n).slice())
    p.host.process.unmap(b)
    if (n < 0 || (n === 0 && stream)) return any
  }
}

/** what a call that returned `result` has handed to the kernel */
function handedOver(x: Send, result: number, taken: readonly number[], stream: boolean, fileAt: number): Uint8Array[] {
  if (result < 0) return []
  if (x.line.startsWith('sendmmsg')) return vector(x.messages, stream ? taken : x.messages.slice(0, result))
  if (!stream) return vector(x.messages, x.messages)
  if (x.line.startsWith('sendfile')) return [pattern(fileAt, result)]
  return [pattern(0, x.outOfBand && result > 0 ? result - 1 : result)]
}

interface Transfer {
  ledger: Ledger
  sent: Uint8Array[]
  got: Uint8Array[]
  /** objects that were there at the end and not before */
  left: string[]
}

/** runs a scenario, reads what arrives, closes all and waits until the last timer is through */
const transfer = (s: RandomScenario): Promise<Transfer> => {
  const ledger = new Ledger()
  const stream = s.kind === 'stream'
  return play(scenarioText(s), ledger, (p) => {
    const sent: Uint8Array[] = []
    const got: Uint8Array[] = []
    for (const l of s.world) p.line(l)
    const before = new Map(live_objects())
    for (const l of s.sockets) p.line(l)
    const receiver = p.fd(s.receiver)
    let fileAt = 0
    for (const [i, x] of s.sends.entries()) {
      if (s.trouble?.before === i) for (const l of s.trouble.lines) p.line(l)
      ledger.taken = []
      const result = Number(p.line(x.line).split(' ')[0])
      sent.push(...handedOver(x, result, ledger.taken, stream, fileAt))
      if (x.line.startsWith('sendfile') && result > 0) fileAt += result
      p.host.sleep(5)
      readAll(p, receiver, stream, got)
    }
    // corked data leaves at the latest when the connection is shut down
    if (stream) p.line(`shutdown(${s.sender}, SHUT_WR)`)
    for (let quiet = 0; quiet < 4; ) {
      p.host.sleep(s.lossy ? 20_000 : 2000)
      quiet = readAll(p, receiver, stream, got) ? 0 : quiet + 1
    }
    for (const fd of [s.sender, s.receiver, ...s.others]) p.line(`close(${fd})`)
    p.host.sleep(s.trouble === null ? 400_000 : 1_500_000)
    const left = [...live_objects()]
      .filter(([name, n]) => n !== (before.get(name) ?? 0) && !caches.test(name))
      .map(([name, n]) => `${n - (before.get(name) ?? 0)} ${name}`)
    return { ledger, sent, got, left }
  })
}

/** whether the datagrams that came are among those sent, in their order */
function inOrder(sent: readonly Uint8Array[], got: readonly Uint8Array[], twice: boolean): boolean {
  const left = [...sent]
  for (const g of got) {
    const at = left.findIndex((x) => Buffer.compare(x, g) === 0)
    if (at < 0) return false
    // a doubled one may come once more, also after the next
    if (!twice) left.splice(0, at + 1)
  }
  return true
}

/** What is wrong with how a scenario went; nothing, if all is well. */
export async function complaints(s: RandomScenario): Promise<string[]> {
  const out: string[] = []
  const one = await transfer(s)
  if (s.kind === 'stream') {
    const [sent, got] = [Buffer.concat(one.sent), Buffer.concat(one.got)]
    if (s.trouble !== null && Buffer.compare(got, sent.subarray(0, got.length)) !== 0)
      out.push('what came is not the beginning of what was sent')
    else if (s.trouble === null && got.length !== sent.length) out.push(`${sent.length} bytes were sent, ${got.length} came`)
    else if (s.trouble === null && Buffer.compare(got, sent) !== 0) out.push('other bytes came than were sent')
  } else {
    const dummy = s.world.some((l) => l.includes('type dummy'))
    const twice = s.world.some((l) => l.includes('duplicate'))
    if (!inOrder(one.sent, one.got, twice)) out.push('a datagram came that was not sent, or in another order')
    // a dummy takes what it is given: it sent it, and nobody is there
    if (one.got.length < one.sent.length && one.ledger.drops === 0 && !dummy && s.trouble === null)
      out.push(`${one.sent.length} datagrams were sent, ${one.got.length} came, and nothing was dropped`)
  }
  if (one.left.length > 0) out.push(`left behind: ${one.left.join(', ')}`)
  const two = await transfer(s)
  if (two.ledger.fingerprint !== one.ledger.fingerprint) out.push('a second run was not the same')
  return out
}
