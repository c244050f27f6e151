import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { Host } from '../../src/host/host.ts'
import { Runner } from '../../src/script/runner.ts'
import { parseScenario } from '../../src/script/scenario.ts'
import { declaredFunctions } from '../../src/trace/kfunc.ts'
import { type Call, type Context, listen } from '../../src/trace/tracer.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bare = (name: string): string => name.replace(/\.(isra|constprop)\.?\d*/g, '')

interface Row {
  from: string
  path: readonly string[]
  call: Call
}

/** every call that was made in any of the recorded scenarios: who, through which inlined functions, whom */
const made: Row[] = []
/** functions of the image with a call through a pointer, and those that the tables cover at all */
const indirect = new Set<string>()
const covered = new Set<string>()
/** calls through a pointer of which the trace did not say so */
const unsaid = new Set<string>()

beforeAll(() => {
  for (const line of readFileSync(`${root}/fixtures/kernel/calls.tsv`, 'utf8').split('\n')) {
    const [caller = '', , callee] = line.split('\t')
    covered.add(bare(caller))
    if (callee === '*') indirect.add(bare(caller))
  }
  for (const line of readFileSync(`${root}/fixtures/kernel/inlines.tsv`, 'utf8').split('\n'))
    covered.add(bare(line.split('\t')[0] ?? ''))
  for (const name of readdirSync(`${root}/fixtures/refs`).filter((n) => /^(lo|unix)-/.test(n) && !/tcp6|udp6|nft/.test(n))) {
    const host = new Host()
    const stack: Call[] = []
    let pointed = ''
    listen({
      enter: (call) => {
        const caller = stack.findLast((c) => c.kind !== 'inlined')
        if (
          call.kind === 'call' &&
          !call.known &&
          caller !== undefined &&
          indirect.has(caller.fn.name) &&
          pointed !== call.fn.name
        )
          unsaid.add(`${caller.fn.name} -> ${call.fn.name}`)
        stack.push(call)
        pointed = ''
      },
      exit: () => {
        stack.pop()
      },
      indirect: (_, target) => {
        pointed = target
      },
    })
    new Runner(host, { begin: () => {}, end: () => {} }).run(
      parseScenario(readFileSync(`${root}/fixtures/refs/${name}/scenario.scn`, 'utf8')),
    )
    listen(null)
  }
  const seen = new Set<Context>()
  const walk = (from: string, context: Context): void => {
    if (seen.has(context)) return
    seen.add(context)
    for (const call of context.calls.values()) {
      made.push({ from, path: context.path, call })
      if (call.kind === 'inlined') walk(from, call.context)
    }
  }
  for (const f of declaredFunctions()) walk(f.name, f.root)
})

const show = (r: Row): string => `${[r.from, ...r.path].join(' > ')} -> ${r.call.fn.name}`

describe('what calls what, against the tables of the build', () => {
  test('a function is shown as inlined only where the compiler inlined it, or where it exists in no other way', () => {
    const wrong = made.filter((r) => r.call.kind === 'inlined' && !r.call.known && r.call.fn.symbol.kind !== 'inline-only')
    expect(wrong.map(show)).toEqual([])
  })

  test('indirect calls say which pointer was followed, and to what', () => {
    expect([...unsaid].sort()).toEqual([])
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
    expect(wrong.map(show).sort()).toEqual(KNOWN)
  })
})

/** Linux reaches these in ways that the tables do not show: static calls, tail jumps of inline assembly, operations by macro */
const KNOWN = [
  '__sock_release -> inet_release',
  '__sock_release -> module_put',
  '__sys_sendto > __sock_sendmsg > sock_sendmsg_nosec -> unix_stream_sendmsg',
  'inet_ctl_sock_create -> raw_unhash_sk',
  'ip_protocol_deliver_rcu -> icmp_rcv',
  'release_sock -> ip4_datagram_release_cb',
]
