import { kfunc } from '../../../trace/kfunc.ts'
import { atomic_notifier_call_chain, type atomic_notifier_head } from '../../kernel/notifier.ts'

export const NETEVENT_NEIGH_UPDATE = 1

/** drivers that forward packets by themselves want to hear of neighbours and routes: none of those is here */
const netevent_notif_chain: atomic_notifier_head = []

export const call_netevent_notifiers = kfunc('call_netevent_notifiers', (val: number, v: unknown): number =>
  atomic_notifier_call_chain(netevent_notif_chain, val, v),
)
