import type { net } from '../net/net_namespace.ts'
import type { files_struct } from './fs.ts'
import type { mm_struct } from './mm.ts'
import { page_frag } from './mm_types.ts'
import type { pipe_inode_info } from './pipe_fs_i.ts'

// include/linux/sched.h
export const TASK_RUNNING = 0x00000000
export const TASK_INTERRUPTIBLE = 0x00000001
export const TASK_UNINTERRUPTIBLE = 0x00000002
export const __TASK_STOPPED = 0x00000004
export const TASK_WAKEKILL = 0x00000100
export const TASK_KILLABLE = TASK_WAKEKILL | TASK_UNINTERRUPTIBLE
export const TASK_NORMAL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE
export const PF_MEMALLOC = 0x00000800

/** struct task_struct: a process as far as system calls on sockets see it */
export class task_struct {
  readonly pid: number
  tgid: number
  comm: string
  __state = TASK_RUNNING
  flags = 0
  mm: mm_struct | null = null
  files: files_struct | null = null
  /** the pipe inside sendfile(), kept for the next one */
  splice_pipe: pipe_inode_info | null = null
  /** its network namespace: current->nsproxy->net_ns */
  net!: net
  task_frag: page_frag = new page_frag()
  uid = 0
  gid = 0
  /** struct cred, where somebody needs the object */
  cred: unknown = null
  /** pending signal: interrupts a sleep; SIGPIPE is the only one that the simulation sends */
  sigpending = 0
  /** who waits for it to finish a system call; of no use to the kernel */
  host: unknown = null

  constructor(pid: number, comm: string) {
    this.pid = pid
    this.tgid = pid
    this.comm = comm
  }
}
