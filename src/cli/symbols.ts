import type { Command } from 'commander'
import { globs } from '../formats/detail.ts'
import { Output } from '../formats/output.ts'
import { edgesOf } from '../trace/facts.ts'
import { declaredFunctions } from '../trace/kfunc.ts'
import { UsageError } from './errors.ts'

/** `skbtrace symbols [GLOB...]` */
export function addSymbols(program: Command): void {
  program
    .command('symbols')
    .description('list the simulated kernel functions: name, file and line, traced or inlined')
    .argument('[glob...]', "names or patterns such as 'tcp_*'")
    .action(async (patterns: string[]) => {
      await (await import('../script/everything.ts')).loadEverything()
      const wanted = globs(patterns)
      const all = new Map(declaredFunctions().map((f) => [f.name, f]))
      for (const p of patterns) {
        const matches = globs([p])
        if (matches === null || ![...all.keys()].some(matches))
          throw new UsageError(`no simulated function is named ${p === '' ? "''" : p}`)
      }
      const list = [...all.values()].filter((f) => wanted === null || wanted(f.name)).sort((a, b) => (a.name < b.name ? -1 : 1))
      const inlinedIn = new Map<string, number>()
      for (const { symbol } of all.values())
        for (const [key, e] of edgesOf(symbol)) {
          const callee = key.slice(key.lastIndexOf('>') + 1)
          if (e.inlined.length > 0) inlinedIn.set(callee, (inlinedIn.get(callee) ?? 0) + 1)
        }
      const places = list.map((f) => (f.symbol.file === '' ? '-' : `${f.symbol.file}:${f.symbol.line}`))
      const wide = Math.max(...list.map((f) => f.name.length))
      const widePlace = Math.max(...places.map((p) => p.length))
      const out = Output.stdout()
      list.forEach((f, i) => {
        const n = inlinedIn.get(f.name) ?? 0
        const at = n === 0 ? '' : ` in ${n} caller${n === 1 ? '' : 's'}`
        const what =
          f.symbol.kind === 'inline-only'
            ? `inlined${n === 0 ? '' : at}`
            : `${f.symbol.ftrace ? 'traced' : 'no tracing site'}${n === 0 ? '' : `, inlined${at}`}`
        out.write(`${f.name.padEnd(wide)}  ${(places[i] ?? '').padEnd(widePlace)}  ${what}\n`)
      })
      out.finish()
    })
}
