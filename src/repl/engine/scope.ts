import { decode, type Layer } from '../../decode/decode.ts'
import { bytesOf } from '../../formats/format.ts'
import { firstHeader } from '../../formats/packet.ts'
import type { Host } from '../../host/host.ts'
import { current } from '../../kernel/kernel/sched/core.ts'
import { jiffies } from '../../kernel/kernel/time/timer.ts'
import type { Variables } from '../../script/arguments.ts'
import { constants } from '../../script/constants.ts'
import { clock } from '../../sim/clock.ts'
import type { TracedSkb } from '../../trace/tracer.ts'
import { Pointer, type Scope, Struct } from './evaluate.ts'
import { identity, isDevice, isNet, isQdisc, isRealSkb, isSock, isSocket, isTcp, tcpStateNumbers } from './structs.ts'
import type { Watcher } from './watcher.ts'

/** names with a meaning of their own, for completion and help */
export const scopeNames: Readonly<Record<string, string>> = {
  skb: 'the buffer at hand: of the function, or of the one that called it',
  sk: 'the socket at hand',
  tp: 'the same as struct tcp_sock',
  icsk: 'the same as struct inet_connection_sock',
  inet: 'the same as struct inet_sock',
  dev: 'the device at hand',
  q: 'the queue discipline at hand, or that of the device',
  net: 'the network namespace',
  current: 'the task that runs',
  eth: "fields of the buffer's Ethernet header",
  iph: 'fields of its IP header',
  th: 'fields of its TCP header',
  uh: 'fields of its UDP header',
  jiffies: 'ticks',
  $event: 'number of the event',
  $ns: 'nanoseconds since boot',
  $depth: 'frames on the stack',
  $fn: 'name of the function',
  $ret: 'what the function returns that is being left',
}

/** what may be called in an expression */
export const scopeCalls: Readonly<Record<string, string>> = {
  sock: 'sock(c): the socket behind a descriptor',
  file: 'file(c): the open file behind a descriptor',
  dev: 'dev(eth0): a device by its name',
  sizeof: 'sizeof(x): bytes of an array, elements of a list',
  hex: 'hex(n): a number as text in hexadecimal',
}

/** Names at an event, while it happens. `frame` counts from 0, the outermost; the innermost unless told otherwise. */
export class LiveScope implements Scope {
  problem = ''
  readonly #w: Watcher
  readonly #host: Host
  readonly #variables: Variables
  readonly #convenience: (name: string) => unknown
  frame = -1

  constructor(w: Watcher, host: Host, variables: Variables, convenience: (name: string) => unknown) {
    this.#w = w
    this.#host = host
    this.#variables = variables
    this.#convenience = convenience
  }

  get #at(): number {
    return this.frame >= 0 ? this.frame : this.#w.depth - 1
  }

  #missing(why: string): undefined {
    if (this.problem === '') this.problem = why
    return undefined
  }

  #param(index: number | undefined): unknown {
    return index === undefined || index < 0 ? undefined : this.#w.args[6 * this.#at + index]
  }

  skb(): TracedSkb | null {
    return this.#at < 0 ? null : this.#at === this.#w.depth - 1 ? this.#w.skb : this.#w.skbAt(this.#at)
  }

  sk(): unknown {
    const sk = this.#at < 0 ? null : this.#at === this.#w.depth - 1 ? this.#w.sk : this.#w.skAt(this.#at)
    if (sk !== null || this.#w.depth > 0) return sk
    // outside of all functions: the socket that connect made
    for (const name of ['c', 'u', 'p0']) {
      const fd = this.#variables.get(name)
      const found = fd === undefined ? null : this.#socket(fd)
      if (found !== null) return found
    }
    return null
  }

  #file(fd: number): unknown {
    return this.#host.process.task.files?.fdt.fd[fd] ?? null
  }

  #socket(fd: number): unknown {
    const f = this.#file(fd)
    const s = typeof f === 'object' && f !== null && 'private_data' in f ? f.private_data : null
    return isSocket(s) ? s.sk : null
  }

  #device(): unknown {
    const p = this.#w.params[this.#at]
    const own = this.#param(p?.dev)
    if (isDevice(own)) return own
    const q = this.#param(p?.q)
    if (isQdisc(q)) return q.dev_queue.dev
    const skb = this.skb()
    if (skb !== null && 'dev' in skb && isDevice(skb.dev)) return skb.dev
    // before the frame has a device, its route has
    const sk = this.sk()
    const dst = skb !== null && isRealSkb(skb) ? skb._skb_refdst : null
    const dev = dst?.dev ?? (isSock(sk) ? sk.sk_dst_cache?.dev : null)
    return isDevice(dev) ? dev : this.#missing('no device here: dev(eth0) has one by its name')
  }

  #net(): unknown {
    const own = this.#param(this.#w.params[this.#at]?.net)
    if (isNet(own)) return own
    const sk = this.sk()
    if (isSock(sk) && isNet(sk.sk_net)) return sk.sk_net
    return this.#host.process.task.net
  }

  #header(protocols: readonly string[]): unknown {
    const skb = this.skb()
    if (skb === null) return this.#missing('no buffer here')
    const found = layersOf(skb).find((l) => protocols.includes(l.protocol))
    if (found === undefined) return this.#missing(`skb ${skb.id} has no ${protocols[0]} header here`)
    return Object.fromEntries(found.fields.map((f) => [f.name, f.value]))
  }

  lookup(name: string): unknown {
    if (name.startsWith('$')) return this.#dollar(name)
    const at = this.#at
    const index = at < 0 ? -1 : (this.#w.params[at]?.names.indexOf(name) ?? -1)
    if (index >= 0) {
      const v = this.#w.args[6 * at + index]
      return v === undefined ? null : v
    }
    switch (name) {
      case 'skb':
        return this.skb() ?? this.#missing('no buffer here: the cursor is in no function that has one')
      case 'sk':
        return this.sk() ?? this.#missing('no socket here: sock(c) has that of a descriptor')
      case 'tp': {
        const sk = this.sk()
        return isTcp(sk) ? sk : this.#missing('no TCP socket here: sock(c) has the socket of a descriptor')
      }
      case 'icsk':
      case 'inet':
        return this.sk() ?? this.#missing('no socket here: sock(c) has that of a descriptor')
      case 'dev':
        return this.#device()
      case 'q': {
        const own = this.#param(this.#w.params[at]?.q)
        if (isQdisc(own)) return own
        const dev = this.#device()
        return isDevice(dev) ? dev.qdisc : undefined
      }
      case 'net':
        return this.#net()
      case 'current':
        return current
      case 'eth':
        return this.#header(['Ethernet'])
      case 'iph':
        return this.#header(['IPv4', 'IPv6'])
      case 'th':
        return this.#header(['TCP'])
      case 'uh':
        return this.#header(['UDP'])
      case 'jiffies':
        return jiffies()
    }
    const known =
      this.#variables.get(name) ?? (Object.hasOwn(constants, name) ? constants[name] : undefined) ?? tcpStateNumbers[name]
    if (known !== undefined) return known
    return this.#missing(
      `no symbol "${name}" here: neither an argument of ${at < 0 ? 'a function' : (this.#w.calls[at]?.fn.name ?? '')}, nor skb, sk, tp, dev, q, net, current, a variable or a constant`,
    )
  }

  #dollar(name: string): unknown {
    switch (name) {
      case '$event':
        return this.#w.event
      case '$ns':
        return clock.ns()
      case '$depth':
        return this.#w.depth
      case '$fn':
        return this.#w.calls[this.#at]?.fn.name ?? ''
      case '$ret':
        return this.#w.ret === undefined ? this.#missing('nothing is returned here') : this.#w.ret
    }
    const v = this.#convenience(name)
    return v === undefined ? this.#missing(`${name} has no value yet`) : v
  }

  call(name: string, args: readonly unknown[]): unknown {
    const [a] = args
    if (args.length !== 1) return this.#missing(`${name}() takes one argument`)
    if (a === undefined && name !== 'dev') return undefined
    switch (name) {
      case 'sock':
        return this.#socket(Number(a)) ?? this.#missing(`descriptor ${a} is no socket`)
      case 'file':
        return this.#file(Number(a)) ?? this.#missing(`descriptor ${a} is not open`)
      case 'dev':
        return this.#deviceNamed(a)
      case 'sizeof': {
        const v = a instanceof Struct ? a.of : a
        return v instanceof Uint8Array || Array.isArray(v) || typeof v === 'string'
          ? v.length
          : v instanceof Pointer
            ? 8
            : this.#missing('sizeof() of something that is no array')
      }
      case 'hex':
        return typeof a === 'number' || typeof a === 'bigint' ? `0x${a.toString(16)}` : this.#missing('hex() needs a number')
    }
    return this.#missing(`'${name}()' cannot be called: expressions only look (${Object.keys(scopeCalls).join(', ')})`)
  }

  #deviceNamed(a: unknown): unknown {
    const wanted = String(a)
    for (const name of ['', ...this.#host.netnsNames()])
      for (const d of this.#host.netns(name).dev_base_head) if (d.name === wanted) return d
    return this.#missing(`no device '${wanted}'`)
  }

  /** who the objects are that an expression begins with: the same text means the same objects */
  roots(names: readonly string[]): string {
    let out = ''
    for (const n of names) {
      if (n === 'eth' || n === 'iph' || n === 'th' || n === 'uh') {
        out += `${this.skb()?.id};`
        continue
      }
      const v = this.lookup(n)
      out += typeof v === 'object' && v !== null ? `${identity(v) ?? '?'};` : ''
    }
    return out
  }
}

/** the headers at the beginning of a buffer */
function layersOf(skb: TracedSkb): Layer[] {
  const first = firstHeader(skb, null)
  return first === null ? [] : decode(bytesOf(skb, Math.min(skb.len, 256)), first, skb.len)
}
