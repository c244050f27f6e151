import { kfunc } from '../../trace/kfunc.ts'
import type { inode } from '../include/linux/fs.ts'
import { inode_set_ctime_current } from './inode.ts'

/** a new inode: all of its times are now */
export const simple_inode_init_ts = kfunc('simple_inode_init_ts', (i: inode): number => {
  const ts = inode_set_ctime_current(i)
  i.i_atime = ts
  i.i_mtime = ts
  return ts
})
