import { kfunc } from '../../../trace/kfunc.ts'
import { EMSGSIZE, ESRCH } from '../../include/linux/errno.ts'
import { core_initcall } from '../../include/linux/init.ts'
import { type sk_buff, skb_tailroom } from '../../include/linux/skbuff.ts'
import { spinlock_t } from '../../include/linux/spinlock.ts'
import { wait_queue_head } from '../../include/linux/wait.ts'
import {
  NLA_HDRLEN,
  NLMSG_ALIGN,
  NLMSG_HDRLEN,
  nla_attr_size,
  nla_total_size,
  nlmsg_msg_size,
} from '../../include/net/netlink.ts'
import { read_lock_irqsave, read_unlock_irqrestore } from '../../kernel/locking/spinlock.ts'
import { rcu_read_lock, rcu_read_unlock } from '../../kernel/rcu.ts'
import { wake_up } from '../../kernel/sched/wait.ts'
import { is_vmalloc_addr } from '../../mm/usercopy.ts'
import { consume_skb, pskb_expand_head, skb_put } from '../core/skbuff.ts'

// Nobody listens on netlink in this simulation: a message is made, offered to those who would, and thrown away. So `sk`, the
// kernel's own socket that it goes out by, is null everywhere.

const nl_table_lock = new spinlock_t()
let nl_table_wait = new wait_queue_head()
core_initcall(() => {
  nl_table_wait = new wait_queue_head()
})

export const netlink_has_listeners = kfunc('netlink_has_listeners', (_sk: null, _group: number): number => {
  rcu_read_lock()
  rcu_read_unlock()
  return 0
})

const view_of = (skb: sk_buff): DataView => new DataView(skb.head.bytes.buffer, skb.head.bytes.byteOffset)

/** starts a message with room for `len` bytes; returns where they go */
export const __nlmsg_put = kfunc(
  '__nlmsg_put',
  (skb: sk_buff, portid: number, seq: number, type: number, len: number, flags: number): number => {
    const size = nlmsg_msg_size(len)
    const nlh = skb_put(skb, NLMSG_ALIGN(size))
    const view = view_of(skb)
    view.setUint32(nlh, size, true)
    view.setUint16(nlh + 4, type, true)
    view.setUint16(nlh + 6, flags, true)
    view.setUint32(nlh + 8, seq, true)
    view.setUint32(nlh + 12, portid, true)
    skb.head.bytes.fill(0, nlh + NLMSG_HDRLEN, nlh + NLMSG_ALIGN(size))
    return nlh + NLMSG_HDRLEN
  },
)
/** the message ends here. @param at what __nlmsg_put returned */
export const nlmsg_end = (skb: sk_buff, at: number): void => {
  view_of(skb).setUint32(at - NLMSG_HDRLEN, skb.tail - at + NLMSG_HDRLEN, true)
}

/** an attribute more (lib/nlattr.c) */
export const nla_put = kfunc('nla_put', (skb: sk_buff, attrtype: number, attrlen: number, data: Uint8Array): number => {
  if (skb_tailroom(skb) < nla_total_size(attrlen)) return -EMSGSIZE
  const nla = skb_put(skb, nla_total_size(attrlen))
  const { bytes } = skb.head
  const view = view_of(skb)
  view.setUint16(nla, nla_attr_size(attrlen), true)
  view.setUint16(nla + 2, attrtype, true)
  bytes.set(data.subarray(0, attrlen), nla + NLA_HDRLEN)
  bytes.fill(0, nla + nla_attr_size(attrlen), nla + nla_total_size(attrlen))
  return 0
})

const netlink_lock_table = kfunc('netlink_lock_table', (): void => {
  const flags = read_lock_irqsave(nl_table_lock)
  read_unlock_irqrestore(nl_table_lock, flags)
})
/** who waits to change the table may go on */
const netlink_unlock_table = kfunc('netlink_unlock_table', (): void => {
  wake_up(nl_table_wait)
})

/** gives back the room of a message that is much smaller than its buffer */
const netlink_trim = kfunc('netlink_trim', (skb: sk_buff, allocation: number): sk_buff => {
  const delta = skb.end - skb.tail
  if (is_vmalloc_addr(skb.head.bytes) || delta * 2 < skb.truesize) return skb
  pskb_expand_head(skb, 0, -delta, allocation)
  return skb
})

export const netlink_broadcast_filtered = kfunc(
  'netlink_broadcast_filtered',
  (_ssk: null, skb: sk_buff, _portid: number, _group: number, allocation: number, _filter: null, _filter_data: null): number => {
    const trimmed = netlink_trim(skb, allocation)
    netlink_lock_table()
    consume_skb(trimmed)
    netlink_unlock_table()
    // the clone for whoever comes next, when somebody had taken this one
    consume_skb(null)
    return -ESRCH
  },
)

/** tells a group. `report`: whether the program that asked for the change, `portid`, is told as well: here a command never waits for that */
export const nlmsg_notify = kfunc(
  'nlmsg_notify',
  (sk: null, skb: sk_buff, _portid: number, group: number, _report: number, flags: number): number => {
    const err = netlink_broadcast_filtered(sk, skb, 0, group, flags, null, null)
    return err === -ESRCH ? 0 : err
  },
)
