import * as zlib from 'node:zlib'
import type { Compress } from './output.ts'

/** GZIP's way to say that it does not matter which system made the file (RFC 1952, OS): the same bytes on each */
const UNKNOWN_SYSTEM = 255

/** a member of a gzip file of its own; a file may have many */
function gzip(bytes: Uint8Array): Uint8Array {
  const out = zlib.gzipSync(bytes)
  out[9] = UNKNOWN_SYSTEM
  return out
}

/** not in each Node that skbtrace runs on: 22.15 has it */
function zstd(): { compress: Compress; decompress: () => zlib.Gunzip } | null {
  const z = zlib as unknown as { zstdCompressSync?: Compress; createZstdDecompress?: () => zlib.Gunzip }
  return z.zstdCompressSync === undefined || z.createZstdDecompress === undefined
    ? null
    : { compress: z.zstdCompressSync, decompress: z.createZstdDecompress }
}

const missing = (): string => `zstd needs Node 22.15 or later, and this is ${process.version}: use .gz instead`

/** how a file of that name is compressed; null for not at all, a string that says why it cannot be */
export function compressionOf(path: string): Compress | null | string {
  if (path.endsWith('.gz')) return gzip
  if (!path.endsWith('.zst')) return null
  return zstd()?.compress ?? missing()
}

/** what undoes the compression of a file that begins with these bytes; null for none, a string that says why it cannot be */
export function decompressionOf(start: Uint8Array): zlib.Gunzip | null | string {
  if (start[0] === 0x1f && start[1] === 0x8b) return zlib.createGunzip()
  if (start[0] !== 0x28 || start[1] !== 0xb5 || start[2] !== 0x2f || start[3] !== 0xfd) return null
  return zstd()?.decompress() ?? missing()
}
