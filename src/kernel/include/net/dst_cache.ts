import type { dst_entry } from './dst.ts'

/** struct dst_cache_pcpu: the route that was used last, and the source address that it gave */
export class dst_cache_pcpu {
  /** jiffies */
  refresh_ts = 0
  dst: dst_entry | null = null
  cookie = 0
  in_saddr = 0
}

/** struct dst_cache: of a tunnel's remote end; there is one processor. Functions: net/core/dst_cache.ts */
export class dst_cache {
  cache: dst_cache_pcpu | null = null
  /** jiffies: what was cached before is not good any more */
  reset_ts = 0
}
