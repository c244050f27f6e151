// A scenario as a C program that makes its system calls and records those marked with '>': see docs/recording.md.
// The language is that of SCENARIOS.md; what this knows of it is what has been recorded so far.

const quote = (s) => JSON.stringify(s)
const descriptor = (x) => (/^\d+$/.test(x) ? x : `f_${x}`)

/** `a, [b, c], {d, e}, "f, g"` at its outer commas */
function split(text) {
  const out = []
  let depth = 0
  let inString = false
  let word = ''
  for (const c of text) {
    if (c === '"') inString = !inString
    else if (!inString && '[{('.includes(c)) depth++
    else if (!inString && ']})'.includes(c)) depth--
    if (c === ',' && depth === 0 && !inString) {
      out.push(word.trim())
      word = ''
    } else word += c
  }
  if (word.trim() !== '') out.push(word.trim())
  return out
}

/** an address as an expression of recorder.h, null when it is none */
function address(text) {
  const dev = /^dev:(\w+)$/.exec(text)
  if (dev !== null) return `dev(${quote(dev[1])})`
  const v6 = /^\[(.*)\]:(\d+)$/.exec(text)
  if (v6 !== null) return `v6(${quote(v6[1])}, ${v6[2]})`
  const v4 = /^([\d.]+):(\d+)$/.exec(text)
  if (v4 !== null) return `v4(${quote(v4[1])}, ${v4[2]})`
  return text.startsWith('"') ? `un(${text})` : null
}

/** a buffer and its length: `4096`, `EFAULT/4096`, `"text"` */
function buffer(text) {
  if (text.startsWith('EFAULT/')) return ['unreadable', text.slice(7)]
  if (text.startsWith('"')) return [text, `(sizeof(${text}) - 1)`]
  return ['bytes', text]
}

const controls = {
  UDP_SEGMENT: ['SOL_UDP', 'unsigned short'],
  IP_TTL: ['SOL_IP', 'int'],
  IP_TOS: ['SOL_IP', 'int'],
  SO_MARK: ['SOL_SOCKET', 'int'],
  SO_PRIORITY: ['SOL_SOCKET', 'int'],
  IPV6_HOPLIMIT: ['SOL_IPV6', 'int'],
  IPV6_TCLASS: ['SOL_IPV6', 'int'],
}

/** what an iovec of a scenario is: `[100,200]`, or a length alone */
const lengths = (text) => (text.startsWith('[') ? split(text.slice(1, -1)) : [text])
const vector = (parts) =>
  `long l[] = {${parts.map((p) => p.replace('EFAULT/', ''))}}; struct iovec v[${parts.length}]; iov(v, ${parts.length}, l); ` +
  parts.map((p, i) => (p.startsWith('EFAULT/') ? `v[${i}].iov_base = unreadable; ` : '')).join('')

/** @returns what has to stand before the call, and the call */
function call(name, args) {
  const fd = descriptor(args[0] ?? '')
  const flags = args[2] ?? '0'
  switch (name) {
    case 'socket':
      return ['', `syscall(SYS_socket, ${args[0]}, ${args[1]}, ${flags})`]
    case 'bind':
    case 'connect': {
      const reuse = name === 'bind' ? `int one = 1; setsockopt(${fd}, SOL_SOCKET, SO_REUSEADDR, &one, 4); ` : ''
      return [`Addr a = ${address(args[1])}; ${reuse}`, `syscall(SYS_${name}, ${fd}, &a.a, a.l)`]
    }
    case 'listen':
      return ['', `syscall(SYS_listen, ${fd}, ${args[1]})`]
    case 'accept':
      return ['', `syscall(SYS_accept, ${fd}, 0, 0)`]
    case 'send':
    case 'sendto': {
      const [at, length] = buffer(args[1])
      const to = args[3] === undefined ? '' : `Addr a = ${address(args[3])}; `
      return [`char *b = ${at}; ${to}`, `syscall(SYS_sendto, ${fd}, b, ${length}L, ${flags}, ${to ? '&a.a, a.l' : '0, 0'})`]
    }
    case 'sendmsg': {
      const parts = lengths(args[1])
      let before = `${vector(parts)}struct msghdr m; memset(&m, 0, sizeof m); m.msg_iov = v; m.msg_iovlen = ${parts.length}; `
      for (const x of args.slice(3)) {
        const to = address(x)
        if (to !== null) before += `Addr a = ${to}; m.msg_name = &a.a; m.msg_namelen = a.l; `
        else {
          const [option, value] = x.split('=')
          const [level, type] = controls[option]
          before += `static char c[64] __attribute__((aligned(8))); m.msg_control = c; m.msg_controllen = CMSG_SPACE(sizeof(${type})); struct cmsghdr *h = CMSG_FIRSTHDR(&m); h->cmsg_level = ${level}; h->cmsg_type = ${option}; h->cmsg_len = CMSG_LEN(sizeof(${type})); *(${type} *)CMSG_DATA(h) = ${value}; `
        }
      }
      return [before, `syscall(SYS_sendmsg, ${fd}, &m, ${flags})`]
    }
    case 'sendmmsg': {
      const n = lengths(args[1]).length
      const to = args[3] === undefined ? '' : `Addr a = ${address(args[3])}; `
      const named = to === '' ? '' : 'm[i].msg_hdr.msg_name = &a.a; m[i].msg_hdr.msg_namelen = a.l; '
      return [
        `${vector(lengths(args[1]))}${to}struct mmsghdr m[${n}]; memset(m, 0, sizeof m); for (int i = 0; i < ${n}; i++) { m[i].msg_hdr.msg_iov = v + i; m[i].msg_hdr.msg_iovlen = 1; ${named}} `,
        `syscall(SYS_sendmmsg, ${fd}, m, ${n}, ${flags})`,
      ]
    }
    case 'write': {
      const [at, length] = buffer(args[1])
      return [`char *b = ${at}; `, `syscall(SYS_write, ${fd}, b, ${length}L)`]
    }
    case 'writev':
      return [vector(lengths(args[1])), `syscall(SYS_writev, ${fd}, v, ${lengths(args[1]).length})`]
    case 'sendfile':
      return ['', `syscall(SYS_sendfile, ${fd}, ${descriptor(args[1])}, 0, ${args[2]}L)`]
    case 'recv':
      return [`char *b = fresh(${args[1]}); `, `syscall(SYS_recvfrom, ${fd}, b, ${args[1]}L, ${flags}, 0, 0)`]
    case 'read':
      return [`char *b = fresh(${args[1]}); `, `syscall(SYS_read, ${fd}, b, ${args[1]}L)`]
    case 'recvmsg': {
      const parts = lengths(args[1])
      const each = parts.map((p, i) => `v[${i}].iov_base = fresh(${p}); v[${i}].iov_len = ${p}; `).join('')
      return [
        `struct iovec v[${parts.length}]; ${each}static char c[512] __attribute__((aligned(8))); struct msghdr m; memset(&m, 0, sizeof m); m.msg_iov = v; m.msg_iovlen = ${parts.length}; m.msg_control = c; m.msg_controllen = 512; `,
        `syscall(SYS_recvmsg, ${fd}, &m, ${flags})`,
      ]
    }
    case 'shutdown':
      return ['', `syscall(SYS_shutdown, ${fd}, ${args[1]})`]
    case 'close':
      return ['', `syscall(SYS_close, ${fd})`]
    case 'fcntl':
      return ['', `syscall(SYS_fcntl, ${fd}, ${args[1]}, ${flags})`]
    case 'setsockopt': {
      const [, level, option, value] = args
      const head = `syscall(SYS_setsockopt, ${fd}, ${level}, ${option}`
      if (value.startsWith('"')) return ['', `${head}, ${value}, sizeof(${value}) - 1)`]
      return [`int o[] = ${value.startsWith('{') ? value : `{${value}}`}; `, `${head}, o, sizeof o)`]
    }
    case 'getsockopt':
      return ['char o[256]; socklen_t n = 256; ', `syscall(SYS_getsockopt, ${fd}, ${args[1]}, ${args[2]}, o, &n)`]
    case 'pipe':
      return ['int p[2]; ', 'syscall(SYS_pipe, p)']
    case 'socketpair':
      return ['int p[2]; ', `syscall(SYS_socketpair, ${args[0]}, ${args[1]}, ${flags}, p)`]
    case 'open':
      return ['', `file(${args[0]}, ${args[1]})`]
    default:
      throw new Error(`no recording of ${name}()`)
  }
}

const commands = new Set(['ip', 'tc', 'ethtool', 'nft', 'sysctl'])

/** @returns the text of a C program; throws an Error that names the line which it does not understand */
export function program(text) {
  const body = []
  const names = new Set()
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const recorded = line.startsWith('> ')
    const said = recorded ? line.slice(2) : line
    const [word, ...rest] = said.split(/\s+/)
    if (word === 'hw') body.push(`sh(${quote(`/hw.sh ${rest.join(' ')}`)});`)
    else if (commands.has(word)) body.push(`sh(${quote(said)});`)
    else {
      const m = /^(?:(\w+) = )?(\w+)\((.*)\)(?:\s*@(\w+))?$/.exec(said)
      if (m === null) throw new Error(`line ${i + 1}: '${line}'`)
      const [, kept, name, inner, where] = m
      const args = split(inner)
      if (name === 'sleep_ms') body.push(`ms(${args[0]});`)
      else if (name === 'drain') body.push(`drain(${descriptor(args[0])});`)
      else if (name === 'timer') body.push(`timer(${args[1]}, ${quote(said)});`)
      else {
        const [before, made] = call(name, args)
        if (kept !== undefined) names.add(kept)
        const pair = name === 'pipe' || name === 'socketpair'
        if (pair) for (const p of ['p0', 'p1']) names.add(p)
        const isFd = ['socket', 'accept', 'open'].includes(name)
        body.push(
          `{ in_peer(${where === 'peer' ? 1 : 0}); ${before}${recorded ? 'before(); ' : ''}long r = ${made}; int e = errno; ${recorded ? 'after(); ' : ''}in_peer(0); ` +
            `${kept === undefined ? '' : `f_${kept} = r; `}${pair ? 'f_p0 = p[0]; f_p1 = p[1]; ' : ''}done(${quote(said)}, ${Number(recorded)}, r, e, ${Number(isFd)}); }`,
        )
      }
    }
  }
  const timers = /^> timer\(/m.test(text) ? 1 : 0
  const variables = [...names].map((n) => `static int f_${n} = -1;\n`).join('')
  return `#define TIMERS ${timers}\n#include "recorder.h"\n${variables}static void run(void) {\n${body.join('\n')}\n}\n`
}
