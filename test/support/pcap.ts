import { readFileSync } from 'node:fs'

interface Frame {
  data: Uint8Array
  /** length on the wire */
  length: number
}

/** frames of a classic pcap file of this machine's byte order */
export function readPcap(path: string): Frame[] {
  const b = readFileSync(path)
  const d = new DataView(b.buffer, b.byteOffset, b.byteLength)
  const out: Frame[] = []
  for (let at = 24; at + 16 <= b.length; ) {
    const n = d.getUint32(at + 8, true)
    out.push({ data: b.subarray(at + 16, at + 16 + n), length: d.getUint32(at + 12, true) })
    at += 16 + n
  }
  return out
}

/** frames as a classic pcap file, in microsecond steps from 0 */
export function pcap(frames: readonly Uint8Array[]): Uint8Array {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(262_144, 16)
  header.writeUInt32LE(1, 20)
  return Buffer.concat([
    header,
    ...frames.flatMap((f, i) => {
      const h = Buffer.alloc(16)
      h.writeUInt32LE(Math.floor(i / 1e6), 0)
      h.writeUInt32LE(i % 1e6, 4)
      h.writeUInt32LE(f.length, 8)
      h.writeUInt32LE(f.length, 12)
      return [h, f]
    }),
  ])
}
