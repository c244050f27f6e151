import { asText } from './text.ts'

/** layers from the top of the stack to its bottom */
const ORDER = ['socket', 'AF_UNIX', 'TCP', 'UDP', 'ICMP', 'IP', 'netfilter', 'neighbour', 'device', 'qdisc', 'driver']
/** what a page of Markdown can take, and a reader: lines of the diagram, and characters */
const LINES = 150
const CHARACTERS = 40_000

interface Participant {
  readonly id: string
  readonly host: string
  readonly name: string
  /** where it stands among those of its host: the program first */
  readonly rank: number
}

/** A sequence diagram that grows until it is too long to be read; what comes then is counted. */
export class Sequence {
  readonly #participants = new Map<string, Participant>()
  readonly #hosts: string[] = []
  readonly #lines: string[] = []
  #characters = 0
  #left = 0
  #wire = false

  /** a program (rank -1), or a layer of a host, '' being the host itself */
  participant(host: string, name: string, program: boolean): string {
    const key = `${host}\n${name}`
    let p = this.#participants.get(key)
    if (p === undefined) {
      if (!this.#hosts.includes(host)) this.#hosts.push(host)
      const rank = program ? -1 : ORDER.indexOf(name)
      p = { id: `p${this.#participants.size + 1}`, host, name, rank: rank < 0 && !program ? ORDER.length : rank }
      this.#participants.set(key, p)
    }
    return p.id
  }

  #line(text: string): void {
    if (this.#lines.length >= LINES || this.#characters + text.length > CHARACTERS) {
      this.#left++
      return
    }
    this.#lines.push(text)
    this.#characters += text.length
  }

  call(from: string, to: string, text: string): void {
    this.#line(`${from}->>${to}: ${asText(text)}`)
  }
  result(from: string, to: string, text: string): void {
    this.#line(`${from}-->>${to}: ${asText(text)}`)
  }
  note(at: string, text: string): void {
    this.#line(`Note over ${at}: ${asText(text)}`)
  }
  /** a frame leaves a device, or comes in at one; null: where there is no wire. `words`: a line each */
  frame(direction: 'in' | 'out' | null, at: string, words: readonly string[]): void {
    const text = words.map(asText).join('<br/>')
    if (direction === null) this.#line(`Note over ${at}: ${text}`)
    else this.#line(direction === 'out' ? `${at}-)wire: ${text}` : `wire-)${at}: ${text}`)
    this.#wire ||= direction !== null
  }

  /** the diagram; `title` is what was traced */
  text(title: string): string {
    let out = `sequenceDiagram\n  title ${asText(title)}\n`
    this.#hosts.forEach((host, i) => {
      const own = [...this.#participants.values()].filter((p) => p.host === host).sort((a, b) => a.rank - b.rank)
      // the sender's stack stands from its program down to the wire, another's from the wire up
      if (i > 0) own.reverse()
      out += `  box transparent ${asText(host === '' ? 'host' : `netns ${host}`)}\n`
      for (const p of own) out += `    participant ${p.id} as ${asText(p.name)}\n`
      out += '  end\n'
      if (i === 0 && this.#wire) out += '  participant wire\n'
    })
    for (const l of this.#lines) out += `  ${l}\n`
    const [first] = this.#participants.values()
    if (this.#left > 0 && first !== undefined)
      out += `  Note over ${first.id}: cut here, ${this.#left} more messages and notes are not shown\n`
    return out
  }
}
