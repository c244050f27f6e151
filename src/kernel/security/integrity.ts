import { kfunc } from '../../trace/kfunc.ts'
import type { file, inode } from '../include/linux/fs.ts'

// security/integrity/{ima,evm}: without a policy they do no more than be asked

export const ima_file_free = kfunc('ima_file_free', (file: file): void => {})
export const ima_inode_free_rcu = kfunc('ima_inode_free_rcu', (inode_security: object): void => {})
export const evm_file_release = kfunc('evm_file_release', (file: file): void => {})
export const evm_inode_alloc_security = kfunc('evm_inode_alloc_security', (inode: inode): number => 0)
