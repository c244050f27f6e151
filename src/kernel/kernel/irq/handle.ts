import { clock } from '../../../sim/clock.ts'
import { events } from '../../../sim/events.ts'
import type { Execution } from '../../../trace/tracer.ts'
import { early_initcall } from '../../include/linux/init.ts'
import { do_IRQ, in_hardirq, set_irq_window } from '../softirq.ts'

const hardirqs = new Map<string, Execution>()

/** an interrupt of a card in that network namespace */
function hardirq(netns: string): Execution {
  let e = hardirqs.get(netns)
  if (e === undefined) {
    e = { kind: 'hardirq', comm: 'swapper/0', pid: 0, netns }
    hardirqs.set(netns, e)
  }
  return e
}

/** struct irq_desc: one interrupt line, whose it is and who serves it */
export class irq_desc {
  pending = false
  readonly name: string
  readonly action: () => void
  readonly owner: { readonly netnsName: string }

  constructor(name: string, action: () => void, owner: { readonly netnsName: string }) {
    this.name = name
    this.action = action
    this.owner = owner
  }
}

let raised: irq_desc[] = []
let later: (() => void)[] = []
/** interrupts wait until the other side is through with what it does */
let held = false

early_initcall(() => {
  raised = []
  later = []
  held = false
})

/** the line goes up: the processor takes the interrupt before its next instruction, or when it is through with the one it serves */
export function raise_irq(desc: irq_desc): void {
  if (desc.pending) return
  desc.pending = true
  raised.push(desc)
  if (!in_hardirq() && !held) take_irqs()
}

function take_irqs(): void {
  for (let d = raised.shift(); d !== undefined; d = raised.shift()) {
    d.pending = false
    do_IRQ(hardirq(d.owner.netnsName), d.action)
  }
}

/**
 * What the other side of a virtual card does, on a processor of its own: soon, but not inside of what goes on here. It runs when the
 * processor allows bottom halves again, or else as the next event.
 */
export function on_other_side(work: () => void): void {
  later.push(work)
  if (later.length > 1) return
  set_irq_window(run_other_side)
  events.add(clock.ns(), run_other_side)
}

function run_other_side(): void {
  set_irq_window(null)
  const works = later
  later = []
  held = true
  for (const work of works) work()
  held = false
  take_irqs()
}
