import { kfunc } from '../../../trace/kfunc.ts'
import { type file, S_IFMT, S_IFSOCK } from '../../include/linux/fs.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { SOCKET_I } from '../../include/linux/net.ts'
import { GFP_KERNEL, GFP_KERNEL_ACCOUNT } from '../../include/linux/slab.ts'
import { PF_UNIX } from '../../include/linux/socket.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { unix_sk, type unix_sock } from '../../include/net/af_unix.ts'
import { spin_lock, spin_unlock } from '../../kernel/locking/spinlock.ts'
import { kfree, kmalloc, kvfree, kvmalloc } from '../../mm/slub.ts'
import { type scm_fp_list, scm_unix } from '../core/scm.ts'

// Counts the sockets that travel over sockets. Rings of sockets that nobody can reach any more are not collected.

const UNIX_INFLIGHT_TRIGGER_GC = 16000
const SIZEOF_UNIX_VERTEX = 80
const SIZEOF_UNIX_EDGE = 48

const unix_gc_lock = new spinlock_t()
export let unix_tot_inflight = 0
let fpl_kmem = new WeakMap<scm_fp_list, { vertices: unknown[]; edges: unknown; receiver: unix_sock | null }>()

core_initcall(() => {
  unix_tot_inflight = 0
  fpl_kmem = new WeakMap()
  scm_unix.get_socket = unix_get_socket
})

const unix_get_socket = kfunc('unix_get_socket', (filp: file): unix_sock | null => {
  if ((filp.f_inode.i_mode & S_IFMT) !== S_IFSOCK) return null
  const sock = SOCKET_I(filp.f_inode)
  return sock.sk !== null && sock.ops?.family === PF_UNIX ? unix_sk(sock.sk) : null
})

const unix_free_vertices = kfunc('unix_free_vertices', (fpl: scm_fp_list): void => {
  const k = fpl_kmem.get(fpl)
  if (k === undefined) return
  for (const v of k.vertices) kfree(v)
  k.vertices = []
})

export const unix_prepare_fpl = kfunc('unix_prepare_fpl', (fpl: scm_fp_list): number => {
  if (!fpl.count_unix) return 0
  const vertices: unknown[] = []
  for (let i = 0; i < fpl.count_unix; i++) vertices.push(kmalloc(SIZEOF_UNIX_VERTEX, GFP_KERNEL))
  fpl_kmem.set(fpl, { vertices, edges: kvmalloc(fpl.count_unix * SIZEOF_UNIX_EDGE, GFP_KERNEL_ACCOUNT), receiver: null })
  return 0
})

export const unix_add_edges = kfunc('unix_add_edges', (fpl: scm_fp_list, receiver: unix_sock): void => {
  spin_lock(unix_gc_lock)
  if (fpl.count_unix) {
    receiver.scm_stat.nr_unix_fds += fpl.count_unix
    unix_tot_inflight += fpl.count_unix
    const k = fpl_kmem.get(fpl)
    if (k !== undefined) k.receiver = receiver
  }
  spin_unlock(unix_gc_lock)
  fpl.inflight = true
  unix_free_vertices(fpl)
})

export const unix_del_edges = kfunc('unix_del_edges', (fpl: scm_fp_list): void => {
  spin_lock(unix_gc_lock)
  if (fpl.count_unix) {
    const receiver = fpl_kmem.get(fpl)?.receiver
    if (receiver) receiver.scm_stat.nr_unix_fds -= fpl.count_unix
    unix_tot_inflight -= fpl.count_unix
  }
  spin_unlock(unix_gc_lock)
  fpl.inflight = false
})

export const unix_update_edges = kfunc('unix_update_edges', (receiver: unix_sock): void => {
  if (receiver.scm_stat.nr_unix_fds) {
    spin_lock(unix_gc_lock)
    receiver.listener = null
    spin_unlock(unix_gc_lock)
  } else receiver.listener = null
})

export const unix_destroy_fpl = kfunc('unix_destroy_fpl', (fpl: scm_fp_list): void => {
  if (fpl.inflight) unix_del_edges(fpl)
  kvfree(fpl_kmem.get(fpl)?.edges ?? null)
  unix_free_vertices(fpl)
})

export const unix_peek_fpl = kfunc('unix_peek_fpl', (fpl: scm_fp_list | null): void => {})

export const unix_gc = kfunc('unix_gc', (): void => {})

export const wait_for_unix_gc = kfunc('wait_for_unix_gc', (fpl: scm_fp_list | null): void => {
  if (unix_tot_inflight > UNIX_INFLIGHT_TRIGGER_GC) unix_gc()
})
