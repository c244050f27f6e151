import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { declaredFunctions } from '../../src/trace/kfunc.ts'
import type { Call, Context } from '../../src/trace/tracer.ts'
import { play } from '../support/play.ts'
import { randomScenario } from '../support/random_scenarios.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bare = (name: string): string => name.replace(/\.(isra|constprop)\.?\d*/g, '')

interface Row {
  from: string
  path: readonly string[]
  call: Call
}

/** every call that was made in any of the scenarios: who, through which inlined functions, whom */
const made: Row[] = []
/** calls that count: all of the recorded scenarios, and of the generated ones those below a system call that sends */
const counted = new Set<Call>()
/** functions of the image with a call through a pointer, and those that the tables cover at all */
const indirect = new Set<string>()
const covered = new Set<string>()
/** calls through a pointer of which the trace did not say so */
const unsaid = new Set<string>()

/** plays the lines of `first`, then those of `then`; what `first` calls counts only where all does */
const watch = (first: readonly string[], then: readonly string[], all: boolean): Promise<void> => {
  const stack: Call[] = []
  let pointed = ''
  let counting = all
  return play(
    [...first, ...then].join('\n'),
    {
      enter: (call) => {
        if (counting) {
          counted.add(call)
          const caller = stack.findLast((c) => c.kind !== 'inlined')
          const { name } = call.fn
          if (call.kind === 'call' && !call.known && caller !== undefined && indirect.has(caller.fn.name) && pointed !== name)
            if (!isInterrupt(name)) unsaid.add(`${caller.fn.name} -> ${name}`)
        }
        stack.push(call)
        pointed = ''
      },
      exit: () => {
        stack.pop()
      },
      indirect: (_, target) => {
        pointed = target
      },
    },
    (p) => {
      for (const line of first) p.line(line)
      counting = true
      for (const line of then) p.line(line)
      p.host.sleep(300)
    },
  )
}

beforeAll(async () => {
  for (const line of readFileSync(`${root}/fixtures/kernel/calls.tsv`, 'utf8').split('\n')) {
    const [caller = '', , callee] = line.split('\t')
    covered.add(bare(caller))
    if (callee === '*') indirect.add(bare(caller))
  }
  for (const line of readFileSync(`${root}/fixtures/kernel/inlines.tsv`, 'utf8').split('\n'))
    covered.add(bare(line.split('\t')[0] ?? ''))
  for (const name of readdirSync(`${root}/fixtures/refs`).filter((n) => /^(lo|unix)-/.test(n) && !/tcp6|udp6|nft/.test(n))) {
    const text = readFileSync(`${root}/fixtures/refs/${name}/scenario.scn`, 'utf8')
    await watch(text.split('\n'), [], true)
  }
  for (const s of fc.sample(randomScenario, { numRuns: 80, seed: 5 }))
    await watch(
      [...s.world, ...s.sockets],
      s.sends.map((x) => x.line),
      false,
    )
  const seen = new Set<Context>()
  const walk = (from: string, context: Context): void => {
    if (seen.has(context)) return
    seen.add(context)
    for (const call of context.calls.values()) {
      if (counted.has(call)) made.push({ from, path: context.path, call })
      if (call.kind === 'inlined') walk(from, call.context)
    }
  }
  for (const f of declaredFunctions()) walk(f.name, f.root)
}, 60_000)

const show = (r: Row): string => `${[r.from, ...r.path].join(' > ')} -> ${r.call.fn.name}`

describe('what calls what, against the tables of the build', () => {
  test('a function is shown as inlined only where the compiler inlined it, or where it exists in no other way', () => {
    const wrong = made.filter((r) => r.call.kind === 'inlined' && !r.call.known && r.call.fn.symbol.kind !== 'inline-only')
    expect(wrong.map(show)).toEqual([])
  })

  test('indirect calls say which pointer was followed, and to what', () => {
    expect([...unsaid].filter((c) => !UNTOLD.has(c)).sort()).toEqual([])
  })

  test('a frame of its own is a call that the build has, or one through a pointer', () => {
    // tables of functions that core code walks without a pointer in its own body, and work at boot that nobody records
    const walksTables =
      /^(security_\w+|register_\w+|setup_net|call_netdevice_notifiers_info|x64_sys_call|handle_softirqs|fib_\w+|ip_mc_up|dev_change_flags|alloc_netdev_mqs|inode_free_by_rcu|__inet_insert_ifa|ip_rt_init)$/
    // copying to or from user memory that is not there faults inside the copy
    const faults = /^(handle_mm_fault|lock_mm_and_find_vma|up_read|bad_area\w*|__bad_area\w*|kernelmode_fixup_or_oops)$/
    const wrong = made.filter(
      (r) =>
        r.call.kind === 'call' &&
        !r.call.known &&
        covered.has(r.from) &&
        !indirect.has(r.from) &&
        !walksTables.test(r.from) &&
        !faults.test(r.call.fn.name),
    )
    expect(
      wrong
        .map(show)
        .filter((c) => !KNOWN.some((k) => k.test(c)))
        .sort(),
    ).toEqual([])
  })
})

/** an interrupt comes between; nobody calls it */
const isInterrupt = (name: string): boolean => /^(e1000_intr|vring_interrupt)$/.test(name)

/** the function between these two is not in the facts: br_netif_receive_skb is inlined there, nft_nat_do_chain in a module left out */
const UNTOLD = new Set(['NF_HOOK -> netif_receive_skb', 'nf_nat_inet_fn -> nft_do_chain'])

/** Linux reaches these in ways that the tables do not show: static calls, tail jumps of inline assembly, operations by macro */
const KNOWN = [
  /^__sock_release -> (inet_release|unix_release|module_put)$/,
  /sock_(send|recv)msg_nosec -> unix_(stream|dgram|seqpacket)_(send|recv)msg$/,
  /^inet_ctl_sock_create -> raw_unhash_sk$/,
  /^__netif_receive_skb_one_core -> arp_rcv$/,
  /^ip_protocol_deliver_rcu -> icmp_rcv$/,
  /^ip6_protocol_deliver_rcu -> (icmpv6|ipv6_frag)_rcv$/,
  /^ip6_sublist_rcv_finish > dst_input -> ip6_mc_input$/,
  /^release_sock -> ip[46]_datagram_release_cb$/,
  /^ip6_datagram_release_cb -> ip6_dst_check$/,
  // a hash table of its own there, with these as its parameters
  /^inet_frag_(kill|find) -> ip[46]?_?\w*(hashfn|cmpfn)$/,
  /^tasklet_action -> tcp_tasklet_func$/,
]
