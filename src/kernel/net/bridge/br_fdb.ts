import { clock } from '../../../sim/clock.ts'
import { events } from '../../../sim/events.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { HZ, NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, NUD_STALE } from '../../include/generated/enums.ts'
import { EINVAL, EMSGSIZE, ENOMEM } from '../../include/linux/errno.ts'
import { ETH_ALEN, ether_addr_equal, is_valid_ether_addr } from '../../include/linux/if_ether.ts'
import { module_init } from '../../include/linux/init.ts'
import { dev_net } from '../../include/linux/netdevice.ts'
import type { sk_buff } from '../../include/linux/skbuff.ts'
import { GFP_ATOMIC, type kmem_cache, SLAB_HWCACHE_ALIGN } from '../../include/linux/slab.ts'
import { AF_BRIDGE } from '../../include/linux/socket.ts'
import {
  NDA_CACHEINFO,
  NDA_FLAGS_EXT,
  NDA_LLADDR,
  NDA_MASTER,
  NDA_VLAN,
  NTF_STICKY,
  put_ndmsg,
  RTM_DELNEIGH,
  RTM_NEWNEIGH,
  RTNLGRP_NEIGH,
  SIZEOF_NDA_CACHEINFO,
  SIZEOF_NDMSG,
} from '../../include/net/neighbour.ts'
import { nla_total_size, nlmsg_total_size, u32_bytes } from '../../include/net/netlink.ts'
import { spin_lock, spin_lock_bh, spin_unlock, spin_unlock_bh } from '../../kernel/locking/spinlock.ts'
import { call_rcu, rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { jiffies, jiffies_to_clock_t, time_before_eq } from '../../kernel/time/timer.ts'
import { kmem_cache_alloc, kmem_cache_create, kmem_cache_free } from '../../mm/slub.ts'
import { rtnl_notify } from '../core/rtnetlink.ts'
import { alloc_skb, kfree_skb } from '../core/skbuff.ts'
import { __nlmsg_put, nla_put, nlmsg_end } from '../netlink/af_netlink.ts'
import {
  BR_FDB_ADDED_BY_USER,
  BR_FDB_DYNAMIC_LEARNED,
  BR_FDB_LOCAL,
  BR_FDB_STATIC,
  BR_FDB_STICKY,
  type net_bridge,
  net_bridge_fdb_entry,
  type net_bridge_port,
} from './br_private.ts'
import { br_switchdev_fdb_notify } from './br_switchdev.ts'

let br_fdb_cache: kmem_cache

module_init(() => {
  br_fdb_cache = kmem_cache_create('bridge_fdb_cache', 128, 0, SLAB_HWCACHE_ALIGN, null)
})

/** six bytes and a VLAN as a key */
const key_of = (addr: Uint8Array, vid: number): string => {
  let s = ''
  for (let i = 0; i < 6; i++) s += String.fromCharCode(addr[i] ?? 0)
  return s + String.fromCharCode(vid)
}

const fdb_rcu_free = kfunc('fdb_rcu_free', (_f: net_bridge_fdb_entry): void => kmem_cache_free(br_fdb_cache, _f))

const fdb_to_nud = kfunc('fdb_to_nud', (br: net_bridge, fdb: net_bridge_fdb_entry): number => {
  if (fdb.flags & BR_FDB_LOCAL) return NUD_PERMANENT
  if (fdb.flags & BR_FDB_STATIC) return NUD_NOARP
  return time_before_eq(fdb.updated + br.ageing_time, jiffies()) ? NUD_STALE : NUD_REACHABLE
})
const fdb_fill_info = kfunc(
  'fdb_fill_info',
  (skb: sk_buff, br: net_bridge, fdb: net_bridge_fdb_entry, portid: number, seq: number, type: number, flags: number): number => {
    const now = jiffies()
    const ndm = __nlmsg_put(skb, portid, seq, type, SIZEOF_NDMSG, flags)
    const { ifindex } = fdb.dst?.dev ?? br.dev
    const sticky = fdb.flags & BR_FDB_STICKY ? NTF_STICKY : 0
    put_ndmsg(skb.head.bytes, ndm, AF_BRIDGE, ifindex, fdb_to_nud(br, fdb), sticky, 0)
    if (nla_put(skb, NDA_LLADDR, ETH_ALEN, fdb.addr)) return -EMSGSIZE
    if (nla_put(skb, NDA_MASTER, 4, u32_bytes(br.dev.ifindex))) return -EMSGSIZE
    if (nla_put(skb, NDA_FLAGS_EXT, 4, u32_bytes(0))) return -EMSGSIZE
    const used = jiffies_to_clock_t(now - fdb.used)
    const updated = jiffies_to_clock_t(now - fdb.updated)
    if (nla_put(skb, NDA_CACHEINFO, SIZEOF_NDA_CACHEINFO, u32_bytes(0, used, updated, 0))) return -EMSGSIZE
    const vid = new Uint8Array([fdb.vlan_id, fdb.vlan_id >> 8])
    if (fdb.vlan_id && nla_put(skb, NDA_VLAN, 2, vid)) return -EMSGSIZE
    nlmsg_end(skb, ndm)
    return 0
  },
)
/** room for NDA_LLADDR, _MASTER, _FLAGS_EXT, _VLAN, _CACHEINFO, _FDB_EXT_ATTRS and what may be in it */
const fdb_nlmsg_size = (): number =>
  SIZEOF_NDMSG +
  nla_total_size(ETH_ALEN) +
  2 * nla_total_size(4) +
  nla_total_size(2) +
  nla_total_size(SIZEOF_NDA_CACHEINFO) +
  nla_total_size(0) +
  nla_total_size(1)

/** tells drivers of switches, and programs that watch (`bridge monitor fdb`) */
const fdb_notify = kfunc('fdb_notify', (br: net_bridge, fdb: net_bridge_fdb_entry, type: number, swdev_notify: boolean): void => {
  if (swdev_notify) br_switchdev_fdb_notify(br, fdb, type)
  const skb = alloc_skb(nlmsg_total_size(fdb_nlmsg_size()), GFP_ATOMIC)
  if (skb === null) return
  if (fdb_fill_info(skb, br, fdb, 0, 0, type, 0) < 0) kfree_skb(skb)
  else rtnl_notify(skb, dev_net(br.dev), 0, RTNLGRP_NEIGH, null, GFP_ATOMIC)
})

const fdb_find_rcu = kfunc(
  'fdb_find_rcu',
  (tbl: Map<string, net_bridge_fdb_entry>, addr: Uint8Array, vid: number): net_bridge_fdb_entry | null =>
    tbl.get(key_of(addr, vid)) ?? null,
)
const br_fdb_find = kfunc('br_fdb_find', (br: net_bridge, addr: Uint8Array, vid: number): net_bridge_fdb_entry | null => {
  rcu_read_lock()
  const fdb = fdb_find_rcu(br.fdb_hash_tbl, addr, vid)
  rcu_read_unlock()
  return fdb
})
export const br_fdb_find_rcu = kfunc(
  'br_fdb_find_rcu',
  (br: net_bridge, addr: Uint8Array, vid: number): net_bridge_fdb_entry | null => fdb_find_rcu(br.fdb_hash_tbl, addr, vid),
)

const fdb_delete = kfunc('fdb_delete', (br: net_bridge, f: net_bridge_fdb_entry, swdev_notify: boolean): void => {
  br.fdb_hash_tbl.delete(key_of(f.addr, f.vlan_id))
  if (f.flags & BR_FDB_DYNAMIC_LEARNED) {
    f.flags &= ~BR_FDB_DYNAMIC_LEARNED
    br.fdb_n_learned--
  }
  fdb_notify(br, f, RTM_DELNEIGH, swdev_notify)
  call_rcu(f, fdb_rcu_free)
})

/** an address of the host goes, unless another port or the bridge itself has it too */
const fdb_delete_local = kfunc('fdb_delete_local', (br: net_bridge, p: net_bridge_port | null, f: net_bridge_fdb_entry): void => {
  const op = br.port_list.find((other) => other !== p && ether_addr_equal(other.dev.dev_addr, f.addr) && !f.vlan_id)
  if (op !== undefined) {
    f.dst = op
    f.flags &= ~BR_FDB_ADDED_BY_USER
  } else if (p !== null && ether_addr_equal(br.dev.dev_addr, f.addr) && !f.vlan_id) {
    f.dst = null
    f.flags &= ~BR_FDB_ADDED_BY_USER
  } else fdb_delete(br, f, true)
})

const fdb_create = kfunc(
  'fdb_create',
  (br: net_bridge, source: net_bridge_port | null, addr: Uint8Array, vid: number, want: number): net_bridge_fdb_entry | null => {
    const learned = !(want & (BR_FDB_ADDED_BY_USER | BR_FDB_LOCAL))
    const fdb = new net_bridge_fdb_entry(addr.slice(0, 6), vid, source, learned ? want | BR_FDB_DYNAMIC_LEARNED : want)
    kmem_cache_alloc(br_fdb_cache, GFP_ATOMIC)
    fdb.updated = jiffies()
    fdb.used = fdb.updated
    br.fdb_hash_tbl.set(key_of(addr, vid), fdb)
    if (learned) br.fdb_n_learned++
    return fdb
  },
)

const fdb_add_local = kfunc(
  'fdb_add_local',
  (br: net_bridge, source: net_bridge_port | null, addr: Uint8Array, vid: number): number => {
    if (!is_valid_ether_addr(addr)) return -EINVAL
    const old = br_fdb_find(br, addr, vid)
    if (old !== null) {
      if (old.flags & BR_FDB_LOCAL) return 0
      fdb_delete(br, old, true)
    }
    const fdb = fdb_create(br, source, addr, vid, BR_FDB_LOCAL | BR_FDB_STATIC)
    if (fdb === null) return -ENOMEM
    fdb_notify(br, fdb, RTM_NEWNEIGH, true)
    return 0
  },
)

export const br_fdb_changeaddr = kfunc('br_fdb_changeaddr', (p: net_bridge_port, newaddr: Uint8Array): void => {
  const { br } = p
  spin_lock_bh(br.hash_lock)
  for (const f of [...br.fdb_hash_tbl.values()])
    if (f.dst === p && f.flags & BR_FDB_LOCAL && !(f.flags & BR_FDB_ADDED_BY_USER)) {
      fdb_delete_local(br, p, f)
      break
    }
  fdb_add_local(br, p, newaddr, 0)
  spin_unlock_bh(br.hash_lock)
})

export const br_fdb_change_mac_address = kfunc('br_fdb_change_mac_address', (br: net_bridge, newaddr: Uint8Array): void => {
  spin_lock_bh(br.hash_lock)
  const f = br_fdb_find(br, br.dev.dev_addr, 0)
  if (f !== null && f.flags & BR_FDB_LOCAL && f.dst === null && !(f.flags & BR_FDB_ADDED_BY_USER)) fdb_delete_local(br, null, f)
  fdb_add_local(br, null, newaddr, 0)
  spin_unlock_bh(br.hash_lock)
})

export const br_fdb_delete_by_port = kfunc(
  'br_fdb_delete_by_port',
  (br: net_bridge, p: net_bridge_port | null, do_all: boolean): void => {
    spin_lock_bh(br.hash_lock)
    for (const f of [...br.fdb_hash_tbl.values()]) {
      if (f.dst !== p || (!do_all && f.flags & BR_FDB_STATIC)) continue
      if (f.flags & BR_FDB_LOCAL) fdb_delete_local(br, p, f)
      else fdb_delete(br, f, true)
    }
    spin_unlock_bh(br.hash_lock)
  },
)

export const br_fdb_add_local = kfunc(
  'br_fdb_add_local',
  (br: net_bridge, source: net_bridge_port | null, addr: Uint8Array, vid: number): number => {
    spin_lock_bh(br.hash_lock)
    const ret = fdb_add_local(br, source, addr, vid)
    spin_unlock_bh(br.hash_lock)
    return ret
  },
)

/** learns, or remembers anew, behind which port an address is */
export const br_fdb_update = kfunc(
  'br_fdb_update',
  (br: net_bridge, source: net_bridge_port, addr: Uint8Array, vid: number, flags: number): void => {
    if (br.ageing_time === 0) return
    const fdb = fdb_find_rcu(br.fdb_hash_tbl, addr, vid)
    if (fdb !== null) {
      // a frame from an address of the host itself came in: nothing to learn of that
      if (fdb.flags & BR_FDB_LOCAL) return
      let modified = false
      const now = jiffies()
      if (now !== fdb.updated) fdb.updated = now
      if (source !== fdb.dst && !(fdb.flags & BR_FDB_STICKY)) {
        br_switchdev_fdb_notify(br, fdb, RTM_DELNEIGH)
        fdb.dst = source
        modified = true
      }
      if (modified) fdb_notify(br, fdb, RTM_NEWNEIGH, true)
      return
    }
    spin_lock(br.hash_lock)
    const fresh = fdb_create(br, source, addr, vid, flags)
    if (fresh !== null) fdb_notify(br, fresh, RTM_NEWNEIGH, true)
    spin_unlock(br.hash_lock)
  },
)

/** takes out what was not heard of for as long as entries are kept */
const br_fdb_cleanup = kfunc('br_fdb_cleanup', (br: net_bridge): void => {
  const now = jiffies()
  let work_delay = br.ageing_time
  rcu_read_lock()
  for (const f of [...br.fdb_hash_tbl.values()]) {
    if (f.flags & BR_FDB_STATIC) continue
    const left = f.updated + br.ageing_time - now
    if (left > 0) work_delay = Math.min(work_delay, left)
    else {
      spin_lock_bh(br.hash_lock)
      fdb_delete(br, f, true)
      spin_unlock_bh(br.hash_lock)
    }
  }
  rcu_read_unlock()
  br_fdb_gc(br, Math.max(work_delay, HZ / 100))
})
/** queues br_fdb_cleanup() in `delay` jiffies; a bridge that is down does not come back to it */
export function br_fdb_gc(br: net_bridge, delay: number): void {
  events.add(clock.ns() + delay * (1e9 / HZ), () => {
    if (br.dev.flags & 1) br_fdb_cleanup(br)
  })
}
