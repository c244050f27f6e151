import { kfunc } from '../../trace/kfunc.ts'
import type { file, inode } from '../include/linux/fs.ts'
import { __srcu_read_lock, __srcu_read_unlock } from '../kernel/rcu.ts'

// fs/locks.c, fs/notify/dnotify: nobody locks or watches the files of the simulation

export const locks_remove_posix = kfunc('locks_remove_posix', (filp: file, owner: unknown): void => {})
export const locks_remove_file = kfunc('locks_remove_file', (filp: file): void => {})
export const locks_free_lock_context = kfunc('locks_free_lock_context', (inode: inode): void => {})
export const dnotify_flush = kfunc('dnotify_flush', (filp: file, id: unknown): void => {})

// fs/notify/mark.c: the connector of the marks is read under SRCU, and there is none
const fsnotify_grab_connector = kfunc('fsnotify_grab_connector', (connp: unknown): null => {
  const idx = __srcu_read_lock(null)
  __srcu_read_unlock(null, idx)
  return null
})
const fsnotify_destroy_marks = kfunc('fsnotify_destroy_marks', (connp: unknown): void => {
  fsnotify_grab_connector(connp)
})
export const __fsnotify_inode_delete = kfunc('__fsnotify_inode_delete', (inode: inode): void => fsnotify_destroy_marks(null))
