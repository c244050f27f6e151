import { kfunc } from '../../trace/kfunc.ts'
import { current_time, file_accessed, get_next_ino, new_inode_pseudo } from '../fs/inode.ts'
import { MNT_RELATIME } from '../fs/namespace.ts'
import { EFAULT, EINVAL } from '../include/linux/errno.ts'
import {
  type file,
  type file_operations,
  I_DIRTY,
  i_size_read,
  type inode,
  type kiocb,
  S_IFREG,
  super_block,
  vfsmount,
} from '../include/linux/fs.ts'
import { subsys_initcall } from '../include/linux/init.ts'
import type { page } from '../include/linux/mm_types.ts'
import { pipe_full, type pipe_inode_info, pipe_occupancy } from '../include/linux/pipe_fs_i.ts'
import type { ref } from '../include/linux/types.ts'
import { type iov_iter, iov_iter_count } from '../include/linux/uio.ts'
import { cond_resched } from '../kernel/sched/core.ts'
import { copy_page_to_iter } from '../lib/iov_iter.ts'
import { filemap_get_entry, folio_mark_accessed, folio_unlock, splice_folio_into_pipe } from './filemap.ts'
import { new_page, put_page } from './page_alloc.ts'

const PAGE_SIZE = 4096
const TICK_US = 4000

export let shm_mnt: vfsmount

/** `bytes`, or byte i is i & 0xff */
export type contents = Uint8Array | 'pattern'

/** makes the page of a file as it was written when the file was made */
function fill(inode: inode, index: number): page {
  const bytes = new Uint8Array(PAGE_SIZE)
  const what = inode.i_private as contents
  const start = index * PAGE_SIZE
  const n = Math.max(0, Math.min(PAGE_SIZE, inode.i_size - start))
  if (what === 'pattern') for (let i = 0; i < n; i++) bytes[i] = (start + i) & 0xff
  else bytes.set(what.subarray(start, start + n))
  const p = new_page(bytes, 0)
  p.mapping = inode.i_mapping
  return p
}

/** a regular file of `length` bytes on the tmpfs that is mounted on /tmp */
export function shmem_new_file(length: number, what: contents): inode | null {
  const inode = new_inode_pseudo(shm_mnt.mnt_sb)
  if (inode === null) return null
  inode.i_ino = get_next_ino()
  inode.i_mode = S_IFREG | 0o644
  inode.i_size = length
  inode.i_private = what
  inode.i_fop = shmem_file_operations
  inode.i_state = I_DIRTY
  // whoever wrote it did so before it was opened: a tick ago, in microseconds
  inode.i_atime = inode.i_mtime = inode.i_ctime = current_time(inode) - TICK_US
  return inode
}

const shmem_get_folio_gfp = kfunc('shmem_get_folio_gfp', (inode: inode, index: number, foliop: ref<page | null>): number => {
  const mapping = inode.i_mapping
  if (mapping === null) return -EINVAL
  if (!mapping.i_pages.has(index)) mapping.i_pages.set(index, fill(inode, index))
  foliop.v = filemap_get_entry(mapping, index)
  return 0
})

function shmem_file_read_iter(iocb: kiocb, to: iov_iter): number {
  const file = iocb.ki_filp
  const inode = file.f_inode
  const folio: ref<page | null> = { v: null }
  let retval = 0
  let error = 0
  while (iov_iter_count(to)) {
    const offset = iocb.ki_pos % PAGE_SIZE
    const index = (iocb.ki_pos - offset) / PAGE_SIZE
    const nr = Math.min(PAGE_SIZE - offset, i_size_read(inode) - iocb.ki_pos)
    if (nr <= 0) break
    error = shmem_get_folio_gfp(inode, index, folio)
    if (error || folio.v === null) break
    folio_unlock(folio.v)
    if (!offset) folio_mark_accessed(folio.v)
    const ret = copy_page_to_iter(folio.v, offset, nr, to)
    put_page(folio.v)
    retval += ret
    iocb.ki_pos += ret
    if (!iov_iter_count(to)) break
    if (ret < nr) {
      error = -EFAULT
      break
    }
    cond_resched()
  }
  file_accessed(file)
  return retval || error
}

const shmem_file_splice_read = kfunc(
  'shmem_file_splice_read',
  (input: file, ppos: ref<number> | null, pipe: pipe_inode_info, size: number, flags: number): number => {
    const inode = input.f_inode
    const pos = ppos ?? { v: 0 }
    const folio: ref<page | null> = { v: null }
    let total_spliced = 0
    let error = 0
    const used = pipe_occupancy(pipe.head, pipe.tail)
    let len = Math.min(size, Math.max(pipe.max_usage - used, 0) * PAGE_SIZE)

    do {
      const isize = i_size_read(inode)
      if (pos.v >= isize) break
      error = shmem_get_folio_gfp(inode, Math.floor(pos.v / PAGE_SIZE), folio)
      if (error || folio.v === null) break
      folio_unlock(folio.v)
      const part = Math.min(isize - pos.v, len)
      folio_mark_accessed(folio.v)
      const n = splice_folio_into_pipe(pipe, folio.v, pos.v, part)
      put_page(folio.v)
      if (!n) break
      len -= n
      total_spliced += n
      pos.v += n
      if (pipe_full(pipe.head, pipe.tail, pipe.max_usage)) break
      cond_resched()
    } while (len)

    file_accessed(input)
    return total_spliced || error
  },
)

const shmem_file_operations: file_operations = {
  name: 'shmem_file_operations',
  llseek: (file, offset) => offset,
  read_iter: shmem_file_read_iter,
  splice_read: shmem_file_splice_read,
}

subsys_initcall(() => {
  shm_mnt = new vfsmount(new super_block('tmpfs', {}, null))
  shm_mnt.mnt_flags = MNT_RELATIME
})
