import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compile, type Scope } from '../../../src/repl/engine/evaluate.ts'
import { type Expr, ExprError, exprText, parseExpr } from '../../../src/repl/engine/expr.ts'

const nobody: Scope = { problem: '', lookup: () => undefined, call: () => undefined }
const value = (text: string): unknown => compile(parseExpr(text))({ ...nobody })

const name = fc.constantFrom('skb', 'tp', 'sk_wmem_queued', '$1', '$x', 'a')
const tree: fc.Arbitrary<Expr> = fc.letrec<{ e: Expr }>((tie) => ({
  e: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constant('number' as const), value: fc.nat() }),
    fc.record({ kind: fc.constant('name' as const), name }),
    fc.record({ kind: fc.constant('string' as const), value: fc.string({ unit: fc.constantFrom('a', ' ', '"', '\\', 'é') }) }),
    fc.record({ kind: fc.constant('member' as const), of: tie('e'), field: fc.constantFrom('len', 'sk_state') }),
    fc.record({ kind: fc.constant('index' as const), of: tie('e'), index: tie('e') }),
    fc.record({ kind: fc.constant('unary' as const), op: fc.constantFrom('-', '!', '~', '*', '&', '+'), of: tie('e') }),
    fc.record({
      kind: fc.constant('cast' as const),
      type: fc.constantFrom('u8', 'unsigned int', 'struct tcphdr *'),
      of: tie('e'),
    }),
    fc.record({
      kind: fc.constant('binary' as const),
      op: fc.constantFrom('||', '&&', '|', '^', '&', '==', '!=', '<', '>', '<=', '>=', '<<', '>>', '+', '-', '*', '/', '%'),
      left: tie('e'),
      right: tie('e'),
    }),
    fc.record({ kind: fc.constant('if' as const), test: tie('e'), yes: tie('e'), no: tie('e') }),
    fc.record({ kind: fc.constant('call' as const), name: fc.constant('sock'), args: fc.array(tie('e'), { maxLength: 2 }) }),
  ),
})).e

test('an expression written out and read again is the same expression', () => {
  fc.assert(
    fc.property(tree, (e) => {
      expect(parseExpr(exprText(e))).toEqual(e)
    }),
    { numRuns: 500, seed: 1 },
  )
})

test("operators bind as C's do, which JavaScript took over", () => {
  const operators = fc.constantFrom('|', '^', '&', '<<', '>>', '+', '-', '*')
  const chain = fc.tuple(
    fc.integer({ min: 0, max: 30 }),
    fc.array(fc.tuple(operators, fc.integer({ min: 0, max: 6 })), { maxLength: 6 }),
  )
  fc.assert(
    fc.property(chain, ([first, rest]) => {
      const text = [String(first), ...rest.map(([op, n]) => `${op} ${n}`)].join(' ')
      // a shift by a negative number is an error here, as a warning in C
      fc.pre(!/(<<|>>)/.test(text) || rest.every(([op]) => op !== '-'))
      const js = new Function(`return ${text.replace(/\d+/g, '$&n')}`)() as bigint
      fc.pre(js > -(2n ** 53n) && js < 2n ** 53n)
      const v = value(text)
      fc.pre(v !== undefined)
      expect(v).toBe(Number(js))
    }),
    { numRuns: 500, seed: 2 },
  )
})

test.each([
  ['1 ? 2 : 3', 2],
  ['0 ? 2 : 3', 3],
  ['7 / 2', 3],
  ['-7 / 2', -3],
  ['-7 % 3', -1],
  ['0x10 + 010', 24],
  ['(u8)300', 44],
  ['(s8)200', -56],
  ['(u16)-1', 65535],
  ['~0', -1],
  ['1 << 40', 1099511627776],
  ['!5 || 3 && 0', 0],
  ["'A'", 65],
  ['"eth0" == "eth0"', 1],
  ['0xffffffffffffffff', 0xffffffffffffffffn],
])('%s is %s', (text, expected) => {
  expect(value(text)).toEqual(expected)
})

test.each([
  ['skb.len >', 9, 'expected a value'],
  ['skb..len', 4, 'the name of a field'],
  ['(1 + 2', 6, "expected ')'"],
  ['a = 5', 2, 'nothing can be assigned'],
  ['1 2', 2, 'expected an operator'],
  ['#', 0, 'nothing an expression has'],
  ['089', 0, 'octal'],
])('%s is refused at column %d', (text, column, message) => {
  try {
    parseExpr(text)
    expect.unreachable()
  } catch (e) {
    expect(e).toBeInstanceOf(ExprError)
    expect((e as ExprError).column).toBe(column)
    expect((e as ExprError).message).toContain(message)
  }
})

test('no text makes the parser do anything but answer or refuse', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab.->[]()*&|<>=!?:0123456789"\'$ +~') }), (text) => {
      try {
        parseExpr(text)
      } catch (e) {
        expect(e).toBeInstanceOf(ExprError)
      }
    }),
    { numRuns: 2000, seed: 3 },
  )
})
