import { readFileSync } from 'node:fs'
import { reasonOf } from '../../../formats/output.ts'
import { parseLine } from '../../../script/scenario.ts'
import { type Debugger, UserError } from '../debugger.ts'
import { save } from '../save.ts'
import { whatif } from '../whatif.ts'
import type { Verb } from './verb.ts'

function restart(d: Debugger, rest: string): void {
  const c = d.checkpoints.find((x) => String(x.id) === rest)
  if (c === undefined)
    throw new UserError(
      d.checkpoints.length === 0
        ? 'there are no checkpoints: checkpoint makes one'
        : `restart wants the number of a checkpoint (info checkpoints lists them), not '${rest}'`,
    )
  const dropped = d.session.lines.length - c.lines
  d.session.dropLines(c.lines)
  d.refresh()
  d.checkpoints = d.checkpoints.filter((x) => x.lines <= c.lines)
  d.toldAll()
  d.jump(Math.min(c.cursor, d.session.length))
  if (dropped > 0)
    d.say('text', `${dropped} line${dropped === 1 ? '' : 's'} that came later ${dropped === 1 ? 'is' : 'are'} gone.`)
}

/** runs the lines of a file as if they were typed */
export async function source(d: Debugger, path: string): Promise<void> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (e) {
    throw new UserError(`${path}: ${reasonOf(e)}`)
  }
  const lines = text.split(/\r?\n/)
  const wanted: string[] = []
  lines.forEach((l, i) => {
    try {
      if (parseLine(l, i + 1) !== null) wanted.push(l)
    } catch (e) {
      throw new UserError(`${path}:${i + 1}: ${e instanceof Error ? e.message : String(e)}`)
    }
  })
  try {
    await d.run(wanted)
  } catch (e) {
    if (!(e instanceof UserError)) throw e
    throw new UserError(`${path}: ${e.message}`)
  }
}

export const managing: readonly Verb[] = [
  {
    names: ['whatif', 'wi'],
    usage: 'whatif LINE',
    summary: 'does something at the cursor that was not done, runs on, and shows how the two futures differ',
    more: `A command of the host (ip, tc, ethtool, nft, sysctl) changes its setting in the middle of whatever runs; a system call needs the
beginning of a line. The session stays as it is.`,
    examples: [
      'whatif ethtool -K eth0 tso off',
      'whatif tc qdisc replace dev eth0 root pfifo limit 1',
      'whatif setsockopt(c, SOL_TCP, TCP_NODELAY, 1)',
    ],
    group: 'session',
    run: whatif,
  },
  {
    names: ['checkpoint', 'ch'],
    usage: 'checkpoint',
    summary: 'remembers this place and the lines up to now',
    examples: ['checkpoint', 'restart 1'],
    group: 'session',
    run: (d) => {
      const c = { id: d.nextId('checkpoint'), lines: d.session.lines.length, cursor: d.cursor }
      d.checkpoints.push(c)
      d.say('text', `Checkpoint ${c.id}: line ${c.lines}, event ${c.cursor}`)
    },
  },
  {
    names: ['restart'],
    usage: 'restart N',
    summary: 'goes back to a checkpoint: the lines that came later are gone',
    examples: ['restart 1'],
    group: 'session',
    run: restart,
  },
  {
    names: ['forget'],
    usage: 'forget',
    summary: 'lets go of what was recorded, and of its memory; the host and the lines stay',
    examples: ['forget'],
    group: 'session',
    run: (d) => {
      const { events, buffers, state } = d.session.memory
      d.session.forget()
      d.checkpoints = []
      d.previous = -1
      d.cursor = 0
      d.refresh()
      d.toldAll()
      d.say(
        'text',
        `${((events + buffers + state) / 1048576).toFixed(1)} MiB are free again. Events are numbered from 0 from here on.`,
      )
    },
  },
  {
    names: ['save'],
    usage: 'save FILE.scn|FILE.jsonl|FILE.pcapng|…',
    summary: 'writes the session as a scenario, or what it traces in any format of skbtrace run -o',
    examples: ['save walk.scn', 'save walk.pcapng', 'save walk.jsonl.gz'],
    takes: 'file',
    group: 'session',
    run: save,
  },
  {
    names: ['source'],
    usage: 'source FILE.scn',
    summary: 'runs the lines of a scenario',
    examples: ['source walk.scn'],
    takes: 'file',
    group: 'session',
    run: async (d, rest) => {
      if (rest === '') throw new UserError('source wants a file')
      await source(d, rest)
    },
  },
]
