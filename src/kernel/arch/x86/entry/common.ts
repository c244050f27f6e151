import { kfunc } from '../../../../trace/kfunc.ts'
import { __x64_sys_dup, __x64_sys_fcntl } from '../../../fs/fcntl.ts'
import { do_sys_open } from '../../../fs/namei.ts'
import { __x64_sys_close } from '../../../fs/open.ts'
import { __x64_sys_pipe, __x64_sys_pipe2 } from '../../../fs/pipe.ts'
import {
  __x64_sys_read,
  __x64_sys_readv,
  __x64_sys_sendfile64,
  __x64_sys_write,
  __x64_sys_writev,
} from '../../../fs/read_write.ts'
import { EFAULT, ENAMETOOLONG, ENOSYS } from '../../../include/linux/errno.ts'
import { core_initcall } from '../../../include/linux/init.ts'
import { task_work_pending, task_work_run } from '../../../kernel/task_work.ts'
import { raw_copy_from_user } from '../../../mm/memory.ts'
import {
  __x64_sys_accept,
  __x64_sys_accept4,
  __x64_sys_bind,
  __x64_sys_connect,
  __x64_sys_getpeername,
  __x64_sys_getsockname,
  __x64_sys_getsockopt,
  __x64_sys_listen,
  __x64_sys_recv,
  __x64_sys_recvfrom,
  __x64_sys_recvmmsg,
  __x64_sys_recvmsg,
  __x64_sys_send,
  __x64_sys_sendmmsg,
  __x64_sys_sendmsg,
  __x64_sys_sendto,
  __x64_sys_setsockopt,
  __x64_sys_shutdown,
  __x64_sys_socket,
  __x64_sys_socketpair,
} from '../../../net/socket.ts'

/** The registers of the process when it enters the kernel. Addresses and sizes are numbers. */
export class pt_regs {
  di = 0
  si = 0
  dx = 0
  r10 = 0
  r8 = 0
  r9 = 0
  ax = 0
}

/** x86-64 has no such system calls: SYSCALL_DEFINE4(send) and (recv), as architectures that have them enter there */
export const NR_send = 1001
export const NR_recv = 1002

let sys_call_table = new Map<number, (regs: pt_regs) => number>()

core_initcall(() => {
  sys_call_table = new Map<number, (regs: pt_regs) => number>([
    [0, __x64_sys_read],
    [1, __x64_sys_write],
    [2, __x64_sys_open],
    [3, __x64_sys_close],
    [19, __x64_sys_readv],
    [20, __x64_sys_writev],
    [22, __x64_sys_pipe],
    [32, __x64_sys_dup],
    [40, __x64_sys_sendfile64],
    [41, __x64_sys_socket],
    [42, __x64_sys_connect],
    [43, __x64_sys_accept],
    [44, __x64_sys_sendto],
    [45, __x64_sys_recvfrom],
    [46, __x64_sys_sendmsg],
    [47, __x64_sys_recvmsg],
    [48, __x64_sys_shutdown],
    [49, __x64_sys_bind],
    [50, __x64_sys_listen],
    [51, __x64_sys_getsockname],
    [52, __x64_sys_getpeername],
    [53, __x64_sys_socketpair],
    [54, __x64_sys_setsockopt],
    [55, __x64_sys_getsockopt],
    [72, __x64_sys_fcntl],
    [288, __x64_sys_accept4],
    [293, __x64_sys_pipe2],
    [299, __x64_sys_recvmmsg],
    [307, __x64_sys_sendmmsg],
    [NR_send, __x64_sys_send],
    [NR_recv, __x64_sys_recv],
  ])
})

const PATH_MAX = 4096

/** open(2) of a file that is there */
function __x64_sys_open(regs: pt_regs): number {
  const byte = new Uint8Array(1)
  const name: number[] = []
  while (name.length < PATH_MAX) {
    if (raw_copy_from_user(byte, 0, regs.di + name.length, 1)) return -EFAULT
    if (byte[0] === 0) return do_sys_open(Buffer.from(name).toString('utf8'), regs.si | 0)
    name.push(byte[0] ?? 0)
  }
  return -ENAMETOOLONG
}

const x64_sys_call = kfunc('x64_sys_call', (regs: pt_regs, nr: number): number => {
  const call = sys_call_table.get(nr)
  return call === undefined ? -ENOSYS : call(regs)
})

const do_syscall_x64 = kfunc('do_syscall_x64', (regs: pt_regs, nr: number): boolean => {
  regs.ax = x64_sys_call(regs, nr)
  return true
})

/** a system call of the current process; the result is left in regs.ax */
export const do_syscall_64 = kfunc('do_syscall_64', (regs: pt_regs, nr: number): boolean => {
  do_syscall_x64(regs, nr)
  if (task_work_pending()) task_work_run()
  return true
})
