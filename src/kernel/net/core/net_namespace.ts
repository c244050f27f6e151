import { random } from '../../../sim/random.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { IFF_UP } from '../../include/generated/enums.ts'
import { early_initcall } from '../../include/linux/init.ts'
import { IS_ERR } from '../../include/linux/types.ts'
import { net } from '../../include/net/net_namespace.ts'
import { dev_change_flags, for_each_net_register } from './dev.ts'

/** struct pernet_operations: what a subsystem does when a namespace comes and goes */
export interface pernet_operations {
  init?: (n: net) => number
  pre_exit?: (n: net) => void
  exit?: (n: net) => void
  exit_batch?: (net_exit_list: net[]) => void
}

/** the first namespace */
export let init_net: net = new net()
/** all that live, first to last */
let net_namespace_list: net[] = []
/** subsystems first, devices after them: the part before first_device */
let pernet_list: pernet_operations[] = []
let first_device = 0
let next_inum = 0xf0000000
let net_cookie = 0

early_initcall(() => {
  net_namespace_list = []
  pernet_list = []
  first_device = 0
  next_inum = 0xf0000000
  net_cookie = 0
  init_net = new net()
  for_each_net_register(() => net_namespace_list)
  preinit_net(init_net)
  setup_net(init_net)
})

/** what every namespace has before its subsystems are asked */
function preinit_net(n: net): void {
  n.hash_mix = random.u32()
  n.ns.inum = next_inum++
  n.ns.count = 1
}

/** Asks every subsystem and makes the devices that every namespace has. @returns 0 or the first error, with all undone */
export const setup_net = kfunc('setup_net', (n: net): number => {
  n.net_cookie = ++net_cookie
  for (const [i, ops] of pernet_list.entries()) {
    const error = ops.init?.(n) ?? 0
    if (error >= 0) continue
    for (let j = i - 1; j >= 0; j--) ops_exit(pernet_list[j], n)
    return error
  }
  net_namespace_list.push(n)
  return 0
})

function ops_exit(ops: pernet_operations | undefined, n: net): void {
  ops?.pre_exit?.(n)
  ops?.exit?.(n)
  ops?.exit_batch?.([n])
}

/** A new namespace, as unshare(CLONE_NEWNET) makes one. @returns an error in the place of the namespace when there is none */
export function copy_net_ns(name: string): net | number {
  const n = new net()
  n.name = name
  preinit_net(n)
  const rv = setup_net(n)
  return rv < 0 ? rv : n
}

/**
 * A new namespace with its `lo` up, as `ip netns add` and `ip link set lo up` leave it.
 * @throws Error when a subsystem refuses
 */
export function create_net(name: string): net {
  const n = copy_net_ns(name)
  if (IS_ERR(n)) throw new Error(`namespace '${name}': error ${n}`)
  dev_change_flags(n.loopback_dev, n.loopback_dev.flags | IFF_UP)
  return n
}

/** Forgets every namespace: the machine is switched off. */
export function destroy_nets(): void {
  net_namespace_list = []
  pernet_list = []
  first_device = 0
}

/** ends a namespace that nobody uses: devices first, then what subsystems keep */
export function cleanup_net(n: net): void {
  net_namespace_list = net_namespace_list.filter((other) => other !== n)
  for (let j = pernet_list.length - 1; j >= 0; j--) pernet_list[j]?.pre_exit?.(n)
  for (let j = pernet_list.length - 1; j >= 0; j--) pernet_list[j]?.exit?.(n)
  for (let j = pernet_list.length - 1; j >= 0; j--) pernet_list[j]?.exit_batch?.([n])
}

function register_pernet_operations(at: number, ops: pernet_operations): number {
  pernet_list.splice(at, 0, ops)
  for (const n of net_namespace_list) {
    const error = ops.init?.(n) ?? 0
    if (error < 0) return error
  }
  return 0
}

/** runs `ops.init` for every namespace, now and when it is made */
export const register_pernet_subsys = kfunc('register_pernet_subsys', (ops: pernet_operations): number =>
  register_pernet_operations(first_device++, ops),
)
/** the same, after all subsystems: for devices that every namespace has */
export const register_pernet_device = kfunc('register_pernet_device', (ops: pernet_operations): number =>
  register_pernet_operations(pernet_list.length, ops),
)

/** the last one out of a namespace other than the first ends it */
export const put_net = kfunc('put_net', (n: net): void => {
  if (--n.ns.count === 0) __put_net(n)
})
export const __put_net = kfunc('__put_net', (n: net): void => cleanup_net(n))
/** is it still in use? */
export const check_net = (n: net): boolean => n.ns.count !== 0
export { net_hash_mix } from '../../include/net/net_namespace.ts'
