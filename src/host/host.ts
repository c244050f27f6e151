import { do_initcalls } from '../kernel/include/linux/init.ts'
import { IS_ERR } from '../kernel/include/linux/types.ts'
import type { net } from '../kernel/include/net/net_namespace.ts'
import { copy_net_ns, create_net, destroy_nets, put_net } from '../kernel/net/core/net_namespace.ts'
import { clock } from '../sim/clock.ts'
import { events } from '../sim/events.ts'
import { random } from '../sim/random.ts'
import { resetTracer } from '../trace/tracer.ts'
import { Process } from './process.ts'
import '../kernel/kernel.ts'

/** How a host is made. */
export interface HostOptions {
  /** of everything that is random; 1 unless told otherwise */
  seed?: number
  /** name and number of the process that makes the calls */
  comm?: string
  pid?: number
  /** instructions to a nanosecond; 3 unless told otherwise */
  instructionsPerNs?: number
}

/** nanoseconds that the machine has been up when the first call is made */
const UPTIME = 60e9

/**
 * A machine: a freshly booted kernel with two network namespaces, its own ('') and `peer`, each with `lo` up, and one process. The
 * kernel's state is the process's own (module variables): there is one Host at a time, and a new one boots anew.
 */
export class Host {
  readonly process: Process
  readonly #nets = new Map<string, net>()

  constructor(options: HostOptions = {}) {
    destroy_nets()
    events.clear()
    clock.now = 0
    clock.perNs = options.instructionsPerNs ?? 3
    random.seed(options.seed ?? 1)
    resetTracer()
    do_initcalls()
    for (const name of ['', 'peer']) this.#nets.set(name, create_net(name))
    clock.advanceTo(UPTIME)
    this.runDue()
    this.process = new Process(options.pid ?? 1234, options.comm ?? 'skbtrace', this.netns(''))
  }

  /** @throws RangeError when there is no such namespace */
  netns(name: string): net {
    const n = this.#nets.get(name)
    if (n === undefined)
      throw new RangeError(`no network namespace '${name}': there are the host's own and ${this.netnsNames().join(', ')}`)
    return n
  }

  /** names of the namespaces, as `ip netns` lists them: the host's own has none */
  netnsNames(): string[] {
    return [...this.#nets.keys()].filter((name) => name !== '')
  }

  /** a new namespace, as `ip netns add` leaves it: with a `lo` that is down. False when there is one of that name. */
  addNetns(name: string): boolean {
    if (this.#nets.has(name)) return false
    const n = copy_net_ns(name)
    if (IS_ERR(n)) throw new Error(`namespace '${name}': error ${n}`)
    this.#nets.set(name, n)
    return true
  }

  /** takes the name away, and with it the namespace when nobody is in it any more; false when there is none */
  deleteNetns(name: string): boolean {
    const n = this.#nets.get(name)
    if (name === '' || n === undefined) return false
    this.#nets.delete(name)
    put_net(n)
    return true
  }

  /** runs what is due by now: between two system calls, interrupts get their turn */
  runDue(): void {
    while (events.next() <= clock.ns()) events.step()
  }

  /** lets time pass: timers, softirqs and the other end run */
  sleep(milliseconds: number): void {
    const until = clock.ns() + milliseconds * 1e6
    while (events.next() <= until) events.step()
    clock.advanceTo(until)
    this.runDue()
  }
}

/** milliseconds that a host goes on after the last call, so that what is on the way arrives: the recordings did the same */
export const AFTERMATH = 300
/** milliseconds until a call is made that is recorded: a recorder turns its tracer on, and a card is done with what was before */
export const BEFORE_RECORDED = 0.2

export { WouldBlockForever } from '../kernel/kernel/sched/core.ts'
