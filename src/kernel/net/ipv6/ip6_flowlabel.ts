import { kfunc } from '../../../trace/kfunc.ts'
import type { sock } from '../../include/net/sock.ts'

/** gives back the flow labels that a socket had leased: none can be here (IPV6_FLOWLABEL_MGR) */
export const fl6_free_socklist = kfunc('fl6_free_socklist', (_sk: sock): void => {})
