import type { page } from './mm_types.ts'
import { mutex } from './mutex.ts'
import { wait_queue_head } from './wait.ts'

export const PIPE_DEF_BUFFERS = 16
export const PIPE_BUF_FLAG_LRU = 0x01
export const PIPE_BUF_FLAG_ATOMIC = 0x02
export const PIPE_BUF_FLAG_GIFT = 0x04
export const PIPE_BUF_FLAG_PACKET = 0x08
export const PIPE_BUF_FLAG_CAN_MERGE = 0x10

/** include/linux/pipe_fs_i.h struct pipe_buffer */
export class pipe_buffer {
  page: page | null = null
  offset = 0
  len = 0
  ops: pipe_buf_operations | null = null
  flags = 0
  private: unknown = null
}

export interface pipe_buf_operations {
  confirm?: (pipe: pipe_inode_info, buf: pipe_buffer) => number
  release: (pipe: pipe_inode_info, buf: pipe_buffer) => void
  try_steal?: (pipe: pipe_inode_info, buf: pipe_buffer) => boolean
  get: (pipe: pipe_inode_info, buf: pipe_buffer) => boolean
}

/** include/linux/pipe_fs_i.h struct pipe_inode_info. head and tail count slots, modulo 2^32. */
export class pipe_inode_info {
  readonly mutex: mutex = new mutex()
  readonly rd_wait: wait_queue_head = new wait_queue_head()
  readonly wr_wait: wait_queue_head = new wait_queue_head()
  head = 0
  tail = 0
  max_usage = 0
  ring_size = 0
  nr_accounted = 0
  readers = 0
  writers = 0
  files = 0
  r_counter = 0
  w_counter = 0
  poll_usage = false
  tmp_page: [page | null, page | null] = [null, null]
  fasync_readers: unknown = null
  fasync_writers: unknown = null
  bufs: pipe_buffer[] = []
  /** what the allocator gave for it and for the ring */
  kmem: unknown = null
  bufs_kmem: unknown = null
}

export const pipe_empty = (head: number, tail: number): boolean => head === tail
export const pipe_occupancy = (head: number, tail: number): number => (head - tail) >>> 0
export const pipe_full = (head: number, tail: number, limit: number): boolean => (head - tail) >>> 0 >= limit
