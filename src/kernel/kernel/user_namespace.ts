import { kfunc } from '../../trace/kfunc.ts'

// one user namespace, in which every id is itself

const map_id_range_down = kfunc('map_id_range_down', (map: unknown, id: number, count: number): number => id)

export const make_kuid = kfunc('make_kuid', (ns: unknown, uid: number): number => map_id_range_down(null, uid, 1))
export const make_kgid = kfunc('make_kgid', (ns: unknown, gid: number): number => map_id_range_down(null, gid, 1))
export const make_vfsuid = kfunc('make_vfsuid', (idmap: unknown, fs_userns: unknown, kuid: number): number => kuid)
export const make_vfsgid = kfunc('make_vfsgid', (idmap: unknown, fs_userns: unknown, kgid: number): number => kgid)
