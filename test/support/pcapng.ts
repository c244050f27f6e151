import { readFileSync } from 'node:fs'

/** interfaces and packets of a pcapng file of little-endian blocks */
export function readPcapng(path: string) {
  const b = readFileSync(path)
  const d = new DataView(b.buffer, b.byteOffset, b.byteLength)
  const interfaces: string[] = []
  const packets: { interface: number; ns: bigint; data: Uint8Array; length: number; flags: number; id: bigint }[] = []
  const options = (at: number, end: number): Map<number, Uint8Array> => {
    const out = new Map<number, Uint8Array>()
    while (at + 4 <= end) {
      const code = d.getUint16(at, true)
      const n = d.getUint16(at + 2, true)
      if (code === 0) break
      out.set(code, b.subarray(at + 4, at + 4 + n))
      at += 4 + ((n + 3) & ~3)
    }
    return out
  }
  for (let at = 0; at < b.length; ) {
    const type = d.getUint32(at, true)
    const n = d.getUint32(at + 4, true)
    if (d.getUint32(at + n - 4, true) !== n) throw new Error(`block at ${at}: its two lengths differ`)
    if (type === 1) interfaces.push(Buffer.from(options(at + 16, at + n - 4).get(2) ?? []).toString())
    if (type === 6) {
      const length = d.getUint32(at + 20, true)
      const o = options(at + 28 + ((length + 3) & ~3), at + n - 4)
      packets.push({
        interface: d.getUint32(at + 8, true),
        ns: (BigInt(d.getUint32(at + 12, true)) << 32n) | BigInt(d.getUint32(at + 16, true)),
        data: b.subarray(at + 28, at + 28 + length),
        length: d.getUint32(at + 24, true),
        flags: o.get(2)?.[0] ?? -1,
        id: Buffer.from(o.get(5) ?? new Uint8Array(8)).readBigUInt64LE(),
      })
    }
    at += n
  }
  return { interfaces, packets }
}
