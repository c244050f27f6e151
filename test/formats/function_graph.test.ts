import { beforeEach, describe, expect, it } from 'vitest'
import { defaults, FunctionGraph, type GraphOptions, headings } from '../../src/formats/function_graph.ts'
import type { Output } from '../../src/formats/output.ts'
import { clock } from '../../src/sim/clock.ts'
import { call, fn, Player, skb, written } from '../support/events.ts'

const send = call(fn('__x64_sys_sendto', { file: 'net/socket.c' }))
const sendmsg = call(fn('tcp_sendmsg', { params: ['struct sock *sk', 'struct msghdr *msg', 'size_t size'] }))
const lockSock = call(fn('lock_sock', { file: 'include/net/sock.h', kind: 'inline-only' }), 'inlined', 1357)
const lockSockNested = call(fn('lock_sock_nested', { file: 'net/core/sock.c', returns: 'void' }))
const spinLock = call(fn('_raw_spin_lock_bh', { file: '' }))
const copy = call(
  fn('_copy_from_iter', { file: 'lib/iov_iter.c', ftrace: false, params: ['void *addr', 'size_t bytes', 'struct iov_iter *i'] }),
  'notrace',
)

function graph(options: Partial<GraphOptions>, play: (p: Player, g: FunctionGraph) => void, result = '4096'): string {
  return written((out: Output) => {
    const g = new FunctionGraph(out, { ...defaults, view: 'ftrace', detail: 'full', ...options })
    g.begin('> send(c, 4096, 0)', null)
    play(new Player(g), g)
    g.end(result)
  })
}

const tree = (p: Player): void =>
  p.run(send, 100, () =>
    p.run(sendmsg, 50, () => {
      p.run(lockSock, 0, () => p.run(lockSockNested, 20, () => p.run(spinLock, 7)))
      p.run(copy, 300)
    }),
  )

beforeEach(() => {
  clock.now = 0
  clock.perNs = 3
})

describe('function_graph', () => {
  it('prints what ftrace prints', () => {
    expect(graph({ resultFirst: true }, tree)).toBe(
      `# > send(c, 4096, 0) = 4096
 0)               |  __x64_sys_sendto() {
 0)               |    tcp_sendmsg() {
 0)               |      lock_sock_nested() {
 0)   0.007 us    |        _raw_spin_lock_bh();
 0)   0.027 us    |      } /* lock_sock_nested */
 0)   0.377 us    |    } /* tcp_sendmsg */
 0)   0.477 us    |  } /* __x64_sys_sendto */
`,
    )
  })

  it('shows inlined functions, and those without a tracing site, in the source view', () => {
    const text = graph({ view: 'source' }, tree)
    expect(text).toContain(' |      ~lock_sock() {\n 0)               |        lock_sock_nested() {')
    expect(text).toContain(' 0)   0.300 us    |      -_copy_from_iter();\n')
    expect(text).toContain('} /* ~lock_sock */')
    expect(text).toMatch(/^# > send\(c, 4096, 0\)\n/)
    expect(text).toMatch(/\n# = 4096\n$/)
  })

  it('prints a function as a leaf when all that it calls is left out', () => {
    const text = graph({ detail: 'net' }, tree)
    expect(text).toContain(' 0)   0.027 us    |      lock_sock_nested();\n')
    expect(text).not.toContain('spin')
  })

  it('has the columns of a real trace', () => {
    const text = graph({ abstime: true, proc: true, overhead: true, tail: false }, (p) =>
      p.run(send, 123456, () => p.run(spinLock, 20000)),
    )
    expect(text).toContain('    0.000000 |   0)   swapper-0    |               |  __x64_sys_sendto() {\n')
    expect(text).toContain('    0.000123 |   0)   swapper-0    | + 20.000 us   |    _raw_spin_lock_bh();\n')
    expect(text).toContain('    0.000143 |   0)   swapper-0    | ! 143.456 us  |  }\n')
  })

  it.each([
    [0, '  0.000 us    '],
    [763, '  0.763 us    '],
    [12_872, '  12.872 us   '],
    [230_189, '  230.189 us  '],
    [1_234_567, '  1234.567 us '],
    [12_345_678, '  12345.67 us '],
    [123_456_789, '  123456.7 us '],
    [1_234_567_890, '  1234567 us  '],
  ])('writes %i ns as ftrace does', (ns, column) => {
    expect(graph({}, (p) => p.run(send, ns))).toContain(` 0) ${column}|  __x64_sys_sendto();\n`)
  })

  it('marks what took long', () => {
    for (const [ns, mark] of [
      [10_000, ' '],
      [10_001, '+'],
      [100_001, '!'],
      [1_000_001, '#'],
      [10_000_001, '*'],
      [100_000_001, '@'],
      [1_000_000_001, '$'],
    ] as const)
      expect(graph({ overhead: true }, (p) => p.run(send, ns))).toContain(` 0) ${mark} `)
  })

  it('prints arguments and results', () => {
    const text = graph({ args: true, retval: true }, (p) =>
      p.run(
        sendmsg,
        1,
        () => {
          p.run(lockSockNested, 1, undefined, [], undefined)
          p.run(spinLock, 1, undefined, [], -22)
        },
        [{ kaddr: 0xffff888003a41800 }, null, 4096],
        4096,
      ),
    )
    expect(text).toContain('tcp_sendmsg(sk=0xffff888003a41800, msg=0x0, size=4096) {')
    expect(text).toContain('} /* tcp_sendmsg ret=0x1000 */')
    expect(text).toContain('lock_sock_nested();\n')
    expect(text).toContain('_raw_spin_lock_bh(); /* ret=-22 */')
    expect(graph({ retvalHex: true, retval: true }, (p) => p.run(spinLock, 1, undefined, [], -22))).toContain(
      '/* ret=0xffffffffffffffea */',
    )
  })

  it('says the place of a call and what a pointer holds', () => {
    const text = graph({ view: 'source', places: true }, (p, g) =>
      p.run(sendmsg, 1, () => {
        g.indirect('sk->sk_prot->sendmsg', 'lock_sock')
        p.run(lockSock, 1)
      }),
    )
    expect(text).toContain('~lock_sock();  [net/ipv4/tcp.c:1357] /* sk->sk_prot->sendmsg */\n')
  })

  it('filters as ftrace does', () => {
    expect(
      graph({ graphFunction: ['lock_sock_*'] }, tree)
        .split('\n')
        .slice(1, 4),
    ).toEqual([
      ' 0)               |  lock_sock_nested() {',
      ' 0)   0.007 us    |    _raw_spin_lock_bh();',
      ' 0)   0.027 us    |  } /* lock_sock_nested */',
    ])
    expect(graph({ notrace: ['lock_sock_nested'] }, tree)).not.toMatch(/lock/)
    expect(graph({ maxDepth: 2 }, tree)).toContain(' 0)   0.377 us    |    tcp_sendmsg();\n')
    expect(graph({ maxDepth: 1 }, tree)).toContain(' 0)   0.477 us    |  __x64_sys_sendto();\n')
  })

  it('shows one process: what others do meanwhile is not its own', () => {
    const me = { kind: 'task', comm: 'client', pid: 7, netns: '' } as const
    const other = { kind: 'idle', comm: 'swapper/0', pid: 0, netns: '' } as const
    const text = graph({}, (p, g) => {
      g.context(me, other)
      p.run(send, 1, () => {
        g.context(other, me)
        p.run(lockSockNested, 5)
        g.context(me, other)
        p.run(spinLock, 1)
      })
    })
    expect(text).not.toContain('lock_sock_nested')
    expect(text).toContain('_raw_spin_lock_bh();')
  })

  it('prints decisions where they were made', () => {
    const text = graph({ why: true }, (p, g) =>
      p.run(send, 1, () => g.decision('tcp_nagle_test', 'held back', { len: 10, mss_now: 1448 })),
    )
    expect(text).toContain(' 0)               |    /* tcp_nagle_test: held back (len=10 mss_now=1448) */\n')
  })

  it('closes what a call left open that never came back', () => {
    const text = graph({}, (p, g) => {
      g.enter(send)
      g.enter(sendmsg)
      p.run(spinLock, 1)
    })
    expect(text.match(/\{/g)?.length).toBe(text.match(/\}/g)?.length)
  })

  it('heads the columns as ftrace does', () => {
    expect(headings({ ...defaults, view: 'ftrace' })).toBe(`# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
`)
  })
})

describe('detail path', () => {
  const transmit = call(
    fn('__tcp_transmit_skb', { file: 'net/ipv4/tcp_output.c', params: ['struct sock *sk', 'struct sk_buff *skb'] }),
  )
  const clone = call(
    fn('skb_clone', {
      file: 'net/core/skbuff.c',
      params: ['struct sk_buff *skb', 'gfp_t gfp_mask'],
      returns: 'struct sk_buff *',
    }),
  )
  const push = call(
    fn('skb_push', { file: 'net/core/skbuff.c', params: ['struct sk_buff *skb', 'unsigned int len'], returns: 'void *' }),
  )
  const options = call(fn('tcp_options_write', { file: 'net/ipv4/tcp_output.c', params: ['struct tcphdr *th'] }))
  const xmit = call(
    fn('ip_queue_xmit', { file: 'net/ipv4/ip_output.c', params: ['struct sock *sk', 'struct sk_buff *skb', 'struct flowi *fl'] }),
  )
  const features = call(fn('netif_skb_features', { file: 'net/core/dev.c', params: ['struct sk_buff *skb'] }))
  const enqueue = call(
    fn('enqueue_to_backlog', { file: 'net/core/dev.c', params: ['struct sk_buff *skb', 'int cpu', 'unsigned int *qtail'] }),
  )
  const wake = call(fn('sock_def_readable', { file: 'net/core/sock.c', params: ['struct sock *sk'] }))

  const way = (view: 'source' | 'ftrace'): string[] =>
    graph({ view, detail: 'path' }, (p) => {
      const a = skb({ id: 1, len: 4096, data_len: 4096 })
      const b = skb({ id: 2, len: 4096, data_len: 4096, clone_of: 1 })
      const ack = skb({ id: 3, truesize: 2 })
      p.run(send, 1, () =>
        p.run(
          sendmsg,
          1,
          () => {
            p.run(lockSockNested, 1)
            p.run(
              transmit,
              1,
              () => {
                p.run(clone, 1, undefined, [a, 0], b)
                p.run(
                  push,
                  1,
                  () => {
                    b.data -= 32
                    b.len += 32
                  },
                  [b, 32],
                  288,
                )
                p.run(options, 1)
                p.run(
                  xmit,
                  1,
                  () => {
                    p.run(features, 1, undefined, [b])
                    p.run(enqueue, 1, () => (b.list = p), [b, 0, null])
                    p.run(wake, 1)
                    p.run(xmit, 1, () => p.run(enqueue, 1, () => (ack.list = p), [ack]), [null, ack, null])
                  },
                  [null, b, null],
                )
              },
              [null, a],
            )
          },
          [null, {}, 4096],
        ),
      )
    })
      .split('\n')
      .filter((l) => l.includes('|  '))
      .map((l) => l.slice(l.indexOf('|  ') + 3))

  it.each(['source', 'ftrace'] as const)('keeps what carries the packet, and nothing else (%s)', (view) => {
    expect(way(view)).toEqual([
      '__x64_sys_sendto() {',
      '  tcp_sendmsg() {',
      '    __tcp_transmit_skb() {',
      '      skb_clone();',
      '      ip_queue_xmit() {',
      '        enqueue_to_backlog();',
      '      } /* ip_queue_xmit */',
      '    } /* __tcp_transmit_skb */',
      '  } /* tcp_sendmsg */',
      '} /* __x64_sys_sendto */',
    ])
  })
})
