import { beforeEach, describe, expect, test } from 'vitest'
import { IPPROTO_TCP, SOCK_STREAM } from '../../src/kernel/include/generated/enums.ts'
import { EADDRINUSE, EADDRNOTAVAIL } from '../../src/kernel/include/linux/errno.ts'
import { do_initcalls } from '../../src/kernel/include/linux/init.ts'
import type { socket } from '../../src/kernel/include/linux/net.ts'
import { AF_INET } from '../../src/kernel/include/linux/socket.ts'
import type { ref } from '../../src/kernel/include/linux/types.ts'
import { inet_sk } from '../../src/kernel/include/net/inet_sock.ts'
import type { sock } from '../../src/kernel/include/net/sock.ts'
import { init_net } from '../../src/kernel/net/core/net_namespace.ts'
import { __inet_listen_sk, inet_release } from '../../src/kernel/net/ipv4/af_inet.ts'
import { inet_csk_get_port } from '../../src/kernel/net/ipv4/inet_connection_sock.ts'
import {
  __inet_lookup_established,
  __inet_lookup_listener,
  inet_hash_connect,
  sock_gen_put,
} from '../../src/kernel/net/ipv4/inet_hashtables.ts'
import { sock_create_kern } from '../../src/kernel/net/socket.ts'
import { random } from '../../src/sim/random.ts'

const LOOPBACK = 0x7f000001
const OTHER = 0x7f000002
const ANY = 0

function tcp(): { sock: socket; sk: sock } {
  const res: ref<socket | null> = { v: null }
  expect(sock_create_kern(init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, res)).toBe(0)
  const sock = res.v
  if (sock === null || sock.sk === null) throw new Error('no socket')
  return { sock, sk: sock.sk }
}

/** bind() without asking whether the address is one of this machine */
function bind(sk: sock, addr: number, port: number): number {
  const inet = inet_sk(sk)
  inet.inet_rcv_saddr = inet.inet_saddr = addr
  const err = inet_csk_get_port(sk, port)
  if (err) inet.inet_rcv_saddr = inet.inet_saddr = 0
  else inet.inet_sport = inet.inet_num
  return err
}

function connect(sk: sock, addr: number, port: number, from: number): number {
  const inet = inet_sk(sk)
  inet.inet_rcv_saddr = inet.inet_saddr = from
  inet.inet_daddr = addr
  inet.inet_dport = port
  // SYN_SENT
  sk.sk_state = 2
  return inet_hash_connect(init_net.ipv4.tcp_death_row, sk)
}

beforeEach(() => {
  random.seed(1)
  do_initcalls()
})

describe('bind', () => {
  test('a port is taken once', () => {
    const a = tcp()
    const b = tcp()
    expect(bind(a.sk, LOOPBACK, 8080)).toBe(0)
    expect(bind(b.sk, LOOPBACK, 8080)).toBe(-EADDRINUSE)
    expect(bind(b.sk, LOOPBACK, 8081)).toBe(0)
  })

  test('another address is another place, 0.0.0.0 is all of them', () => {
    const a = tcp()
    const b = tcp()
    const c = tcp()
    expect(bind(a.sk, LOOPBACK, 8080)).toBe(0)
    expect(bind(b.sk, OTHER, 8080)).toBe(0)
    expect(bind(c.sk, ANY, 8080)).toBe(-EADDRINUSE)
    expect(bind(c.sk, ANY, 8081)).toBe(0)
    expect(bind(tcp().sk, LOOPBACK, 8081)).toBe(-EADDRINUSE)
  })

  test('SO_REUSEADDR on both shares the port, but one of them may listen', () => {
    const a = tcp()
    const b = tcp()
    const c = tcp()
    for (const s of [a, b, c]) s.sk.sk_reuse = 1
    expect(bind(a.sk, LOOPBACK, 8080)).toBe(0)
    expect(bind(b.sk, LOOPBACK, 8080)).toBe(0)
    expect(__inet_listen_sk(a.sk, 8)).toBe(0)
    expect(__inet_listen_sk(b.sk, 8)).toBe(-EADDRINUSE)
    expect(bind(c.sk, LOOPBACK, 8080)).toBe(-EADDRINUSE)
    inet_release(a.sock)
    expect(bind(c.sk, LOOPBACK, 8080)).toBe(0)
    expect(__inet_listen_sk(c.sk, 8)).toBe(0)
  })

  test('SO_REUSEADDR on one of them does not', () => {
    const a = tcp()
    const b = tcp()
    b.sk.sk_reuse = 1
    expect(bind(a.sk, LOOPBACK, 8080)).toBe(0)
    expect(bind(b.sk, LOOPBACK, 8080)).toBe(-EADDRINUSE)
  })

  test('SO_REUSEPORT shares the port among listeners of one user', () => {
    const a = tcp()
    const b = tcp()
    const c = tcp()
    for (const s of [a, b, c]) s.sk.sk_reuseport = 1
    expect(bind(a.sk, LOOPBACK, 8080)).toBe(0)
    expect(__inet_listen_sk(a.sk, 8)).toBe(0)
    expect(bind(b.sk, LOOPBACK, 8080)).toBe(0)
    expect(__inet_listen_sk(b.sk, 8)).toBe(0)
    c.sk.sk_reuseport = 0
    expect(bind(c.sk, LOOPBACK, 8080)).toBe(-EADDRINUSE)
  })

  test('a port is free again when its socket has closed', () => {
    const a = tcp()
    expect(bind(a.sk, LOOPBACK, 8080)).toBe(0)
    inet_release(a.sock)
    expect(bind(tcp().sk, LOOPBACK, 8080)).toBe(0)
  })

  test('port 0 gets an odd port of the ephemeral range', () => {
    const seen = new Set<number>()
    for (let i = 0; i < 20; i++) {
      const { sk } = tcp()
      expect(bind(sk, LOOPBACK, 0)).toBe(0)
      const port = inet_sk(sk).inet_num
      expect(port).toBeGreaterThanOrEqual(32768)
      expect(port).toBeLessThanOrEqual(60999)
      expect(port % 2).toBe(1)
      seen.add(port)
    }
    expect(seen.size).toBe(20)
  })

  test('net.ipv4.ip_local_port_range and its end', () => {
    init_net.ipv4.ip_local_ports.range = [40000, 40003]
    const ports = new Set<number>()
    for (let i = 0; i < 4; i++) {
      const { sk } = tcp()
      expect(bind(sk, LOOPBACK, 0)).toBe(0)
      ports.add(inet_sk(sk).inet_num)
    }
    expect([...ports].sort()).toEqual([40000, 40001, 40002, 40003])
    expect(bind(tcp().sk, LOOPBACK, 0)).toBe(-EADDRINUSE)
    init_net.ipv4.ip_local_ports.range = [32768, 60999]
  })
})

describe('connect', () => {
  test('takes an even port of the range', () => {
    const { sk } = tcp()
    expect(connect(sk, LOOPBACK, 8080, LOOPBACK)).toBe(0)
    const port = inet_sk(sk).inet_num
    expect(port % 2).toBe(0)
    expect(port).toBeGreaterThanOrEqual(32768)
    expect(port).toBeLessThanOrEqual(60999)
  })

  test('the same four numbers are one connection', () => {
    const a = tcp()
    const b = tcp()
    a.sk.sk_reuse = b.sk.sk_reuse = 1
    expect(bind(a.sk, LOOPBACK, 40000)).toBe(0)
    expect(bind(b.sk, LOOPBACK, 40000)).toBe(0)
    expect(connect(a.sk, LOOPBACK, 8080, LOOPBACK)).toBe(0)
    expect(connect(b.sk, LOOPBACK, 8080, LOOPBACK)).toBe(-EADDRNOTAVAIL)
    expect(connect(b.sk, LOOPBACK, 8081, LOOPBACK)).toBe(0)
  })

  test('is found by address and port, with a reference', () => {
    const { sk } = tcp()
    expect(bind(sk, LOOPBACK, 40000)).toBe(0)
    expect(connect(sk, OTHER, 8080, LOOPBACK)).toBe(0)
    const { hashinfo } = init_net.ipv4.tcp_death_row
    const before = sk.sk_refcnt
    const found = __inet_lookup_established(init_net, hashinfo, OTHER, 8080, LOOPBACK, 40000, 1, 0)
    expect(found).toBe(sk)
    expect(sk.sk_refcnt).toBe(before + 1)
    sock_gen_put(sk)
    expect(__inet_lookup_established(init_net, hashinfo, OTHER, 8080, LOOPBACK, 40001, 1, 0)).toBeNull()
  })
})

describe('listen', () => {
  test('the listener with the address is found before the one with 0.0.0.0', () => {
    const { hashinfo } = init_net.ipv4.tcp_death_row
    const find = (daddr: number, port: number): sock | null =>
      __inet_lookup_listener(init_net, hashinfo, null, 0, LOOPBACK, 40000, daddr, port, 1, 0)
    const any = tcp()
    any.sk.sk_reuseport = 1
    expect(bind(any.sk, ANY, 8080)).toBe(0)
    expect(__inet_listen_sk(any.sk, 8)).toBe(0)
    expect(find(LOOPBACK, 8080)).toBe(any.sk)
    const one = tcp()
    one.sk.sk_reuseport = 1
    expect(bind(one.sk, LOOPBACK, 8080)).toBe(0)
    expect(__inet_listen_sk(one.sk, 8)).toBe(0)
    expect(find(LOOPBACK, 8080)).toBe(one.sk)
    expect(find(OTHER, 8080)).toBe(any.sk)
    expect(find(OTHER, 8081)).toBeNull()
  })
})
