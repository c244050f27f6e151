// node scripts/record/record.mjs MACHINE OUT SCENARIO.scn...
// Runs scenarios on a real Linux 6.12.117, in the machine that machine.sh made in the folder MACHINE, and writes what it did to OUT/NAME
// in the form of fixtures/refs: docs/recording.md.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { normalize, parse, print } from '../../fixtures/score/graph.mjs'
import { buffers, kprobes } from './probes.mjs'
import { program } from './program.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const [machine, out, ...files] = process.argv.slice(2)
if (machine === undefined || out === undefined || files.length === 0) {
  console.error('usage: record.mjs MACHINE OUT SCENARIO.scn...')
  process.exit(2)
}
const fail = (message) => {
  console.error(`record: ${message}`)
  process.exit(1)
}
const job = mkdtempSync(join(resolve(machine), 'job-'))

// what a first packet makes for the whole machine is made before: random numbers, IPv6, a file system
const warm = new Map([
  [
    'warm4',
    'l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)\nbind(l, 127.0.0.1:1)\nlisten(l, 1)\nc = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)\nconnect(c, 127.0.0.1:1)\nf = open("/tmp/f", 100)\nsendfile(c, f, 100)',
  ],
  ['warm6', 'u = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP)\nsendto(u, 1, 0, [::1]:9)'],
])
const scenarios = new Map(
  files.map((f) => [
    basename(f) === 'scenario.scn' ? basename(dirname(resolve(f))) : basename(f, '.scn'),
    readFileSync(f, 'utf8'),
  ]),
)

function compile(name, text) {
  const source = join(job, `${name}.c`)
  writeFileSync(source, program(text))
  const cc = spawnSync('gcc', ['-I', here, '-O1', '-w', '-static', '-o', join(job, `x-${name}`), source], { encoding: 'utf8' })
  if (cc.status !== 0) fail(`${name}: ${cc.stderr}`)
}

/** the shell lines that run one scenario once, between making its two hosts and taking them down */
function run(name, text, mode) {
  // as SCENARIOS.md has it: IPv6 is off unless the scenario names it, and without duplicate address detection
  const six = /AF_INET6| -6 /.test(text)
  const conf = (name, value) => ['all', 'default'].map((which) => `net.ipv6.conf.${which}.${name}=${value}`).join(' ')
  const sysctls = six
    ? `${conf('accept_dad', 0)} ${conf('accept_ra', 0)} net.ipv6.conf.default.router_solicitations=0`
    : conf('disable_ipv6', 1)
  return [
    `mkdir -p /h/${name}; ip netns add host; ip netns add peer`,
    `for n in host peer; do ip -n $n link set lo up; ip netns exec $n sysctl -qw ${sysctls}; done`,
    ...(mode === 'skb' ? ['echo 1 >/t/events/k/enable'] : []),
    `/h/x-${name} ${mode} /h/${name} 2>&1 | sed 's/^/${name} ${mode}: /'`,
    ...(mode === 'skb' ? ['echo 0 >/t/events/k/enable'] : []),
    // a namespace lives as long as its last connection: cards are taken out of it first
    ...(/^hw /m.test(text)
      ? ['host', 'peer'].map((n) => `ip -n ${n} link set eth0 down; ip -n ${n} link set eth0 netns 1 name ${n}card`)
      : []),
    'ip netns del host; ip netns del peer; sleep 0.3',
  ]
}

/** the runs of a timer's function, wherever they stand */
function runsOf(roots, fn) {
  return roots.flatMap((n) => (n.name === fn ? [n] : runsOf(n.children, fn)))
}

function collect(name, text) {
  const from = join(job, name)
  const read = (file) => (existsSync(join(from, file)) ? readFileSync(join(from, file), 'utf8') : '')
  const heads = read('heads-graph')
    .split('\n')
    .filter((l) => l !== '')
  const calls = read('graph.raw')
    .split(/^.*\/\* CALL \d+ \*\/.*$/m)
    .slice(1)
  if (
    heads.length === 0 ||
    calls.length < heads.length ||
    !existsSync(join(from, 'wire.pcap')) ||
    !existsSync(join(from, 'skb.raw'))
  )
    return console.error(`${name}: not recorded, see ${join(job, 'job.out')}`)
  const to = join(out, name)
  mkdirSync(to, { recursive: true })
  writeFileSync(join(to, 'scenario.scn'), text)
  writeFileSync(join(to, 'results.txt'), read('results-graph'))
  for (const [scope, file] of [
    ['net', 'calls.txt'],
    ['full', 'calls-full.txt'],
  ])
    writeFileSync(
      join(to, file),
      heads
        .map((head, i) => {
          const roots = parse(calls[i])
          const timer = /^timer\((\w+),/.exec(head)
          return `# > ${head}\n${print(normalize(timer === null ? roots : runsOf(roots, timer[1]), scope)).replace(/^\n$/, '')}`
        })
        .join(''),
    )
  writeFileSync(join(to, 'skb.jsonl'), buffers(read('skb.raw')))
  copyFileSync(join(from, 'wire.pcap'), join(to, 'wire.pcap'))
}

const lines = [
  'sysctl -qw kernel.printk="3 4 1 3"',
  'echo 0 >/t/tracing_on',
  'while read -r l; do echo "$l" >>/t/kprobe_events; done </h/kprobes',
]
writeFileSync(join(job, 'kprobes'), `${kprobes(join(here, '../../fixtures/kernel')).join('\n')}\n`)
for (const [name, text] of warm) {
  compile(name, text)
  lines.push(...run(name, text, 'quiet'))
}
for (const [name, text] of scenarios) {
  compile(name, text)
  for (const mode of ['graph', 'skb', 'wire']) lines.push(...run(name, text, mode))
}
writeFileSync(join(job, 'job.sh'), `${lines.join('\n')}\n`)
const nic = (id, hub, mac) => ['-netdev', `hubport,id=${id},hubid=${hub}`, '-device', `e1000,netdev=${id},mac=${mac}`]
const tap = (id, name, mac) => [
  '-netdev',
  `tap,id=${id},ifname=${name},script=no,downscript=no`,
  '-device',
  `virtio-net-pci,netdev=${id},mac=${mac}`,
]
const qemu = spawnSync(
  'ip',
  [
    ...['netns', 'exec', 'skbtrace-record', 'qemu-system-x86_64', '-machine', 'pc', '-accel', 'tcg', '-smp', '1', '-m', '2000'],
    // time is a count of instructions, and waiting takes none
    ...['-icount', 'shift=0,sleep=off', '-nographic', '-no-reboot'],
    ...['-kernel', join(machine, 'vmlinuz'), '-initrd', join(machine, 'initrd')],
    '-append',
    'console=ttyS0 quiet lsm=landlock,lockdown,yama,integrity rdinit=/init panic=-1 net.ifnames=0',
    ...['-virtfs', `local,path=${job},mount_tag=h,security_model=none,multidevs=remap`],
    ...nic('h1', 1, '52:54:00:00:e1:01'),
    ...nic('h2', 1, '52:54:00:00:e1:02'),
    ...tap('t1', 'tap0', '52:54:00:00:f1:01'),
    ...tap('t2', 'tap1', '52:54:00:00:f1:02'),
  ],
  { encoding: 'utf8', maxBuffer: 1 << 26 },
)
if (qemu.error !== undefined || qemu.status !== 0) fail(qemu.error?.message ?? qemu.stderr)
for (const [name, text] of scenarios) collect(name, text)
const said = readFileSync(join(job, 'job.out'), 'utf8')
  .split('\n')
  .filter((l) => [...scenarios.keys()].some((n) => l.startsWith(`${n} `)))
if (said.length > 0) console.error(said.join('\n'))
else rmSync(job, { recursive: true })
