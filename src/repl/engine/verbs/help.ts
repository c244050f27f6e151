import { callNames } from '../../../script/calls.ts'
import { commandNames } from '../../../script/scenario.ts'
import { type Debugger, UserError } from '../debugger.ts'
import { wrapValue } from '../print.ts'
import { scopeCalls, scopeNames } from '../scope.ts'
import { wrapText, wrapWords } from '../text.ts'
import type { Verb } from './verb.ts'

const groups: readonly (readonly [Verb['group'], string])[] = [
  ['host', 'The host'],
  ['stopping', 'Where to stop'],
  ['moving', 'Moving, forward and back'],
  ['looking', 'Looking'],
  ['session', 'The session'],
]

const wrap = (d: Debugger, text: string): string => wrapText(text, d.width)

function overview(d: Debugger, verbs: readonly Verb[]): string {
  const lines = [
    wrapWords(
      "A line is a system call as strace writes it, send(c, 4096, 0); a command of the host, ip link; or one of these words, or the beginning of one. An empty line does the last step again. 'help WORD' tells more, with examples.",
      d.width,
      0,
    ),
  ]
  for (const [group, title] of groups) {
    lines.push('', `${title}:`)
    for (const v of verbs)
      if (v.group === group)
        lines.push(`  ${`${v.names[0]}${v.names.length > 1 ? ` (${v.names[1]})` : ''}`.padEnd(22)}${v.summary}`)
  }
  lines.push('', 'Also: help calls, help commands, help expressions; quit, or Ctrl-D, leaves.')
  return wrap(d, lines.join('\n'))
}

/** the verb that describes all others */
export function makeHelp(all: () => readonly Verb[]): Verb {
  return {
    names: ['help', 'h'],
    usage: 'help [WORD]',
    summary: 'tells what there is, or more about one word',
    examples: ['help', 'help break', 'help expressions'],
    takes: 'verb',
    group: 'session',
    run: (d, rest) => {
      const verbs = all()
      if (rest === '') {
        d.say('help', overview(d, verbs))
        return
      }
      switch (rest) {
        case 'calls':
          d.say(
            'help',
            wrap(
              d,
              `System calls, as strace writes them; docs/scenarios.md has their arguments:\n  ${callNames().join(' ')}\n  l = socket(AF_INET, SOCK_STREAM, 0)\n  > send(c, 4096, MSG_MORE)     '>' marks what a saved scenario traces\n  bind(l, 10.0.0.2:80) @peer    in the network namespace peer`,
            ),
          )
          return
        case 'commands':
          d.say(
            'help',
            wrap(
              d,
              `Commands of the host:\n  ${commandNames.join(' ')}\n  hw eth0 e1000                 plugs in a card, with a cable to peer\n  ip addr add 10.0.0.1/24 dev eth0\n  ip -n peer link set eth0 up\n  tc qdisc replace dev eth0 root fq_codel`,
            ),
          )
          return
        case 'expressions': {
          const rows = [
            ...Object.entries(scopeNames).map(([n, what]) => `  ${n.padEnd(10)}${what}`),
            ...Object.values(scopeCalls).map((c) => `  ${c}`),
          ]
          d.say(
            'help',
            `Names in expressions, besides the arguments of the function:\n${rows.map((r) => wrapValue(r, d.width)).join('\n')}`,
          )
          return
        }
      }
      const found = verbs.find((v) => v.names.includes(rest)) ?? only(verbs.filter((v) => v.names[0].startsWith(rest)))
      if (found === undefined) throw new UserError(`no help for '${rest}': help lists all words`)
      const others = found.names.slice(1)
      const text = [
        found.usage,
        `  ${found.summary}.`,
        ...(found.more === undefined ? [] : [`  ${found.more.replaceAll('\n', ' ')}`]),
        ...(others.length === 0 ? [] : [`  Also: ${others.join(', ')}`]),
        'Examples:',
        ...found.examples.map((e) => `  ${e}`),
      ]
      d.say('help', wrap(d, text.join('\n')))
    },
  }
}

const only = <T>(list: readonly T[]): T | undefined => (list.length === 1 ? list[0] : undefined)
