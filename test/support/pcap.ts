import { readFileSync } from 'node:fs'

export interface Frame {
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
