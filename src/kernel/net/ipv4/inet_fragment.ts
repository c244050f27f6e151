import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { SKB_CONSUMED, SKB_DROP_REASON_FRAG_REASM_TIMEOUT } from '../../include/generated/enums.ts'
import { CHECKSUM_COMPLETE, CHECKSUM_NONE, type sk_buff, skb_shinfo } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, GFP_KERNEL, SLAB_PANIC } from '../../include/linux/slab.ts'
import type { ref } from '../../include/linux/types.ts'
import {
  FRAG_CB,
  fqdir,
  type frag_compare_key,
  INET_FRAG_COMPLETE,
  INET_FRAG_DROP,
  INET_FRAG_HASH_DEAD,
  IPFRAG_DUP,
  IPFRAG_OK,
  IPFRAG_OVERLAP,
  type inet_frag_queue,
  type inet_frags,
  ipfrag_skb_cb,
} from '../../include/net/inet_frag.ts'
import type { net } from '../../include/net/net_namespace.ts'
import type { sock } from '../../include/net/sock.ts'
import { spin_lock_bh, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { call_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { del_timer, jiffies, mod_timer, timer_setup } from '../../kernel/time/timer.ts'
import { schedule_work } from '../../kernel/workqueue.ts'
import { csum_add } from '../../lib/checksum.ts'
import { kmem_cache_create, kmem_cache_free, kmem_cache_zalloc, kzalloc } from '../../mm/slub.ts'
import {
  alloc_skb,
  consume_skb,
  kfree_skb_partial,
  kfree_skb_reason,
  skb_clone,
  skb_gso_reset,
  skb_has_frag_list,
  skb_morph,
  skb_push,
  skb_try_coalesce,
  skb_unclone,
} from '../core/skbuff.ts'
import { is_skb_wmem } from '../core/sock.ts'

/** by the ECN marks that were seen: what the whole datagram gets, 0xff: do not believe it */
export const ip_frag_ecn_table: readonly number[] = Array.from({ length: 16 }, (_, seen) => {
  const not_ect = (seen & 1) !== 0
  const ce = (seen & 8) !== 0
  if (not_ect && seen !== 1) return 0xff
  return ce && seen !== 8 ? 3 : 0
})

const fragcb_clear = kfunc('fragcb_clear', (skb: sk_buff): void => {
  const cb = new ipfrag_skb_cb()
  cb.frag_run_len = skb.len
  skb.cb = cb
})

const fragrun_append_to_last = kfunc('fragrun_append_to_last', (q: inet_frag_queue, skb: sk_buff): void => {
  fragcb_clear(skb)
  FRAG_CB(q.last_run_head as sk_buff).frag_run_len += skb.len
  FRAG_CB(q.fragments_tail as sk_buff).next_frag = skb
  q.fragments_tail = skb
})

const fragrun_create = kfunc('fragrun_create', (q: inet_frag_queue, skb: sk_buff): void => {
  fragcb_clear(skb)
  q.rb_fragments.push(skb)
  q.fragments_tail = skb
  q.last_run_head = skb
})

export const inet_frags_init = kfunc('inet_frags_init', (f: inet_frags): number => {
  f.frags_cachep = kmem_cache_create(f.frags_cache_name, f.qsize, 0, SLAB_PANIC, null)
  return 0
})

export const fqdir_init = kfunc('fqdir_init', (fqdirp: ref<fqdir | null>, f: inet_frags, n: net): number => {
  kzalloc(256, GFP_KERNEL)
  fqdirp.v = new fqdir(f, n)
  return 0
})

export const fqdir_pre_exit = kfunc('fqdir_pre_exit', (d: fqdir): void => {
  d.high_thresh = 0
  d.dead = true
  for (const list of [...d.rhashtable.values()])
    for (const fq of [...list]) {
      const refs: ref<number> = { v: 0 }
      spin_lock_bh(fq.lock)
      if (!(fq.flags & INET_FRAG_COMPLETE)) inet_frag_kill(fq, refs)
      if (fq.flags & INET_FRAG_HASH_DEAD) {
        inet_frag_queue_flush(fq, 0)
        refs.v++
      }
      spin_unlock_bh(fq.lock)
      inet_frag_putn(fq, refs.v)
    }
})

export const fqdir_exit = kfunc('fqdir_exit', (d: fqdir): void => {
  d.rhashtable.clear()
})

export const inet_frag_putn = kfunc('inet_frag_putn', (q: inet_frag_queue, refs: number): void => {
  if (refs === 0) return
  q.refcnt -= refs
  if (q.refcnt === 0) inet_frag_destroy(q)
})

const seed = 0

/** lib/rhashtable.c: what a table has at least */
const HASH_MIN_SIZE = 4
const entries = (d: fqdir): number => {
  let n = 0
  for (const list of d.rhashtable.values()) n += list.length
  return n
}
/** a table that is nearly empty is made smaller, by a worker */
function rht_shrink(d: fqdir): void {
  if (entries(d) < (d.rht_size * 3) / 10 && d.rht_size > HASH_MIN_SIZE) schedule_work(d.rht_work)
}

/** no more fragments are taken: out of the table, and the timer stops. `refs`: references that the caller has to put now */
export const inet_frag_kill = kfunc('inet_frag_kill', (fq: inet_frag_queue, refs: ref<number>): void => {
  if (del_timer(fq.timer)) refs.v++
  if (fq.flags & INET_FRAG_COMPLETE) return
  const { fqdir: d } = fq
  fq.flags |= INET_FRAG_COMPLETE
  rcu_read_lock()
  if (!d.dead) {
    rcu_read_lock()
    if (tracer.on) traceIndirect('ht->p.obj_hashfn', nameOf(d.f.obj_hashfn))
    const hash = d.f.obj_hashfn(fq, 0, seed)
    const list = d.rhashtable.get(hash) ?? []
    const i = list.indexOf(fq)
    if (i >= 0) list.splice(i, 1)
    if (list.length === 0) d.rhashtable.delete(hash)
    rht_shrink(d)
    rcu_read_unlock()
    refs.v++
  } else fq.flags |= INET_FRAG_HASH_DEAD
  rcu_read_unlock()
})

const inet_frag_destroy_rcu = kfunc('inet_frag_destroy_rcu', (q: inet_frag_queue): void => {
  const { f } = q.fqdir
  if (tracer.on && f.destructor_) traceIndirect('f->destructor', nameOf(f.destructor_))
  f.destructor_?.(q)
  kmem_cache_free(f.frags_cachep, q)
})

const inet_frag_rbtree_purge = kfunc('inet_frag_rbtree_purge', (runs: sk_buff[], reason: number): number => {
  let sum = 0
  for (const run of runs.splice(0))
    for (let skb: sk_buff | null = run; skb !== null; ) {
      const next: sk_buff | null = FRAG_CB(skb).next_frag
      sum += skb.truesize
      kfree_skb_reason(skb, reason)
      skb = next
    }
  return sum
})

export const inet_frag_queue_flush = kfunc('inet_frag_queue_flush', (q: inet_frag_queue, reason: number): void => {
  q.fqdir.mem -= inet_frag_rbtree_purge(q.rb_fragments, reason || SKB_DROP_REASON_FRAG_REASM_TIMEOUT)
  q.fragments_tail = null
  q.last_run_head = null
})

export const inet_frag_destroy = kfunc('inet_frag_destroy', (q: inet_frag_queue): void => {
  const reason = q.flags & INET_FRAG_DROP ? SKB_DROP_REASON_FRAG_REASM_TIMEOUT : SKB_CONSUMED
  del_timer(q.timer)
  const sum = inet_frag_rbtree_purge(q.rb_fragments, reason) + q.fqdir.f.qsize
  call_rcu(q, inet_frag_destroy_rcu)
  q.fqdir.mem -= sum
})

const inet_frag_alloc = kfunc('inet_frag_alloc', (d: fqdir, f: inet_frags, arg: frag_compare_key): inet_frag_queue => {
  kmem_cache_zalloc(f.frags_cachep, GFP_ATOMIC)
  const q = f.alloc()
  q.fqdir = d
  if (tracer.on) traceIndirect('f->constructor', nameOf(f.constructor_))
  f.constructor_(q, arg)
  d.mem += f.qsize
  timer_setup(q.timer, f.frag_expire, 0)
  // one reference for the timer, one for the table
  q.refcnt = 2
  return q
})

const inet_frag_create = kfunc('inet_frag_create', (d: fqdir, arg: frag_compare_key): inet_frag_queue => {
  const { f } = d
  const q = inet_frag_alloc(d, f, arg)
  spin_lock_bh(q.lock)
  rcu_read_lock()
  if (tracer.on) traceIndirect('ht->p.obj_hashfn', nameOf(f.obj_hashfn))
  const hash = f.obj_hashfn(q, 0, seed)
  const list = d.rhashtable.get(hash)
  if (list === undefined) d.rhashtable.set(hash, [q])
  else list.unshift(q)
  rcu_read_unlock()
  mod_timer(q.timer, jiffies() + d.timeout)
  spin_unlock_bh(q.lock)
  return q
})

/** the queue of a datagram, made when it is not there; null when too much memory waits already */
export const inet_frag_find = kfunc('inet_frag_find', (d: fqdir, key: frag_compare_key): inet_frag_queue | null => {
  if (!d.high_thresh || d.mem > d.high_thresh) return null
  const { f } = d
  if (tracer.on) traceIndirect('ht->p.hashfn', nameOf(f.hashfn))
  for (const q of d.rhashtable.get(f.hashfn(key, 0, seed)) ?? []) {
    if (tracer.on) traceIndirect('ht->p.obj_cmpfn', nameOf(f.obj_cmpfn))
    if (f.obj_cmpfn(key, q) === 0) return q
  }
  return inet_frag_create(d, key)
})

export const inet_frag_queue_insert = kfunc(
  'inet_frag_queue_insert',
  (q: inet_frag_queue, skb: sk_buff, offset: number, end: number): number => {
    const last = q.fragments_tail
    skb_gso_reset(skb)
    if (last === null) fragrun_create(q, skb)
    else if (FRAG_CB(last).ip_defrag_offset + last.len < end) {
      const last_end = FRAG_CB(last).ip_defrag_offset + last.len
      if (offset < last_end) return IPFRAG_OVERLAP
      if (offset === last_end) fragrun_append_to_last(q, skb)
      else fragrun_create(q, skb)
    } else {
      let at = 0
      for (const curr of q.rb_fragments) {
        const { ip_defrag_offset, frag_run_len } = FRAG_CB(curr)
        const curr_run_end = ip_defrag_offset + frag_run_len
        if (end <= ip_defrag_offset) break
        if (offset < curr_run_end) return offset >= ip_defrag_offset && end <= curr_run_end ? IPFRAG_DUP : IPFRAG_OVERLAP
        at++
      }
      fragcb_clear(skb)
      q.rb_fragments.splice(at, 0, skb)
    }
    FRAG_CB(skb).ip_defrag_offset = offset
    return IPFRAG_OK
  },
)

/** where the next fragment is to be linked in: the frag_list of the head, or the end of a buffer */
export interface reasm_data {
  head: sk_buff
  /** the buffer whose `next` is set; null: the head's frag_list */
  after: sk_buff | null
}

/** makes the fragment that came last the head of the datagram, because its owner waits for it; null without memory */
export const inet_frag_reasm_prepare = kfunc(
  'inet_frag_reasm_prepare',
  (q: inet_frag_queue, skb: sk_buff, parent: sk_buff | null): reasm_data | null => {
    const runs = q.rb_fragments
    let head = runs[0] as sk_buff
    let orig_truesize = 0
    const { sk, destructor } = skb
    if (sk !== null && is_skb_wmem(skb)) orig_truesize = skb.truesize
    const restore_sk = (result: reasm_data | null): reasm_data | null => {
      if (orig_truesize && sk !== null) {
        head.sk = sk
        head.destructor = destructor
        sk.sk_wmem_alloc += head.truesize - orig_truesize
      }
      return result
    }
    if (head !== skb) {
      const fp = skb_clone(skb, GFP_ATOMIC)
      if (fp === null) {
        head = skb
        return restore_sk(null)
      }
      const cb = FRAG_CB(skb)
      fp.cb = Object.assign(new ipfrag_skb_cb(), cb)
      const run = runs.indexOf(skb)
      if (run < 0 && parent !== null) FRAG_CB(parent).next_frag = fp
      else if (run >= 0) runs[run] = fp
      if (q.fragments_tail === skb) q.fragments_tail = fp
      if (orig_truesize) {
        skb.sk = null
        skb.destructor = null
      }
      const head_cb = FRAG_CB(head)
      skb_morph(skb, head)
      skb.cb = Object.assign(new ipfrag_skb_cb(), head_cb)
      runs[0] = skb
      consume_skb(head)
      head = skb
    }
    let delta = -head.truesize
    if (skb_unclone(head, GFP_ATOMIC)) return restore_sk(null)
    delta += head.truesize
    if (delta) q.fqdir.mem += delta
    let after: sk_buff | null = null
    if (skb_has_frag_list(head)) {
      // the first fragment has a list itself: it moves to a buffer behind the head
      const clone = alloc_skb(0, GFP_ATOMIC)
      if (clone === null) return restore_sk(null)
      skb_shinfo(clone).frag_list = skb_shinfo(head).frag_list
      skb_shinfo(head).frag_list = null
      let plen = 0
      for (const f of skb_shinfo(head).frags) plen += f.len
      clone.data_len = head.data_len - plen
      clone.len = clone.data_len
      head.truesize += clone.truesize
      clone.csum = 0
      clone.ip_summed = head.ip_summed
      q.fqdir.mem += clone.truesize
      skb_shinfo(head).frag_list = clone
      after = clone
    }
    return restore_sk({ head, after })
  },
)

/** hangs all fragments on the head, or (`try_coalesce`) moves their bytes into it where that costs nothing */
export const inet_frag_reasm_finish = kfunc(
  'inet_frag_reasm_finish',
  (q: inet_frag_queue, head: sk_buff, data: reasm_data, try_coalesce: boolean): void => {
    const sk: sock | null = is_skb_wmem(head) ? head.sk : null
    const head_truesize = head.truesize
    let { after } = data
    skb_push(head, head.data - head.network_header)
    let sum_truesize = head.truesize
    const stolen: ref<boolean> = { v: false }
    const delta: ref<number> = { v: 0 }
    const runs = q.rb_fragments.splice(0)
    runs[0] = head
    for (const run of runs) {
      let fp: sk_buff | null = run === head ? FRAG_CB(head).next_frag : run
      while (fp !== null) {
        const next_frag: sk_buff | null = FRAG_CB(fp).next_frag
        sum_truesize += fp.truesize
        if (head.ip_summed !== fp.ip_summed) head.ip_summed = CHECKSUM_NONE
        else if (head.ip_summed === CHECKSUM_COMPLETE) head.csum = csum_add(head.csum, fp.csum)
        if (try_coalesce && skb_try_coalesce(head, fp, stolen, delta)) kfree_skb_partial(fp, stolen.v)
        else {
          fp.prev = null
          fp.sk = null
          head.data_len += fp.len
          head.len += fp.len
          head.truesize += fp.truesize
          if (after === null) skb_shinfo(head).frag_list = fp
          else after.next = fp
          after = fp
        }
        fp = next_frag
      }
    }
    q.fqdir.mem -= sum_truesize
    if (after !== null) after.next = null
    head.next = null
    head.prev = null
    head.tstamp = q.stamp
    head.tstamp_type = q.tstamp_type
    if (sk !== null) sk.sk_wmem_alloc += sum_truesize - head_truesize
  },
)

export const inet_frag_pull_head = kfunc('inet_frag_pull_head', (q: inet_frag_queue): sk_buff | null => {
  const head = q.rb_fragments[0]
  if (head === undefined) return null
  const skb = FRAG_CB(head).next_frag
  if (skb !== null) q.rb_fragments[0] = skb
  else q.rb_fragments.shift()
  if (head === q.fragments_tail) q.fragments_tail = null
  q.fqdir.mem -= head.truesize
  return head
})
