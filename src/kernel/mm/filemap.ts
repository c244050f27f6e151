import { kfunc } from '../../trace/kfunc.ts'
import { page_cache_pipe_buf_ops, pipe_buf } from '../fs/splice.ts'
import type { address_space } from '../include/linux/fs.ts'
import type { page } from '../include/linux/mm_types.ts'
import { pipe_full, type pipe_inode_info } from '../include/linux/pipe_fs_i.ts'
import { rcu_read_lock, rcu_read_unlock } from '../kernel/rcu.ts'

const PAGE_SIZE = 4096

/** the page of a file with a reference taken, or null */
export const filemap_get_entry = kfunc('filemap_get_entry', (mapping: address_space, index: number): page | null => {
  rcu_read_lock()
  rcu_read_lock()
  const folio = mapping.i_pages.get(index) ?? null
  if (folio !== null) folio._refcount++
  rcu_read_unlock()
  rcu_read_unlock()
  return folio
})

export const folio_unlock = kfunc('folio_unlock', (folio: page): void => {})
/** the lists of recently used pages are of no interest here */
export const folio_mark_accessed = kfunc('folio_mark_accessed', (folio: page): void => {})

/** puts (a part of) a page of a file into a pipe; returns how many bytes */
export const splice_folio_into_pipe = kfunc(
  'splice_folio_into_pipe',
  (pipe: pipe_inode_info, folio: page, fpos: number, want: number): number => {
    let spliced = 0
    let offset = fpos % PAGE_SIZE
    const size = Math.min(want, PAGE_SIZE - offset)
    while (spliced < size && !pipe_full(pipe.head, pipe.tail, pipe.max_usage)) {
      const buf = pipe_buf(pipe, pipe.head)
      const part = Math.min(PAGE_SIZE - offset, size - spliced)
      buf.ops = page_cache_pipe_buf_ops
      buf.page = folio
      buf.offset = offset
      buf.len = part
      buf.flags = 0
      folio._refcount++
      pipe.head = (pipe.head + 1) >>> 0
      spliced += part
      offset = 0
    }
    return spliced
  },
)
