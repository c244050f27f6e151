// Writes the excerpt and the session of the README anew, from what the program prints now: node scripts/excerpt.mjs [PROGRAM]
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const program = process.argv[2] ?? join(root, 'bin/skbtrace.js')
const mark = '<!-- excerpt: skbtrace send --bytes 4096 -->'
const { stdout } = spawnSync(process.execPath, [program, 'send', '--bytes', '4096'], { encoding: 'utf8' })
const lines = stdout.split('\n')
/** from the line that has `first` to the one before `last` */
const part = (first, last) => {
  const from = lines.findIndex((l) => l.includes(first))
  const to = lines.findIndex((l, i) => i > from && l.includes(last))
  return lines.slice(from, to)
}
const excerpt = [
  ...part('# > send', 'tcp_v4_send_check'),
  '...',
  ...part('__ip_local_out();', 'skb_dst(skb)->output'),
  '...',
  ...part('dev_hard_start_xmit() {', 'eth_type_trans'),
  '...',
  ...part('# ---- softirq', '__netif_receive_skb_one_core'),
  '...',
  ...part(' tcp_v4_rcv() {', 'tcp_data_queue'),
  '...',
]
const block = (lines) => lines.map((l) => `    ${l}`.trimEnd()).join('\n')
let readme = readFileSync(join(root, 'README.md'), 'utf8')
/** puts `text` between what `from` and `to` stand for */
const replace = (from, to, text) => {
  const at = readme.indexOf(from) + from.length
  readme = `${readme.slice(0, at)}\n\n${text}\n${readme.slice(readme.indexOf(to, at))}`
}
replace(mark, '\n`~` marks', block(excerpt))

/** what is typed, and how many lines of the answer are kept */
const session = [
  ['hw eth0 e1000', 0],
  ['ip addr add 10.0.0.1/24 dev eth0', 0],
  ['ip link set eth0 up', 0],
  ['ip -n peer addr add 10.0.0.2/24 dev eth0', 0],
  ['ip -n peer link set eth0 up', 0],
  ['wait 4000', 0],
  ['connect 10.0.0.2', 0],
  ['break ip_queue_xmit', 9],
  ['send 4096', 9],
  ['step', 1],
  ['x/40xb skb.data', 9],
  ['reverse-next', 1],
  ['continue', 9],
  ['reverse-continue', 1],
  ['whatif ethtool -K eth0 tso off', 16],
]
/** a value of its own between two answers says where one ends */
const border = /^\$\d+ = 123456789$/
const typed = session.map(([line]) => `${line}\nprint 123456789\n`).join('')
const repl = spawnSync(process.execPath, [program, 'repl'], { encoding: 'utf8', input: typed })
const answers = [[]]
for (const l of repl.stdout.split('\n')) border.test(l) ? answers.push([]) : answers.at(-1).push(l)
const shown = session.flatMap(([line, most], i) => {
  const answer = answers[i]
  return [`(skbtrace) ${line}`, ...answer.slice(0, most), ...(answer.length > most ? ['...'] : [])]
})
replace('<!-- session: skbtrace repl -->', '\n<!-- end of the session -->', block(shown))
writeFileSync(join(root, 'README.md'), readme)
