import { spawnSync } from 'node:child_process'

/** whether a program is installed here: some tests check against Wireshark's tools where they are */
export const hasTool = (name: string): boolean => spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined
