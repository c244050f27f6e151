import { load_modules } from '../../kernel/include/linux/init.ts'
import type { net } from '../../kernel/include/net/net_namespace.ts'
import { failed, type HostCommand } from '../command.ts'
import { proc_net_names, proc_net_read } from './proc_net.ts'
import { sysctls } from './proc_sys.ts'
import { type Entry, sysClassNet } from './sys_class_net.ts'

/** what a path is: a text, a directory, an error, or nothing */
function look(n: net, path: string): Entry | null {
  const parts = path.split('/').filter((p) => p !== '')
  const p = parts.join('/')
  if (
    [
      '',
      'proc',
      'sys',
      'sys/class',
      'sys/class/net',
      'proc/sys',
      'proc/sys/net',
      'proc/net',
      'proc/self',
      'proc/self/net',
    ].includes(p)
  )
    return { directory: true }
  const file = /^proc\/(?:self\/)?net\/(\w+)$/.exec(p)?.[1]
  if (file !== undefined) {
    const text = proc_net_names(n).includes(file) ? proc_net_read(n, file) : null
    return text === null ? null : { text }
  }
  if (parts[0] === 'proc' && parts[1] === 'sys') {
    const key = parts.slice(2).join('/')
    const all = sysctls(n)
    const t = all.get(key)
    if (t !== undefined) return t.mode & 0o444 ? { text: `${t.read()}\n` } : { error: 'Permission denied' }
    return [...all.keys()].some((k) => k.startsWith(`${key}/`)) ? { directory: true } : null
  }
  return p.startsWith('sys/class/net/') ? sysClassNet(n, parts.slice(3)) : null
}

/** cat(1) of what the kernel shows below /proc/net, /proc/sys and /sys/class/net: this host has no other files */
export const cat: HostCommand = (host, words, netns) => {
  load_modules()
  const n = host.netns(netns)
  const files = words.slice(1)
  if (files.length === 0 || files.includes('-'))
    return failed('cat: there is no standard input on this host: name a file below /proc or /sys\n')
  const option = files.find((f) => f.startsWith('-'))
  if (option !== undefined) return failed(`cat: the option '${option}' is not there on this host\n`)
  let stdout = ''
  let stderr = ''
  for (const path of files) {
    const e = look(n, path)
    if (e === null) stderr += `cat: ${path}: No such file or directory\n`
    else if ('directory' in e) stderr += `cat: ${path}: Is a directory\n`
    else if ('error' in e) stderr += `cat: ${path}: ${e.error}\n`
    else stdout += e.text
  }
  return { status: stderr === '' ? 0 : 1, stdout, stderr }
}
