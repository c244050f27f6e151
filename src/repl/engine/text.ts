/** Lines that fit into a width. */

/** Breaks a line at its spaces; further lines begin with `indent` spaces, or where the second column of the line does. */
export function wrapWords(line: string, width: number, indent?: number): string {
  if (line.length <= width) return line
  const column = indent ?? /^( *\S.*? {2,})\S/.exec(line)?.[1]?.length ?? 2
  const out: string[] = []
  let rest = line
  while (rest.length > width) {
    const at = rest.lastIndexOf(' ', width)
    if (at <= column) break
    out.push(rest.slice(0, at))
    rest = ' '.repeat(column) + rest.slice(at + 1)
  }
  return [...out, rest].join('\n')
}

/** each line of a text by itself */
export const wrapText = (text: string, width: number, indent?: number): string =>
  text
    .split('\n')
    .map((l) => wrapWords(l, width, indent))
    .join('\n')

/** a frame: its place goes to a line of its own before anything else is broken, as gdb has it */
export function wrapFrame(line: string, width: number): string {
  if (line.length <= width) return line
  const at = line.search(/ at \S+:\d+( \[[^\]]*\])?$/)
  // with its arguments on more than one line, the place may as well follow them
  if (at < 0 || at > width) return wrapWords(line, width, 4)
  return `${line.slice(0, at)}\n   ${line.slice(at)}`
}
