import { flow, type Span } from './text.ts'

/** every key there is: [keys, what they do, where: at the prompt, by keys, anywhere] */
const keys: readonly (readonly [string, string, 'prompt' | 'keys' | 'any'])[] = [
  ['Enter', 'do it; on an empty line: the last step again', 'prompt'],
  ['Tab', 'complete; again: the next that fits', 'prompt'],
  ['Up Down', 'older lines, newer ones', 'prompt'],
  ['Ctrl-R', 'search them', 'prompt'],
  ['Ctrl-A E W U K Y', "readline's", 'prompt'],
  ['Esc', 'on an empty line: step by single keys', 'prompt'],
  ['s n f c', 'step, next, finish, continue', 'keys'],
  ['S N F C', 'the same backward', 'keys'],
  ['u d', 'to the caller, back down', 'keys'],
  ['Esc Enter :', 'back to the prompt', 'keys'],
  ['Alt-1 2 3', 'call tree, sk_buff, state on and off; by keys: 1 2 3', 'any'],
  ['Alt-+ Alt--', 'panes higher, lower; by keys: + -', 'any'],
  ['?', 'these keys, on an empty line', 'any'],
  ['Ctrl-C', 'stops what runs, or clears the line', 'any'],
  ['Ctrl-D', 'leaves', 'any'],
]

/** the help, in as many rows as it may take */
export function keysLines(width: number, most: number): Span[][] {
  return flow(
    keys.map(([k, what]): Span[] => [{ text: k, bold: true, color: 'cyan' }, { text: ` ${what}` }]),
    width,
    most,
  )
}
