import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

interface Node {
  name: string
  children: Node[]
}
/** what the score reads traces with: fixtures/score/graph.mjs has no types */
interface Graph {
  parse(text: string): Node[]
  normalize(roots: Node[], scope: 'net' | 'full'): Node[]
  print(roots: Node[]): string
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const graph = (await import(new URL('../../fixtures/score/graph.mjs', import.meta.url).href)) as Graph

const SCENARIO = `> l = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
> bind(l, 127.0.0.1:8080)
> listen(l, 8)
c = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
> connect(c, 127.0.0.1:8080)
> s = accept(l)
> setsockopt(c, SOL_TCP, TCP_NODELAY, 1)
> writev(c, [100,200])
> send(c, EFAULT/10, 0)
> send(c, 1, MSG_OOB)
> recv(s, 1000, MSG_PEEK)
> read(s, 1000)
f = open("/tmp/f", 5000)
> sendfile(c, f, 9000)
> fcntl(c, F_SETFL, O_NONBLOCK)
> shutdown(c, SHUT_WR)
> close(s)
> close(c)
> close(l)
> close(f)
> socketpair(AF_UNIX, SOCK_STREAM, 0)
`

const traces = (detail: string): string[] => {
  const args = ['bin/skbtrace.js', 'run', '-', '--format', 'function_graph', '--view', 'ftrace', '--detail', detail]
  const r = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', input: SCENARIO, maxBuffer: 1 << 26 })
  expect(r.stderr).toBe('')
  return r.stdout.split(/^(?=# > )/m).slice(1)
}

test('--detail net keeps of every call what the recordings keep in calls.txt', () => {
  const net = traces('net')
  const full = traces('full')
  expect(net.length).toBe(SCENARIO.match(/^>/gm)?.length)
  for (const [i, text] of full.entries()) {
    const [title = ''] = text.split('\n')
    const want = graph.print(graph.normalize(graph.parse(text), 'net'))
    expect(want, title).not.toBe('\n')
    expect(graph.print(graph.normalize(graph.parse(net[i] ?? ''), 'net')), title).toBe(want)
  }
})
