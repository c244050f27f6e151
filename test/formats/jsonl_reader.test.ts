import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Format } from '../../src/formats/format.ts'
import { JsonlReader, TraceError } from '../../src/formats/jsonl_reader.ts'
import { loadEverything } from '../../src/script/everything.ts'
import { savedTrace } from '../support/saved.ts'
import { scenario } from '../support/written.ts'

const nobody: Format = { begin: () => {}, end: () => {}, enter: () => {}, exit: () => {}, close: () => {} }

let saved = ''
beforeAll(async () => {
  await loadEverything()
  saved = await savedTrace(scenario('e1000-udp4-arp'))
})

/** what the reader says of a text; '' when it takes it */
function read(bytes: Uint8Array): string {
  const reader = new JsonlReader(() => nobody)
  try {
    reader.feed(bytes)
    reader.finish()
    return ''
  } catch (e) {
    if (e instanceof TraceError) return `${e.line}: ${e.message}`
    throw e
  }
}
const readText = (text: string): string => read(new TextEncoder().encode(text))

describe('the JSON Schema in docs', () => {
  it('describes every line of a trace, and nothing else', () => {
    const schema = JSON.parse(readFileSync(new URL('../../docs/skbtrace.schema.json', import.meta.url), 'utf8')) as object
    const validate = new Ajv({ strict: false }).compile(schema)
    const types = new Set<string>()
    for (const text of saved.split('\n').filter((l) => l !== '')) {
      const line = JSON.parse(text) as { type: string }
      if (types.has(line.type) && types.size > 16) continue
      types.add(line.type)
      expect(validate(line), `${text}: ${JSON.stringify(validate.errors)}`).toBe(true)
      expect(validate({ ...line, more: 1 }), line.type).toBe(false)
      expect(validate({ ...line, type: 'other' })).toBe(false)
    }
    for (const type of [
      'skbtrace',
      'call',
      'result',
      'enter',
      'exit',
      'buffer',
      'skb',
      'frame',
      'free',
      'context',
      'card',
      'end',
    ])
      expect(types).toContain(type)
  })
})

describe('reading a saved trace', () => {
  it('takes what was written, in pieces of any size', () => {
    expect(readText(saved)).toBe('')
    const bytes = new TextEncoder().encode(saved)
    const reader = new JsonlReader(() => nobody)
    for (let at = 0; at < bytes.length; at += 997) reader.feed(bytes.subarray(at, at + 997))
    reader.finish()
    expect(reader.events).toBe(saved.trim().split('\n').length - 1)
  })

  it.each<[string, (lines: string[]) => string[], RegExp]>([
    ['nothing', () => [], /^1: empty/],
    ['another text', () => ['# Readme'], /^1: not a trace of skbtrace/],
    ['other JSON', () => ['{"a":1}'], /^1: not a trace of skbtrace/],
    ['a layout to come', (l) => [l[0]?.replace('"layout":1', '"layout":2') ?? ''], /^1: has the layout 2/],
    ['the end is missing', (l) => l.slice(0, 100), /^100: .*cut off/],
    [
      'half a line',
      (l) => [...l.slice(0, 99), l[99]?.slice(0, 30) ?? ''],
      /^100: the trace ends in the middle of this line: it was cut off/,
    ],
    ['an event twice', (l) => l.flatMap((t, i) => (i > 60 && t.includes('"enter"') ? [t, t] : [t])), /^\d+: depth/],
    ['a line too many', (l) => [...l, l[3] ?? ''], /comes behind the last line/],
    [
      'a function that Linux does not have',
      (l) => l.map((t) => t.replace('"fn":"udp_sendmsg"', '"fn":"udp_sendmail"')),
      /udp_sendmail/,
    ],
    [
      'time that goes back',
      (l) => l.map((t, i) => (i === 80 ? t.replace(/"ts":[\d.]+/, '"ts":5') : t)),
      /^81: goes back in time/,
    ],
    ['a buffer without bounds', (l) => l.map((t) => t.replace(/"end":\d+/, '"end":99999999')), /'end' has to be/],
    ['a type of its own', (l) => [l[0] ?? '', '{"type":"hello"}'], /^2: there are no lines of type "hello"/],
  ])('refuses %s, and says where', (_, change, message) => {
    const lines = saved.trim().split('\n')
    expect(readText(change(lines).join('\n'))).toMatch(message)
  })

  it('neither crashes nor hangs, whatever bytes are changed, cut out or put in', () => {
    const bytes = new TextEncoder().encode(saved.split('\n').slice(0, 400).join('\n'))
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(40), fc.uint8Array({ maxLength: 40 }), fc.boolean(), (at, cut, put, text) => {
        const middle = text ? put.map((b) => 0x20 + (b % 95)) : put
        expect(read(Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(at + cut)]))).toMatch(/^\d+: /)
      }),
      { numRuns: 150, seed: 1 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (junk) => {
        expect(read(junk)).toMatch(/^\d+: /)
      }),
      { numRuns: 100, seed: 1 },
    )
  })

  it('takes no more memory than a trace can need, however much one asks for', () => {
    const [first = ''] = saved.split('\n')
    const call = '{"type":"call","call":1,"title":"x","ts":1,"run":1,"kind":"task","comm":"x","pid":1,"netns":""}'
    const many = Array.from(
      { length: 2000 },
      (_, i) =>
        `{"type":"buffer","ts":1,"id":${i + 1},"addr":"0x${(4096 * i).toString(16)}","tail":1000000,"end":1000000,"head":[${i + 1},0]}`,
    )
    expect(readText([first, call, ...many].join('\n'))).toMatch(/more than 268435456 bytes of buffers/)
    const reader = new JsonlReader(() => nobody)
    const piece = new Uint8Array(1 << 20).fill(0x20)
    expect(() => {
      for (let i = 0; i < 100; i++) reader.feed(piece)
    }).toThrow(/longer than 16777216 bytes/)
  })
})
