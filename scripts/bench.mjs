// The figures of docs/performance.md: npm run bench
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const bin = join(root, 'bin/skbtrace.js')
const dir = mkdtempSync(join(tmpdir(), 'skbtrace-bench-'))
const say = (what, figure) => process.stdout.write(`${what.padEnd(58)} ${figure}\n`)
const millions = (n) => `${(n / 1e6).toFixed(2)} M/s`

/** milliseconds that a command takes: the median of many */
function median(args, env = process.env, times = 21) {
  const list = []
  for (let i = 0; i < times; i++) {
    const t = process.hrtime.bigint()
    const r = spawnSync(process.execPath, args, { stdio: 'ignore', env })
    list.push(Number(process.hrtime.bigint() - t) / 1e6)
    if (r.status !== 0) throw new Error(`${args.join(' ')}: exit ${r.status}`)
  }
  return list.sort((a, b) => a - b)[times >> 1]
}

/** the best figures of three runs: what else the machine does makes them worse, never better */
function best(run) {
  const list = [run(), run(), run()]
  return Object.fromEntries(Object.keys(list[0]).map((key) => [key, Math.max(...list.map((f) => f[key]))]))
}

/** peak resident memory of a command in MiB, from /proc while it runs */
function peak(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: 'ignore' })
    let most = 0
    const timer = setInterval(() => {
      try {
        most = Math.max(most, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0))
      } catch {}
    }, 20)
    child.on('exit', (status) => {
      clearInterval(timer)
      if (status === 0) resolve(most / 1024)
      else reject(new Error(`${args.join(' ')}: exit ${status}`))
    })
  })
}

try {
  say('machine', `${cpus()[0].model}, Node.js ${process.version}`)
  const { NODE_EXTRA_CA_CERTS: certificates, ...plain } = process.env
  const startUp = (env, note) => {
    const nothing = median(['-e', '0'], env)
    const send = median([bin, 'send', '--bytes', '4096'], env)
    say(`node -e 0${note}`, `${nothing.toFixed(1)} ms`)
    say(`skbtrace send --bytes 4096${note}`, `${send.toFixed(1)} ms = ${(send / nothing).toFixed(2)} x`)
  }
  // Node.js reads those certificates at every start, which can take longer than all the rest
  if (certificates !== undefined) startUp(process.env, ' (with NODE_EXTRA_CA_CERTS)')
  startUp(plain, '')

  const file = join(dir, 'kernel.mjs')
  await build({
    absWorkingDir: root,
    entryPoints: ['scripts/bench_kernel.ts'],
    outfile: file,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'warning',
  })
  const { measure } = await import(pathToFileURL(file))
  for (const [proto, bytes, sends] of [
    ['tcp', 4096, 8000],
    ['udp', 512, 12000],
  ]) {
    const graph = best(() => measure(proto, bytes, sends, 'full', false))
    const text = best(() => measure(proto, bytes, sends / 4, 'path', true))
    say(`${proto}, ${bytes} bytes, tracing off: frames`, `${Math.round(graph.framesPerSecond)} /s`)
    say(`${proto}, ${bytes} bytes, tracing off: calls`, millions(graph.callsPerSecond))
    say(`${proto}, ${bytes} bytes, function_graph (full) to /dev/null: calls`, millions(graph.tracedPerSecond))
    say(`${proto}, ${bytes} bytes, text to /dev/null: calls`, millions(text.tracedPerSecond))
  }
  for (const args of [['16M'], ['256M'], ['256M', '--format', 'function_graph', '--detail', 'full']]) {
    const to = join(dir, 'trace')
    const t = Date.now()
    const mib = await peak([bin, 'send', '--bytes', ...args, '-o', to])
    say(
      `send --bytes ${args.join(' ').replace('--format function_graph', 'function_graph')} -o FILE: peak memory`,
      `${mib.toFixed(0)} MiB, ${((Date.now() - t) / 1000).toFixed(1)} s, ${(statSync(to).size / 2 ** 20).toFixed(0)} MiB of trace`,
    )
  }

  // the same calls in each form, and what trace-cmd takes to print them; in turns, so that all have the same machine
  const long = ['send', '--bytes', '256M', '--detail', 'full', '--view', 'ftrace']
  const to = (name) => join(dir, name)
  const seconds = (command, args) => {
    const out = openSync(to('printed'), 'w')
    const t = process.hrtime.bigint()
    const r = spawnSync(command, args, { stdio: ['ignore', out, 'ignore'] })
    closeSync(out)
    if (r.error === undefined && r.status !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${r.status}`)
    return r.error === undefined ? Number(process.hrtime.bigint() - t) / 1e9 : Number.NaN
  }
  const forms = ['.graph', '.dat', '.perfetto.json', '.folded', '.speedscope.json', '.pcapng']
  const took = new Map()
  for (let i = 0; i < 3; i++) {
    const runs = forms.map((f) => [f, () => seconds(process.execPath, [bin, ...long, '-o', to(`trace${f}`)])])
    runs.push(['trace-cmd report', () => seconds('trace-cmd', ['report', '-i', to('trace.dat')])])
    for (const [name, run] of runs) took.set(name, Math.min(took.get(name) ?? Number.POSITIVE_INFINITY, run()))
  }
  for (const f of forms)
    say(
      `skbtrace ${long.join(' ')} -o trace${f}`,
      `${took.get(f).toFixed(1)} s, ${(statSync(to(`trace${f}`)).size / 2 ** 20).toFixed(0)} MiB`,
    )
  const report = took.get('trace-cmd report')
  say(
    'trace-cmd report -i trace.dat > FILE, the same calls',
    Number.isNaN(report) ? 'trace-cmd is not here' : `${report.toFixed(1)} s`,
  )
} finally {
  rmSync(dir, { recursive: true, force: true })
}
