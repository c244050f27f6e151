import { do_syscall_64, pt_regs } from '../kernel/arch/x86/entry/common.ts'
import { create_file, do_sys_open } from '../kernel/fs/namei.ts'
import { files_struct } from '../kernel/include/linux/fs.ts'
import { type mapping, mm_struct } from '../kernel/include/linux/mm.ts'
import { task_struct } from '../kernel/include/linux/sched.ts'
import type { net } from '../kernel/include/net/net_namespace.ts'
import { set_current } from '../kernel/kernel/sched/core.ts'
import { do_mmap, do_munmap, peek_user } from '../kernel/mm/memory.ts'
import { type Execution, runAs } from '../trace/tracer.ts'
import { ints, iovecs, type MessageHeader, MMSGHDR_SIZE, msghdr, type SyscallName, syscallNumbers } from './abi.ts'

/** an address that no program maps: below mmap_min_addr */
const UNMAPPED = 0x1000

/** A buffer in the memory of a process. */
export interface UserBuffer {
  readonly address: number
  readonly length: number
}

/**
 * A process: its memory, its descriptors, and the namespace it is in. It makes system calls as a program does, with addresses of
 * its own memory and the structures of the x86-64 ABI.
 */
export class Process {
  readonly task: task_struct
  readonly mm: mm_struct = new mm_struct()
  #execution: Execution

  constructor(pid: number, comm: string, netns: net) {
    this.task = new task_struct(pid, comm)
    this.task.mm = this.mm
    const files = new files_struct()
    // standard input, output and error are open in every program
    files.fdt.open_fds.fill(true, 0, 3)
    files.next_fd = 3
    this.task.files = files
    this.task.net = netns
    this.#execution = { kind: 'task', comm, pid, netns: netns.name }
  }

  /** if_nametoindex(3) in the namespace that the process is in; 0 when there is no such device */
  interfaceIndex(name: string): number {
    return this.task.net.dev_name_head.get(name)?.ifindex ?? 0
  }

  /** moves into another network namespace, as setns(2) does; sockets stay where they were made */
  setns(netns: net): void {
    this.task.net = netns
    this.#execution = { kind: 'task', comm: this.task.comm, pid: this.task.pid, netns: netns.name }
  }

  /** makes a system call by number; what the kernel leaves in rax */
  enter(nr: number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): number {
    set_current(this.task)
    const regs = new pt_regs()
    regs.di = a
    regs.si = b
    regs.dx = c
    regs.r10 = d
    regs.r8 = e
    regs.r9 = f
    runAs(this.#execution, () => do_syscall_64(regs, nr))
    return regs.ax
  }

  /** makes a system call by name, with whole numbers and addresses as arguments */
  syscall(name: SyscallName, ...args: number[]): number {
    return this.enter(syscallNumbers[name], ...args)
  }

  /** maps a buffer: given bytes, the pattern i & 0xff, or pages that nothing has touched yet */
  map(length: number, contents: mapping): UserBuffer {
    return { address: do_mmap(this.mm, length, contents, true), length }
  }

  /** an address of `length` bytes that the process may not read */
  unreadable(length: number): UserBuffer {
    return { address: UNMAPPED, length }
  }

  unmap(buffer: UserBuffer): void {
    if (buffer.address !== UNMAPPED) do_munmap(this.mm, buffer.address)
  }

  /** what lies at an address, as the process itself would read it */
  peek(address: number, length: number): Uint8Array {
    return peek_user(this.mm, address, length)
  }

  /** lends memory for the structures of one call, and takes it back */
  with<T>(body: (lend: (contents: Uint8Array) => number) => T): T {
    const lent: UserBuffer[] = []
    try {
      return body((contents) => {
        if (contents.length === 0) return 0
        const b = this.map(contents.length, contents)
        lent.push(b)
        return b.address
      })
    } finally {
      for (const b of lent) this.unmap(b)
    }
  }

  /** makes a file of `length` bytes (byte i is i & 0xff, or `contents`) and opens it for reading, at its start; a descriptor or an error */
  openFile(path: string, length: number, contents: Uint8Array | 'pattern' = 'pattern'): number {
    set_current(this.task)
    const made = create_file(path, length, contents)
    return made < 0 ? made : do_sys_open(path, 0)
  }

  bind(fd: number, address: Uint8Array): number {
    return this.with((lend) => this.syscall('bind', fd, lend(address), address.length))
  }

  connect(fd: number, address: Uint8Array): number {
    return this.with((lend) => this.syscall('connect', fd, lend(address), address.length))
  }

  sendto(fd: number, buffer: number, length: number, flags: number, address: Uint8Array | null): number {
    return this.with((lend) =>
      this.syscall(
        'sendto',
        fd,
        buffer,
        length,
        flags,
        address === null ? 0 : lend(address),
        address === null ? 0 : address.length,
      ),
    )
  }

  /** sendmsg(2) or recvmsg(2) of an iovec over `buffers` */
  msg(
    name: 'sendmsg' | 'recvmsg',
    fd: number,
    buffers: readonly UserBuffer[],
    flags: number,
    address: Uint8Array | null,
    control: Uint8Array | null,
  ): number {
    return this.with((lend) => this.syscall(name, fd, lend(msghdr(this.#header(lend, buffers, address, control))), flags))
  }

  /** sendmmsg(2): one message for each buffer */
  sendmmsg(fd: number, buffers: readonly UserBuffer[], flags: number, address: Uint8Array | null): number {
    return this.with((lend) => {
      const all = new Uint8Array(MMSGHDR_SIZE * buffers.length)
      buffers.forEach((b, i) => {
        all.set(msghdr(this.#header(lend, [b], address, null)), MMSGHDR_SIZE * i)
      })
      return this.syscall('sendmmsg', fd, lend(all), buffers.length, flags)
    })
  }

  /** writev(2) or readv(2) */
  vector(name: 'writev' | 'readv', fd: number, buffers: readonly UserBuffer[]): number {
    return this.with((lend) => this.syscall(name, fd, lend(this.#iov(buffers)), buffers.length))
  }

  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
    return this.with((lend) => this.syscall('setsockopt', fd, level, option, lend(value), value.length))
  }

  /** getsockopt(2); `value` is what the kernel wrote, empty after an error */
  getsockopt(fd: number, level: number, option: number, room: number): { result: number; value: Uint8Array } {
    return this.with((lend) => {
      const at = lend(new Uint8Array(room))
      const length = lend(ints(room))
      const result = this.syscall('getsockopt', fd, level, option, at, length)
      if (result < 0) return { result, value: new Uint8Array(0) }
      const n = new DataView(this.peek(length, 4).buffer).getInt32(0, true)
      return { result, value: this.peek(at, n) }
    })
  }

  /** a call that makes two descriptors: pipe, socketpair */
  pair(make: (at: number) => number): { result: number; fds: [number, number] } {
    return this.with((lend) => {
      const at = lend(new Uint8Array(8))
      const result = make(at)
      const d = new DataView(this.peek(at, 8).buffer)
      return { result, fds: [d.getInt32(0, true), d.getInt32(4, true)] }
    })
  }

  #iov(buffers: readonly UserBuffer[]): Uint8Array {
    return iovecs(buffers.map((b) => ({ base: b.address, length: b.length })))
  }

  #header(
    lend: (contents: Uint8Array) => number,
    buffers: readonly UserBuffer[],
    address: Uint8Array | null,
    control: Uint8Array | null,
  ): MessageHeader {
    return {
      name: address === null ? 0 : lend(address),
      nameLength: address?.length ?? 0,
      iov: lend(this.#iov(buffers)),
      iovCount: buffers.length,
      control: control === null ? 0 : lend(control),
      controlLength: control?.length ?? 0,
      flags: 0,
    }
  }
}
