import { kfunc } from '../../../trace/kfunc.ts'

export { rw_semaphore } from '../../include/linux/mutex.ts'
export { down_read_trylock, up_read } from './mutex.ts'

/** anything may stand for the semaphore: nobody waits for one here */
export const __init_rwsem = kfunc('__init_rwsem', (_sem: unknown, _name?: string, _key?: unknown): void => {})
export const init_rwsem = (sem: unknown): void => __init_rwsem(sem)

export const down_write = kfunc('down_write', (_sem: unknown): void => {})
export const up_write = kfunc('up_write', (_sem: unknown): void => {})
