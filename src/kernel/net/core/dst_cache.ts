import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import type { dst_entry } from '../../include/net/dst.ts'
import { type dst_cache, dst_cache_pcpu } from '../../include/net/dst_cache.ts'
import { dst_rtable, type rtable } from '../../include/net/route.ts'
import { jiffies, time_after } from '../../kernel/time/timer.ts'
import { pcpu_alloc_noprof } from '../../mm/percpu.ts'
import { dst_hold, dst_release } from './dst.ts'

const SIZEOF_DST_CACHE_PCPU = 40

const dst_cache_per_cpu_dst_set = kfunc(
  'dst_cache_per_cpu_dst_set',
  (cache: dst_cache_pcpu, dst: dst_entry | null, cookie: number): void => {
    dst_release(cache.dst)
    if (dst !== null) dst_hold(dst)
    cache.cookie = cookie
    cache.dst = dst
  },
)

const is_stale = (dst: dst_entry, cookie: number): boolean => {
  const { check } = dst.ops
  if (check === undefined) return false
  if (tracer.on) traceIndirect('dst->ops->check', nameOf(check))
  return check(dst, cookie) === null
}

const dst_cache_per_cpu_get = kfunc('dst_cache_per_cpu_get', (cache: dst_cache, idst: dst_cache_pcpu): dst_entry | null => {
  const { dst } = idst
  if (dst !== null) {
    dst_hold(dst)
    if (time_after(idst.refresh_ts, cache.reset_ts) && !(dst.obsolete && is_stale(dst, idst.cookie))) return dst
    dst_cache_per_cpu_dst_set(idst, null, 0)
    dst_release(dst)
  }
  idst.refresh_ts = jiffies()
  return null
})

/** the cached route and, in `saddr`, its source address; null when there is none that is still good */
export const dst_cache_get_ip4 = kfunc('dst_cache_get_ip4', (cache: dst_cache, saddr: { v: number }): rtable | null => {
  const idst = cache.cache
  if (idst === null) return null
  const dst = dst_cache_per_cpu_get(cache, idst)
  if (dst === null) return null
  saddr.v = idst.in_saddr
  return dst_rtable(dst)
})

export const dst_cache_set_ip4 = kfunc('dst_cache_set_ip4', (cache: dst_cache, dst: dst_entry, saddr: number): void => {
  const idst = cache.cache
  if (idst === null) return
  dst_cache_per_cpu_dst_set(idst, dst, 0)
  idst.in_saddr = saddr
})

export const dst_cache_init = kfunc('dst_cache_init', (cache: dst_cache, gfp: number): number => {
  pcpu_alloc_noprof(SIZEOF_DST_CACHE_PCPU, 8, false, gfp)
  cache.cache = new dst_cache_pcpu()
  cache.reset_ts = jiffies()
  return 0
})

export const dst_cache_destroy = kfunc('dst_cache_destroy', (cache: dst_cache): void => {
  if (cache.cache === null) return
  dst_release(cache.cache.dst)
  cache.cache = null
})
