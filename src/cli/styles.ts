import { Chalk } from 'chalk'
import type { Paint } from '../formats/function_graph.ts'

/** the colours of a terminal */
export function styles(): Paint & { bold(text: string): string } {
  const c = new Chalk({ level: 1 })
  return { ghost: (t) => c.dim(t), comment: (t) => c.gray(t), time: (t) => c.cyan(t), bold: (t) => c.bold(t) }
}
