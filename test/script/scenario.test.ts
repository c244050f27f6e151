import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseScenario, ScenarioError } from '../../src/script/scenario.ts'

const refs = new URL('../../fixtures/refs/', import.meta.url)

const failure = (text: string): string => {
  try {
    parseScenario(text)
  } catch (e) {
    if (e instanceof ScenarioError) return `${e.line}:${e.column}: ${e.message}`
    throw e
  }
  return 'no error'
}

describe('the scenario language', () => {
  test.each(readdirSync(refs))('%s: the calls read as the recording wrote them', (name) => {
    const statements = parseScenario(readFileSync(new URL(`${name}/scenario.scn`, refs), 'utf8'))
    const calls = statements.filter((s) => s.kind === 'call').map((s) => (s.recorded ? `> ${s.text}` : s.text))
    const recorded = readFileSync(new URL(`${name}/results.txt`, refs), 'utf8')
      .trim()
      .split('\n')
    expect(recorded.filter((l) => !/^(drain|sleep_ms)/.test(l)).map((l) => l.replace(/ = (fd|-?\d+( E\w+)?)$/, ''))).toEqual(
      calls.filter((c) => !/^(drain|sleep_ms)/.test(c)),
    )
  })

  test('a part of an iovec may be memory that is not there', () => {
    const [s] = parseScenario('writev(c, [100,EFAULT/20])')
    const parts = [
      { length: 100, fault: false },
      { length: 20, fault: true },
    ]
    expect(s).toMatchObject({ args: [{ column: 8 }, { arg: { kind: 'iovec', parts } }] })
  })

  test('arguments', () => {
    const [s] = parseScenario('> x = sendmsg(c, [100,2000], MSG_MORE|MSG_DONTWAIT, 10.0.0.2:5000, UDP_SEGMENT=1000) @peer')
    expect(s).toMatchObject({
      kind: 'call',
      recorded: true,
      target: 'x',
      name: 'sendmsg',
      netns: 'peer',
      args: [
        { arg: { kind: 'names', names: ['c'] }, column: 15 },
        {
          arg: {
            kind: 'iovec',
            parts: [
              { length: 100, fault: false },
              { length: 2000, fault: false },
            ],
          },
          column: 18,
        },
        { arg: { kind: 'names', names: ['MSG_MORE', 'MSG_DONTWAIT'] } },
        { arg: { kind: 'inet', address: 0x0a000002, port: 5000 } },
        { arg: { kind: 'control', name: 'UDP_SEGMENT', value: 1000 } },
      ],
    })
  })

  test('a mistake is named with its line and column', () => {
    expect(failure('\n# a\n  send(c, 100 0)')).toBe("3:15: expected ')' after the arguments of send, found '0)'")
    expect(failure('send c')).toBe(
      "1:6: expected '(' after 'send', found 'c'; the commands are hw, ip, tc, ethtool, nft, sysctl, ss, nstat, cat",
    )
    expect(failure('bind(l, 127.0.0.300:80)')).toBe("1:9: '127.0.0.300' is not an IPv4 address")
    expect(failure('bind(l, 127.0.0.1:70000)')).toBe('1:19: a port is from 0 to 65535, not 70000')
    expect(failure('close(c) x')).toBe("1:10: expected the end of the line, found 'x'")
    expect(failure('x = ')).toBe("1:5: expected a call after 'x =', found the end of the line")
  })
})
