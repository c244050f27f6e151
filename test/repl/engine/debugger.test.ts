import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeRepl } from '../../support/repl.ts'

const dir = mkdtempSync(join(tmpdir(), 'repl-'))
afterAll(() => rmSync(dir, { recursive: true }))

describe('breakpoints', () => {
  test('continue N says what the calls returned that it passed', async () => {
    const { does } = makeRepl()
    const file = join(dir, 'two.scn')
    writeFileSync(file, 'p = socketpair(AF_UNIX, SOCK_STREAM, 0)\n> send(p0, 100, 0)\n> send(p0, 200, 0)\n> send(p0, 300, 0)\n')
    await does('break unix_stream_sendmsg')
    expect(await does(`source ${file}`)).toContain('Breakpoint 1')
    const said = await does('continue 2')
    expect(said).toContain('send(p0, 100, 0) = 100')
    expect(said).toContain('send(p0, 200, 0) = 200')
    expect(said).not.toContain('= 300')
  })

  test('a queue that takes the place of another is named by its own kind', async () => {
    const { engine, does } = makeRepl()
    for (const line of [
      'ip link add eth0 type veth peer name eth0 netns peer',
      'ip addr add 10.0.0.1/24 dev eth0',
      'ip link set eth0 up',
      'ip -n peer addr add 10.0.0.2/24 dev eth0',
      'ip -n peer link set eth0 up',
      'udp 10 10.0.0.2',
    ])
      await does(line)
    // Linux attaches noqueue to a veth that is brought up: attach_one_default_qdisc()
    const titles = (await engine.view({ state: true })).state.map((g) => g.title)
    expect(titles.filter((t) => t.includes('noop'))).toEqual([])
    expect(titles.some((t) => t.startsWith('eth0: noqueue'))).toBe(true)
  })

  test('a condition stops only where it holds', async () => {
    const { engine, does } = makeRepl()
    await does('send 100')
    await does('send 4096')
    expect(await does('break tcp_* if skb.len > 1448')).toMatch(/^Breakpoint 1: tcp_\* if skb\.len > 1448 \(\d+ functions\)/)
    await does('goto start')
    let hits = 0
    while ((await does('continue')).includes('Breakpoint 1')) {
      hits++
      expect(engine.debugger.position?.fn).toMatch(/^tcp_/)
      expect(Number((await engine.view({ skb: true })).skb?.fields.find((f) => f.name === 'len')?.value)).toBeGreaterThan(1448)
    }
    expect(hits).toBeGreaterThan(3)
    expect(Number((await does('reverse-continue')).match(/event (\d+)/)?.[1])).toBeGreaterThan(0)
    expect(Number((await does('print skb.len')).replace(/.*= /, ''))).toBeGreaterThan(1448)
    await does('goto end')
    // the same ones, backward
    let back = 0
    while ((await does('reverse-continue')).includes('Breakpoint 1')) back++
    expect(back).toBe(hits)
  })

  test('what is typed later stops at a condition as well', async () => {
    const { does } = makeRepl()
    await does('connect')
    await does('break tcp_write_xmit if sk.sk_wmem_queued > 5000')
    expect(await does('send 1')).not.toContain('Breakpoint')
    expect(await does('send 8192')).toContain('Breakpoint 1')
  })

  test('a watchpoint stops where the value changes, and says from what to what', async () => {
    const { does } = makeRepl()
    await does('send 4096')
    await does('goto start')
    await does('advance tcp_sendmsg')
    await does('watch tp.snd_nxt')
    const before = (await does('print tp.snd_nxt')).replace(/.*= /, '')
    const stop = await does('continue')
    expect(stop).toContain('Watchpoint 1: tp.snd_nxt')
    // RFC 9293: 4096 bytes are sent
    expect(stop).toMatch(new RegExp(`was ${before}\\n\\s+is  ${Number(before) + 4096}`))
    expect((await does('print tp.snd_nxt')).replace(/.*= /, '')).toBe(String(Number(before) + 4096))
    await does('stepi')
    await does('reverse-stepi')
    await does('reverse-stepi')
    expect((await does('print tp.snd_nxt')).replace(/.*= /, '')).toBe(before)
  })

  test("another buffer's length is no change of this one's", async () => {
    const { does } = makeRepl()
    await does('udp 512')
    await does('goto start')
    await does('advance udp_send_skb')
    await does('watch skb.data')
    // each header that is put in front moves data: Ethernet has 14 bytes
    const stop = await does('continue')
    const [, was = '', is = ''] = /head\+(\d+)\n\s+is .*head\+(\d+)/.exec(stop) ?? []
    expect(Number(was) - Number(is)).toBe(14)
  })

  test('drops, copies and frames', async () => {
    const { does } = makeRepl()
    await does('break copy')
    expect(await does('send 4096')).toContain('copy: 4096 bytes')
    await does('delete')
    await does('break frame')
    await does('goto start')
    const frames: string[] = []
    for (let s = await does('continue'); s.includes('Breakpoint 2'); s = await does('continue')) frames.push(s)
    expect(frames.filter((f) => f.includes('lo out, 66 bytes')).length).toBeGreaterThan(0)
    expect(frames.filter((f) => f.includes('lo out, 4162 bytes'))).toHaveLength(1)
    await does('delete')
    await does('break drop')
    await does('s9 = socket(AF_INET, SOCK_DGRAM, 0)')
    expect(await does('sendto(s9, 1, 0, 127.0.0.1:9)')).toContain('NO_SOCKET')
  })

  test('disable, enable, ignore, tbreak and delete', async () => {
    const { does } = makeRepl()
    await does('send 1')
    await does('break ip_rcv')
    await does('goto start')
    const events: number[] = []
    for (let s = await does('continue'); s.includes('Breakpoint'); s = await does('continue'))
      events.push(Number(/event (\d+)/.exec(s)?.[1]))
    expect(events.length).toBeGreaterThan(3)
    await does('goto start')
    await does('ignore 1 2')
    expect(await does('continue')).toContain(`event ${events[2]} of`)
    await does('disable 1')
    expect(await does('continue')).toContain('The session ends here')
    await does('enable 1')
    expect(await does('reverse-continue')).toContain(`event ${events.at(-1)} of`)
    await does('delete 1')
    await does('tbreak ip_rcv')
    await does('goto start')
    expect(await does('continue')).toContain('Temporary breakpoint 2')
    expect(await does('info break')).toContain('No breakpoints')
  })
})

test('mistakes are one line, and change nothing', async () => {
  const { engine, does } = makeRepl()
  await does('send 100')
  await does('goto 100')
  const { length } = engine.debugger.session
  for (const line of [
    'brek foo',
    'break no_such_function',
    'print skb.lenn',
    'print 1 +',
    'x/9q skb.data',
    'send',
    'send many',
    'ip link add nonsense',
    'tc qdisc add dev nope root fq',
    'send(zz, 1, 0)',
    'recv(s, 10)) ',
    'goto 99999999',
    'finish 3 4',
    'whatif',
    'restart 1',
    'save /nonexistent/x.scn',
    'save x.unknown',
    'info nothing',
    'frame 99',
    'set colour blue',
    'condition 7 1',
    'watch',
    'source /nonexistent',
    's = accept(l)',
  ]) {
    const r = await engine.submit(line)
    const text = r.blocks.map((b) => b.text).join('\n')
    expect([line, r.ok, r.blocks.length, text === '']).toEqual([line, false, 1, false])
    expect(text).not.toMatch(/TypeError|undefined|\bat .*\.ts/)
    expect(engine.debugger.session.length).toBe(length)
    expect([line, engine.debugger.cursor]).toEqual([line, 100])
  }
  expect(await does('break tcp_wirte_xmit')).toBe(
    'error: no simulated function is named tcp_wirte_xmit (there is tcp_write_xmit)',
  )
  // a call that would wait for ever was taken back: the host goes on as before
  expect(await does('send(c, 10, 0)')).toContain('= 10')
  expect(await does('recv')).toContain('= 110')
})

describe('saving', () => {
  test('a saved scenario makes the same trace', async () => {
    const a = makeRepl()
    for (const line of ['ip link set lo mtu 1500', 'send 4096', 'recv', 'udp 512', 'tc qdisc show']) await a.does(line)
    const scn = join(dir, 'a.scn')
    expect(await a.does(`save ${scn}`)).toContain('a.scn')
    expect(await a.does(`save ${join(dir, 'a.jsonl')}`)).toContain('jsonl')
    const b = makeRepl()
    await b.does(`source ${scn}`)
    expect(b.engine.debugger.session.length).toBe(a.engine.debugger.session.length)
    await b.does('print 1')
    await b.does(`save ${join(dir, 'a2.jsonl')}`)
    const text = (name: string): string => readFileSync(join(dir, name), 'utf8').replace(/a2?\.scn/, '')
    expect(text('a2.jsonl')).toBe(text('a.jsonl'))
    // looking at it does not change what comes next
    await a.does('goto start')
    await a.does('print $event')
    await a.does('send 1')
    await b.does('send 1')
    expect(a.engine.debugger.session.length).toBe(b.engine.debugger.session.length)
  })
})

describe('whatif', () => {
  const { engine, does } = makeRepl()
  beforeAll(async () => {
    for (const line of [
      'hw eth0 e1000',
      'ip addr add 10.0.0.1/24 dev eth0',
      'ip -n peer addr add 10.0.0.2/24 dev eth0',
      'ip link set eth0 up',
      'ip -n peer link set eth0 up',
      // an e1000 has its link two seconds after it was opened, and hears what comes a second later
      'wait 4000',
      'connect 10.0.0.2:8080',
      'send 16000',
    ])
      expect(await does(line)).not.toContain('error')
  })

  test('segmentation in software instead of in the card', async () => {
    await does('break ip_queue_xmit if skb.len > 3000')
    expect(await does('reverse-continue')).toContain('Breakpoint 1')
    const { length } = engine.debugger.session
    const text = await does('whatif ethtool -K eth0 tso off')
    expect(text).toContain("what if 'ethtool -K eth0 tso off'")
    expect(text).toMatch(/only what if: .*tcp_gso_segment|skb_segment/)
    expect(engine.debugger.session.length).toBe(length)
    // nothing of it has happened
    await does('goto end')
    expect(await does('ethtool -k eth0')).toMatch(/tcp-segmentation-offload: on/)
  })

  test('what changes nothing is said to change nothing', async () => {
    await does('goto end')
    await does('reverse-continue')
    expect(await does('whatif ip link set lo mtu 65536')).toContain('no difference')
  })

  test('a system call cannot begin inside another', async () => {
    expect(await does('whatif send(c, 1, 0)')).toContain('error: a system call cannot begin inside another')
    await does('reverse-finish')
    engine.debugger.cursor = engine.debugger.session.startOf(engine.debugger.session.lines.length - 1)
    expect(await does('whatif setsockopt(c, SOL_TCP, TCP_NODELAY, 1)')).toContain('what if')
  })
})

test('checkpoint and restart', async () => {
  const { engine, does } = makeRepl()
  await does('send 10')
  const { length } = engine.debugger.session
  await does('checkpoint')
  await does('send 20')
  await does('send 30')
  expect(await does('restart 1')).toContain('2 lines that came later are gone')
  expect(engine.debugger.session.length).toBe(length)
  expect(await does('recv')).toContain('= 10')
})

test('forget frees the recording and keeps the host', async () => {
  const { engine, does } = makeRepl()
  await does('send 10')
  await does('forget')
  expect(engine.debugger.session.length).toBe(0)
  await does('send 20')
  expect(await does('recv')).toContain('= 30')
  await does('goto start')
  expect(await does('advance tcp_sendmsg')).toContain('size=20')
  expect(await does('print size')).toContain('= 20')
  expect((await does('info lines')).split('\n').filter((l) => l.includes('forgotten')).length).toBe(7)
})

test('Tab', async () => {
  const { engine, does } = makeRepl()
  const texts = async (line: string): Promise<string[]> =>
    (await engine.complete(line, line.length)).candidates.map((c) => c.text)
  expect(await texts('brea')).toEqual(['break'])
  expect(await texts('break tcp_write_xm')).toEqual(['tcp_write_xmit'])
  expect(await texts('info soc')).toEqual(['sockets'])
  expect(await texts('ip li')).toEqual(['link'])
  expect(await texts('send(c, 10, MSG_DONTW')).toEqual(['MSG_DONTWAIT'])
  await does('send 4096')
  await does('goto start')
  await does('advance ip_queue_xmit')
  expect(await texts('print skb.transp')).toEqual(['transport_header'])
  expect(await texts('print skb.dev.na')).toEqual([])
  expect(await texts('print tp.snd_cw')).toContain('snd_cwnd')
  expect((await engine.complete('print skb.tr', 12)).from).toBe(10)
})
