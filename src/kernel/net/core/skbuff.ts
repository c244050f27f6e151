import { InternalError, kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceCopy, traceDrop, traceFree, traceIndirect, tracepoint, tracer } from '../../../trace/tracer.ts'
import { csum_and_copy_from_user } from '../../arch/x86/lib/csum-wrappers_64.ts'
import { nosteal_pipe_buf_ops, splice_to_pipe } from '../../fs/splice.ts'
import * as C from '../../include/generated/enums.ts'
import { EFAULT, EINVAL, EIO, EMSGSIZE, ENOBUFS, ENOMEM, ENOMSG } from '../../include/linux/errno.ts'
import {
  SKB_EXT_ERR,
  SO_EE_CODE_ZEROCOPY_COPIED,
  SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_ICMP6,
  SO_EE_ORIGIN_TIMESTAMPING,
  SO_EE_ORIGIN_ZEROCOPY,
} from '../../include/linux/errqueue.ts'
import { CLOCK_MONOTONIC, CLOCK_TAI } from '../../include/linux/hrtimer.ts'
import { ETH_P_802_2, ETH_P_802_3, eth_proto_is_802_3 } from '../../include/linux/if_ether.ts'
import { __vlan_hwaccel_put_tag, skb_vlan_tag_present, VLAN_HLEN } from '../../include/linux/if_vlan.ts'
import { core_initcall } from '../../include/linux/init.ts'
import type { page } from '../../include/linux/mm_types.ts'
import {
  SOF_TIMESTAMPING_OPT_ID,
  SOF_TIMESTAMPING_OPT_TSONLY,
  SOF_TIMESTAMPING_OPT_TX_SWHW,
} from '../../include/linux/net_tstamp.ts'
import type { net_device } from '../../include/linux/netdevice.ts'
import type { nf_conntrack, nfct_ref } from '../../include/linux/netfilter.ts'
import type { pipe_inode_info } from '../../include/linux/pipe_fs_i.ts'
import type { rb_node, rb_root } from '../../include/linux/rbtree.ts'
import {
  __skb_dequeue,
  __skb_queue_head,
  __skb_queue_tail,
  __skb_unlink,
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  HEADER_UNSET,
  SKBFL_ALL_ZEROCOPY,
  SKBFL_ZEROCOPY_FRAG,
  SKBTX_ANY_TSTAMP,
  sk_buff,
  sk_buff_head,
  skb_checksum_start_offset,
  type skb_frag,
  skb_gso_cb,
  type skb_head,
  skb_headlen,
  skb_headroom,
  skb_is_gso,
  skb_mac_header_was_set,
  skb_network_header_len,
  skb_peek,
  skb_peek_tail,
  skb_queue_empty,
  skb_queue_splice_tail_init,
  skb_reset_mac_len,
  skb_reset_network_header,
  skb_reset_transport_header,
  type skb_shared_info,
  skb_tailroom,
  skb_transport_header_was_set,
  ubuf_info,
  type ubuf_info_ops,
} from '../../include/linux/skbuff.ts'
import {
  ___GFP_DMA,
  __GFP_COMP,
  __GFP_DIRECT_RECLAIM,
  __GFP_MEMALLOC,
  __GFP_NOMEMALLOC,
  __GFP_NOWARN,
  GFP_ATOMIC,
  GFP_KERNEL,
  type kmem_cache,
  NUMA_NO_NODE,
  SLAB_HWCACHE_ALIGN,
  SLAB_PANIC,
} from '../../include/linux/slab.ts'
import type { msghdr } from '../../include/linux/socket.ts'
import type { ref } from '../../include/linux/types.ts'
import type { iov_iter } from '../../include/linux/uio.ts'
import { inet_skb_parm } from '../../include/net/ip.ts'
import type { sock } from '../../include/net/sock.ts'
import { tcp_skb_cb } from '../../include/net/tcp.ts'
import { capable } from '../../kernel/capability.ts'
import { _raw_spin_lock_irqsave, _raw_spin_unlock_irqrestore } from '../../kernel/locking/spinlock.ts'
import { in_hardirq, local_bh_disable, local_bh_enable } from '../../kernel/softirq.ts'
import { ktime_get_real } from '../../kernel/time/timekeeping.ts'
import {
  csum_add,
  csum_block_add,
  csum_block_sub,
  csum_fold,
  csum_partial,
  csum_partial_copy_nocheck,
} from '../../lib/checksum.ts'
import { iov_iter_extract_pages, iov_iter_revert, iterate_and_advance2 } from '../../lib/iov_iter.ts'
import { rb_erase, rb_first, rb_last, rb_next, rb_prev } from '../../lib/rbtree.ts'
import { alloc_pages_noprof, get_page, put_page } from '../../mm/page_alloc.ts'
import { page_frag_alloc, page_frag_cache, page_frag_free } from '../../mm/page_frag_cache.ts'
import {
  __kmalloc_node_track_caller_noprof,
  KMALLOC_NOT_NORMAL_BITS,
  kfree,
  kmalloc_size_roundup,
  kmem_cache_alloc_bulk_noprof,
  kmem_cache_alloc_node_noprof,
  kmem_cache_alloc_noprof,
  kmem_cache_create,
  kmem_cache_free,
  kmem_cache_free_bulk,
  kmem_cache_size,
  take_head,
} from '../../mm/slub.ts'
import { nf_conntrack_destroy } from '../netfilter/core.ts'
import { __zerocopy_sg_from_iter } from './datagram.ts'
import {
  can_checksum_protocol,
  dev_consume_skb_any,
  netdev_rx_csum_fault,
  netstamp_needed,
  skb_needs_linearize,
  skb_network_protocol,
} from './dev.ts'
import { skb_dst_copy, skb_dst_drop, skb_dst_force } from './dst.ts'
import { net_hotdata } from './hotdata.ts'
import {
  __sock_wfree,
  net_gso_ok,
  sk_error_report,
  sk_is_tcp,
  sk_page_frag,
  sk_page_frag_refill,
  skb_set_owner_w,
  sock_edemux,
  sock_flag,
  sock_hold,
  sock_omalloc,
  sock_owned_by_user,
  sock_put,
  sock_wfree,
  sysctl_tstamp_allow_data,
} from './sock.ts'

// ---- sizes, in bytes: include/linux/skbuff.h ---------------------------------------------------------------------------------

/** sizeof(struct skb_shared_info), rounded up to a cache line; and of struct sk_buff */
const SHINFO_SIZE = 320
export const SK_BUFF_SIZE = 256
const SMP_CACHE_BYTES = 64
const MAX_SKB_FRAGS = C.MAX_SKB_FRAGS
const NET_SKB_PAD = C.NET_SKB_PAD
const PAGE_SIZE = C.PAGE_SIZE
export const SKB_DATA_ALIGN = (x: number): number => (x + SMP_CACHE_BYTES - 1) & ~(SMP_CACHE_BYTES - 1)
export const SKB_WITH_OVERHEAD = (x: number): number => x - SHINFO_SIZE
export const SKB_HEAD_ALIGN = (x: number): number => SKB_DATA_ALIGN(x) + SHINFO_SIZE
/** what a buffer of `x` bytes of data counts for */
export const SKB_TRUESIZE = (x: number): number => x + SK_BUFF_SIZE + SHINFO_SIZE
/** size of the objects of skb_small_head_cache, and how much of one is for data */
export const SKB_SMALL_HEAD_CACHE_SIZE = 704
export const SKB_SMALL_HEAD_HEADROOM = SKB_WITH_OVERHEAD(SKB_SMALL_HEAD_CACHE_SIZE)
export const SKB_MAX_ORDER = (x: number, order: number): number => SKB_WITH_OVERHEAD((PAGE_SIZE << order) - x)
export const SKB_MAX_ALLOC = SKB_MAX_ORDER(0, 2)
export const SKB_ALLOC_FCLONE = 0x01
export const SKB_ALLOC_RX = 0x02
export const SKB_ALLOC_NAPI = 0x04
const SKB_DATAREF_SHIFT = 16
const SKB_DATAREF_MASK = (1 << SKB_DATAREF_SHIFT) - 1
export const GSO_BY_FRAGS = 0xffff
const NAPI_SKB_CACHE_SIZE = 64
const NAPI_SKB_CACHE_BULK = 16
const NAPI_SKB_CACHE_HALF = NAPI_SKB_CACHE_SIZE / 2
const USHRT_MAX = 0xffff

// ---- what lives between calls --------------------------------------------------------------------------------------------------

export let skbuff_cache: kmem_cache
export let skbuff_fclone_cache: kmem_cache
export let skb_small_head_cache: kmem_cache
let next_id = 1
let next_kaddr = 0
/** struct napi_alloc_cache: buffers that a poll freed, for the next one; and the pages for their heads */
let napi_skb_count = 0
let napi_page = new page_frag_cache()
let napi_page_small = new page_frag_cache()
const SZ_1K = 1024
let netdev_page = new page_frag_cache()
const size_ref: ref<number> = { v: 0 }

export function skb_init(): void {
  skbuff_cache = kmem_cache_create('skbuff_head_cache', 232, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC, null)
  skbuff_fclone_cache = kmem_cache_create('skbuff_fclone_cache', 472, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC, null)
  skb_small_head_cache = kmem_cache_create(
    'skbuff_small_head',
    SKB_SMALL_HEAD_CACHE_SIZE,
    0,
    SLAB_HWCACHE_ALIGN | SLAB_PANIC,
    null,
  )
  next_id = 1
  next_kaddr = 0
  napi_skb_count = 0
  locked_vm = 0
  napi_page = new page_frag_cache()
  napi_page_small = new page_frag_cache()
  netdev_page = new page_frag_cache()
}
core_initcall(skb_init)

/** pseudo addresses lie 4096 apart, so that a number holds them exactly */
const kaddr = (): number => 0xffff888100000000 + 4096 * next_kaddr++

/** a struct sk_buff in new memory */
function new_skb(head: skb_head): sk_buff {
  const skb = new sk_buff(head)
  skb.id = next_id++
  skb.kaddr = kaddr()
  return skb
}

// ---- allocation ----------------------------------------------------------------------------------------------------------------

const napi_skb_cache_get = kfunc('napi_skb_cache_get', (): boolean => {
  if (napi_skb_count === 0) {
    napi_skb_count = kmem_cache_alloc_bulk_noprof(skbuff_cache, GFP_ATOMIC | __GFP_NOWARN, NAPI_SKB_CACHE_BULK, null)
    // those in stock do not count as in use
    skbuff_cache.live -= napi_skb_count
  }
  napi_skb_count--
  skbuff_cache.live++
  kmem_cache_size(skbuff_cache)
  return true
})

const napi_skb_cache_put = kfunc('napi_skb_cache_put', (_skb: sk_buff): void => {
  napi_skb_count++
  skbuff_cache.live--
  if (napi_skb_count === NAPI_SKB_CACHE_SIZE) {
    for (let i = NAPI_SKB_CACHE_HALF; i < NAPI_SKB_CACHE_SIZE; i++) kmem_cache_size(skbuff_cache)
    kmem_cache_free_bulk(skbuff_cache, NAPI_SKB_CACHE_HALF, null)
    skbuff_cache.live += NAPI_SKB_CACHE_HALF
    napi_skb_count = NAPI_SKB_CACHE_HALF
  }
})

const __finalize_skb_around = kfunc('__finalize_skb_around', (skb: sk_buff, data: skb_head, frag_size: number): void => {
  const size = SKB_WITH_OVERHEAD(frag_size)
  skb.truesize = SKB_TRUESIZE(size)
  skb.users = 1
  skb.head = data
  skb.data = 0
  skb.tail = 0
  skb.end = size
  skb.mac_header = HEADER_UNSET
  skb.transport_header = HEADER_UNSET
  skb.alloc_cpu = 0
  const s = data.shinfo
  s.flags = 0
  s.meta_len = 0
  s.tx_flags = 0
  s.gso_size = 0
  s.gso_segs = 0
  s.gso_type = 0
  s.tskey = 0
  s.frag_list = null
  s.hwtstamps = 0
  s.dataref = 1
  s.destructor_arg = null
  if (s.frags.length) s.frags.length = 0
})

const __build_skb_around = kfunc('__build_skb_around', (skb: sk_buff, data: skb_head, frag_size: number): void => {
  __finalize_skb_around(skb, data, frag_size)
})

/** a buffer around memory that exists: `data` came from page_frag_alloc() or the like, `frag_size` bytes of it */
export const __build_skb = kfunc('__build_skb', (data: skb_head, frag_size: number): sk_buff => {
  kmem_cache_alloc_noprof(skbuff_cache, GFP_ATOMIC | __GFP_NOWARN)
  const skb = new_skb(data)
  __build_skb_around(skb, data, frag_size)
  return skb
})
export const build_skb = kfunc('build_skb', (data: skb_head, frag_size: number): sk_buff => {
  const skb = __build_skb(data, frag_size)
  if (frag_size) skb.head_frag = 1
  return skb
})
export const build_skb_around = kfunc(
  'build_skb_around',
  (skb: sk_buff | null, data: skb_head, frag_size: number): sk_buff | null => {
    if (skb === null) return null
    __build_skb_around(skb, data, frag_size)
    if (frag_size) skb.head_frag = 1
    return skb
  },
)
const __napi_build_skb = kfunc('__napi_build_skb', (data: skb_head, frag_size: number): sk_buff => {
  napi_skb_cache_get()
  const skb = new_skb(data)
  __build_skb_around(skb, data, frag_size)
  return skb
})
export const napi_build_skb = kfunc('napi_build_skb', (data: skb_head, frag_size: number): sk_buff => {
  const skb = __napi_build_skb(data, frag_size)
  if (frag_size) skb.head_frag = 1
  return skb
})

/** memory for `size.v` bytes of data and what comes behind; size.v becomes the size of the object */
const kmalloc_reserve = kfunc(
  'kmalloc_reserve',
  (size: ref<number>, flags: number, node: number, _pfmemalloc: ref<boolean> | null): skb_head => {
    let obj_size = SKB_HEAD_ALIGN(size.v)
    if (obj_size <= SKB_SMALL_HEAD_CACHE_SIZE && !(flags & KMALLOC_NOT_NORMAL_BITS)) {
      kmem_cache_alloc_node_noprof(skb_small_head_cache, flags | __GFP_NOMEMALLOC | __GFP_NOWARN, node)
      size.v = SKB_SMALL_HEAD_CACHE_SIZE
      return take_head(skb_small_head_cache, SKB_SMALL_HEAD_CACHE_SIZE)
    }
    obj_size = kmalloc_size_roundup(obj_size)
    size.v = obj_size
    return __kmalloc_node_track_caller_noprof(obj_size, flags | __GFP_NOMEMALLOC | __GFP_NOWARN, node, 0)
  },
)

/**
 * A buffer with room for `size` bytes, no headroom yet. `flags`: SKB_ALLOC_FCLONE makes room for one clone as well, SKB_ALLOC_NAPI
 * takes it from what polls have freed.
 */
export const __alloc_skb = kfunc('__alloc_skb', (size: number, gfp_mask: number, flags: number, node: number): sk_buff | null => {
  const fclone = (flags & SKB_ALLOC_FCLONE) !== 0
  if ((flags & (SKB_ALLOC_FCLONE | SKB_ALLOC_NAPI)) === SKB_ALLOC_NAPI && node === NUMA_NO_NODE) napi_skb_cache_get()
  else kmem_cache_alloc_node_noprof(fclone ? skbuff_fclone_cache : skbuff_cache, gfp_mask & ~___GFP_DMA, node)
  size_ref.v = size
  const data = kmalloc_reserve(size_ref, gfp_mask, node, null)
  const skb = new_skb(data)
  __build_skb_around(skb, data, size_ref.v)
  if (fclone) {
    skb.fclone = C.SKB_FCLONE_ORIG
    skb.fclones = { skb1: skb, skb2: null, fclone_ref: 1 }
  }
  return skb
})
export const alloc_skb = kfunc('alloc_skb', (size: number, priority: number): sk_buff | null =>
  __alloc_skb(size, priority, 0, NUMA_NO_NODE),
)
export const alloc_skb_fclone = kfunc('alloc_skb_fclone', (size: number, priority: number): sk_buff | null =>
  __alloc_skb(size, priority, SKB_ALLOC_FCLONE, NUMA_NO_NODE),
)

/** a buffer for a frame that a device receives */
export const __netdev_alloc_skb = kfunc(
  '__netdev_alloc_skb',
  (dev: net_device | null, length: number, gfp_mask: number): sk_buff | null => {
    let len = length + NET_SKB_PAD
    let skb: sk_buff | null
    if (
      len <= SKB_WITH_OVERHEAD(SKB_SMALL_HEAD_CACHE_SIZE) ||
      len > SKB_WITH_OVERHEAD(PAGE_SIZE) ||
      gfp_mask & (__GFP_DIRECT_RECLAIM | ___GFP_DMA)
    ) {
      skb = __alloc_skb(len, gfp_mask, SKB_ALLOC_RX, NUMA_NO_NODE)
      if (skb === null) return null
    } else {
      len = SKB_HEAD_ALIGN(len)
      let data: skb_head
      if (in_hardirq()) data = page_frag_alloc(netdev_page, len, gfp_mask)
      else {
        local_bh_disable()
        data = page_frag_alloc(napi_page, len, gfp_mask)
        local_bh_enable()
      }
      skb = __build_skb(data, len)
      skb.head_frag = 1
    }
    skb_reserve(skb, NET_SKB_PAD)
    skb.dev = dev
    return skb
  },
)
export const netdev_alloc_skb_ip_align = kfunc(
  'netdev_alloc_skb_ip_align',
  (dev: net_device | null, length: number): sk_buff | null => __netdev_alloc_skb(dev, length + C.NET_IP_ALIGN, GFP_ATOMIC),
)

const __netdev_alloc_frag_align = kfunc('__netdev_alloc_frag_align', (fragsz: number, _align_mask: number): skb_head => {
  if (in_hardirq()) return page_frag_alloc(netdev_page, fragsz, GFP_ATOMIC)
  local_bh_disable()
  const data = page_frag_alloc(napi_page, fragsz, GFP_ATOMIC)
  local_bh_enable()
  return data
})
/** memory for a driver's receive ring: a piece of a page */
export const netdev_alloc_frag = (fragsz: number): skb_head => __netdev_alloc_frag_align(fragsz, ~0)

/** the same inside a poll */
export const napi_alloc_skb = kfunc('napi_alloc_skb', (napi: { dev: net_device | null }, length: number): sk_buff | null => {
  const gfp_mask = GFP_ATOMIC | __GFP_NOWARN
  let len = length + NET_SKB_PAD + C.NET_IP_ALIGN
  let skb: sk_buff | null
  if (len > SKB_WITH_OVERHEAD(PAGE_SIZE)) {
    skb = __alloc_skb(len, gfp_mask, SKB_ALLOC_RX | SKB_ALLOC_NAPI, NUMA_NO_NODE)
    if (skb === null) return null
  } else {
    // small ones have pieces of a page for themselves
    const small = len <= SKB_WITH_OVERHEAD(SZ_1K)
    len = small ? SZ_1K : SKB_HEAD_ALIGN(len)
    skb = __napi_build_skb(page_frag_alloc(small ? napi_page_small : napi_page, len, gfp_mask), len)
    skb.head_frag = 1
  }
  skb_reserve(skb, NET_SKB_PAD + C.NET_IP_ALIGN)
  skb.dev = napi.dev
  return skb
})

/** a buffer of `header_len` bytes and pages for `data_len` more, of 2^order pages at most each */
export const alloc_skb_with_frags = kfunc(
  'alloc_skb_with_frags',
  (header_len: number, data_len: number, max_order: number, errcode: ref<number>, gfp_mask: number): sk_buff | null => {
    let order = max_order
    let left = data_len
    errcode.v = -EMSGSIZE
    if (left > MAX_SKB_FRAGS * (PAGE_SIZE << order)) return null
    errcode.v = -ENOBUFS
    const skb = alloc_skb(header_len, gfp_mask)
    if (skb === null) return null
    for (let nr_frags = 0; left > 0; nr_frags++) {
      if (nr_frags === MAX_SKB_FRAGS) {
        kfree_skb(skb)
        return null
      }
      while (order && Math.ceil(left / PAGE_SIZE) * PAGE_SIZE < PAGE_SIZE << order) order--
      const p = order
        ? alloc_pages_noprof((gfp_mask & ~__GFP_DIRECT_RECLAIM) | __GFP_COMP | __GFP_NOWARN, order)
        : alloc_pages_noprof(gfp_mask, 0)
      const chunk = Math.min(left, PAGE_SIZE << order)
      skb_fill_page_desc(skb, nr_frags, p, 0, chunk)
      skb.truesize += PAGE_SIZE << order
      left -= chunk
    }
    return skb
  },
)

// ---- page fragments --------------------------------------------------------------------------------------------------------------

const frag_at = (s: skb_shared_info, i: number): skb_frag => {
  const f = s.frags[i]
  if (f === undefined) throw new InternalError(`no fragment ${i} of ${s.frags.length}`)
  return f
}
const copy_frag = (f: skb_frag): skb_frag => ({ page: f.page, offset: f.offset, len: f.len })

/** sets fragment `i` and makes it the last */
export const __skb_fill_page_desc = kfunc(
  '__skb_fill_page_desc',
  (skb: sk_buff, i: number, p: page, off: number, size: number): void => {
    skb.head.shinfo.frags[i] = { page: p, offset: off, len: size }
    if (p.pfmemalloc) skb.pfmemalloc = 1
  },
)
export const skb_fill_page_desc = kfunc(
  'skb_fill_page_desc',
  (skb: sk_buff, i: number, p: page, off: number, size: number): void => {
    __skb_fill_page_desc(skb, i, p, off, size)
    if (skb.head.shinfo.frags.length !== i + 1) skb.head.shinfo.frags.length = i + 1
  },
)
export const skb_fill_page_desc_noacc = kfunc(
  'skb_fill_page_desc_noacc',
  (skb: sk_buff, i: number, p: page, off: number, size: number): void => {
    const { frags } = skb.head.shinfo
    frags[i] = { page: p, offset: off, len: size }
    if (frags.length !== i + 1) frags.length = i + 1
  },
)
export const skb_add_rx_frag_netmem = kfunc(
  'skb_add_rx_frag_netmem',
  (skb: sk_buff, i: number, p: page, off: number, size: number, truesize: number): void => {
    skb_fill_page_desc(skb, i, p, off, size)
    skb.len += size
    skb.data_len += size
    skb.truesize += truesize
  },
)
export const skb_add_rx_frag = kfunc(
  'skb_add_rx_frag',
  (skb: sk_buff, i: number, p: page, off: number, size: number, truesize: number): void =>
    skb_add_rx_frag_netmem(skb, i, p, off, size, truesize),
)
export const skb_coalesce_rx_frag = kfunc(
  'skb_coalesce_rx_frag',
  (skb: sk_buff, i: number, size: number, truesize: number): void => {
    frag_at(skb.head.shinfo, i).len += size
    skb.len += size
    skb.data_len += size
    skb.truesize += truesize
  },
)

export const __skb_frag_ref = (f: skb_frag): void => get_page(f.page)
export const skb_frag_ref = (skb: sk_buff, f: number): void => get_page(frag_at(skb.head.shinfo, f).page)
export const __skb_frag_unref = kfunc('__skb_frag_unref', (f: skb_frag, _recycle: boolean | number): void => {
  put_page(f.page)
})
export const skb_frag_unref = kfunc('skb_frag_unref', (skb: sk_buff, f: number): void => {
  if (!skb_zcopy_managed(skb)) __skb_frag_unref(frag_at(skb.head.shinfo, f), skb.pp_recycle)
})
/** whether bytes at `off` of `page` would continue the last of `i` fragments */
export function skb_can_coalesce(skb: sk_buff, i: number, p: page | null, off: number): boolean {
  if (skb_zcopy(skb) !== null || i === 0) return false
  const f = skb.head.shinfo.frags[i - 1]
  return f !== undefined && p === f.page && off === f.offset + f.len
}
export const skb_has_frag_list = (skb: sk_buff): boolean => skb.head.shinfo.frag_list !== null
export const skb_frags_readable = (skb: sk_buff): boolean => !skb.unreadable
export const skb_has_shared_frag = (skb: sk_buff): boolean =>
  skb.data_len !== 0 && (skb.head.shinfo.flags & C.SKBFL_SHARED_FRAG) !== 0
/** bytes in the head and in page fragments, without the list */
export function skb_pagelen(skb: sk_buff): number {
  return skb_headlen(skb) + __skb_pagelen(skb)
}
export function __skb_pagelen(skb: sk_buff): number {
  let len = 0
  for (const f of skb.head.shinfo.frags) len += f.len
  return len
}
export function skb_len_add(skb: sk_buff, delta: number): void {
  skb.len += delta
  skb.data_len += delta
  skb.truesize += delta
}

/** adds bytes of a page that somebody lends; takes a reference unless they continue the last fragment */
export const skb_append_pagefrags = kfunc(
  'skb_append_pagefrags',
  (skb: sk_buff, p: page, offset: number, size: number, max_frags: number): number => {
    const { frags } = skb.head.shinfo
    const i = frags.length
    if (skb_can_coalesce(skb, i, p, offset)) frag_at(skb.head.shinfo, i - 1).len += size
    else if (i < max_frags) {
      skb_zcopy_downgrade_managed(skb)
      get_page(p)
      skb_fill_page_desc_noacc(skb, i, p, offset, size)
    } else return -EMSGSIZE
    return 0
  },
)

const skb_splice_csum_page = kfunc(
  'skb_splice_csum_page',
  (skb: sk_buff, p: page, offset: number, len: number, csum_offset: number): void => {
    skb.csum = csum_block_add(skb.csum, csum_partial(p.bytes, offset, len, 0), csum_offset)
  },
)

/** takes up to `maxsize` bytes of the iterator's pages as they are (MSG_SPLICE_PAGES); returns how many, or an error */
export const skb_splice_from_iter = kfunc(
  'skb_splice_from_iter',
  (skb: sk_buff, iter: iov_iter, max: number, _gfp: number): number => {
    const frag_limit = net_hotdata.sysctl_max_skb_frags
    const pages: page[] = []
    const start: ref<number> = { v: 0 }
    let maxsize = max
    let spliced = 0
    let ret = 0
    while (iter.count > 0) {
      ret = -EMSGSIZE
      const space = frag_limit - skb.head.shinfo.frags.length
      if (space < 0) break
      const nr = Math.min(Math.max(space, 1), 8)
      let len = iov_iter_extract_pages(iter, pages, maxsize, nr, 0, start)
      if (len <= 0) {
        ret = len || -EIO
        break
      }
      let off = start.v
      let i = 0
      let failed = false
      do {
        const p = pages[i++]
        if (p === undefined) throw new InternalError('fewer pages than bytes')
        const part = p.order ? len : Math.min(PAGE_SIZE - off, len)
        ret = skb_append_pagefrags(skb, p, off, part, frag_limit)
        if (ret < 0) {
          iov_iter_revert(iter, len)
          failed = true
          break
        }
        if (skb.ip_summed === CHECKSUM_NONE) skb_splice_csum_page(skb, p, off, part, skb.len + spliced)
        off = 0
        spliced += part
        maxsize -= part
        len -= part
      } while (len > 0)
      if (failed || maxsize <= 0) break
    }
    skb_len_add(skb, spliced)
    return spliced || ret
  },
)

// ---- references and freeing --------------------------------------------------------------------------------------------------------

export const skb_get = (skb: sk_buff): sk_buff => {
  skb.users++
  return skb
}
export const skb_shared = (skb: sk_buff): boolean => skb.users !== 1
/** one user less: true when it was the last */
export function skb_unref(skb: sk_buff | null): skb is sk_buff {
  if (skb === null) return false
  if (skb.users === 1) return true
  if (skb.users < 1) throw new InternalError('a buffer was freed twice')
  skb.users--
  return false
}
/** whether somebody else sees the data */
export const skb_cloned = (skb: sk_buff): boolean => skb.cloned !== 0 && (skb.head.shinfo.dataref & SKB_DATAREF_MASK) !== 1
export function skb_header_cloned(skb: sk_buff): boolean {
  if (!skb.cloned) return false
  const { dataref } = skb.head.shinfo
  return (dataref & SKB_DATAREF_MASK) - (dataref >> SKB_DATAREF_SHIFT) !== 1
}
/** says that this one does not look at the header any more, so that its clone may change it */
export function __skb_header_release(skb: sk_buff): void {
  skb.nohdr = 1
  skb.head.shinfo.dataref = 1 + (1 << SKB_DATAREF_SHIFT)
}
export const skb_clone_writable = (skb: sk_buff, len: number): boolean =>
  !skb_header_cloned(skb) && skb_headroom(skb) + len <= skb.hdr_len

/** one user of the data less: true when it was the last */
const skb_data_unref = kfunc('skb_data_unref', (skb: sk_buff, shinfo: skb_shared_info): boolean => {
  if (!skb.cloned) return true
  const bias = skb.nohdr ? (1 << SKB_DATAREF_SHIFT) + 1 : 1
  if (shinfo.dataref === bias) return true
  shinfo.dataref -= bias
  return shinfo.dataref === 0
})

const skb_drop_list = kfunc('skb_drop_list', (list: sk_buff | null): void => {
  kfree_skb_list(list)
})
function skb_drop_fraglist(skb: sk_buff): void {
  skb_drop_list(skb.head.shinfo.frag_list)
  skb.head.shinfo.frag_list = null
}
function skb_clone_fraglist(skb: sk_buff): void {
  for (let list = skb.head.shinfo.frag_list; list !== null; list = list.next) skb_get(list)
}

const skb_kfree_head = kfunc('skb_kfree_head', (head: skb_head, _end_offset: number): void => {
  kfree(head)
})
export const skb_free_frag = (head: skb_head): void => page_frag_free(head)

const skb_free_head = kfunc('skb_free_head', (skb: sk_buff): void => {
  const { head } = skb
  if (skb.head_frag) skb_free_frag(head)
  else skb_kfree_head(head, skb.end)
})

const skb_release_data = kfunc('skb_release_data', (skb: sk_buff, reason: number): void => {
  const { shinfo } = skb.head
  if (skb_data_unref(skb, shinfo)) {
    let unref = true
    if (skb_zcopy(skb) !== null) {
      unref = !(shinfo.flags & C.SKBFL_MANAGED_FRAG_REFS)
      skb_zcopy_clear(skb, true)
    }
    const { frags } = shinfo
    if (unref) for (let i = 0; i < frags.length; i++) __skb_frag_unref(frags[i] as skb_frag, skb.pp_recycle)
    if (frags.length) frags.length = 0
    if (shinfo.frag_list !== null) {
      kfree_skb_list_reason(shinfo.frag_list, reason)
      shinfo.frag_list = null
    }
    skb_free_head(skb)
  }
  skb.pp_recycle = 0
})

const kfree_skbmem = kfunc('kfree_skbmem', (skb: sk_buff): void => {
  const { fclones } = skb
  skb.users = 0
  if (fclones === null || skb.fclone === C.SKB_FCLONE_UNAVAILABLE) {
    kmem_cache_free(skbuff_cache, skb)
    return
  }
  if (--fclones.fclone_ref === 0) kmem_cache_free(skbuff_fclone_cache, skb)
})

export const skb_release_head_state = kfunc('skb_release_head_state', (skb: sk_buff): void => {
  skb_dst_drop(skb)
  const { destructor } = skb
  if (destructor !== null) {
    if (tracer.on) traceIndirect('skb->destructor', nameOf(destructor))
    destructor(skb)
  }
  nf_reset_ct(skb)
  skb_ext_put(skb)
})

const skb_release_all = kfunc('skb_release_all', (skb: sk_buff, reason: number): void => {
  if (tracer.on) traceFree(skb)
  skb_release_head_state(skb)
  skb_release_data(skb, reason)
})

/** frees a buffer that nobody uses any more */
export const __kfree_skb = kfunc('__kfree_skb', (skb: sk_buff): void => {
  skb_release_all(skb, C.SKB_DROP_REASON_NOT_SPECIFIED)
  kfree_skbmem(skb)
})

let reasons: Map<number, string> | null = null
/** the name of a drop reason, without its prefix */
export function drop_reason_name(reason: number): string {
  if (reasons === null) {
    reasons = new Map([
      [C.SKB_NOT_DROPPED_YET, 'NOT_DROPPED_YET'],
      [C.SKB_CONSUMED, 'CONSUMED'],
    ])
    for (const [name, value] of C.skb_drop_reasons) if (!reasons.has(value)) reasons.set(value, name)
  }
  return reasons.get(reason) ?? String(reason)
}

/** the function that gives a buffer up: what skb:kfree_skb has as its location */
let location = ''

function trace_free(skb: sk_buff, reason: number, sk: sock | null): void {
  if (reason === C.SKB_CONSUMED) {
    tracepoint('skb', 'consume_skb', { skbaddr: skb.kaddr, location })
    return
  }
  const name = drop_reason_name(reason)
  traceDrop(skb, name, location)
  tracepoint('skb', 'kfree_skb', { skbaddr: skb.kaddr, location, rx_sk: sk?.kaddr ?? 0, protocol: skb.protocol, reason: name })
}

const __sk_skb_reason_drop = kfunc('__sk_skb_reason_drop', (sk: sock | null, skb: sk_buff | null, reason: number): boolean => {
  if (!skb_unref(skb)) return false
  if (tracer.on) trace_free(skb, reason, sk)
  return true
})

const traced_sk_skb_reason_drop = kfunc('sk_skb_reason_drop', (sk: sock | null, skb: sk_buff | null, reason: number): void => {
  if (__sk_skb_reason_drop(sk, skb, reason)) __kfree_skb(skb as sk_buff)
})
/** drops a buffer and says why: one of SKB_DROP_REASON_*, for the socket `sk` if it was meant for one */
export function sk_skb_reason_drop(sk: sock | null, skb: sk_buff | null, reason: number): void {
  if (tracer.on) location = tracer.context.real?.name ?? ''
  traced_sk_skb_reason_drop(sk, skb, reason)
}
export const kfree_skb_reason = kfunc('kfree_skb_reason', (skb: sk_buff | null, reason: number): void => {
  sk_skb_reason_drop(null, skb, reason)
})
export const kfree_skb = kfunc('kfree_skb', (skb: sk_buff | null): void => {
  kfree_skb_reason(skb, C.SKB_DROP_REASON_NOT_SPECIFIED)
})

const KFREE_SKB_BULK_SIZE = 16

const traced_kfree_skb_list_reason = kfunc('kfree_skb_list_reason', (first: sk_buff | null, reason: number): void => {
  let count = 0
  for (let segs = first; segs !== null; ) {
    const { next } = segs
    if (__sk_skb_reason_drop(null, segs, reason)) {
      segs.next = null
      if (segs.fclone !== C.SKB_FCLONE_UNAVAILABLE) __kfree_skb(segs)
      else {
        skb_release_all(segs, reason)
        segs.users = 0
        if (++count === KFREE_SKB_BULK_SIZE) {
          kmem_cache_free_bulk(skbuff_cache, count, null)
          count = 0
        }
      }
    }
    segs = next
  }
  if (count) kmem_cache_free_bulk(skbuff_cache, count, null)
})
/** drops a chain of buffers, each for the same reason */
export function kfree_skb_list_reason(first: sk_buff | null, reason: number): void {
  if (tracer.on) location = tracer.context.real?.name ?? ''
  traced_kfree_skb_list_reason(first, reason)
}
export const kfree_skb_list = kfunc('kfree_skb_list', (segs: sk_buff | null): void => {
  kfree_skb_list_reason(segs, C.SKB_DROP_REASON_NOT_SPECIFIED)
})

const traced_consume_skb = kfunc('consume_skb', (skb: sk_buff | null): void => {
  if (!skb_unref(skb)) return
  if (tracer.on) trace_free(skb, C.SKB_CONSUMED, null)
  __kfree_skb(skb)
})
/** frees a buffer that did what it was for */
export function consume_skb(skb: sk_buff | null): void {
  if (tracer.on) location = tracer.context.real?.name ?? ''
  traced_consume_skb(skb)
}

/** frees a buffer whose head state was released already */
export const __consume_stateless_skb = kfunc('__consume_stateless_skb', (skb: sk_buff): void => {
  if (tracer.on) {
    tracepoint('skb', 'consume_skb', { skbaddr: skb.kaddr, location: '__consume_stateless_skb' })
    traceFree(skb)
  }
  skb_release_data(skb, C.SKB_CONSUMED)
  kfree_skbmem(skb)
})

export const __napi_kfree_skb = kfunc('__napi_kfree_skb', (skb: sk_buff, reason: number): void => {
  skb_release_all(skb, reason)
  skb.users = 0
  napi_skb_cache_put(skb)
})
export const napi_skb_free_stolen_head = kfunc('napi_skb_free_stolen_head', (skb: sk_buff): void => {
  if (skb.slow_gro) {
    nf_reset_ct(skb)
    skb_dst_drop(skb)
    skb_ext_put(skb)
    skb_orphan(skb)
    skb.slow_gro = 0
  }
  napi_skb_cache_put(skb)
})
export const napi_consume_skb = kfunc('napi_consume_skb', (skb: sk_buff | null, budget: number): void => {
  if (skb === null) return
  if (!budget) {
    dev_consume_skb_any(skb)
    return
  }
  if (!skb_unref(skb)) return
  if (tracer.on) tracepoint('skb', 'consume_skb', { skbaddr: skb.kaddr, location: 'napi_consume_skb' })
  if (skb.fclone !== C.SKB_FCLONE_UNAVAILABLE) {
    __kfree_skb(skb)
    return
  }
  skb_release_all(skb, C.SKB_CONSUMED)
  skb.users = 0
  napi_skb_cache_put(skb)
})

const kfree_skb_napi_cache = kfunc('kfree_skb_napi_cache', (skb: sk_buff): void => {
  if (skb.fclone !== C.SKB_FCLONE_UNAVAILABLE) {
    __kfree_skb(skb)
    return
  }
  local_bh_disable()
  __napi_kfree_skb(skb, C.SKB_CONSUMED)
  local_bh_enable()
})
/** frees a buffer on the processor that made it: with one, that is here and now */
export const skb_attempt_defer_free = kfunc('skb_attempt_defer_free', (skb: sk_buff): void => {
  kfree_skb_napi_cache(skb)
})

/** frees a buffer whose data went into another by skb_try_coalesce() */
export const kfree_skb_partial = kfunc('kfree_skb_partial', (skb: sk_buff, head_stolen: boolean): void => {
  if (head_stolen) {
    if (tracer.on) traceFree(skb)
    skb_release_head_state(skb)
    skb.users = 0
    kmem_cache_free(skbuff_cache, skb)
  } else __kfree_skb(skb)
})

/** takes a buffer away from the socket that it was charged to */
export const skb_orphan = kfunc('skb_orphan', (skb: sk_buff): void => {
  const { destructor } = skb
  if (destructor !== null) {
    if (tracer.on) traceIndirect('skb->destructor', nameOf(destructor))
    destructor(skb)
    skb.destructor = null
    skb.sk = null
  }
})

// ---- clones and copies ---------------------------------------------------------------------------------------------------------

function copy_tcp_cb(to: tcp_skb_cb, from: tcp_skb_cb): void {
  to.seq = from.seq
  to.end_seq = from.end_seq
  to.tcp_tw_isn = from.tcp_tw_isn
  to.tcp_gso_segs = from.tcp_gso_segs
  to.tcp_gso_size = from.tcp_gso_size
  to.tcp_flags = from.tcp_flags
  to.sacked = from.sacked
  to.ip_dsfield = from.ip_dsfield
  to.txstamp_ack = from.txstamp_ack
  to.eor = from.eor
  to.has_rxtstamp = from.has_rxtstamp
  to.ack_seq = from.ack_seq
  to.tx.is_app_limited = from.tx.is_app_limited
  to.tx.delivered_ce = from.tx.delivered_ce
  to.tx.delivered = from.tx.delivered
  to.tx.first_tx_mstamp = from.tx.first_tx_mstamp
  to.tx.delivered_mstamp = from.tx.delivered_mstamp
  to.h4.assign(from.h4)
}

/** skb->cb is copied with the buffer: every view of it */
function copy_cb(to: sk_buff, from: sk_buff): void {
  if (from.tcp_cb !== null) copy_tcp_cb((to.tcp_cb ??= new tcp_skb_cb()), from.tcp_cb)
  else to.tcp_cb = null
  if (from.inet_cb !== null) (to.inet_cb ??= new inet_skb_parm()).assign(from.inet_cb)
  else to.inet_cb = null
  to.cb = from.cb
  to.gso_cb = from.gso_cb === null ? null : Object.assign(new skb_gso_cb(), from.gso_cb)
}

const __copy_skb_header = kfunc('__copy_skb_header', (n: sk_buff, old: sk_buff): void => {
  n.tstamp = old.tstamp
  n.tstamp_type = old.tstamp_type
  n.dev = old.dev
  n.dev_scratch = old.dev_scratch
  copy_cb(n, old)
  skb_dst_copy(n, old)
  n.active_extensions = old.active_extensions
  n.extensions = old.extensions
  n._nfct = old._nfct
  nf_conntrack_get(old._nfct)
  n.queue_mapping = old.queue_mapping
  n.pkt_type = old.pkt_type
  n.ignore_df = old.ignore_df
  n.dst_pending_confirm = old.dst_pending_confirm
  n.ip_summed = old.ip_summed
  n.ooo_okay = old.ooo_okay
  n.tc_at_ingress = old.tc_at_ingress
  n.csum_complete_sw = old.csum_complete_sw
  n.csum_level = old.csum_level
  n.l4_hash = old.l4_hash
  n.sw_hash = old.sw_hash
  n.encapsulation = old.encapsulation
  n.encap_hdr_csum = old.encap_hdr_csum
  n.csum_valid = old.csum_valid
  n.nf_trace = old.nf_trace
  n.redirected = old.redirected
  n.decrypted = old.decrypted
  n.slow_gro = old.slow_gro
  n.csum_not_inet = old.csum_not_inet
  n.unreadable = old.unreadable
  n.tc_skip_classify = old.tc_skip_classify
  n.alloc_cpu = old.alloc_cpu
  n.csum = old.csum
  n.csum_start = old.csum_start
  n.csum_offset = old.csum_offset
  n.priority = old.priority
  n.skb_iif = old.skb_iif
  n.hash = old.hash
  n.vlan_proto = old.vlan_proto
  n.vlan_tci = old.vlan_tci
  n.napi_id = old.napi_id
  n.secmark = old.secmark
  n.mark = old.mark
  n.reserved_tailroom = old.reserved_tailroom
  n.inner_protocol = old.inner_protocol
  n.inner_transport_header = old.inner_transport_header
  n.inner_network_header = old.inner_network_header
  n.inner_mac_header = old.inner_mac_header
  n.protocol = old.protocol
  n.transport_header = old.transport_header
  n.network_header = old.network_header
  n.mac_header = old.mac_header
})

const __skb_clone = kfunc('__skb_clone', (n: sk_buff, skb: sk_buff): sk_buff => {
  n.next = null
  n.prev = null
  n.list = null
  n.sk = null
  __copy_skb_header(n, skb)
  n.len = skb.len
  n.data_len = skb.data_len
  n.mac_len = skb.mac_len
  n.hdr_len = skb.nohdr ? skb_headroom(skb) : skb.hdr_len
  n.cloned = 1
  n.nohdr = 0
  n.peeked = 0
  n.pfmemalloc = skb.pfmemalloc
  n.pp_recycle = skb.pp_recycle
  n.destructor = null
  n.tail = skb.tail
  n.end = skb.end
  n.head = skb.head
  n.head_frag = skb.head_frag
  n.data = skb.data
  n.truesize = skb.truesize
  n.users = 1
  n.clone_of = skb.id
  skb.head.shinfo.dataref++
  skb.cloned = 1
  return n
})

/** another buffer over the same data; it has no owner */
export const skb_clone = kfunc('skb_clone', (skb: sk_buff, gfp: number): sk_buff | null => {
  if (skb_orphan_frags(skb, gfp)) return null
  const { fclones } = skb
  let n: sk_buff
  if (skb.fclone === C.SKB_FCLONE_ORIG && fclones !== null && fclones.fclone_ref === 1) {
    // the place beside it is free
    if (fclones.skb2 === null) {
      n = new sk_buff(skb.head)
      n.kaddr = kaddr()
      n.fclones = fclones
      fclones.skb2 = n
    } else n = fclones.skb2
    n.id = next_id++
    fclones.fclone_ref = 2
    n.fclone = C.SKB_FCLONE_CLONE
  } else {
    kmem_cache_alloc_noprof(skbuff_cache, skb.pfmemalloc ? gfp | __GFP_MEMALLOC : gfp)
    n = new_skb(skb.head)
    n.fclone = C.SKB_FCLONE_UNAVAILABLE
  }
  return __skb_clone(n, skb)
})

/** makes `dst` what `src` is, as a clone of it */
export const skb_morph = kfunc('skb_morph', (dst: sk_buff, src: sk_buff): sk_buff => {
  skb_release_head_state(dst)
  skb_release_data(dst, C.SKB_CONSUMED)
  return __skb_clone(dst, src)
})

/** whether the clone beside it still waits in a queue or a device, for `sk` */
export const skb_fclone_busy = kfunc('skb_fclone_busy', (sk: sock, skb: sk_buff): boolean => {
  const { fclones } = skb
  return skb.fclone === C.SKB_FCLONE_ORIG && fclones !== null && fclones.fclone_ref > 1 && fclones.skb2?.sk === sk
})

export const skb_headers_offset_update = kfunc('skb_headers_offset_update', (skb: sk_buff, off: number): void => {
  if (skb.ip_summed === CHECKSUM_PARTIAL) skb.csum_start += off
  skb.transport_header += off
  skb.network_header += off
  if (skb_mac_header_was_set(skb)) skb.mac_header += off
  skb.inner_transport_header += off
  skb.inner_network_header += off
  skb.inner_mac_header += off
})

export const skb_copy_header = kfunc('skb_copy_header', (n: sk_buff, old: sk_buff): void => {
  __copy_skb_header(n, old)
  const to = n.head.shinfo
  const from = old.head.shinfo
  to.gso_size = from.gso_size
  to.gso_segs = from.gso_segs
  to.gso_type = from.gso_type
})
const skb_alloc_rx_flag = (skb: sk_buff): number => (skb.pfmemalloc ? SKB_ALLOC_RX : 0)

/** a buffer with all data in its head */
export const skb_copy = kfunc('skb_copy', (skb: sk_buff, gfp_mask: number): sk_buff | null => {
  if (!skb_frags_readable(skb)) return null
  const headerlen = skb_headroom(skb)
  const n = __alloc_skb(skb.end + skb.data_len, gfp_mask, skb_alloc_rx_flag(skb), NUMA_NO_NODE)
  if (n === null) return null
  skb_reserve(n, headerlen)
  skb_put(n, skb.len)
  n.clone_of = skb.id
  must(skb_copy_bits(skb, -headerlen, n.head.bytes, 0, headerlen + skb.len))
  skb_copy_header(n, skb)
  return n
})

/** a buffer with a head of its own, and the same pages */
export const __pskb_copy_fclone = kfunc(
  '__pskb_copy_fclone',
  (skb: sk_buff, headroom: number, gfp_mask: number, fclone: boolean): sk_buff | null => {
    const size = skb_headlen(skb) + headroom
    const n = __alloc_skb(size, gfp_mask, skb_alloc_rx_flag(skb) | (fclone ? SKB_ALLOC_FCLONE : 0), NUMA_NO_NODE)
    if (n === null) return null
    skb_reserve(n, headroom)
    skb_put(n, skb_headlen(skb))
    skb_copy_from_linear_data(skb, n.head.bytes, n.data, n.len)
    n.clone_of = skb.id
    n.truesize += skb.data_len
    n.data_len = skb.data_len
    n.len = skb.len
    const from = skb.head.shinfo
    const to = n.head.shinfo
    if (from.frags.length) {
      if (skb_orphan_frags(skb, gfp_mask) || skb_zerocopy_clone(n, skb, gfp_mask)) {
        kfree_skb(n)
        return null
      }
      for (let i = 0; i < from.frags.length; i++) {
        to.frags[i] = copy_frag(frag_at(from, i))
        skb_frag_ref(skb, i)
      }
      to.flags |= from.flags & C.SKBFL_SHARED_FRAG
    }
    if (from.frag_list !== null) {
      to.frag_list = from.frag_list
      skb_clone_fraglist(n)
    }
    skb_copy_header(n, skb)
    return n
  },
)
export const __pskb_copy = kfunc('__pskb_copy', (skb: sk_buff, headroom: number, gfp_mask: number): sk_buff | null =>
  __pskb_copy_fclone(skb, headroom, gfp_mask, false),
)
export const pskb_copy = kfunc('pskb_copy', (skb: sk_buff, gfp_mask: number): sk_buff | null =>
  __pskb_copy(skb, skb_headroom(skb), gfp_mask),
)

/** gives the buffer a new head, its own, with `nhead` bytes more in front and `ntail` more behind */
export const pskb_expand_head = kfunc(
  'pskb_expand_head',
  (skb: sk_buff, nhead: number, ntail: number, gfp_mask: number): number => {
    if (nhead < 0 || skb_shared(skb)) throw new InternalError('pskb_expand_head: the buffer is shared')
    const osize = skb.end
    skb_zcopy_downgrade_managed(skb)
    const ref = { v: osize + nhead + ntail }
    const data = kmalloc_reserve(ref, skb.pfmemalloc ? gfp_mask | __GFP_MEMALLOC : gfp_mask, NUMA_NO_NODE, null)
    const size = SKB_WITH_OVERHEAD(ref.v)
    data.bytes.set(skb.head.bytes.subarray(0, skb.tail), nhead)
    const from = skb.head.shinfo
    const to = data.shinfo
    copy_shinfo(to, from)
    if (skb_cloned(skb)) {
      if (skb_orphan_frags(skb, gfp_mask)) {
        skb_kfree_head(data, size)
        return -ENOMEM
      }
      const uarg = skb_zcopy(skb)
      if (uarg !== null) uarg.refcnt++
      for (let i = 0; i < from.frags.length; i++) skb_frag_ref(skb, i)
      if (from.frag_list !== null) skb_clone_fraglist(skb)
      skb_release_data(skb, C.SKB_CONSUMED)
    } else {
      from.frags.length = 0
      from.frag_list = null
      skb_free_head(skb)
    }
    skb.head = data
    skb.head_frag = 0
    skb.data += nhead
    skb.end = size
    skb.tail += nhead
    skb_headers_offset_update(skb, nhead)
    skb.cloned = 0
    skb.hdr_len = 0
    skb.nohdr = 0
    to.dataref = 1
    to.meta_len = 0
    if (skb.sk === null || skb.destructor === sock_edemux) skb.truesize += size - osize
    return 0
  },
)

function copy_shinfo(to: skb_shared_info, from: skb_shared_info): void {
  to.flags = from.flags
  to.meta_len = from.meta_len
  to.tx_flags = from.tx_flags
  to.gso_size = from.gso_size
  to.gso_segs = from.gso_segs
  to.gso_type = from.gso_type
  to.tskey = from.tskey
  to.frag_list = from.frag_list
  to.hwtstamps = from.hwtstamps
  to.destructor_arg = from.destructor_arg
  to.frags.length = 0
  for (const f of from.frags) to.frags.push(copy_frag(f))
}

export const __skb_unclone_keeptruesize = kfunc('__skb_unclone_keeptruesize', (skb: sk_buff, pri: number): number => {
  const saved_end_offset = skb.end
  const saved_truesize = skb.truesize
  const res = pskb_expand_head(skb, 0, 0, pri)
  if (res) return res
  skb.truesize = saved_truesize
  if (skb.end === saved_end_offset) return 0
  if (saved_end_offset === SKB_SMALL_HEAD_HEADROOM || skb.end === SKB_SMALL_HEAD_HEADROOM) return 0
  skb.end = saved_end_offset
  return 0
})
export const skb_unclone_keeptruesize = kfunc('skb_unclone_keeptruesize', (skb: sk_buff, pri: number): number =>
  skb_cloned(skb) ? __skb_unclone_keeptruesize(skb, pri) : 0,
)
/** gives it data of its own, if somebody else sees them */
export const skb_unclone = kfunc('skb_unclone', (skb: sk_buff, pri: number): number =>
  skb_cloned(skb) ? pskb_expand_head(skb, 0, 0, pri) : 0,
)
export const skb_header_unclone = kfunc('skb_header_unclone', (skb: sk_buff, pri: number): number =>
  skb_header_cloned(skb) ? pskb_expand_head(skb, 0, 0, pri) : 0,
)

/** include/net/sock.h: whether a socket's send memory is charged for it. TCP's destructor is known by name: net/core does not import it. */
const is_skb_wmem = (skb: sk_buff): boolean =>
  skb.destructor === sock_wfree || skb.destructor === __sock_wfree || nameOf(skb.destructor) === 'tcp_wfree'

/** more headroom, for a buffer that may be somebody else's as well */
export const skb_expand_head = kfunc('skb_expand_head', (orig: sk_buff, headroom: number): sk_buff | null => {
  let skb = orig
  const delta = SKB_DATA_ALIGN(headroom - skb_headroom(skb))
  const osize = skb.end
  const { sk } = skb
  if (delta <= 0) return skb
  if (skb_shared(skb) || !is_skb_wmem(skb)) {
    const nskb = skb_clone(skb, GFP_ATOMIC)
    if (nskb === null) {
      kfree_skb(skb)
      return null
    }
    if (sk !== null) skb_set_owner_w(nskb, sk)
    consume_skb(skb)
    skb = nskb
  }
  if (pskb_expand_head(skb, delta, 0, GFP_ATOMIC)) {
    kfree_skb(skb)
    return null
  }
  if (sk !== null && is_skb_wmem(skb)) {
    const more = skb.end - osize
    sk.sk_wmem_alloc += more
    skb.truesize += more
  }
  return skb
})

export const skb_copy_expand = kfunc(
  'skb_copy_expand',
  (skb: sk_buff, newheadroom: number, newtailroom: number, gfp_mask: number): sk_buff | null => {
    if (!skb_frags_readable(skb)) return null
    const oldheadroom = skb_headroom(skb)
    const n = __alloc_skb(newheadroom + skb.len + newtailroom, gfp_mask, skb_alloc_rx_flag(skb), NUMA_NO_NODE)
    if (n === null) return null
    skb_reserve(n, newheadroom)
    skb_put(n, skb.len)
    n.clone_of = skb.id
    const head_copy_len = Math.min(oldheadroom, newheadroom)
    must(skb_copy_bits(skb, -head_copy_len, n.head.bytes, newheadroom - head_copy_len, skb.len + head_copy_len))
    skb_copy_header(n, skb)
    skb_headers_offset_update(n, newheadroom - oldheadroom)
    return n
  },
)

export const skb_share_check = kfunc('skb_share_check', (skb: sk_buff, pri: number): sk_buff | null => {
  if (!skb_shared(skb)) return skb
  const nskb = skb_clone(skb, pri)
  if (nskb !== null) consume_skb(skb)
  else kfree_skb(skb)
  return nskb
})
export const skb_unshare = kfunc('skb_unshare', (skb: sk_buff, pri: number): sk_buff | null => {
  if (!skb_cloned(skb)) return skb
  const nskb = skb_copy(skb, pri)
  if (nskb !== null) consume_skb(skb)
  else kfree_skb(skb)
  return nskb
})

const __skb_cow = kfunc('__skb_cow', (skb: sk_buff, headroom: number, cloned: boolean): number => {
  const delta = headroom > skb_headroom(skb) ? headroom - skb_headroom(skb) : 0
  return delta || cloned ? pskb_expand_head(skb, Math.ceil(delta / NET_SKB_PAD) * NET_SKB_PAD, 0, GFP_ATOMIC) : 0
})
/** makes sure of `headroom` bytes of headroom, and that the data may be written to */
export const skb_cow = kfunc('skb_cow', (skb: sk_buff, headroom: number): number => __skb_cow(skb, headroom, skb_cloned(skb)))
export const skb_cow_head = kfunc('skb_cow_head', (skb: sk_buff, headroom: number): number =>
  __skb_cow(skb, headroom, skb_header_cloned(skb)),
)
export const skb_ensure_writable = kfunc('skb_ensure_writable', (skb: sk_buff, write_len: number): number => {
  if (!pskb_may_pull(skb, write_len)) return -ENOMEM
  if (!skb_cloned(skb) || skb_clone_writable(skb, write_len)) return 0
  return pskb_expand_head(skb, 0, 0, GFP_ATOMIC)
})

/** zeros behind the data, `pad` of them, not counted as data */
export const __skb_pad = kfunc('__skb_pad', (skb: sk_buff, pad: number, free_on_error: boolean): number => {
  if (!skb_cloned(skb) && skb_tailroom(skb) >= pad) {
    skb.head.bytes.fill(0, skb.data + skb.len, skb.data + skb.len + pad)
    return 0
  }
  const ntail = skb.data_len + pad - (skb.end - skb.tail)
  let err = 0
  if (skb_cloned(skb) || ntail > 0) err = pskb_expand_head(skb, 0, ntail, GFP_ATOMIC)
  if (!err) err = skb_linearize(skb)
  if (err) {
    if (free_on_error) kfree_skb(skb)
    return err
  }
  skb.head.bytes.fill(0, skb.data + skb.len, skb.data + skb.len + pad)
  return 0
})

// ---- the data area: what returns a pointer to data in Linux returns an offset into skb.head.bytes ---------------------------------

function skb_over_panic(skb: sk_buff, sz: number): never {
  throw new InternalError(`skb_over_panic: len:${skb.len} put:${sz} tail:${skb.tail} end:${skb.end}`)
}
function skb_under_panic(skb: sk_buff, sz: number): never {
  throw new InternalError(`skb_under_panic: len:${skb.len} push:${sz} data:${skb.data}`)
}
function must(err: number): void {
  if (err) throw new InternalError('the buffer has fewer bytes than it says')
}

/** headroom for an empty buffer */
export const skb_reserve = kfunc('skb_reserve', (skb: sk_buff, len: number): void => {
  skb.data += len
  skb.tail += len
})
export const __skb_put = kfunc('__skb_put', (skb: sk_buff, len: number): number => {
  const at = skb.tail
  skb.tail += len
  skb.len += len
  return at
})
/** `len` bytes more at the end; returns where they start */
export const skb_put = kfunc('skb_put', (skb: sk_buff, len: number): number => {
  const at = skb.tail
  if (skb.data_len) throw new InternalError('skb_put: the buffer has data outside its head')
  skb.tail += len
  skb.len += len
  if (skb.tail > skb.end) skb_over_panic(skb, len)
  return at
})
export const skb_put_zero = kfunc('skb_put_zero', (skb: sk_buff, len: number): number => {
  const at = skb_put(skb, len)
  skb.head.bytes.fill(0, at, at + len)
  return at
})
export const skb_put_data = kfunc('skb_put_data', (skb: sk_buff, data: Uint8Array, len: number): number => {
  const at = skb_put(skb, len)
  skb.head.bytes.set(data.subarray(0, len), at)
  return at
})
export const __skb_push = kfunc('__skb_push', (skb: sk_buff, len: number): number => {
  skb.data -= len
  skb.len += len
  return skb.data
})
/** `len` bytes more in front; returns where they start */
export const skb_push = kfunc('skb_push', (skb: sk_buff, len: number): number => {
  skb.data -= len
  skb.len += len
  if (skb.data < 0) skb_under_panic(skb, len)
  return skb.data
})
export const __skb_pull = kfunc('__skb_pull', (skb: sk_buff, len: number): number => {
  skb.len -= len
  if (skb.len < skb.data_len) throw new InternalError(`__skb_pull: len:${skb.len} data_len:${skb.data_len}`)
  skb.data += len
  return skb.data
})
export const skb_pull_inline = kfunc('skb_pull_inline', (skb: sk_buff, len: number): number =>
  len > skb.len ? -1 : __skb_pull(skb, len),
)
/** `len` bytes fewer in front; returns where the data start now, or -1 when there are not so many */
export const skb_pull = kfunc('skb_pull', (skb: sk_buff, len: number): number => skb_pull_inline(skb, len))

/** SKB_NOT_DROPPED_YET when the head has `len` bytes, or could be made to */
export const pskb_may_pull_reason = kfunc('pskb_may_pull_reason', (skb: sk_buff, len: number): number => {
  if (len <= skb_headlen(skb)) return C.SKB_NOT_DROPPED_YET
  if (len > skb.len) return C.SKB_DROP_REASON_PKT_TOO_SMALL
  if (__pskb_pull_tail(skb, len - skb_headlen(skb)) < 0) return C.SKB_DROP_REASON_NOMEM
  return C.SKB_NOT_DROPPED_YET
})
export const pskb_may_pull = kfunc(
  'pskb_may_pull',
  (skb: sk_buff, len: number): boolean => pskb_may_pull_reason(skb, len) === C.SKB_NOT_DROPPED_YET,
)
export const pskb_pull = kfunc('pskb_pull', (skb: sk_buff, len: number): number => {
  if (!pskb_may_pull(skb, len)) return -1
  skb.len -= len
  skb.data += len
  return skb.data
})
export const pskb_network_may_pull = kfunc('pskb_network_may_pull', (skb: sk_buff, len: number): boolean =>
  pskb_may_pull(skb, skb.network_header - skb.data + len),
)

export const skb_set_tail_pointer = (skb: sk_buff, offset: number): void => {
  skb.tail = skb.data + offset
}
export const skb_availroom = (skb: sk_buff): number => (skb.data_len ? 0 : skb.end - skb.tail - skb.reserved_tailroom)
export function skb_tailroom_reserve(skb: sk_buff, mtu: number, needed_tailroom: number): void {
  skb.reserved_tailroom = skb_tailroom(skb) - Math.min(mtu, skb_tailroom(skb) - needed_tailroom)
}

const __skb_set_length = kfunc('__skb_set_length', (skb: sk_buff, len: number): void => {
  if (skb.data_len) throw new InternalError('__skb_set_length: the buffer has data outside its head')
  skb.len = len
  skb.tail = skb.data + len
})
export const __skb_trim = kfunc('__skb_trim', (skb: sk_buff, len: number): void => {
  __skb_set_length(skb, len)
})
/** cuts the end of a buffer that lies in its head */
export const skb_trim = kfunc('skb_trim', (skb: sk_buff, len: number): void => {
  if (skb.len > len) __skb_trim(skb, len)
})
export const __pskb_trim = kfunc('__pskb_trim', (skb: sk_buff, len: number): number => {
  if (skb.data_len) return ___pskb_trim(skb, len)
  __skb_trim(skb, len)
  return 0
})
/** cuts the end of any buffer */
export const pskb_trim = kfunc('pskb_trim', (skb: sk_buff, len: number): number => (len < skb.len ? __pskb_trim(skb, len) : 0))
export const pskb_trim_unique = kfunc('pskb_trim_unique', (skb: sk_buff, len: number): void => {
  must(pskb_trim(skb, len))
})

export const ___pskb_trim = kfunc('___pskb_trim', (skb: sk_buff, len: number): number => {
  if (skb_cloned(skb)) {
    const err = pskb_expand_head(skb, 0, 0, GFP_ATOMIC)
    if (err) return err
  }
  const s = skb.head.shinfo
  const nfrags = s.frags.length
  let offset = skb_headlen(skb)
  let keep = -1
  if (offset >= len) keep = 0
  else
    for (let i = 0; i < nfrags; i++) {
      const f = frag_at(s, i)
      const end = offset + f.len
      if (end < len) {
        offset = end
        continue
      }
      f.len = len - offset
      keep = i + 1
      break
    }
  if (keep >= 0) {
    for (let i = keep; i < nfrags; i++) skb_frag_unref(skb, i)
    s.frags.length = keep
    if (s.frag_list !== null) skb_drop_fraglist(skb)
  } else {
    let prev: sk_buff | null = null
    for (let frag = s.frag_list; frag !== null; prev = frag, frag = frag.next) {
      const end = offset + frag.len
      if (skb_shared(frag)) {
        const nfrag: sk_buff | null = skb_clone(frag, GFP_ATOMIC)
        if (nfrag === null) return -ENOMEM
        nfrag.next = frag.next
        consume_skb(frag)
        frag = nfrag
        if (prev === null) s.frag_list = nfrag
        else prev.next = nfrag
      }
      if (end < len) {
        offset = end
        continue
      }
      if (end > len) {
        const err = pskb_trim(frag, len - offset)
        if (err) return err
      }
      if (frag.next !== null) {
        skb_drop_list(frag.next)
        frag.next = null
      }
      break
    }
  }
  if (len > skb_headlen(skb)) {
    skb.data_len -= skb.len - len
    skb.len = len
  } else {
    skb.len = len
    skb.data_len = 0
    skb_set_tail_pointer(skb, len)
  }
  if (!s.frags.length && s.frag_list === null) skb.unreadable = 0
  if (skb.sk === null || skb.destructor === sock_edemux) skb_condense(skb)
  return 0
})

export const pskb_trim_rcsum_slow = kfunc('pskb_trim_rcsum_slow', (skb: sk_buff, len: number): number => {
  if (skb.ip_summed === CHECKSUM_COMPLETE) {
    if (skb_frags_readable(skb)) skb.csum = csum_block_sub(skb.csum, skb_checksum(skb, len, skb.len - len, 0), len)
    else if (len > skb_headlen(skb)) return -EFAULT
    else skb.ip_summed = CHECKSUM_NONE
  } else if (skb.ip_summed === CHECKSUM_PARTIAL) {
    const hdlen = Math.min(len, skb_headlen(skb))
    if (skb_checksum_start_offset(skb) + skb.csum_offset + 2 > hdlen) return -EINVAL
  }
  return __pskb_trim(skb, len)
})
/** cuts the end of a received buffer; the sum of its bytes stays right */
export const pskb_trim_rcsum = kfunc('pskb_trim_rcsum', (skb: sk_buff, len: number): number =>
  len >= skb.len ? 0 : pskb_trim_rcsum_slow(skb, len),
)

export const skb_postpull_rcsum = kfunc('skb_postpull_rcsum', (skb: sk_buff, start: number, len: number): void => {
  if (skb.ip_summed === CHECKSUM_COMPLETE) skb.csum = ~csum_partial(skb.head.bytes, start, len, ~skb.csum >>> 0) >>> 0
  else if (skb.ip_summed === CHECKSUM_PARTIAL && skb_checksum_start_offset(skb) < 0) skb.ip_summed = CHECKSUM_NONE
})
export const skb_postpush_rcsum = kfunc('skb_postpush_rcsum', (skb: sk_buff, start: number, len: number): void => {
  if (skb.ip_summed === CHECKSUM_COMPLETE) skb.csum = csum_partial(skb.head.bytes, start, len, skb.csum)
})
/** skb_pull() of a received header; the sum of what is left stays right */
export const skb_pull_rcsum = kfunc('skb_pull_rcsum', (skb: sk_buff, len: number): number => {
  const { data } = skb
  if (len > skb.len) throw new InternalError('skb_pull_rcsum: more than there is')
  __skb_pull(skb, len)
  skb_postpull_rcsum(skb, data, len)
  return skb.data
})

/** moves `delta` bytes from pages or the list into the head; returns the end of the head's data, or -1 */
export const __pskb_pull_tail = kfunc('__pskb_pull_tail', (skb: sk_buff, delta: number): number => {
  if (!skb_frags_readable(skb)) return -1
  let eat = skb.tail + delta - skb.end
  if (eat > 0 || skb_cloned(skb)) {
    if (pskb_expand_head(skb, 0, eat > 0 ? eat + 128 : 0, GFP_ATOMIC)) return -1
  }
  must(skb_copy_bits(skb, skb_headlen(skb), skb.head.bytes, skb.tail, delta))
  const s = skb.head.shinfo
  if (s.frag_list !== null) {
    eat = delta
    for (const f of s.frags) {
      if (f.len >= eat) {
        eat = 0
        break
      }
      eat -= f.len
    }
    if (eat > 0) eat_frag_list(skb, eat)
  }
  eat = delta
  let k = 0
  const { frags } = s
  for (let i = 0; i < frags.length; i++) {
    const f = frag_at(s, i)
    if (f.len <= eat) {
      skb_frag_unref(skb, i)
      eat -= f.len
      continue
    }
    frags[k++] = f
    if (eat) {
      f.offset += eat
      f.len -= eat
      eat = 0
    }
  }
  frags.length = k
  skb.tail += delta
  skb.data_len -= delta
  if (!skb.data_len) skb_zcopy_clear(skb, false)
  return skb.tail
})

/** takes `n` bytes from the start of the list of buffers */
function eat_frag_list(skb: sk_buff, n: number): void {
  const s = skb.head.shinfo
  let eat = n
  let list = s.frag_list
  let clone: sk_buff | null = null
  let insp: sk_buff | null = null
  do {
    if (list === null) throw new InternalError('the buffer has fewer bytes than it says')
    if (list.len <= eat) {
      eat -= list.len
      list = list.next
      insp = list
    } else {
      if (skb_is_gso(skb) && !list.head_frag && skb_headlen(list)) s.gso_type |= C.SKB_GSO_DODGY
      if (skb_shared(list)) {
        clone = skb_clone(list, GFP_ATOMIC)
        insp = list.next
        list = clone
      } else insp = list
      if (list !== null) pskb_pull(list, eat)
      break
    }
  } while (eat)
  for (let l = s.frag_list; l !== insp && l !== null; l = s.frag_list) {
    s.frag_list = l.next
    consume_skb(l)
  }
  if (clone !== null) {
    clone.next = list === clone ? insp : list
    s.frag_list = clone
  }
}

export const __skb_linearize = kfunc('__skb_linearize', (skb: sk_buff): number =>
  __pskb_pull_tail(skb, skb.data_len) >= 0 ? 0 : -ENOMEM,
)
/** all data into the head */
export const skb_linearize = kfunc('skb_linearize', (skb: sk_buff): number => (skb.data_len ? __skb_linearize(skb) : 0))

/** gives memory back before a buffer waits in a queue: small data move into the head */
export const skb_condense = kfunc('skb_condense', (skb: sk_buff): void => {
  if (skb.data_len) {
    if (skb.data_len > skb.end - skb.tail || skb_cloned(skb) || !skb_frags_readable(skb)) return
    __pskb_pull_tail(skb, skb.data_len)
  }
  skb.truesize = SKB_TRUESIZE(skb.end)
})

// ---- reading and writing bytes ----------------------------------------------------------------------------------------------------

export function skb_copy_from_linear_data(skb: sk_buff, to: Uint8Array, to_off: number, len: number): void {
  to.set(skb.head.bytes.subarray(skb.data, skb.data + len), to_off)
}
export function skb_copy_from_linear_data_offset(
  skb: sk_buff,
  offset: number,
  to: Uint8Array,
  to_off: number,
  len: number,
): void {
  to.set(skb.head.bytes.subarray(skb.data + offset, skb.data + offset + len), to_off)
}

/** copies `length` bytes from `start` on, counted from skb->data (may be negative: the headroom), to `to` at `to_off` */
export const skb_copy_bits = kfunc(
  'skb_copy_bits',
  (skb: sk_buff, from: number, to: Uint8Array, at: number, length: number): number => {
    let offset = from
    let to_off = at
    let len = length
    let start = skb_headlen(skb)
    if (offset > skb.len - len) return -EFAULT
    let copy = start - offset
    if (copy > 0) {
      if (copy > len) copy = len
      skb_copy_from_linear_data_offset(skb, offset, to, to_off, copy)
      traceCopy(copy, 'skb head', 'kernel')
      len -= copy
      if (len === 0) return 0
      offset += copy
      to_off += copy
    }
    if (!skb_frags_readable(skb)) return -EFAULT
    const s = skb.head.shinfo
    for (let i = 0; i < s.frags.length; i++) {
      const f = frag_at(s, i)
      const end = start + f.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        const src = f.offset + offset - start
        to.set(f.page.bytes.subarray(src, src + copy), to_off)
        traceCopy(copy, 'page', 'kernel')
        len -= copy
        if (len === 0) return 0
        offset += copy
        to_off += copy
      }
      start = end
    }
    for (let frag = s.frag_list; frag !== null; frag = frag.next) {
      const end = start + frag.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        if (skb_copy_bits(frag, offset - start, to, to_off, copy)) return -EFAULT
        len -= copy
        if (len === 0) return 0
        offset += copy
        to_off += copy
      }
      start = end
    }
    return len ? -EFAULT : 0
  },
)

/** writes `length` bytes of `from` at `at` into the buffer, wherever they lie */
export const skb_store_bits = kfunc(
  'skb_store_bits',
  (skb: sk_buff, at: number, from: Uint8Array, from_at: number, length: number): number => {
    let offset = at
    let src = from_at
    let len = length
    let start = skb_headlen(skb)
    if (offset > skb.len - len) return -EFAULT
    let copy = start - offset
    if (copy > 0) {
      if (copy > len) copy = len
      skb.head.bytes.set(from.subarray(src, src + copy), skb.data + offset)
      len -= copy
      if (len === 0) return 0
      offset += copy
      src += copy
    }
    if (!skb_frags_readable(skb)) return -EFAULT
    const s = skb.head.shinfo
    for (let i = 0; i < s.frags.length; i++) {
      const f = frag_at(s, i)
      const end = start + f.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        f.page.bytes.set(from.subarray(src, src + copy), f.offset + offset - start)
        len -= copy
        if (len === 0) return 0
        offset += copy
        src += copy
      }
      start = end
    }
    for (let frag = s.frag_list; frag !== null; frag = frag.next) {
      const end = start + frag.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        if (skb_store_bits(frag, offset - start, from, src, copy)) return -EFAULT
        len -= copy
        if (len === 0) return 0
        offset += copy
        src += copy
      }
      start = end
    }
    return len ? -EFAULT : 0
  },
)

/**
 * `len` bytes at `offset` of the buffer: where they lie in skb.head.bytes, or -1 after they were copied to `buffer`; -2 when there
 * are not so many.
 */
export const skb_header_pointer = kfunc(
  'skb_header_pointer',
  (skb: sk_buff, offset: number, len: number, buffer: Uint8Array): number => {
    if (skb_headlen(skb) - offset >= len) return skb.data + offset
    return skb_copy_bits(skb, offset, buffer, 0, len) < 0 ? -2 : -1
  },
)

// ---- checksums --------------------------------------------------------------------------------------------------------------------

export const __skb_checksum = kfunc('__skb_checksum', (skb: sk_buff, from: number, length: number, sum: number): number => {
  let offset = from
  let len = length
  let csum = sum
  let start = skb_headlen(skb)
  let copy = start - offset
  let pos = 0
  if (copy > 0) {
    if (copy > len) copy = len
    csum = csum_partial(skb.head.bytes, skb.data + offset, copy, csum)
    len -= copy
    if (len === 0) return csum
    offset += copy
    pos = copy
  }
  if (!skb_frags_readable(skb)) return 0
  const s = skb.head.shinfo
  for (let i = 0; i < s.frags.length; i++) {
    const f = frag_at(s, i)
    const end = start + f.len
    copy = end - offset
    if (copy > 0) {
      if (copy > len) copy = len
      csum = csum_block_add(csum, csum_partial(f.page.bytes, f.offset + offset - start, copy, 0), pos)
      pos += copy
      len -= copy
      if (len === 0) return csum
      offset += copy
    }
    start = end
  }
  for (let frag = s.frag_list; frag !== null; frag = frag.next) {
    const end = start + frag.len
    copy = end - offset
    if (copy > 0) {
      if (copy > len) copy = len
      csum = csum_block_add(csum, __skb_checksum(frag, offset - start, copy, 0), pos)
      len -= copy
      if (len === 0) return csum
      offset += copy
      pos += copy
    }
    start = end
  }
  must(len)
  return csum
})
/** the sum of `len` bytes from `offset` on, added to `csum` */
export const skb_checksum = kfunc('skb_checksum', (skb: sk_buff, offset: number, len: number, csum: number): number =>
  __skb_checksum(skb, offset, len, csum),
)

/** copies and sums */
export const skb_copy_and_csum_bits = kfunc(
  'skb_copy_and_csum_bits',
  (skb: sk_buff, from: number, to: Uint8Array, at: number, length: number): number => {
    let offset = from
    let to_off = at
    let len = length
    let start = skb_headlen(skb)
    let copy = start - offset
    let pos = 0
    let csum = 0
    if (copy > 0) {
      if (copy > len) copy = len
      csum = csum_partial_copy_nocheck(skb.head.bytes, skb.data + offset, to, to_off, copy)
      len -= copy
      if (len === 0) return csum
      offset += copy
      to_off += copy
      pos = copy
    }
    const s = skb.head.shinfo
    for (let i = 0; i < s.frags.length; i++) {
      const f = frag_at(s, i)
      const end = start + f.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        csum = csum_block_add(csum, csum_partial_copy_nocheck(f.page.bytes, f.offset + offset - start, to, to_off, copy), pos)
        pos += copy
        len -= copy
        if (len === 0) return csum
        offset += copy
        to_off += copy
      }
      start = end
    }
    for (let frag = s.frag_list; frag !== null; frag = frag.next) {
      const end = start + frag.len
      copy = end - offset
      if (copy > 0) {
        if (copy > len) copy = len
        csum = csum_block_add(csum, skb_copy_and_csum_bits(frag, offset - start, to, to_off, copy), pos)
        len -= copy
        if (len === 0) return csum
        offset += copy
        to_off += copy
        pos += copy
      }
      start = end
    }
    must(len)
    return csum
  },
)

export const __skb_checksum_complete_head = kfunc('__skb_checksum_complete_head', (skb: sk_buff, len: number): number => {
  const sum = csum_fold(skb_checksum(skb, 0, len, skb.csum))
  if (!sum && skb.ip_summed === CHECKSUM_COMPLETE && !skb.csum_complete_sw) netdev_rx_csum_fault(skb.dev, skb)
  if (!skb_shared(skb)) skb.csum_valid = sum ? 0 : 1
  return sum
})
/** sums the whole buffer; 0 when the checksum is right */
export const __skb_checksum_complete = kfunc('__skb_checksum_complete', (skb: sk_buff): number => {
  const csum = skb_checksum(skb, 0, skb.len, 0)
  const sum = csum_fold(csum_add(skb.csum, csum))
  if (!sum && skb.ip_summed === CHECKSUM_COMPLETE && !skb.csum_complete_sw) netdev_rx_csum_fault(skb.dev, skb)
  if (!skb_shared(skb)) {
    skb.csum = csum
    skb.ip_summed = CHECKSUM_COMPLETE
    skb.csum_complete_sw = 1
    skb.csum_valid = sum ? 0 : 1
  }
  return sum
})

/** whether the checksum was, or needs not be, looked at */
export const skb_csum_unnecessary = (skb: sk_buff): boolean =>
  skb.ip_summed === CHECKSUM_UNNECESSARY ||
  skb.csum_valid !== 0 ||
  (skb.ip_summed === CHECKSUM_PARTIAL && skb_checksum_start_offset(skb) >= 0)
export const skb_checksum_complete = kfunc('skb_checksum_complete', (skb: sk_buff): number =>
  skb_csum_unnecessary(skb) ? 0 : __skb_checksum_complete(skb),
)
export function __skb_decr_checksum_unnecessary(skb: sk_buff): void {
  if (skb.ip_summed === CHECKSUM_UNNECESSARY) {
    if (skb.csum_level === 0) skb.ip_summed = CHECKSUM_NONE
    else skb.csum_level--
  }
}
export function __skb_incr_checksum_unnecessary(skb: sk_buff): void {
  if (skb.ip_summed === CHECKSUM_UNNECESSARY) {
    if (skb.csum_level < 3) skb.csum_level++
  } else if (skb.ip_summed === CHECKSUM_NONE) {
    skb.ip_summed = CHECKSUM_UNNECESSARY
    skb.csum_level = 0
  }
}
export const __skb_checksum_validate_needed = kfunc(
  '__skb_checksum_validate_needed',
  (skb: sk_buff, zero_okay: boolean, check: number): boolean => {
    if (skb_csum_unnecessary(skb) || (zero_okay && !check)) {
      skb.csum_valid = 1
      __skb_decr_checksum_unnecessary(skb)
      return false
    }
    return true
  },
)
export function skb_checksum_complete_unset(skb: sk_buff): void {
  if (skb.ip_summed === CHECKSUM_COMPLETE) skb.ip_summed = CHECKSUM_NONE
}
/** up to so many bytes it is cheaper to sum at once than later */
export const CHECKSUM_BREAK = 76
export const __skb_checksum_validate_complete = kfunc(
  '__skb_checksum_validate_complete',
  (skb: sk_buff, complete: boolean, psum: number): number => {
    if (skb.ip_summed === CHECKSUM_COMPLETE && !csum_fold(csum_add(psum, skb.csum))) {
      skb.csum_valid = 1
      return 0
    }
    skb.csum = psum
    if (complete || skb.len <= CHECKSUM_BREAK) {
      const csum = __skb_checksum_complete(skb)
      skb.csum_valid = csum ? 0 : 1
      return csum
    }
    return 0
  },
)
type compute_pseudo = (skb: sk_buff, proto: number) => number
function __skb_checksum_validate(
  skb: sk_buff,
  proto: number,
  complete: boolean,
  zero_okay: boolean,
  check: number,
  pseudo: compute_pseudo,
): number {
  skb.csum_valid = 0
  return __skb_checksum_validate_needed(skb, zero_okay, check)
    ? __skb_checksum_validate_complete(skb, complete, pseudo(skb, proto))
    : 0
}
const null_compute_pseudo: compute_pseudo = () => 0
export const skb_checksum_init = (skb: sk_buff, proto: number, pseudo: compute_pseudo): number =>
  __skb_checksum_validate(skb, proto, false, false, 0, pseudo)
export const skb_checksum_init_zero_check = (skb: sk_buff, proto: number, check: number, pseudo: compute_pseudo): number =>
  __skb_checksum_validate(skb, proto, false, true, check, pseudo)
export const skb_checksum_validate = (skb: sk_buff, proto: number, pseudo: compute_pseudo): number =>
  __skb_checksum_validate(skb, proto, true, false, 0, pseudo)
export const skb_checksum_simple_validate = (skb: sk_buff): number =>
  __skb_checksum_validate(skb, 0, true, false, 0, null_compute_pseudo)
export function skb_checksum_try_convert(skb: sk_buff, proto: number, pseudo: compute_pseudo): void {
  if (skb.ip_summed === CHECKSUM_NONE && skb.csum_valid) {
    skb.csum = ~pseudo(skb, proto) >>> 0
    skb.ip_summed = CHECKSUM_COMPLETE
  }
}
export const skb_partial_csum_set = kfunc('skb_partial_csum_set', (skb: sk_buff, start: number, off: number): boolean => {
  const csum_start = skb_headroom(skb) + start
  if (csum_start >= 0xffff || start + off + 2 > skb_headlen(skb)) return false
  skb.ip_summed = CHECKSUM_PARTIAL
  skb.csum_start = csum_start
  skb.csum_offset = off
  skb.transport_header = csum_start
  return true
})

const memcpy_from_iter_csum = kfunc(
  'memcpy_from_iter_csum',
  (iter_from: Uint8Array, progress: number, len: number, to: Uint8Array, priv2: unknown): number => {
    const csum = priv2 as ref<number>
    const next = csum_partial_copy_nocheck(iter_from, 0, to, progress, len)
    csum.v = csum_block_add(csum.v, next, progress)
    return 0
  },
)
const copy_from_user_iter_csum = kfunc(
  'copy_from_user_iter_csum',
  (iter_from: number, progress: number, len: number, to: Uint8Array, priv2: unknown): number => {
    const csum = priv2 as ref<number>
    const next = csum_and_copy_from_user(iter_from, to, progress, len)
    csum.v = csum_block_add(csum.v, next, progress)
    return next ? 0 : len
  },
)
/** copies `bytes` from the iterator to the start of `addr` and adds them to csum.v; all or nothing */
export const csum_and_copy_from_iter_full = kfunc(
  'csum_and_copy_from_iter_full',
  (addr: Uint8Array, bytes: number, csum: ref<number>, i: iov_iter): boolean => {
    if (!i.data_source) return false
    const copied = iterate_and_advance2(i, bytes, addr, csum, copy_from_user_iter_csum, memcpy_from_iter_csum)
    if (copied === bytes) return true
    iov_iter_revert(i, copied)
    return false
  },
)

// ---- queues --------------------------------------------------------------------------------------------------------------------------

export const skb_queue_empty_lockless = skb_queue_empty
export const skb_peek_next = (skb: sk_buff, _list: sk_buff_head): sk_buff | null => skb.next
export function __skb_dequeue_tail(list: sk_buff_head): sk_buff | null {
  const skb = list.last
  if (skb !== null) __skb_unlink(skb, list)
  return skb
}
/** puts all of `list` in front of `head` */
export function skb_queue_splice_init(list: sk_buff_head, head: sk_buff_head): void {
  for (let skb = __skb_dequeue_tail(list); skb !== null; skb = __skb_dequeue_tail(list)) __skb_queue_head(head, skb)
}
export const skb_queue_splice = skb_queue_splice_init

export const skb_dequeue = kfunc('skb_dequeue', (list: sk_buff_head): sk_buff | null => {
  const flags = _raw_spin_lock_irqsave(list.lock)
  const result = __skb_dequeue(list)
  _raw_spin_unlock_irqrestore(list.lock, flags)
  return result
})
export const skb_queue_tail = kfunc('skb_queue_tail', (list: sk_buff_head, newsk: sk_buff): void => {
  const flags = _raw_spin_lock_irqsave(list.lock)
  __skb_queue_tail(list, newsk)
  _raw_spin_unlock_irqrestore(list.lock, flags)
})
export const skb_unlink = kfunc('skb_unlink', (skb: sk_buff, list: sk_buff_head): void => {
  const flags = _raw_spin_lock_irqsave(list.lock)
  __skb_unlink(skb, list)
  _raw_spin_unlock_irqrestore(list.lock, flags)
})
export const __skb_queue_purge_reason = kfunc('__skb_queue_purge_reason', (list: sk_buff_head, reason: number): void => {
  for (let skb = __skb_dequeue(list); skb !== null; skb = __skb_dequeue(list)) kfree_skb_reason(skb, reason)
})
export const __skb_queue_purge = kfunc('__skb_queue_purge', (list: sk_buff_head): void => {
  __skb_queue_purge_reason(list, C.SKB_DROP_REASON_QUEUE_PURGE)
})
export const skb_queue_purge_reason = kfunc('skb_queue_purge_reason', (list: sk_buff_head, reason: number): void => {
  if (skb_queue_empty(list)) return
  const tmp = new sk_buff_head()
  const flags = _raw_spin_lock_irqsave(list.lock)
  skb_queue_splice_tail_init(list, tmp)
  _raw_spin_unlock_irqrestore(list.lock, flags)
  __skb_queue_purge_reason(tmp, reason)
})
export const skb_queue_purge = kfunc('skb_queue_purge', (list: sk_buff_head): void => {
  skb_queue_purge_reason(list, C.SKB_DROP_REASON_QUEUE_PURGE)
})
/** drops what a closed socket's error queue holds, except notices that a program waits for */
export const skb_errqueue_purge = kfunc('skb_errqueue_purge', (list: sk_buff_head): void => {
  const kill = new sk_buff_head()
  const flags = _raw_spin_lock_irqsave(list.lock)
  for (let skb = list.first; skb !== null; ) {
    const { next } = skb
    const { ee_origin } = SKB_EXT_ERR(skb)
    if (ee_origin !== SO_EE_ORIGIN_ZEROCOPY && ee_origin !== SO_EE_ORIGIN_TIMESTAMPING) {
      __skb_unlink(skb, list)
      __skb_queue_tail(kill, skb)
    }
    skb = next
  }
  _raw_spin_unlock_irqrestore(list.lock, flags)
  __skb_queue_purge(kill)
})

// include/linux/skbuff.h: buffers in a tree
export const rb_to_skb = (rb: rb_node<sk_buff> | null): sk_buff | null => (rb === null ? null : rb.owner)
export const skb_rb_first = (root: rb_root<sk_buff>): sk_buff | null => rb_to_skb(rb_first(root))
export const skb_rb_last = (root: rb_root<sk_buff>): sk_buff | null => rb_to_skb(rb_last(root))
export const skb_rb_next = (skb: sk_buff): sk_buff | null => rb_to_skb(rb_next(skb.rbnode))
export const skb_rb_prev = (skb: sk_buff): sk_buff | null => rb_to_skb(rb_prev(skb.rbnode))
/** drops all buffers of a tree; returns the sum of their truesize */
export const skb_rbtree_purge = kfunc('skb_rbtree_purge', (root: rb_root<sk_buff>): number => {
  let sum = 0
  for (let p = rb_first(root); p !== null; ) {
    const skb = p.owner
    p = rb_next(p)
    rb_erase(skb.rbnode, root)
    sum += skb.truesize
    kfree_skb(skb)
  }
  return sum
})

// ---- splitting and joining -------------------------------------------------------------------------------------------------------

const skb_split_inside_header = kfunc(
  'skb_split_inside_header',
  (skb: sk_buff, skb1: sk_buff, len: number, pos: number): void => {
    skb_copy_from_linear_data_offset(skb, len, skb1.head.bytes, skb_put(skb1, pos - len), pos - len)
    const from = skb.head.shinfo.frags
    const to = skb1.head.shinfo.frags
    for (let i = 0; i < from.length; i++) to[i] = from[i] as skb_frag
    to.length = from.length
    skb1.unreadable = skb.unreadable
    from.length = 0
    skb1.data_len = skb.data_len
    skb1.len += skb1.data_len
    skb.data_len = 0
    skb.len = len
    skb_set_tail_pointer(skb, len)
  },
)

const skb_split_no_header = kfunc('skb_split_no_header', (skb: sk_buff, skb1: sk_buff, len: number, start: number): void => {
  let pos = start
  const s = skb.head.shinfo
  const nfrags = s.frags.length
  const to = skb1.head.shinfo.frags
  let keep = 0
  let k = 0
  skb1.data_len = skb.len - len
  skb1.len = skb1.data_len
  skb.len = len
  skb.data_len = len - pos
  for (let i = 0; i < nfrags; i++) {
    const f = frag_at(s, i)
    const size = f.len
    if (pos + size > len) {
      const nf = copy_frag(f)
      to[k++] = nf
      if (pos < len) {
        // the page is in both from now on
        get_page(f.page)
        nf.offset += len - pos
        nf.len -= len - pos
        f.len = len - pos
        keep++
      }
    } else keep++
    pos += size
  }
  s.frags.length = keep
  to.length = k
  skb1.unreadable = skb.unreadable
})

/** moves what is behind the first `len` bytes to the empty buffer `skb1` */
export const skb_split = kfunc('skb_split', (skb: sk_buff, skb1: sk_buff, len: number): void => {
  const pos = skb_headlen(skb)
  skb_zcopy_downgrade_managed(skb)
  skb1.head.shinfo.flags |= skb.head.shinfo.flags & (C.SKBFL_SHARED_FRAG | C.SKBFL_PURE_ZEROCOPY)
  skb_zerocopy_clone(skb1, skb, 0)
  if (len < pos) skb_split_inside_header(skb, skb1, len, pos)
  else skb_split_no_header(skb, skb1, len, pos)
})

const skb_prepare_for_shift = kfunc('skb_prepare_for_shift', (skb: sk_buff): number => skb_unclone_keeptruesize(skb, GFP_ATOMIC))

/** moves the first `shiftlen` bytes of `skb`, all in pages, to the end of `tgt`; returns how many went: all of them or none */
export const skb_shift = kfunc('skb_shift', (tgt: sk_buff, skb: sk_buff, shiftlen: number): number => {
  if (shiftlen > skb.len) throw new InternalError('skb_shift: more than there is')
  if (skb_headlen(skb)) return 0
  if (skb_zcopy(tgt) !== null || skb_zcopy(skb) !== null) return 0
  let todo = shiftlen
  let from = 0
  let to = tgt.head.shinfo.frags.length
  let merge = -1
  const first = frag_at(skb.head.shinfo, 0)
  if (skb_can_coalesce(tgt, to, first.page, first.offset)) {
    merge = to - 1
    todo -= first.len
    if (todo < 0) {
      if (skb_prepare_for_shift(skb) || skb_prepare_for_shift(tgt)) return 0
      const fragfrom = frag_at(skb.head.shinfo, 0)
      frag_at(tgt.head.shinfo, merge).len += shiftlen
      fragfrom.len -= shiftlen
      fragfrom.offset += shiftlen
      return shifted(tgt, skb, shiftlen)
    }
    from++
  }
  if (shiftlen === skb.len && skb.head.shinfo.frags.length - from > MAX_SKB_FRAGS - to) return 0
  if (skb_prepare_for_shift(skb) || skb_prepare_for_shift(tgt)) return 0
  const src = skb.head.shinfo
  const dst = tgt.head.shinfo.frags
  while (todo > 0 && from < src.frags.length) {
    if (to === MAX_SKB_FRAGS) return 0
    const fragfrom = frag_at(src, from)
    dst[to++] = copy_frag(fragfrom)
    if (todo >= fragfrom.len) {
      todo -= fragfrom.len
      from++
    } else {
      __skb_frag_ref(fragfrom)
      ;(dst[to - 1] as skb_frag).len = todo
      fragfrom.offset += todo
      fragfrom.len -= todo
      todo = 0
      break
    }
  }
  if (merge >= 0) {
    const fragfrom = frag_at(src, 0)
    frag_at(tgt.head.shinfo, merge).len += fragfrom.len
    __skb_frag_unref(fragfrom, skb.pp_recycle)
  }
  src.frags.splice(0, from)
  return shifted(tgt, skb, shiftlen)
})

function shifted(tgt: sk_buff, skb: sk_buff, shiftlen: number): number {
  tgt.ip_summed = CHECKSUM_PARTIAL
  skb.ip_summed = CHECKSUM_PARTIAL
  tgt.head.shinfo.flags |= skb.head.shinfo.flags & C.SKBFL_SHARED_FRAG
  skb_len_add(skb, -shiftlen)
  skb_len_add(tgt, shiftlen)
  return shiftlen
}

export const skb_head_is_locked = (skb: sk_buff): boolean => !skb.head_frag || skb_cloned(skb)
/** a head that came from a page, as a fragment of it */
export function skb_head_frag_to_page_desc(skb: sk_buff): skb_frag {
  const p = skb.head.from as page
  return { page: p, offset: skb.head.bytes.byteOffset - p.bytes.byteOffset + skb.data, len: skb_headlen(skb) }
}

/**
 * Adds the data of `from` to the end of `to` without copying them, or by copying when they fit into its head. When true,
 * kfree_skb_partial(from, fragstolen.v) must follow; delta_truesize.v is what `to` counts more.
 */
export const skb_try_coalesce = kfunc(
  'skb_try_coalesce',
  (to: sk_buff, from: sk_buff, fragstolen: ref<boolean>, delta_truesize: ref<number>): boolean => {
    const { len } = from
    fragstolen.v = false
    if (skb_cloned(to)) return false
    if (to.pp_recycle !== from.pp_recycle) return false
    if (skb_frags_readable(from) !== skb_frags_readable(to)) return false
    if (len <= skb_tailroom(to) && skb_frags_readable(from)) {
      if (len) must(skb_copy_bits(from, 0, to.head.bytes, skb_put(to, len), len))
      delta_truesize.v = 0
      return true
    }
    const ts = to.head.shinfo
    const fs = from.head.shinfo
    if (ts.frag_list !== null || fs.frag_list !== null) return false
    if (skb_zcopy(to) !== null || skb_zcopy(from) !== null) return false
    let delta: number
    if (skb_headlen(from) !== 0) {
      if (ts.frags.length + fs.frags.length >= MAX_SKB_FRAGS) return false
      if (skb_head_is_locked(from)) return false
      delta = from.truesize - SKB_DATA_ALIGN(SK_BUFF_SIZE)
      const f = skb_head_frag_to_page_desc(from)
      skb_fill_page_desc(to, ts.frags.length, f.page, f.offset, f.len)
      fragstolen.v = true
    } else {
      if (ts.frags.length + fs.frags.length > MAX_SKB_FRAGS) return false
      delta = from.truesize - SKB_TRUESIZE(from.end)
    }
    for (const f of fs.frags) ts.frags.push(copy_frag(f))
    if (fs.frags.length) ts.flags |= fs.flags & C.SKBFL_SHARED_FRAG
    if (!skb_cloned(from)) fs.frags.length = 0
    for (const f of fs.frags) __skb_frag_ref(f)
    to.truesize += delta
    to.len += len
    to.data_len += len
    delta_truesize.v = delta
    return true
  },
)

/** forgets what only mattered where the packet was; `xnet`: it goes to another namespace */
export const skb_scrub_packet = kfunc('skb_scrub_packet', (skb: sk_buff, xnet: boolean): void => {
  skb.pkt_type = C.PACKET_HOST
  skb.skb_iif = 0
  skb.ignore_df = 0
  skb_dst_drop(skb)
  skb_ext_reset(skb)
  nf_reset_ct(skb)
  skb.nf_trace = 0
  if (!xnet) return
  skb.mark = 0
  skb_clear_tstamp(skb)
})

// ---- into a pipe -------------------------------------------------------------------------------------------------------------------

/** adds a piece of a page to the list, or to its last piece; true when the list is full */
const spd_fill_page = kfunc('spd_fill_page', (parts: skb_frag[], p: page, offset: number, len: number): boolean => {
  if (parts.length === MAX_SKB_FRAGS) return true
  const last = parts.at(-1)
  if (last !== undefined && last.page === p && last.offset + last.len === offset) last.len += len
  else {
    get_page(p)
    parts.push({ page: p, offset, len })
  }
  return false
})

/** lists pieces of the buffer from `off.v` on, `len.v` bytes at most; true when there is no more to do */
const __skb_splice_bits = kfunc(
  '__skb_splice_bits',
  (skb: sk_buff, off: ref<number>, len: ref<number>, parts: skb_frag[], sk: sock): boolean => {
    const headlen = skb_headlen(skb)
    if (off.v >= headlen) off.v -= headlen
    else {
      if (!skb_head_is_locked(skb)) {
        const f = skb_head_frag_to_page_desc(skb)
        const n = Math.min(headlen - off.v, len.v)
        if (spd_fill_page(parts, f.page, f.offset + off.v, n)) return true
        len.v -= n
      } else
        for (let at = skb.data + off.v; at < skb.data + headlen && len.v > 0; ) {
          // the head's memory cannot be lent: copied to a page
          const pfrag = sk_page_frag(sk)
          if (!sk_page_frag_refill(sk, pfrag) || pfrag.page === null) return true
          const n = Math.min(skb.data + headlen - at, len.v, pfrag.size - pfrag.offset)
          pfrag.page.bytes.set(skb.head.bytes.subarray(at, at + n), pfrag.offset)
          traceCopy(n, 'skb head', 'page')
          if (spd_fill_page(parts, pfrag.page, pfrag.offset, n)) return true
          pfrag.offset += n
          at += n
          len.v -= n
        }
      off.v = 0
      if (!len.v) return true
    }
    for (const f of skb.head.shinfo.frags) {
      if (off.v >= f.len) {
        off.v -= f.len
        continue
      }
      const n = Math.min(f.len - off.v, len.v)
      if (spd_fill_page(parts, f.page, f.offset + off.v, n)) return true
      off.v = 0
      len.v -= n
      if (!len.v) return true
    }
    for (let iter = skb.head.shinfo.frag_list; iter !== null; iter = iter.next) {
      if (off.v >= iter.len) {
        off.v -= iter.len
        continue
      }
      if (__skb_splice_bits(iter, off, len, parts, sk)) return true
    }
    return false
  },
)

/** puts up to `tlen` bytes from `offset` on into a pipe, as pages; returns how many, or an error */
export const skb_splice_bits = kfunc(
  'skb_splice_bits',
  (skb: sk_buff, sk: sock | null, offset: number, pipe: pipe_inode_info, tlen: number, _flags: number): number => {
    if (sk === null) return 0
    const parts: skb_frag[] = []
    __skb_splice_bits(skb, { v: offset }, { v: tlen }, parts, sk)
    return parts.length ? splice_to_pipe(pipe, { parts, ops: nosteal_pipe_buf_ops }) : 0
  },
)

// ---- segmentation ------------------------------------------------------------------------------------------------------------------

export const SKB_GSO_CB = (skb: sk_buff): skb_gso_cb => (skb.gso_cb ??= new skb_gso_cb())
export const skb_tnl_header_len = (inner: sk_buff): number => inner.mac_header - SKB_GSO_CB(inner).mac_offset

/** takes apart what GRO joined as a list: each buffer is a packet again, with the first one's headers. The list is held once more */
export const skb_segment_list = kfunc('skb_segment_list', (skb: sk_buff, features: bigint, offset: number): sk_buff | number => {
  let list_skb = skb.head.shinfo.frag_list
  const tnl_hlen = skb_tnl_header_len(skb)
  let delta_len = 0
  let tail: sk_buff | null = null
  const fail = (): number => {
    kfree_skb_list(skb.next)
    skb.next = null
    return -ENOMEM
  }

  skb_push(skb, skb.data - skb.network_header + offset)
  if (skb_unclone(skb, GFP_ATOMIC)) return fail()
  skb.head.shinfo.frag_list = null
  while (list_skb !== null) {
    let nskb: sk_buff = list_skb
    list_skb = nskb.next
    let err = 0
    if (skb_shared(nskb)) {
      const tmp = skb_clone(nskb, GFP_ATOMIC)
      if (tmp === null) err = -ENOMEM
      else {
        consume_skb(nskb)
        nskb = tmp
        err = skb_unclone(nskb, GFP_ATOMIC)
      }
    }
    if (tail === null) skb.next = nskb
    else tail.next = nskb
    if (err) {
      nskb.next = list_skb
      return fail()
    }
    tail = nskb
    delta_len += nskb.len
    skb_push(nskb, nskb.data - nskb.network_header + offset)
    skb_release_head_state(nskb)
    const len_diff = skb_network_header_len(nskb) - skb_network_header_len(skb)
    __copy_skb_header(nskb, skb)
    skb_headers_offset_update(nskb, skb_headroom(nskb) - skb_headroom(skb))
    nskb.transport_header += len_diff
    skb_copy_from_linear_data_offset(skb, -tnl_hlen, nskb.head.bytes, nskb.data - tnl_hlen, offset + tnl_hlen)
    if (skb_needs_linearize(nskb, features) && __skb_linearize(nskb)) return fail()
  }
  skb.data_len -= delta_len
  skb.len -= delta_len
  skb_gso_reset(skb)
  skb.prev = tail
  if (skb_needs_linearize(skb, features) && __skb_linearize(skb)) return fail()
  skb_get(skb)
  return skb
})

/** cuts a buffer that is too large for a frame into a list of segments of gso_size bytes each; the mac header must be set */
export const skb_segment = kfunc('skb_segment', (head_skb: sk_buff, feat: bigint): sk_buff | number => {
  let features = feat
  let segs: sk_buff | null = null
  let tail: sk_buff | null = null
  let list_skb = head_skb.head.shinfo.frag_list
  let mss = head_skb.head.shinfo.gso_size
  const doffset = head_skb.data - head_skb.mac_header
  let offset = doffset
  const tnl_hlen = skb_tnl_header_len(head_skb)
  let partial_segs = 0
  let len = head_skb.len

  if (head_skb.head.shinfo.gso_type & C.SKB_GSO_DODGY && mss !== GSO_BY_FRAGS && mss !== skb_headlen(head_skb))
    for (let check = list_skb; check !== null; check = check.next)
      if (skb_headlen(check) && !check.head_frag) {
        features &= ~BigInt(C.NETIF_F_SG)
        break
      }

  __skb_push(head_skb, doffset)
  const proto = skb_network_protocol(head_skb, null)
  if (!proto) return -EINVAL
  const sg = (features & BigInt(C.NETIF_F_SG)) !== 0n
  const csum = can_checksum_protocol(features, proto)
  if (sg && csum && mss !== GSO_BY_FRAGS && partial_possible()) {
    partial_segs = Math.floor(Math.min(len, GSO_BY_FRAGS - 1) / mss)
    if (partial_segs > 1) mss *= partial_segs
    else partial_segs = 0
  }

  /** whether the segments may be made of several frames each, for the device to cut further */
  function partial_possible(): boolean {
    if (features & BigInt(C.NETIF_F_GSO_PARTIAL)) return true
    if (list_skb === null || !net_gso_ok(features, head_skb.head.shinfo.gso_type)) return false
    const frag_len = list_skb.len
    let rest = len
    for (let iter: sk_buff | null = list_skb; iter !== null; iter = iter.next) {
      if (frag_len !== iter.len && iter.next !== null) return false
      if (skb_headlen(iter) && !iter.head_frag) return false
      rest -= iter.len
    }
    if (rest !== frag_len) return false
    len = rest
    return true
  }

  const headroom = skb_headroom(head_skb)
  let pos = skb_headlen(head_skb)
  if (skb_orphan_frags(head_skb, GFP_ATOMIC)) return -ENOMEM
  let frag_skb = head_skb
  let nfrags = head_skb.head.shinfo.frags.length
  let i = 0
  const fail = (err: number): number => {
    kfree_skb_list(segs)
    return err
  }

  do {
    let nskb: sk_buff | null
    if (mss === GSO_BY_FRAGS) len = list_skb?.len ?? 0
    else len = Math.min(head_skb.len - offset, mss)
    let hsize = skb_headlen(head_skb) - offset
    if (hsize <= 0 && i >= nfrags && list_skb !== null && skb_headlen(list_skb) && (skb_headlen(list_skb) === len || sg)) {
      // the next buffer of the list is a segment as it stands
      nskb = skb_clone(list_skb, GFP_ATOMIC)
      if (nskb === null) return fail(-ENOMEM)
      i = 0
      nfrags = list_skb.head.shinfo.frags.length
      frag_skb = list_skb
      pos += skb_headlen(list_skb)
      while (pos < offset + len) {
        const size = frag_at(frag_skb.head.shinfo, i).len
        if (pos + size > offset + len) break
        i++
        pos += size
      }
      list_skb = list_skb.next
      if (pskb_trim(nskb, len)) {
        kfree_skb(nskb)
        return fail(-ENOMEM)
      }
      hsize = nskb.end
      if (skb_cow_head(nskb, doffset + headroom)) {
        kfree_skb(nskb)
        return fail(-ENOMEM)
      }
      nskb.truesize += nskb.end - hsize
      skb_release_head_state(nskb)
      __skb_push(nskb, doffset)
    } else {
      if (hsize < 0) hsize = 0
      if (hsize > len || !sg) hsize = len
      nskb = __alloc_skb(hsize + doffset + headroom, GFP_ATOMIC, skb_alloc_rx_flag(head_skb), NUMA_NO_NODE)
      if (nskb === null) return fail(-ENOMEM)
      skb_reserve(nskb, headroom)
      __skb_put(nskb, doffset)
      nskb.clone_of = head_skb.id
    }
    if (segs === null) segs = nskb
    else if (tail !== null) tail.next = nskb
    tail = nskb
    __copy_skb_header(nskb, head_skb)
    skb_headers_offset_update(nskb, skb_headroom(nskb) - headroom)
    skb_reset_mac_len(nskb)
    skb_copy_from_linear_data_offset(head_skb, -tnl_hlen, nskb.head.bytes, nskb.data - tnl_hlen, doffset + tnl_hlen)

    if (nskb.len !== len + doffset) {
      if (!sg) {
        if (!csum) {
          nskb.ip_summed = CHECKSUM_NONE
          SKB_GSO_CB(nskb).csum = skb_copy_and_csum_bits(head_skb, offset, nskb.head.bytes, skb_put(nskb, len), len)
          SKB_GSO_CB(nskb).csum_start = skb_headroom(nskb) + doffset
        } else if (skb_copy_bits(head_skb, offset, nskb.head.bytes, skb_put(nskb, len), len)) return fail(-ENOMEM)
        continue
      }
      const ns = nskb.head.shinfo
      skb_copy_from_linear_data_offset(head_skb, offset, nskb.head.bytes, skb_put(nskb, hsize), hsize)
      ns.flags |= (head_skb.head.shinfo.flags | frag_skb.head.shinfo.flags) & C.SKBFL_SHARED_FRAG
      if (skb_zerocopy_clone(nskb, frag_skb, GFP_ATOMIC)) return fail(-ENOMEM)
      while (pos < offset + len) {
        if (i >= nfrags) {
          if (list_skb === null) throw new InternalError('skb_segment: fewer bytes than the buffer says')
          if (skb_orphan_frags(list_skb, GFP_ATOMIC) || skb_zerocopy_clone(nskb, list_skb, GFP_ATOMIC)) return fail(-ENOMEM)
          frag_skb = list_skb
          nfrags = list_skb.head.shinfo.frags.length
          ns.flags |= frag_skb.head.shinfo.flags & C.SKBFL_SHARED_FRAG
          // its head, if it has data, counts as the fragment before the first
          i = skb_headlen(list_skb) ? -1 : 0
          list_skb = list_skb.next
        }
        if (ns.frags.length >= MAX_SKB_FRAGS) return fail(-EINVAL)
        const nf = i < 0 ? skb_head_frag_to_page_desc(frag_skb) : copy_frag(frag_at(frag_skb.head.shinfo, i))
        __skb_frag_ref(nf)
        const size = nf.len
        if (pos < offset) {
          nf.offset += offset - pos
          nf.len -= offset - pos
        }
        ns.frags.push(nf)
        if (pos + size <= offset + len) {
          i++
          pos += size
        } else {
          nf.len -= pos + size - (offset + len)
          break
        }
      }
      nskb.data_len = len - hsize
      nskb.len += nskb.data_len
      nskb.truesize += nskb.data_len
    }
    if (!csum) {
      if (skb_has_shared_frag(nskb) && __skb_linearize(nskb)) return fail(-ENOMEM)
      nskb.ip_summed = CHECKSUM_NONE
      SKB_GSO_CB(nskb).csum = skb_checksum(nskb, doffset, nskb.len - doffset, 0)
      SKB_GSO_CB(nskb).csum_start = skb_headroom(nskb) + doffset
    }
  } while ((offset += len) < head_skb.len)

  if (segs === null || tail === null) return -EINVAL
  // callers find the last one through the first
  segs.prev = tail
  if (partial_segs) {
    const { gso_size } = head_skb.head.shinfo
    let type = head_skb.head.shinfo.gso_type
    if (features & BigInt(C.NETIF_F_GSO_PARTIAL)) type |= C.SKB_GSO_PARTIAL
    type &= ~C.SKB_GSO_DODGY
    for (let iter: sk_buff | null = segs; iter !== null; iter = iter.next) {
      iter.head.shinfo.gso_size = gso_size
      iter.head.shinfo.gso_segs = partial_segs
      iter.head.shinfo.gso_type = type
      SKB_GSO_CB(iter).mac_offset = skb_headroom(iter) + doffset
    }
    if (tail.len - doffset <= gso_size) tail.head.shinfo.gso_size = 0
    else if (tail !== segs) tail.head.shinfo.gso_segs = Math.ceil((tail.len - doffset) / gso_size)
  }
  if (head_skb.destructor === sock_wfree) {
    // the last segment answers for all to the socket
    const { truesize, destructor, sk } = tail
    tail.truesize = head_skb.truesize
    tail.destructor = head_skb.destructor
    tail.sk = head_skb.sk
    head_skb.truesize = truesize
    head_skb.destructor = destructor
    head_skb.sk = sk
  }
  return segs
})

export const skb_gso_reset = (skb: sk_buff): void => {
  const s = skb.head.shinfo
  s.gso_size = 0
  s.gso_segs = 0
  s.gso_type = 0
}
export const skb_is_gso_sctp = (skb: sk_buff): boolean => (skb.head.shinfo.gso_type & C.SKB_GSO_SCTP) !== 0
export const skb_is_gso_tcp = (skb: sk_buff): boolean => (skb.head.shinfo.gso_type & (C.SKB_GSO_TCPV4 | C.SKB_GSO_TCPV6)) !== 0

// ---- MSG_ZEROCOPY ----------------------------------------------------------------------------------------------------------------

/** the user memory that a buffer's pages belong to, null for none */
export const skb_zcopy = (skb: sk_buff | null): ubuf_info | null =>
  skb !== null && skb.head.shinfo.flags & C.SKBFL_ZEROCOPY_ENABLE ? (skb.head.shinfo.destructor_arg as ubuf_info | null) : null
export const skb_uarg = (skb: sk_buff): ubuf_info => skb.head.shinfo.destructor_arg as ubuf_info
export const skb_zcopy_pure = (skb: sk_buff): boolean => (skb.head.shinfo.flags & C.SKBFL_PURE_ZEROCOPY) !== 0
export const skb_zcopy_managed = (skb: sk_buff): boolean => (skb.head.shinfo.flags & C.SKBFL_MANAGED_FRAG_REFS) !== 0
export const uarg_to_msgzc = (uarg: ubuf_info): ubuf_info => uarg
export const skb_hwtstamps = (skb: sk_buff): number => skb.head.shinfo.hwtstamps
export const net_zcopy_get = (uarg: ubuf_info): void => {
  uarg.refcnt++
}
export function skb_zcopy_init(skb: sk_buff, uarg: ubuf_info): void {
  skb.head.shinfo.destructor_arg = uarg
  skb.head.shinfo.flags |= uarg.flags
}
export const skb_zcopy_set = kfunc(
  'skb_zcopy_set',
  (skb: sk_buff | null, uarg: ubuf_info | null, have_ref: ref<boolean> | null): void => {
    if (skb === null || uarg === null || skb_zcopy(skb) !== null) return
    if (have_ref?.v) have_ref.v = false
    else net_zcopy_get(uarg)
    skb_zcopy_init(skb, uarg)
  },
)
export const net_zcopy_put = kfunc('net_zcopy_put', (uarg: ubuf_info | null): void => {
  if (uarg === null) return
  if (tracer.on) traceIndirect('uarg->ops->complete', nameOf(uarg.ops.complete))
  uarg.ops.complete(null, uarg, true)
})
export const net_zcopy_put_abort = kfunc('net_zcopy_put_abort', (uarg: ubuf_info | null, have_uref: boolean): void => {
  if (uarg === null) return
  if (uarg.ops === msg_zerocopy_ubuf_ops) msg_zerocopy_put_abort(uarg, have_uref)
  else if (have_uref) net_zcopy_put(uarg)
})
export const skb_zcopy_clear = kfunc('skb_zcopy_clear', (skb: sk_buff, zerocopy_success: boolean): void => {
  const uarg = skb_zcopy(skb)
  if (uarg === null) return
  if (tracer.on) traceIndirect('uarg->ops->complete', nameOf(uarg.ops.complete))
  uarg.ops.complete(skb, uarg, zerocopy_success)
  skb.head.shinfo.flags &= ~SKBFL_ALL_ZEROCOPY
})
export const __skb_zcopy_downgrade_managed = kfunc('__skb_zcopy_downgrade_managed', (skb: sk_buff): void => {
  const s = skb.head.shinfo
  s.flags &= ~C.SKBFL_MANAGED_FRAG_REFS
  for (let i = 0; i < s.frags.length; i++) skb_frag_ref(skb, i)
})
export const skb_zcopy_downgrade_managed = (skb: sk_buff): void => {
  if (skb_zcopy_managed(skb)) __skb_zcopy_downgrade_managed(skb)
}

/** copies user memory that a buffer refers to, unless its owner said that it may travel */
export const skb_orphan_frags = kfunc('skb_orphan_frags', (skb: sk_buff, gfp_mask: number): number => {
  if (skb_zcopy(skb) === null) return 0
  if (skb.head.shinfo.flags & C.SKBFL_DONT_ORPHAN) return 0
  return skb_copy_ubufs(skb, gfp_mask)
})
/** the same where it must not travel further: to a receiver */
export const skb_orphan_frags_rx = kfunc('skb_orphan_frags_rx', (skb: sk_buff, gfp_mask: number): number =>
  skb_zcopy(skb) === null ? 0 : skb_copy_ubufs(skb, gfp_mask),
)

export const skb_zerocopy_clone = kfunc('skb_zerocopy_clone', (nskb: sk_buff, orig: sk_buff, gfp_mask: number): number => {
  if (skb_zcopy(orig) === null) return 0
  if (skb_zcopy(nskb) !== null) {
    if (!gfp_mask) return -ENOMEM
    if (skb_uarg(nskb) === skb_uarg(orig)) return 0
    if (skb_copy_ubufs(nskb, GFP_ATOMIC)) return -EIO
  }
  skb_zcopy_set(nskb, skb_uarg(orig), null)
  return 0
})

/** replaces pages of user memory by copies */
export const skb_copy_ubufs = kfunc('skb_copy_ubufs', (skb: sk_buff, gfp_mask: number): number => {
  if (!skb_frags_readable(skb)) return -EFAULT
  if (skb_shared(skb) || skb_unclone(skb, gfp_mask)) return -EINVAL
  const s = skb.head.shinfo
  const num_frags = s.frags.length
  if (num_frags) {
    const total = __skb_pagelen(skb)
    let order = 0
    while ((PAGE_SIZE << order) * MAX_SKB_FRAGS < total) order++
    const psize = PAGE_SIZE << order
    const fresh: skb_frag[] = []
    for (let left = total; left > 0; left -= psize)
      fresh.push({ page: alloc_pages_noprof(gfp_mask | __GFP_COMP, order), offset: 0, len: Math.min(left, psize) })
    let d_off = 0
    for (const f of s.frags)
      for (let done = 0; done < f.len; ) {
        const to = fresh[Math.floor(d_off / psize)]
        if (to === undefined) break
        const n = Math.min(psize - (d_off % psize), f.len - done)
        to.page.bytes.set(f.page.bytes.subarray(f.offset + done, f.offset + done + n), d_off % psize)
        done += n
        d_off += n
      }
    traceCopy(total, 'user page', 'page')
    for (let i = 0; i < num_frags; i++) skb_frag_unref(skb, i)
    s.frags = fresh
  }
  skb_zcopy_clear(skb, false)
  return 0
})

const CAP_IPC_LOCK = 14
/** RLIMIT_MEMLOCK of an ordinary process: 8 MiB, in pages */
const MEMLOCK_PAGES = 2048
let locked_vm = 0

const mm_account_pinned_pages = kfunc('mm_account_pinned_pages', (uarg: ubuf_info, size: number): number => {
  if (capable(CAP_IPC_LOCK) || !size) return 0
  const num_pg = (size >> C.PAGE_SHIFT) + 2
  if (locked_vm + num_pg > MEMLOCK_PAGES) return -ENOBUFS
  locked_vm += num_pg
  uarg.mmp_pages += num_pg
  return 0
})
const mm_unaccount_pinned_pages = kfunc('mm_unaccount_pinned_pages', (uarg: ubuf_info): void => {
  locked_vm -= uarg.mmp_pages
  uarg.mmp_pages = 0
})

const msg_zerocopy_alloc = kfunc('msg_zerocopy_alloc', (sk: sock, size: number): ubuf_info | null => {
  const skb = sock_omalloc(sk, 0, GFP_KERNEL)
  if (skb === null) return null
  const uarg = new ubuf_info(msg_zerocopy_ubuf_ops)
  uarg.skb = skb
  if (mm_account_pinned_pages(uarg, size)) {
    kfree_skb(skb)
    return null
  }
  uarg.id = sk.sk_zckey
  sk.sk_zckey = (sk.sk_zckey + 1) >>> 0
  uarg.len = 1
  uarg.bytelen = size
  uarg.zerocopy = true
  uarg.flags = SKBFL_ZEROCOPY_FRAG | C.SKBFL_DONT_ORPHAN
  uarg.refcnt = 1
  sock_hold(sk)
  return uarg
})

/** the notification for a send of `size` bytes: the one of the send before when the two go together, else a new one */
export const msg_zerocopy_realloc = kfunc(
  'msg_zerocopy_realloc',
  (sk: sock, size: number, uarg: ubuf_info | null): ubuf_info | null => {
    if (uarg !== null) {
      if (uarg.ops !== msg_zerocopy_ubuf_ops) return null
      if (!sock_owned_by_user(sk)) return null
      const bytelen = uarg.bytelen + size
      if (uarg.len === USHRT_MAX - 1 || bytelen > 1 << 19)
        return sk.sk_type === C.SOCK_STREAM ? msg_zerocopy_alloc(sk, size) : null
      const next = sk.sk_zckey
      if ((uarg.id + uarg.len) >>> 0 === next) {
        if (mm_account_pinned_pages(uarg, size)) return null
        uarg.len++
        uarg.bytelen = bytelen
        sk.sk_zckey = (next + 1) >>> 0
        if (sk.sk_type === C.SOCK_STREAM) net_zcopy_get(uarg)
        return uarg
      }
    }
    return msg_zerocopy_alloc(sk, size)
  },
)

const skb_zerocopy_notify_extend = kfunc('skb_zerocopy_notify_extend', (skb: sk_buff, lo: number, len: number): boolean => {
  const serr = SKB_EXT_ERR(skb)
  if (serr.ee_data - serr.ee_info + 1 + len >= 0x100000000) return false
  if (lo !== serr.ee_data + 1) return false
  serr.ee_data += len
  return true
})

const __msg_zerocopy_callback = kfunc('__msg_zerocopy_callback', (uarg: ubuf_info): void => {
  let skb = uarg.skb
  const sk = skb?.sk ?? null
  if (skb === null || sk === null) return
  mm_unaccount_pinned_pages(uarg)
  if (uarg.len && !sock_flag(sk, C.SOCK_DEAD)) {
    const lo = uarg.id
    const serr = SKB_EXT_ERR(skb)
    serr.ee_errno = 0
    serr.ee_origin = SO_EE_ORIGIN_ZEROCOPY
    serr.ee_data = (lo + uarg.len - 1) >>> 0
    serr.ee_info = lo
    serr.ee_code = uarg.zerocopy ? 0 : SO_EE_CODE_ZEROCOPY_COPIED
    const q = sk.sk_error_queue
    const flags = _raw_spin_lock_irqsave(q.lock)
    const tail = skb_peek_tail(q)
    if (
      tail === null ||
      SKB_EXT_ERR(tail).ee_origin !== SO_EE_ORIGIN_ZEROCOPY ||
      !skb_zerocopy_notify_extend(tail, lo, uarg.len)
    ) {
      __skb_queue_tail(q, skb)
      skb = null
    }
    _raw_spin_unlock_irqrestore(q.lock, flags)
    sk_error_report(sk)
  }
  consume_skb(skb)
  sock_put(sk)
})

const msg_zerocopy_complete = kfunc('msg_zerocopy_complete', (_skb: sk_buff | null, uarg: ubuf_info, success: boolean): void => {
  uarg.zerocopy = Boolean(uarg.zerocopy) && success
  if (--uarg.refcnt === 0) __msg_zerocopy_callback(uarg)
})
export const msg_zerocopy_put_abort = kfunc('msg_zerocopy_put_abort', (uarg: ubuf_info, have_uref: boolean): void => {
  const sk = uarg.skb?.sk
  if (sk) sk.sk_zckey = (sk.sk_zckey - 1) >>> 0
  uarg.len--
  if (have_uref) msg_zerocopy_complete(null, uarg, true)
})
export const msg_zerocopy_ubuf_ops: ubuf_info_ops = { complete: msg_zerocopy_complete }

/** adds `len` bytes of the message's user memory to a buffer of a stream socket, as pages; returns how many, or an error */
export const skb_zerocopy_iter_stream = kfunc(
  'skb_zerocopy_iter_stream',
  (sk: sock, skb: sk_buff, msg: msghdr, len: number, uarg: ubuf_info): number => {
    const orig_len = skb.len
    if (uarg.ops.link_skb !== undefined) {
      const err = uarg.ops.link_skb(skb, uarg)
      if (err) return err
    } else {
      const orig_uarg = skb_zcopy(skb)
      if (orig_uarg !== null && uarg !== orig_uarg) return -17
    }
    const err = __zerocopy_sg_from_iter(msg, sk, skb, msg.msg_iter, len)
    if (err === -EFAULT || (err === -EMSGSIZE && skb.len === orig_len)) {
      const save_sk = skb.sk
      iov_iter_revert(msg.msg_iter, skb.len - orig_len)
      skb.sk = sk
      ___pskb_trim(skb, orig_len)
      skb.sk = save_sk
      return err
    }
    skb_zcopy_set(skb, uarg, null)
    return skb.len - orig_len
  },
)
export const skb_zerocopy_iter_dgram = kfunc('skb_zerocopy_iter_dgram', (skb: sk_buff, msg: msghdr, len: number): number =>
  __zerocopy_sg_from_iter(msg, skb.sk, skb, msg.msg_iter, len),
)

// ---- the error queue and timestamps --------------------------------------------------------------------------------------------------

export const sock_rmem_free = kfunc('sock_rmem_free', (skb: sk_buff): void => {
  if (skb.sk !== null) skb.sk.sk_rmem_alloc -= skb.truesize
})

/** puts a notice on a socket's error queue, and says so to whoever waits */
export const sock_queue_err_skb = kfunc('sock_queue_err_skb', (sk: sock, skb: sk_buff): number => {
  if (sk.sk_rmem_alloc + skb.truesize >= sk.sk_rcvbuf) return -ENOMEM
  skb_orphan(skb)
  skb.sk = sk
  skb.destructor = sock_rmem_free
  sk.sk_rmem_alloc += skb.truesize
  skb.pkt_type = C.PACKET_OUTGOING
  skb_dst_force(skb)
  skb_queue_tail(sk.sk_error_queue, skb)
  if (!sock_flag(sk, C.SOCK_DEAD)) sk_error_report(sk)
  return 0
})
function is_icmp_err_skb(skb: sk_buff | null): boolean {
  if (skb === null) return false
  const { ee_origin } = SKB_EXT_ERR(skb)
  return ee_origin === SO_EE_ORIGIN_ICMP || ee_origin === SO_EE_ORIGIN_ICMP6
}
export const sock_dequeue_err_skb = kfunc('sock_dequeue_err_skb', (sk: sock): sk_buff | null => {
  const q = sk.sk_error_queue
  if (skb_queue_empty(q)) return null
  let skb_next: sk_buff | null = null
  let icmp_next = false
  const flags = _raw_spin_lock_irqsave(q.lock)
  const skb = __skb_dequeue(q)
  if (skb !== null) {
    skb_next = skb_peek(q)
    if (skb_next !== null) {
      icmp_next = is_icmp_err_skb(skb_next)
      if (icmp_next) sk.sk_err = SKB_EXT_ERR(skb_next).ee_errno
    }
  }
  _raw_spin_unlock_irqrestore(q.lock, flags)
  if (is_icmp_err_skb(skb) && !icmp_next) sk.sk_err = 0
  if (skb_next !== null) sk_error_report(sk)
  return skb
})

const __skb_complete_tx_timestamp = kfunc(
  '__skb_complete_tx_timestamp',
  (skb: sk_buff, sk: sock, tstype: number, has_opt_stats: boolean): void => {
    const serr = SKB_EXT_ERR(skb)
    serr.ee_errno = ENOMSG
    serr.ee_origin = SO_EE_ORIGIN_TIMESTAMPING
    serr.ee_type = 0
    serr.ee_code = 0
    serr.ee_info = tstype
    serr.opt_stats = has_opt_stats ? 1 : 0
    serr.ee_data = 0
    if (sk.sk_tsflags & SOF_TIMESTAMPING_OPT_ID) {
      serr.ee_data = skb.head.shinfo.tskey
      if (sk_is_tcp(sk)) serr.ee_data = (serr.ee_data - sk.sk_tskey) >>> 0
    }
    if (sock_queue_err_skb(sk, skb)) kfree_skb(skb)
  },
)
const skb_may_tx_timestamp = kfunc(
  'skb_may_tx_timestamp',
  (_sk: sock, tsonly: boolean): boolean => Boolean(sysctl_tstamp_allow_data) || tsonly,
)

/** tells the sender when its packet was sent (SCM_TSTAMP_SND), acknowledged and so on */
export const __skb_tstamp_tx = kfunc(
  '__skb_tstamp_tx',
  (orig_skb: sk_buff, ack_skb: sk_buff | null, hwtstamps: ref<number> | null, sk: sock | null, tstype: number): void => {
    if (sk === null) return
    const tsflags = sk.sk_tsflags
    if (hwtstamps === null && !(tsflags & SOF_TIMESTAMPING_OPT_TX_SWHW) && orig_skb.head.shinfo.tx_flags & C.SKBTX_IN_PROGRESS)
      return
    const tsonly = (tsflags & SOF_TIMESTAMPING_OPT_TSONLY) !== 0
    if (!skb_may_tx_timestamp(sk, tsonly)) return
    let skb: sk_buff | null
    // the numbers that SOF_TIMESTAMPING_OPT_STATS asks TCP for are not made
    if (tsonly) skb = alloc_skb(0, GFP_ATOMIC)
    else {
      skb = skb_clone(orig_skb, GFP_ATOMIC)
      if (skb !== null && skb_orphan_frags_rx(skb, GFP_ATOMIC)) {
        kfree_skb(skb)
        return
      }
    }
    if (skb === null) return
    if (tsonly) {
      skb.head.shinfo.tx_flags |= orig_skb.head.shinfo.tx_flags & SKBTX_ANY_TSTAMP
      skb.head.shinfo.tskey = orig_skb.head.shinfo.tskey
    } else skb.cb = null
    if (hwtstamps !== null) skb.head.shinfo.hwtstamps = hwtstamps.v
    else __net_timestamp(skb)
    __skb_complete_tx_timestamp(skb, sk, tstype, false)
  },
)
const SCM_TSTAMP_SND = 0
export const skb_tstamp_tx = kfunc('skb_tstamp_tx', (orig_skb: sk_buff, hwtstamps: ref<number> | null): void => {
  __skb_tstamp_tx(orig_skb, null, hwtstamps, orig_skb.sk, SCM_TSTAMP_SND)
})

export const __net_timestamp = (skb: sk_buff): void => {
  skb.tstamp = ktime_get_real()
  skb.tstamp_type = C.SKB_CLOCK_REALTIME
}
/** when the packet may leave, in nanoseconds of the clock `tstamp_type`; 0 for at once */
export function skb_set_delivery_time(skb: sk_buff, kt: number, tstamp_type: number): void {
  skb.tstamp = kt
  skb.tstamp_type = kt ? tstamp_type : C.SKB_CLOCK_REALTIME
}
export function skb_set_delivery_type_by_clockid(skb: sk_buff, kt: number, clockid: number): void {
  skb_set_delivery_time(
    skb,
    kt,
    clockid === CLOCK_MONOTONIC ? C.SKB_CLOCK_MONOTONIC : clockid === CLOCK_TAI ? C.SKB_CLOCK_TAI : C.SKB_CLOCK_REALTIME,
  )
}
export const skb_clear_delivery_time = kfunc('skb_clear_delivery_time', (skb: sk_buff): void => {
  if (skb.tstamp_type) {
    skb.tstamp_type = C.SKB_CLOCK_REALTIME
    skb.tstamp = netstamp_needed > 0 ? ktime_get_real() : 0
  }
})
export function skb_clear_tstamp(skb: sk_buff): void {
  if (!skb.tstamp_type) skb.tstamp = 0
}

// ---- small inlines of include/linux/skbuff.h ---------------------------------------------------------------------------------------

export function __skb_set_hash(skb: sk_buff, hash: number, is_sw: boolean, is_l4: boolean): void {
  skb.l4_hash = is_l4 ? 1 : 0
  skb.sw_hash = is_sw ? 1 : 0
  skb.hash = hash
}
export const skb_set_hash = (skb: sk_buff, hash: number, type: number): void =>
  __skb_set_hash(skb, hash, false, type === C.PKT_HASH_TYPE_L4)
export const skb_clear_hash = (skb: sk_buff): void => __skb_set_hash(skb, 0, false, false)
export function skb_copy_hash(to: sk_buff, from: sk_buff): void {
  to.hash = from.hash
  to.sw_hash = from.sw_hash
  to.l4_hash = from.l4_hash
}
export const skb_set_dst_pending_confirm = (skb: sk_buff, val: number): void => {
  skb.dst_pending_confirm = val
}
export const skb_set_queue_mapping = (skb: sk_buff, queue_mapping: number): void => {
  skb.queue_mapping = queue_mapping
}
export const skb_get_queue_mapping = (skb: sk_buff): number => skb.queue_mapping
export const skb_record_rx_queue = (skb: sk_buff, rx_queue: number): void => {
  skb.queue_mapping = rx_queue + 1
}
export const skb_get_rx_queue = (skb: sk_buff): number => skb.queue_mapping - 1
export const skb_rx_queue_recorded = (skb: sk_buff): boolean => skb.queue_mapping !== 0
export const secpath_exists = (_skb: sk_buff): boolean => false
export const skb_nfct = (skb: sk_buff): nf_conntrack | null => skb._nfct?.ct ?? null
/** include/linux/netfilter/nf_conntrack_common.h */
export const nf_conntrack_get = (nfct: nfct_ref | null): void => {
  if (nfct !== null && nfct.ct !== null) nfct.ct.use++
}
export const nf_conntrack_put = (nfct: nfct_ref | null): void => {
  if (nfct !== null && nfct.ct !== null && --nfct.ct.use === 0) nf_conntrack_destroy(nfct.ct)
}
export const nf_reset_ct = (skb: sk_buff): void => {
  if (skb._nfct === null) return
  nf_conntrack_put(skb._nfct)
  skb._nfct = null
}
export const nf_reset_trace = (skb: sk_buff): void => {
  skb.nf_trace = 0
}
export const nf_copy = (dst: sk_buff, src: sk_buff): void => {
  nf_conntrack_put(dst._nfct)
  dst.slow_gro |= src.slow_gro
  dst._nfct = src._nfct
  nf_conntrack_get(src._nfct)
  dst.nf_trace = src.nf_trace
}
// extensions (bridge netfilter, IPsec, MPTCP): nothing adds one yet
export const skb_ext_put = (skb: sk_buff): void => {
  if (skb.active_extensions) skb_ext_reset(skb)
}
export const skb_ext_reset = (skb: sk_buff): void => {
  skb.active_extensions = 0
  skb.extensions = null
}
export const skb_ext_copy = (dst: sk_buff, src: sk_buff): void => {
  dst.active_extensions = src.active_extensions
  dst.extensions = src.extensions
}
export const skb_reset_inner_headers = (skb: sk_buff): void => {
  skb.inner_mac_header = skb.mac_header
  skb.inner_network_header = skb.network_header
  skb.inner_transport_header = skb.transport_header
}
export const skb_forward_csum = (skb: sk_buff): void => {
  if (skb.ip_summed === CHECKSUM_COMPLETE) skb.ip_summed = CHECKSUM_NONE
}

export { SKBTX_ANY_TSTAMP } from '../../include/linux/skbuff.ts'
export { get_page, put_page } from '../../mm/page_alloc.ts'
export { memcpy_from_msg, memcpy_to_msg, skb_copy_datagram_msg } from './datagram.ts'
export { skb_checksum_help } from './dev.ts'
// what other files of Linux have and skbuff.h offers as well
export {
  refdst_drop,
  skb_dst_copy,
  skb_dst_drop,
  skb_dst_force,
  skb_dst_is_noref,
  skb_dst_set,
  skb_dst_set_noref,
  skb_dstref_restore,
  skb_dstref_steal,
} from './dst.ts'
export { skb_page_frag_refill } from './sock.ts'

/** moves the link header over the tag that was read out */
const skb_reorder_vlan_header = kfunc('skb_reorder_vlan_header', (skb: sk_buff): sk_buff | null => {
  if (skb_cow(skb, skb_headroom(skb)) < 0) {
    kfree_skb(skb)
    return null
  }
  const at = skb.mac_header
  const mac_len = skb.data - at
  if (mac_len > VLAN_HLEN + 2) skb.head.bytes.copyWithin(at + VLAN_HLEN, at, at + mac_len - VLAN_HLEN - 2)
  skb.mac_header += VLAN_HLEN
  return skb
})

/** Takes a VLAN tag out of a received frame: from here on it rides beside it, as a device with that offload leaves it. */
export const skb_vlan_untag = kfunc('skb_vlan_untag', (first: sk_buff): sk_buff | null => {
  if (skb_vlan_tag_present(first)) return first
  let skb = skb_share_check(first, GFP_ATOMIC)
  if (skb === null) return null
  if (!pskb_may_pull(skb, VLAN_HLEN + 2)) {
    kfree_skb(skb)
    return null
  }
  const b = skb.head.bytes
  const at = skb.data
  const be16 = (o: number): number => ((b[at + o] ?? 0) << 8) | (b[at + o + 1] ?? 0)
  const [tci, proto, raw] = [be16(0), be16(2), be16(4)]
  __vlan_hwaccel_put_tag(skb, skb.protocol, tci)
  skb_pull_rcsum(skb, VLAN_HLEN)
  skb.protocol = eth_proto_is_802_3(proto) ? proto : raw === 0xffff ? ETH_P_802_3 : ETH_P_802_2
  skb = skb_reorder_vlan_header(skb)
  if (skb === null) return null
  skb_reset_network_header(skb)
  if (!skb_transport_header_was_set(skb)) skb_reset_transport_header(skb)
  skb_reset_mac_len(skb)
  return skb
})

// ---- scatter-gather lists: what a device is given of a buffer

/** struct scatterlist: `length` bytes at `offset` of a page or a head */
export interface scatterlist {
  mem: { readonly bytes: Uint8Array }
  offset: number
  length: number
}

const __skb_to_sgvec = kfunc(
  '__skb_to_sgvec',
  (skb: sk_buff, sg: scatterlist[], from: number, length: number, at: number, recursion_level: number): number => {
    let offset = from
    let len = length
    let elt = 0
    const headlen = skb_headlen(skb)
    if (recursion_level >= 24) return -EMSGSIZE
    if (headlen > offset) {
      const copy = Math.min(headlen - offset, len)
      sg[at + elt++] = { mem: skb.head, offset: skb.data + offset, length: copy }
      len -= copy
      if (len === 0) return elt
      offset += copy
    }
    let start = headlen
    for (const f of skb.head.shinfo.frags) {
      const end = start + f.len
      if (end > offset) {
        const copy = Math.min(end - offset, len)
        sg[at + elt++] = { mem: f.page, offset: f.offset + offset - start, length: copy }
        len -= copy
        if (len === 0) return elt
        offset += copy
      }
      start = end
    }
    for (let frag_iter = skb.head.shinfo.frag_list; frag_iter !== null; frag_iter = frag_iter.next) {
      const end = start + frag_iter.len
      if (end > offset) {
        const copy = Math.min(end - offset, len)
        const n = __skb_to_sgvec(frag_iter, sg, offset - start, copy, at + elt, recursion_level + 1)
        if (n < 0) return n
        elt += n
        len -= copy
        if (len === 0) return elt
        offset += copy
      }
      start = end
    }
    return elt
  },
)
/** the pieces of a buffer from `offset` on, put into `sg` from `at` on; how many there are, or an error */
export const skb_to_sgvec = kfunc(
  'skb_to_sgvec',
  (skb: sk_buff, sg: scatterlist[], offset: number, len: number, at: number): number =>
    __skb_to_sgvec(skb, sg, offset, len, at, 0),
)
