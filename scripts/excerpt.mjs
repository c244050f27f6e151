// Writes the excerpt of the README anew, from what the program prints now: node scripts/excerpt.mjs
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const mark = '<!-- excerpt: skbtrace send --bytes 4096 -->'
const { stdout } = spawnSync(process.execPath, [join(root, 'bin/skbtrace.js'), 'send', '--bytes', '4096'], { encoding: 'utf8' })
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
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const from = readme.indexOf(mark) + mark.length
const to = readme.indexOf('\n`~` marks', from)
writeFileSync(
  join(root, 'README.md'),
  `${readme.slice(0, from)}\n\n${excerpt.map((l) => `    ${l}`.trimEnd()).join('\n')}\n${readme.slice(to)}`,
)
