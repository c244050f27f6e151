import { decode } from '../decode/decode.ts'
import type { CardEvent, Value } from '../trace/tracer.ts'
import { summary } from './packet.ts'
import { wrap } from './wrap.ts'

/** of what a card does again and again, the first are shown */
const FIRST_DESCRIPTORS = 4
const FIRST_FRAMES = 2

const nameOf = (e: CardEvent): string => `${e.device}${e.netns === '' ? '' : ` in ${e.netns}`}`

const fieldsOf = (fields: Readonly<Record<string, Value>>): string =>
  Object.entries(fields)
    .filter(([name, value]) => name !== 'type' && !(name === 'errors' && value === 0))
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')

/** Tells what cards read from their rings and put on the wire, in the words of their manuals. */
export class CardNotes {
  readonly #all: boolean
  #descriptors = 0
  #more = 0
  #wire = 0
  #wireMore = 0
  #wireBytes = 0
  #received = 0
  #receivedMore = 0
  #receivedBy = ''

  /** `all`: nothing is only counted */
  constructor(all: boolean) {
    this.#all = all
  }

  card(e: CardEvent): string {
    switch (e.what) {
      case 'register': {
        this.#descriptors = this.#wire = this.#received = 0
        const note = this.held()
        return e.name === 'TDT'
          ? `${note}# ${nameOf(e)} is told TDT ${e.index}, and reads its tx ring from TDH ${e.fields.TDH ?? 0} on:\n`
          : `${note}# ${nameOf(e)} is told ${e.name} ${e.index}:\n`
      }
      case 'descriptor':
        return e.name === 'tx' ? this.#descriptor(e) : this.#receive(e)
      case 'header':
        if (this.#more > 0) return ''
        return wrap('#         virtio_net_hdr ', fieldsOf(e.fields))
      case 'wire':
        return this.#frame(e)
      case 'lost':
        return `${this.held()}# LOST ${e.fields.where ?? ''}: ${brief(e.bytes, false)}\n`
    }
  }

  #descriptor(e: CardEvent): string {
    if (++this.#descriptors > FIRST_DESCRIPTORS && !this.#all) {
      this.#more++
      return ''
    }
    const type = e.fields.type === undefined ? '' : String(e.fields.type).padEnd(8)
    return wrap(`#   ${`[${e.index}]`.padEnd(5)} ${type}`, fieldsOf(e.fields))
  }

  #frame(e: CardEvent): string {
    const n = e.bytes?.length ?? 0
    if (++this.#wire > FIRST_FRAMES && !this.#all) {
      this.#wireMore++
      this.#wireBytes += n
      return ''
    }
    return `${this.#heldDescriptors()}# on the wire: ${brief(e.bytes, true)}\n`
  }

  #receive(e: CardEvent): string {
    if (++this.#received > FIRST_FRAMES && !this.#all) {
      this.#receivedMore++
      this.#receivedBy = nameOf(e)
      return ''
    }
    return `${this.#heldDescriptors()}# ${nameOf(e)} fills rx ring [${e.index}]: ${fieldsOf(e.fields)}\n`
  }

  #heldDescriptors(): string {
    if (this.#more === 0) return ''
    const n = this.#more
    this.#more = 0
    return `#   and ${n} more descriptor${n === 1 ? '' : 's'}\n`
  }

  /** what was only counted so far */
  held(): string {
    if (this.#more === 0 && this.#wireMore === 0 && this.#receivedMore === 0) return ''
    let out = this.#heldDescriptors()
    if (this.#wireMore > 0)
      out += `# on the wire: ${this.#wireMore} more frame${this.#wireMore === 1 ? '' : 's'}, ${this.#wireBytes} bytes\n`
    if (this.#receivedMore > 0) out += `# ${this.#receivedBy} fills ${this.#receivedMore} more of its rx ring\n`
    this.#wireMore = this.#wireBytes = this.#receivedMore = 0
    return out
  }
}

/** a frame in a line; `sums`: whether its checksum is complete */
function brief(bytes: Uint8Array | null, sums: boolean): string {
  if (bytes === null) return ''
  const parts = decode(bytes, 'Ethernet', bytes.length)
  const tcp = parts.find((p) => p.protocol === 'TCP')
  const get = (name: string): string => tcp?.fields.find((f) => f.name === name)?.meaning ?? ''
  const payload = parts.find((p) => p.protocol === 'payload')?.length ?? 0
  const check = sums && get('check').endsWith('correct') ? ', check correct' : ''
  const what =
    tcp === undefined ? summary(parts) : `seq ${get('seq')}, ${payload === 0 ? get('flags') : `${payload} of payload`}${check}`
  return `${bytes.length} bytes, ${what}`
}
