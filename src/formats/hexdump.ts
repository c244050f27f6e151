/** `00000000  45 00 …  |E.…|`, sixteen bytes a line: what hexdump -C and text2pcap understand. */

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))
const ASCII = Array.from({ length: 256 }, (_, i) => (i >= 32 && i < 127 ? String.fromCharCode(i) : '.'))

/** the line for at most 16 bytes from `at` on, which are at `offset` of the whole */
function line(b: Uint8Array, at: number, end: number, offset: number): string {
  let hex = ''
  let ascii = ''
  for (let i = at; i < at + 16; i++) {
    if (i < end) {
      const v = b[i] as number
      hex += ` ${HEX[v]}`
      ascii += ASCII[v]
    } else hex += '   '
  }
  return `${offset.toString(16).padStart(8, '0')} ${hex}  |${ascii}|\n`
}

/** dump lines of `b` from byte `from` to `to`, each with `prefix` in front */
export function hexdump(b: Uint8Array, from: number, to: number, prefix = ''): string {
  let out = ''
  for (let at = from; at < to; at += 16) out += prefix + line(b, at, Math.min(to, at + 16), at)
  return out
}
