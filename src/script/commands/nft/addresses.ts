/** the bytes of an IPv6 address; null for what is none */
export function decodeIpv6(text: string): Uint8Array | null {
  if (!/^[0-9a-f:.]+$/i.test(text) || !text.includes(':')) return null
  const sides = text.split('::')
  if (sides.length > 2) return null
  const groups = (side: string): number[] | null => {
    if (side === '') return []
    const out: number[] = []
    for (const g of side.split(':')) {
      if (g.includes('.')) {
        const p = g.split('.').map(Number)
        if (p.length !== 4 || p.some((x) => !(x < 256))) return null
        out.push(((p[0] ?? 0) << 8) | (p[1] ?? 0), ((p[2] ?? 0) << 8) | (p[3] ?? 0))
      } else if (/^[0-9a-f]{1,4}$/i.test(g)) out.push(Number.parseInt(g, 16))
      else return null
    }
    return out
  }
  const head = groups(sides[0] ?? '')
  const tail = sides.length === 2 ? groups(sides[1] ?? '') : []
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  if (sides.length === 2 ? missing < 1 : missing !== 0) return null
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail]
  return Uint8Array.from(all.flatMap((g) => [g >> 8, g & 0xff]))
}

/** as RFC 5952 writes it */
export function encodeIpv6(b: Uint8Array): string {
  const g = Array.from({ length: 8 }, (_, i) => ((b[2 * i] ?? 0) << 8) | (b[2 * i + 1] ?? 0))
  let best = { at: -1, len: 1 }
  for (let i = 0; i < 8; ) {
    let j = i
    while (j < 8 && g[j] === 0) j++
    if (j - i > best.len) best = { at: i, len: j - i }
    i = Math.max(j, i + 1)
  }
  const text = (part: number[]): string => part.map((x) => x.toString(16)).join(':')
  if (best.at < 0) return text(g)
  return `${text(g.slice(0, best.at))}::${text(g.slice(best.at + best.len))}`
}
