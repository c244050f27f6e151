import { kfunc } from '../../trace/kfunc.ts'
import type { dentry, file, vfsmount } from '../include/linux/fs.ts'
import { rcu_read_lock, rcu_read_unlock } from '../kernel/rcu.ts'

export const MNT_RELATIME = 0x20

export const mntget = kfunc('mntget', (mnt: vfsmount): vfsmount => {
  mnt.mnt_count++
  return mnt
})

/** the mounts of the simulation are never unmounted: a reference is only counted */
const mntput_no_expire = kfunc('mntput_no_expire', (mnt: vfsmount): void => {
  rcu_read_lock()
  mnt.mnt_count--
  rcu_read_unlock()
})

export const mntput = kfunc('mntput', (mnt: vfsmount | null): void => {
  if (mnt !== null) mntput_no_expire(mnt)
})

/** a reference for a walk that found the mount under RCU; 0, as nothing is unmounted meanwhile */
export const __legitimize_mnt = kfunc('__legitimize_mnt', (bastard: vfsmount, seq: number): number => {
  bastard.mnt_count++
  return 0
})

/** what is mounted on a directory of a mount; there is one mount, and everything lies on it */
export const __lookup_mnt = kfunc('__lookup_mnt', (mnt: vfsmount, dentry: dentry): vfsmount | null => mnt)

export const mnt_get_write_access = kfunc('mnt_get_write_access', (m: vfsmount): number => 0)
export const mnt_put_write_access = kfunc('mnt_put_write_access', (m: vfsmount): void => {})

export const mnt_get_write_access_file = kfunc('mnt_get_write_access_file', (file: file): number =>
  file.f_path.mnt === null ? 0 : mnt_get_write_access(file.f_path.mnt),
)
/** mnt_put_write_access() is inlined there */
export const mnt_put_write_access_file = kfunc('mnt_put_write_access_file', (_file: file): void => {})
