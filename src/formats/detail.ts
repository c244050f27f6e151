import type { CallKind, Kfn } from '../trace/tracer.ts'

/** Which functions a detail level shows: the facts' file of a function decides, then a few names. */

/** how a frame is treated: shown; left out but not what it calls; left out with all below it */
export const SHOW = 1
export const SKIP = 2
export const PRUNE = 3
export type Treatment = typeof SHOW | typeof SKIP | typeof PRUNE

/** headers of include/linux that belong to the network, sockets and files; all others there are machinery */
const NETWORK_HEADER =
  /^include\/linux\/(skbuff|skbuff_ref|netdevice|etherdevice|if_\w+|ip|ipv6|tcp|udp|icmp\w*|igmp|in|in6|inet|inetdevice|inet_diag|net|socket|sockptr|uio|iov_iter|netfilter\w*|file|fs|splice|pipe_fs_i|filter|dynamic_queue_limits|virtio_net|rtnetlink|netlink|arp|errqueue|virtio\w*|neighbour|un|net_tstamp|ptp_classify|bottom_half_net|dsa\/\w+|netfilter\/\w+|netfilter_ipv4\/?\w*)\.h$/

/** the network's own work among files that hold machinery, and the other way round */
const NETWORK_NAME =
  /^(__x64_sys_\w+|send_sig(urg)?|do_send_sig_info|_*send_signal_locked|prepare_signal|task_active_pid_ns|__task_pid_nr_ns|pid_vnr|csum_and_copy_(from|to)_user|csum_ipv6_magic|csum_tcpudp_(magic|nofold)|import_ubuf|import_iovec|__import_iovec|import_single_range|(atomic_)?notifier_call_chain)$/
const MACHINERY_NAME =
  /^(alloc_fd|expand_files|fd_install|get_unused_fd_flags|file_(update|remove|accessed|free)\w*|rw_verify_area|security_(capable|file_\w+|inode_\w+|d_\w+)|hook_\w+|cap_\w+|filp_flush|sock_alloc_inode|sock_free_inode|(un)?likely|net_(ratelimit|warn\w*)|skb_(poison|unpoison)\w*|wake_up_\w+|refcount_\w+|kref_\w+|READ_ONCE|WRITE_ONCE)$/
/** they run others' code when the last user of a file goes */
const TRANSPARENT_NAME =
  /^(fput|__fput|____fput|fput_close_sync|__fput_sync|delayed_fput|task_work_\w+|file_free\w*|raise_softirq\w*|__raise_softirq\w*|or_softirq_pending|invoke_softirq|local_bh_\w+)$/
const SOFTIRQ_NAME = /^(__do_softirq|do_softirq|do_softirq\.part\.0|handle_softirqs|__local_bh_enable_ip)$/

/** the way into a softirq: the same each time */
export const isSoftirqEntry = (fn: Kfn): boolean => SOFTIRQ_NAME.test(fn.name)

const machinery = new WeakMap<Kfn, boolean>()

/** locks, RCU, allocators, clocks, timers, access checks: what a real network trace is full of and a reader skips */
export function isMachinery(fn: Kfn): boolean {
  let known = machinery.get(fn)
  if (known === undefined) {
    known = lookMachinery(fn)
    machinery.set(fn, known)
  }
  return known
}

function lookMachinery(fn: Kfn): boolean {
  const { name } = fn
  const { file } = fn.symbol
  if (NETWORK_NAME.test(name)) return false
  if (MACHINERY_NAME.test(name) || TRANSPARENT_NAME.test(name)) return true
  if (file === '') return true
  if (file.startsWith('kernel/')) return !SOFTIRQ_NAME.test(name)
  if (file.startsWith('include/linux/')) return !NETWORK_HEADER.test(file)
  if (file.startsWith('include/')) return !file.startsWith('include/net/')
  if (file.startsWith('lib/')) return file !== 'lib/iov_iter.c'
  if (file.startsWith('mm/') || file.startsWith('arch/x86/lib') || file.startsWith('arch/x86/include')) return true
  return false
}

/**
 * Treatment of a frame at detail `net`. A real machinery function goes with all that it calls. One that is no frame in that
 * kernel only goes itself: what it calls belongs to its caller there.
 */
export function netTreatment(fn: Kfn, kind: CallKind): Treatment {
  if (!isMachinery(fn)) return SHOW
  return kind === 'call' && !TRANSPARENT_NAME.test(fn.name) ? PRUNE : SKIP
}

/** files whose functions shape and move a buffer for others: on the way of a packet, but never a stop of their own */
const HELPER_FILE = /^(include\/linux\/|net\/core\/(skbuff|datagram|gso|dst)\.c$|lib\/)/

/** a function that works on a buffer on behalf of its caller */
export const isHelper = (fn: Kfn, kind: CallKind): boolean =>
  HELPER_FILE.test(fn.symbol.file) || fn.symbol.file === '' || (kind === 'inlined' && fn.symbol.file.endsWith('.h'))

/** what stands between the processor's entry and the system call, and what SYSCALL_DEFINE wraps around it */
export const isGlue = (fn: Kfn, kind: CallKind): boolean =>
  fn.symbol.file.startsWith('arch/') || (kind !== 'call' && /^__(se|do)_sys_/.test(fn.name))

/** the message in an argument list: what the user handed over, before there is a buffer */
const MESSAGE = /^(const )?struct (msghdr|iov_iter|user_msghdr|mmsghdr) \*/

/** it has the message among its arguments */
export const carriesMessage = (fn: Kfn): boolean => fn.symbol.params.some((p) => MESSAGE.test(p))
/** it returns a buffer */
export const makesSkb = (fn: Kfn): boolean => fn.symbol.returns.replace(/\s/g, '') === 'structsk_buff*'

/** `tcp_*`, `[su]end?`: the shell's wildcards, as ftrace's filters take them */
export function globs(patterns: readonly string[]): ((name: string) => boolean) | null {
  const list = patterns.flatMap((p) => p.split(',')).filter((p) => p !== '')
  if (list.length === 0) return null
  const exact = new Set(list.filter((p) => !/[*?[]/.test(p)))
  const tests = list.filter((p) => /[*?[]/.test(p)).map(globToRegExp)
  return (name) => exact.has(name) || tests.some((t) => t.test(name))
}

/** a pattern that is none, such as `[z-a]`, matches nothing */
function globToRegExp(glob: string): RegExp {
  const body = glob.replace(/\[[!^]?[^\]]*\]|[.+^${}()|\\[\]*?]/g, (m) =>
    m === '*' ? '.*' : m === '?' ? '.' : m.length > 1 ? m.replace(/^\[!/, '[^').replace(/\\/g, '\\\\') : `\\${m}`,
  )
  try {
    return new RegExp(`^${body}$`)
  } catch {
    return /$^/
  }
}
