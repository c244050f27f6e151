import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HZ, TCP_RTO_MIN } from '../../src/kernel/include/generated/enums.ts'
import { sk_buff, skb_shared_info } from '../../src/kernel/include/linux/skbuff.ts'
import { tcphdr } from '../../src/kernel/include/linux/tcp.ts'
import { net } from '../../src/kernel/include/net/net_namespace.ts'
import { TCP_SKB_CB, tcp_options_received, tcp_sock } from '../../src/kernel/include/net/tcp.ts'
import {
  tcp_do_parse_auth_options,
  tcp_parse_mss_option,
  tcp_parse_options,
  tcp_rtt_estimator,
  tcp_set_rto,
} from '../../src/kernel/net/ipv4/tcp_input.ts'

function socket(): tcp_sock {
  const tp = new tcp_sock()
  tp.skc_net = new net()
  tp.icsk_rto_min = TCP_RTO_MIN
  return tp
}

describe('tcp_rtt_estimator', () => {
  it('starts as RFC 6298 2.2 says', () => {
    const tp = socket()
    tcp_rtt_estimator(tp, 500_000)
    expect(tp.srtt_us / 8).toBe(500_000)
    expect(tp.mdev_us / 4).toBe(250_000)
    tcp_set_rto(tp)
    // SRTT + 4 * RTTVAR
    expect(tp.icsk_rto).toBe(1.5 * HZ)
  })

  it('goes on as RFC 6298 2.3 says, while the RTT rises', () => {
    const tp = socket()
    tcp_rtt_estimator(tp, 400_000)
    tcp_rtt_estimator(tp, 480_000)
    // RTTVAR = 3/4 * 200 + 1/4 * 80, SRTT = 7/8 * 400 + 1/8 * 480
    expect(tp.mdev_us / 4).toBe(170_000)
    expect(tp.srtt_us / 8).toBe(410_000)
  })

  it('never lets the timeout fall below the RTT and the smallest RTO', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10_000_000 }), { minLength: 1, maxLength: 60 }), (samples) => {
        const tp = socket()
        for (const us of samples) {
          tcp_rtt_estimator(tp, us)
          tp.snd_una = (tp.snd_una + 1000) >>> 0
          tp.snd_nxt = (tp.snd_una + 500) >>> 0
          tcp_set_rto(tp)
          expect(tp.icsk_rto).toBeGreaterThanOrEqual(TCP_RTO_MIN)
          expect(tp.icsk_rto * (1e6 / HZ)).toBeGreaterThanOrEqual(tp.srtt_us / 8)
          expect(tp.srtt_us / 8).toBeLessThanOrEqual(Math.max(...samples) + 1)
        }
      }),
    )
  })

  it('converges on an RTT that stays', () => {
    const tp = socket()
    tcp_rtt_estimator(tp, 900_000)
    for (let i = 0; i < 200; i++) tcp_rtt_estimator(tp, 30_000)
    expect(tp.srtt_us / 8).toBeCloseTo(30_000, -1)
  })
})

/** a buffer whose TCP header is at the start of its head */
function segment(bytes: Uint8Array): sk_buff {
  const skb = new sk_buff({ bytes, shinfo: new skb_shared_info(), from: null, size: bytes.length })
  skb.len = bytes.length
  skb.tail = bytes.length
  skb.transport_header = 0
  return skb
}

/** the TCP segments of a capture, over IPv4 */
function segments(file: string): Uint8Array[] {
  const b = readFileSync(file)
  const out: Uint8Array[] = []
  for (let at = 24; at + 16 <= b.length; ) {
    const len = b.readUInt32LE(at + 8)
    const frame = b.subarray(at + 16, at + 16 + len)
    at += 16 + len
    if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 6) continue
    const ip = frame.subarray(14)
    out.push(new Uint8Array(ip.subarray(((ip[0] ?? 0) & 15) * 4, ip.readUInt16BE(2))))
  }
  return out
}

const refs = join(import.meta.dirname, '../../fixtures/refs')
const captured = readdirSync(refs).flatMap((name) => {
  try {
    return segments(join(refs, name, 'wire.pcap')).map((bytes) => ({ name, bytes }))
  } catch {
    return []
  }
})

/** options as type and value, read the plain way */
function options(bytes: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>()
  const end = ((bytes[12] ?? 0) >> 4) * 4
  for (let i = 20; i < end; ) {
    const kind = bytes[i] ?? 0
    if (kind === 0) break
    if (kind === 1) {
      i++
      continue
    }
    const len = bytes[i + 1] ?? 0
    found.set(kind, bytes.subarray(i + 2, i + len))
    i += len
  }
  return found
}
const be = (b: Uint8Array | undefined, at: number, n: number): number =>
  [...(b?.subarray(at, at + n) ?? [])].reduce((x, y) => x * 256 + y, 0)

describe('tcp_parse_options', () => {
  it('has captures to read', () => {
    expect(captured.filter((s) => (s.bytes[13] ?? 0) & 2).length).toBeGreaterThan(2)
  })

  it('reads what real segments carry', () => {
    for (const { name, bytes } of captured) {
      const want = options(bytes)
      const syn = ((bytes[13] ?? 0) & 2) !== 0
      const got = new tcp_options_received()
      got.tstamp_ok = 1
      got.sack_ok = syn ? 0 : 1
      const skb = segment(bytes)
      tcp_parse_options(new net(), skb, got, syn ? 0 : 1, null)
      expect(got.saw_tstamp, name).toBe(want.has(8) ? 1 : 0)
      if (want.has(8)) {
        expect(got.rcv_tsval, name).toBe(be(want.get(8), 0, 4))
        expect(got.rcv_tsecr, name).toBe(be(want.get(8), 4, 4))
      }
      if (syn) {
        expect(got.mss_clamp, name).toBe(be(want.get(2), 0, 2))
        expect(got.wscale_ok, name).toBe(want.has(3) ? 1 : 0)
        expect(got.snd_wscale, name).toBe(be(want.get(3), 0, 1))
        expect(got.sack_ok, name).toBe(want.has(4) ? 1 : 0)
        expect(tcp_parse_mss_option(new tcphdr(bytes, 0), 0), name).toBe(be(want.get(2), 0, 2))
        expect(tcp_parse_mss_option(new tcphdr(bytes, 0), 500), name).toBe(500)
      }
      expect(got.saw_unknown, name).toBe(0)
    }
  })

  it('finds the SACK blocks', () => {
    const bytes = new Uint8Array(32)
    bytes[12] = 8 << 4
    bytes.set([1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 9], 20)
    const skb = segment(bytes)
    const opt = new tcp_options_received()
    opt.sack_ok = 1
    tcp_parse_options(new net(), skb, opt, 1, null)
    expect(TCP_SKB_CB(skb).sacked).toBe(22)
  })

  it('takes any bytes without reading past the header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 60, maxLength: 60 }), fc.integer({ min: 5, max: 15 }), (random, doff) => {
        const bytes = random.slice(0, doff * 4)
        bytes[12] = doff << 4
        const skb = segment(bytes)
        const opt = new tcp_options_received()
        tcp_parse_options(new net(), skb, opt, 0, null)
        expect(opt.snd_wscale).toBeLessThanOrEqual(14)
        expect([0, -17, -22]).toContain(tcp_do_parse_auth_options(new tcphdr(bytes, 0), { v: 0 }, { v: 0 }))
      }),
    )
  })
})
