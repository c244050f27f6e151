/** The columns of function_graph: Linux 6.12, kernel/trace/trace_functions_graph.c. */

const INDENT: string[] = ['']
/** two spaces a level */
export const indent = (level: number): string => {
  for (let i = INDENT.length; i <= level; i++) INDENT.push(`${INDENT[i - 1]}  `)
  return INDENT[level] ?? ''
}

/** the DURATION column of a line that has none */
export const FILL = '              |  '

const mark = (ns: number): string =>
  ns > 1e9 ? '$' : ns > 1e8 ? '@' : ns > 1e7 ? '*' : ns > 1e6 ? '#' : ns > 1e5 ? '!' : ns > 1e4 ? '+' : ' '

/** the DURATION column: microseconds in seven digits */
export function duration(ns: number, overhead: boolean): string {
  const us = String(Math.floor(ns / 1000))
  const digits = Math.min(3, Math.max(0, 7 - us.length))
  const text =
    us.length < 7 && digits > 0
      ? `${us}.${String(ns % 1000)
          .padStart(3, '0')
          .slice(0, digits)}`
      : us
  return `${overhead ? mark(ns) : ' '} ${`${text} us `.padEnd(12)}|  `
}

/** seconds since boot, with microseconds */
export function abstime(ns: number): string {
  const s = Math.floor(ns / 1e9)
  return `${String(s).padStart(5)}.${String(Math.floor((ns - s * 1e9) / 1000)).padStart(6, '0')} |  `
}

/** command and process, cut to 7 and centred in 14 */
export function proc(comm: string, pid: number): string {
  const who = `${comm.slice(0, 7)}-${pid}`
  const spaces = Math.max(0, 14 - who.length)
  return `${' '.repeat(spaces >> 1)}${who}${' '.repeat(spaces - (spaces >> 1))} | `
}

/** a line's text with arguments put between the brackets and the rest behind; `more`: arguments, a tab, the rest */
export function decorated(text: string, more: string, end: string): string {
  const tab = more.indexOf('\t')
  const args = more.slice(0, tab)
  const after = more.slice(tab + 1)
  const at = text.lastIndexOf(`(${end}`)
  return `${text.slice(0, at + 1)}${args}${end}${after === '' ? '' : `  ${after}`}\n`
}

/** `# ---- softirq, in peer --------`, as wide as a narrow terminal */
export const rule = (text: string): string => `# ---- ${text} `.padEnd(79, '-').concat('\n')
