import { kfunc } from '../../../trace/kfunc.ts'
import type { sock } from '../../include/net/sock.ts'

/** the child of a socket in a sockmap gets the plain operations back; no socket is in one here */
export const tcp_bpf_clone = kfunc('tcp_bpf_clone', (_sk: sock, _newsk: sock): void => {})
