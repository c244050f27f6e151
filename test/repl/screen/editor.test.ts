import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Edit, type Editor, edit, emptyEditor, entered } from '../../../src/repl/screen/editor.ts'

const type = (e: Editor, text: string): Editor => edit(e, { type: 'insert', text })
const keys = (e: Editor, ...list: Edit['type'][]): Editor => list.reduce((x, t) => edit(x, { type: t } as Edit), e)

describe('the line that is typed', () => {
  it('is edited as readline does', () => {
    let e = type(emptyEditor(), 'send 4096')
    e = type(keys(e, 'wordLeft'), '1')
    expect(e.text).toBe('send 14096')
    e = keys(e, 'end', 'cutWord')
    expect([e.text, e.cut]).toEqual(['send ', '14096'])
    e = keys(e, 'home', 'paste')
    expect([e.text, e.cursor]).toEqual(['14096send ', 5])
    e = keys(e, 'cutEnd')
    expect([e.text, e.cut]).toEqual(['14096', 'send '])
    expect(keys(e, 'cutStart').text).toBe('')
  })

  it('never cuts a character in two', () => {
    const e = type(emptyEditor(), 'a😀b')
    expect(keys(e, 'left', 'backspace').text).toBe('ab')
    expect(keys(e, 'left', 'left', 'delete').text).toBe('ab')
  })

  it('goes through older lines and comes back to the one that was typed', () => {
    const e = type(emptyEditor(['send 1', 'send 2']), 'dra')
    const up = keys(e, 'older', 'older', 'older')
    expect(up.text).toBe('send 1')
    expect(keys(up, 'newer').text).toBe('send 2')
    expect(keys(up, 'newer', 'newer').text).toBe('dra')
  })

  it('finds an older line by a part of it, and with Ctrl-R again the one before', () => {
    let e = keys(emptyEditor(['break tcp_ack', 'send 1', 'send 22', 'udp 2']), 'search')
    e = type(e, 'send')
    expect(e.text).toBe('send 22')
    e = keys(e, 'search')
    expect(e.text).toBe('send 1')
    e = keys(e, 'leaveSearch')
    expect([e.search, e.text]).toEqual([null, 'send 1'])
    expect(keys(type(keys(emptyEditor(['a']), 'search'), 'a'), 'clear').text).toBe('')
  })

  it('keeps what was entered, once when it is repeated', () => {
    let e = emptyEditor()
    for (const line of ['send 1', 'send 1', '', 'bt']) e = entered(type(e, line))
    expect(e.history).toEqual(['send 1', 'bt'])
    expect([e.text, e.cursor]).toEqual(['', 0])
  })

  it('has its cursor inside the line whatever is pressed', () => {
    const key = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 5 }).map((text): Edit => ({ type: 'insert', text })),
      fc
        .constantFrom(
          ...(['left', 'right', 'wordLeft', 'wordRight', 'home', 'end', 'backspace', 'delete', 'cutWord', 'cutStart'] as const),
          ...(['cutEnd', 'paste', 'older', 'newer', 'search', 'leaveSearch', 'clear'] as const),
        )
        .map((t): Edit => ({ type: t })),
    )
    fc.assert(
      fc.property(fc.array(key, { maxLength: 60 }), (list) => {
        let e = emptyEditor(['send 4096', 'break 😀'])
        for (const k of list) {
          e = edit(e, k)
          expect(e.cursor).toBeGreaterThanOrEqual(0)
          expect(e.cursor).toBeLessThanOrEqual(e.text.length)
          expect(e.at).toBeLessThanOrEqual(e.history.length)
        }
      }),
      { seed: 1 },
    )
  })
})
