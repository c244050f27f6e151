import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Folding } from '../../src/formats/folding.ts'

/** a call and what it calls */
interface Tree {
  name: string
  calls: Tree[]
}

const call = (name: string, ...calls: Tree[]): Tree => ({ name, calls })

/** the lines of calls, one after the other: `f {`, `} f`, or `f` */
function lines(trees: readonly Tree[], fold: boolean, mark: (t: Tree) => string = () => ''): string[] {
  const out: string[] = []
  let ended = ''
  let frames = 0
  const folding = new Folding({
    out: (t) => void out.push(t),
    tally: () => frames,
    again: (times, calls) => `${times} x ${calls.join(' ')}`,
    before: () => `${ended} as before`,
  })
  const write = (text: string): void => {
    if (fold) folding.write(text)
    else out.push(text)
  }
  const play = (t: Tree): void => {
    if (fold) folding.begin(t.name)
    if (mark(t) !== '') folding.mark(mark(t))
    frames++
    if (t.calls.length === 0) write(t.name)
    else {
      write(`${t.name} {`)
      t.calls.forEach(play)
      if (fold) folding.closing()
      write(`} ${t.name}`)
    }
    ended = t.name
    if (fold) folding.end()
  }
  trees.forEach(play)
  folding.reset()
  return out
}

const folded = (...trees: Tree[]): string[] => lines(trees, true)

describe('folding', () => {
  it('counts a call that comes again and again, and shows it once', () => {
    const step = call('step', call('a'), call('b'))
    expect(folded(call('f', step, step, step, step, call('end')))).toEqual([
      'f {',
      'step {',
      'a',
      'b',
      '} step',
      '3 x step',
      'end',
      '} f',
    ])
  })

  it('counts several calls that come again in turn, and shows what is left of them', () => {
    const round = [call('alloc'), call('copy'), call('push', call('send'))]
    expect(folded(call('f', ...round, ...round, ...round, call('alloc'), call('copy')))).toEqual([
      'f {',
      'alloc',
      'copy',
      'push {',
      'send',
      '} push',
      '2 x alloc copy push',
      'alloc',
      'copy',
      '} f',
    ])
  })

  it('shows a single repeat as it is', () => {
    expect(folded(call('f', call('a'), call('a')))).toEqual(['f {', 'a', 'a', '} f'])
  })

  it('does not take for a repeat what calls something else', () => {
    const out = folded(call('f', call('a', call('x')), call('a', call('x')), call('a', call('y'))))
    expect(out.filter((l) => l === 'y')).toEqual(['y'])
    expect(out).not.toContain('2 x a')
  })

  it('keeps apart what is marked as different', () => {
    const drop = call('a', call('drop'))
    const steps = [call('a', call('go')), call('a', call('go')), call('a', call('go')), drop]
    const out = lines([call('f', ...steps)], true, (t) => (t === drop ? 'lost' : ''))
    expect(out).toContain('2 x a')
    expect(out).toContain('drop')
  })

  it('has one line for what was made before elsewhere, with all that it calls', () => {
    const way = call('way', call('a', call('b', call('c'))), call('d'), call('e'))
    const out = folded(call('f', way), call('g', way, call('h')))
    expect(out.slice(-4)).toEqual(['g {', 'way as before', 'h', '} g'])
    expect(out.filter((l) => l === 'c')).toEqual(['c'])
  })

  it('loses nothing that was not shown before, and changes no order', () => {
    const tree = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.record({
        name: fc.constantFrom('a', 'b', 'c', 'd'),
        calls: fc.oneof({ maxDepth: 4 }, fc.constant<Tree[]>([]), fc.array(tie('tree'), { maxLength: 5 })),
      }),
    })).tree
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 8 }), (trees) => {
        const all = lines(trees, false)
        const out = lines(trees, true).filter((l) => !/ x | as before$/.test(l))
        let at = 0
        for (const l of out) {
          at = all.indexOf(l, at)
          expect(at).toBeGreaterThanOrEqual(0)
          at++
        }
        expect(new Set(out)).toEqual(new Set(all))
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it('keeps no more than a megabyte back', () => {
    const out: string[] = []
    const f = new Folding({ out: (t) => void out.push(t), tally: () => 0, again: () => 'again', before: () => 'before' })
    f.begin('f')
    f.write('f {')
    for (let i = 0; i < 2; i++) {
      f.begin('step')
      for (let j = 0; j < 3000; j++) f.write('x'.repeat(1000))
      if (i === 1) expect(out.length).toBeGreaterThan(3000)
      f.end()
    }
    f.reset()
    expect(out.length).toBe(6001)
  })
})
