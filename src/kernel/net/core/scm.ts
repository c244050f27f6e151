import { kfunc } from '../../../trace/kfunc.ts'
import { fget_raw, receive_fd } from '../../fs/file.ts'
import { fput, get_file } from '../../fs/file_table.ts'
import { MSG_CMSG_CLOEXEC, MSG_CTRUNC, SOCK_PASSCRED, SOCK_PASSPIDFD } from '../../include/generated/enums.ts'
import { EBADF, EFAULT, EINVAL, EPERM, ESRCH } from '../../include/linux/errno.ts'
import { type file, O_CLOEXEC } from '../../include/linux/fs.ts'
import { access_ok } from '../../include/linux/mm.ts'
import type { socket } from '../../include/linux/net.ts'
import { GFP_KERNEL_ACCOUNT } from '../../include/linux/slab.ts'
import {
  CMSG_DATA,
  CMSG_FIRSTHDR,
  CMSG_LEN,
  CMSG_NXTHDR,
  CMSG_OK,
  CMSG_SPACE,
  type cmsghdr,
  type msghdr,
  PF_UNIX,
  SCM_CREDENTIALS,
  SCM_RIGHTS,
  SIZEOF_CMSGHDR,
  SO_TIMESTAMPING_NEW,
  SO_TIMESTAMPING_OLD,
  SOL_SOCKET,
} from '../../include/linux/socket.ts'
import type { ref } from '../../include/linux/types.ts'
import { find_get_pid, get_pid, type pid, pid_vnr, put_pid, task_tgid } from '../../kernel/pid.ts'
import { current } from '../../kernel/sched/core.ts'
import { make_kgid, make_kuid } from '../../kernel/user_namespace.ts'
import { put_user } from '../../lib/usercopy.ts'
import { raw_copy_to_user } from '../../mm/memory.ts'
import { kfree, kmalloc } from '../../mm/slub.ts'
import { check_object_size } from '../../mm/usercopy.ts'
import { security_socket_getpeersec_dgram } from '../../security/security.ts'

export const SCM_MAX_FD = 253
const INVALID_UID = 0xffffffff
const SIZEOF_SCM_FP_LIST = 2072

/** include/net/scm.h struct scm_fp_list: files on their way with a message */
export class scm_fp_list {
  count = 0
  /** how many of them are AF_UNIX sockets */
  count_unix = 0
  max = SCM_MAX_FD
  inflight = false
  dead = false
  readonly fp: file[] = []
  kmem: unknown = null
}

/** include/net/scm.h struct scm_cookie: what goes beside the data of one message */
export class scm_cookie {
  pid: pid | null = null
  fp: scm_fp_list | null = null
  creds: { pid: number; uid: number; gid: number } = { pid: 0, uid: 0, gid: 0 }
  secid = 0
}

function scm_check_creds(creds: { pid: number; uid: number; gid: number }): number {
  make_kuid(null, creds.uid)
  make_kgid(null, creds.gid)
  // root may say anything; the numbers must be valid ones
  if (creds.uid === INVALID_UID || creds.gid === INVALID_UID) return -EINVAL
  return current.uid === 0 || (creds.pid === current.tgid && creds.uid === current.uid && creds.gid === current.gid) ? 0 : -EPERM
}

/** takes references to the files of an SCM_RIGHTS message; how many, or EBADF, EINVAL */
/** what net/unix puts here: the socket of its own that a file is, or null */
export const scm_unix: { get_socket(filp: file): object | null } = { get_socket: () => null }

const scm_fp_copy = kfunc('scm_fp_copy', (cmsg: cmsghdr, fplp: ref<scm_fp_list | null>): number => {
  const num = Math.floor((cmsg.cmsg_len - SIZEOF_CMSGHDR) / 4)
  if (num <= 0) return 0
  if (num > SCM_MAX_FD) return -EINVAL
  let fpl = fplp.v
  if (fpl === null) {
    fpl = new scm_fp_list()
    fpl.kmem = kmalloc(SIZEOF_SCM_FP_LIST, GFP_KERNEL_ACCOUNT)
    fplp.v = fpl
  }
  if (fpl.count + num > fpl.max) return -EINVAL
  const data = CMSG_DATA(cmsg)
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  for (let i = 0; i < num; i++) {
    const fd = view.getInt32(4 * i, true)
    const file = fd < 0 ? null : fget_raw(fd)
    if (file === null) return -EBADF
    if (scm_unix.get_socket(file) !== null) fpl.count_unix++
    fpl.fp.push(file)
    fpl.count++
  }
  return num
})

export const __scm_destroy = kfunc('__scm_destroy', (scm: scm_cookie): void => {
  const fpl = scm.fp
  if (fpl === null) return
  scm.fp = null
  for (let file = fpl.fp.pop(); file !== undefined; file = fpl.fp.pop()) fput(file)
  kfree(fpl.kmem)
})

/** reads the control messages of a send */
export const __scm_send = kfunc('__scm_send', (sock: socket, msg: msghdr, p: scm_cookie): number => {
  const fail = (err: number): number => {
    scm_destroy(p)
    return err
  }
  for (let cmsg = CMSG_FIRSTHDR(msg); cmsg !== null; cmsg = CMSG_NXTHDR(msg, cmsg)) {
    if (!CMSG_OK(msg, cmsg)) return fail(-EINVAL)
    if (cmsg.cmsg_level !== SOL_SOCKET) continue
    switch (cmsg.cmsg_type) {
      case SCM_RIGHTS: {
        if (sock.ops?.family !== PF_UNIX) return fail(-EINVAL)
        const fp: ref<scm_fp_list | null> = { v: p.fp }
        const err = scm_fp_copy(cmsg, fp)
        p.fp = fp.v
        if (err < 0) return fail(err)
        break
      }
      case SCM_CREDENTIALS: {
        if (cmsg.cmsg_len !== CMSG_LEN(12)) return fail(-EINVAL)
        const data = CMSG_DATA(cmsg)
        const view = new DataView(data.buffer, data.byteOffset, 12)
        const creds = { pid: view.getUint32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) }
        const err = scm_check_creds(creds)
        if (err) return fail(err)
        if (p.pid === null || pid_vnr(p.pid) !== creds.pid) {
          const pid = creds.pid === current.tgid ? get_pid(task_tgid(current)) : find_get_pid(creds.pid)
          if (pid === null) return fail(-ESRCH)
          put_pid(p.pid)
          p.pid = pid
        }
        creds.uid = make_kuid(null, creds.uid)
        creds.gid = make_kgid(null, creds.gid)
        p.creds = creds
        break
      }
      default:
        return fail(-EINVAL)
    }
  }
  if (p.fp !== null && !p.fp.count) {
    kfree(p.fp.kmem)
    p.fp = null
  }
  return 0
})

const head = new Uint8Array(SIZEOF_CMSGHDR)
const head_view = new DataView(head.buffer)

function set_head(cmlen: number, level: number, type: number): void {
  head_view.setBigUint64(0, BigInt(cmlen), true)
  head_view.setInt32(8, level, true)
  head_view.setInt32(12, type, true)
}

/** adds a control message to what the receiver gave room for; MSG_CTRUNC is set when it does not fit */
export const put_cmsg = kfunc('put_cmsg', (msg: msghdr, level: number, type: number, len: number, data: Uint8Array): number => {
  let cmlen = CMSG_LEN(len)
  if ((msg.msg_control_is_user ? !msg.msg_control_user : msg.msg_control === null) || msg.msg_controllen < SIZEOF_CMSGHDR) {
    msg.msg_flags |= MSG_CTRUNC
    return 0
  }
  if (msg.msg_controllen < cmlen) {
    msg.msg_flags |= MSG_CTRUNC
    cmlen = msg.msg_controllen
  }
  const n = cmlen - SIZEOF_CMSGHDR
  set_head(cmlen, level, type)
  if (msg.msg_control_is_user) {
    const cm = msg.msg_control_user
    check_object_size(data, n, true)
    if (!access_ok(cm, cmlen)) return -EFAULT
    if (raw_copy_to_user(cm, head, 0, SIZEOF_CMSGHDR)) return -EFAULT
    if (n && raw_copy_to_user(cm + SIZEOF_CMSGHDR, data, 0, n)) return -EFAULT
    cmlen = Math.min(CMSG_SPACE(len), msg.msg_controllen)
    msg.msg_control_user += cmlen
  } else if (msg.msg_control !== null) {
    msg.msg_control.set(head)
    msg.msg_control.set(data.subarray(0, n), SIZEOF_CMSGHDR)
    cmlen = Math.min(CMSG_SPACE(len), msg.msg_controllen)
    msg.msg_control = msg.msg_control.subarray(cmlen)
  }
  msg.msg_controllen -= cmlen
  return 0
})

export const scm_detach_fds = kfunc('scm_detach_fds', (msg: msghdr, scm: scm_cookie): void => {
  const fpl = scm.fp
  if (fpl === null || !msg.msg_control_is_user) return
  const cm = msg.msg_control_user
  const o_flags = msg.msg_flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0
  const room = msg.msg_controllen <= SIZEOF_CMSGHDR ? 0 : Math.floor((msg.msg_controllen - SIZEOF_CMSGHDR) / 4)
  const fdmax = Math.min(room, fpl.count)
  let i = 0
  for (; i < fdmax; i++) {
    const file = fpl.fp[i]
    if (file === undefined || receive_fd(file, cm + SIZEOF_CMSGHDR + 4 * i, o_flags) < 0) break
  }
  if (i > 0) {
    let err = put_user(SOL_SOCKET, cm + 8, 4)
    if (!err) err = put_user(SCM_RIGHTS, cm + 12, 4)
    if (!err) err = put_user(CMSG_LEN(i * 4), cm, 8)
    if (!err) {
      const cmlen = Math.min(CMSG_SPACE(i * 4), msg.msg_controllen)
      msg.msg_control_user += cmlen
      msg.msg_controllen -= cmlen
    }
  }
  if (i < fpl.count || (fpl.count && fdmax <= 0)) msg.msg_flags |= MSG_CTRUNC
  __scm_destroy(scm)
})

/** a copy for a message that is only peeked at */
export const scm_fp_dup = kfunc('scm_fp_dup', (fpl: scm_fp_list | null): scm_fp_list | null => {
  if (fpl === null) return null
  const copy = new scm_fp_list()
  copy.kmem = kmalloc(SIZEOF_SCM_FP_LIST, GFP_KERNEL_ACCOUNT)
  for (const file of fpl.fp) copy.fp.push(get_file(file))
  copy.count = fpl.count
  copy.count_unix = fpl.count_unix
  copy.max = fpl.count
  return copy
})

// ----------------------------------------------------------------------------- include/net/scm.h

const unix_get_peersec_dgram = kfunc('unix_get_peersec_dgram', (sock: socket, scm: scm_cookie): void => {
  security_socket_getpeersec_dgram(sock, null, scm)
})

export const scm_set_cred = kfunc('scm_set_cred', (scm: scm_cookie, pid: pid | null, uid: number, gid: number): void => {
  scm.pid = get_pid(pid)
  scm.creds.pid = pid_vnr(pid)
  scm.creds.uid = uid
  scm.creds.gid = gid
})

export const scm_destroy_cred = kfunc('scm_destroy_cred', (scm: scm_cookie): void => {
  put_pid(scm.pid)
  scm.pid = null
})

export const scm_destroy = kfunc('scm_destroy', (scm: scm_cookie): void => {
  scm_destroy_cred(scm)
  if (scm.fp !== null) __scm_destroy(scm)
})

/** `scm` comes new */
export const scm_send = kfunc('scm_send', (sock: socket, msg: msghdr, scm: scm_cookie, forcecreds: boolean): number => {
  scm.creds.uid = INVALID_UID
  scm.creds.gid = INVALID_UID
  if (forcecreds) scm_set_cred(scm, task_tgid(current), current.uid, current.gid)
  unix_get_peersec_dgram(sock, scm)
  if (msg.msg_controllen <= 0) return 0
  return __scm_send(sock, msg, scm)
})

const __scm_recv_common = kfunc('__scm_recv_common', (sock: socket, msg: msghdr, scm: scm_cookie, flags: number): boolean => {
  if (msg.msg_control_is_user ? !msg.msg_control_user : msg.msg_control === null) {
    if (sock.flags & ((1 << SOCK_PASSCRED) | (1 << SOCK_PASSPIDFD)) || scm.fp !== null) msg.msg_flags |= MSG_CTRUNC
    scm_destroy(scm)
    return false
  }
  if (sock.flags & (1 << SOCK_PASSCRED)) {
    const ucred = new Uint8Array(12)
    const view = new DataView(ucred.buffer)
    view.setUint32(0, scm.creds.pid, true)
    view.setUint32(4, scm.creds.uid, true)
    view.setUint32(8, scm.creds.gid, true)
    put_cmsg(msg, SOL_SOCKET, SCM_CREDENTIALS, 12, ucred)
  }
  if (scm.fp !== null) scm_detach_fds(msg, scm)
  return true
})

export const scm_recv_unix = kfunc('scm_recv_unix', (sock: socket, msg: msghdr, scm: scm_cookie, flags: number): void => {
  if (__scm_recv_common(sock, msg, scm, flags)) scm_destroy_cred(scm)
})

/** three timestamps as pairs of seconds and nanoseconds, 64 bits each */
function timestamping_bytes(ts: readonly number[]): Uint8Array {
  const b = new Uint8Array(16 * ts.length)
  const v = new DataView(b.buffer)
  for (const [i, ns] of ts.entries()) {
    v.setBigInt64(16 * i, BigInt(Math.floor(ns / 1_000_000_000)), true)
    v.setBigInt64(16 * i + 8, BigInt(ns % 1_000_000_000), true)
  }
  return b
}

/** `tss` in nanoseconds: when software, nobody, and the device saw the packet */
export const put_cmsg_scm_timestamping64 = kfunc(
  'put_cmsg_scm_timestamping64',
  (msg: msghdr, tss: { readonly ts: readonly number[] }): void => {
    put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMPING_NEW, 48, timestamping_bytes(tss.ts))
  },
)
export const put_cmsg_scm_timestamping = kfunc(
  'put_cmsg_scm_timestamping',
  (msg: msghdr, tss: { readonly ts: readonly number[] }): void => {
    put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMPING_OLD, 48, timestamping_bytes(tss.ts))
  },
)
