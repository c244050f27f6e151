import { kfunc } from '../../../trace/kfunc.ts'
import type { sock } from '../../include/net/sock.ts'

/** No socket is a subflow of a multipath connection: there is nothing to fall back from. */
export const mptcp_active_detect_blackhole = kfunc('mptcp_active_detect_blackhole', (_ssk: sock, _expired: boolean): void => {})
