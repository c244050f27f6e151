/** columns that a comment line takes at most */
const WIDTH = 79

/** breaks a list at its commas and spaces so that it fits; further lines stand below the first word */
export function wrap(head: string, text: string): string {
  const rest = `#${' '.repeat(head.length - 1)}`
  let out = ''
  let line = head
  let empty = true
  for (const word of text.split(/(?<=,) /)) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      out += `${line}\n`
      line = rest
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  return `${out}${line}\n`
}
