import { kfunc } from '../../../trace/kfunc.ts'

// everything is built in: a module is never going away, and `owner` (THIS_MODULE) is null

export const try_module_get = kfunc('try_module_get', (module: unknown): boolean => true)
export const __module_get = kfunc('__module_get', (module: unknown): void => {})
export const module_put = kfunc('module_put', (module: unknown): void => {})
