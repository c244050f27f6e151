import type { Setting } from './stage.ts'
import type { Result, Way } from './ways.ts'

/** A way and what it took. */
interface Row {
  way: Way
  result: Result
}

const LABEL = 16
const CELL = 9
const WIDTH = 79

const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',')
/** the same in a cell, with a blank before it */
const cell = (n: number): string => (n < 1e6 ? count(n) : `${(n / 1e6).toFixed(2)}M`)
const times = (n: number, bytes: number): string => (n === 0 ? '-' : (n / bytes).toFixed(1))
const us = (ns: number | null): string => (ns === null ? '-' : ns < 1e7 ? (ns / 1000).toFixed(1) : cell(Math.round(ns / 1000)))

/** what the processor copied from a place or to a place that matches */
const copied = (r: Result, test: RegExp): number => {
  let n = 0
  for (const [way, bytes] of r.taken.copies) if (test.test(way)) n += bytes
  return n
}
const OWN_WRITE = /card memory/
const FROM_USER = /^user to (?!card memory)/
const INSIDE = /^(?!user to ).*(?<! to user)$/

/** the lines of the table: what they are called, and their number */
const lines: readonly (readonly [string, (r: Result, bytes: number) => string])[] = [
  ['system calls', (r) => cell(r.taken.systemCalls)],
  ['functions', (r) => cell(r.taken.functions)],
  ['  calls of them', (r) => cell(r.taken.calls)],
  ['instructions', (r) => cell(r.taken.instructions)],
  ['  a byte', (r, bytes) => (r.taken.instructions / bytes).toFixed(r.taken.instructions < 1000 * bytes ? 2 : 0)],
  ['copied to kernel', (r, bytes) => times(copied(r, FROM_USER), bytes)],
  ['  in the kernel', (r, bytes) => times(copied(r, INSIDE), bytes)],
  ['  by program', (r, bytes) => times(copied(r, OWN_WRITE), bytes)],
  ['  by card (DMA)', (r, bytes) => times(r.taken.fetched, bytes)],
  ['summed by CPU', (r, bytes) => times(r.taken.summed, bytes)],
  ['sk_buffs', (r) => cell(r.taken.skbs)],
  ['  clones of them', (r) => cell(r.taken.clones)],
  ['pages', (r) => cell(r.taken.pages)],
  ['tx descriptors', (r) => cell(r.taken.descriptors)],
  ['frames', (r) => cell(r.taken.frames)],
  ['interrupts', (r) => cell(r.taken.interrupts)],
  ['first frame, us', (r) => us(r.taken.firstFrame)],
  ['last frame, us', (r) => us(r.taken.lastFrame)],
]

const HEADS: Readonly<Record<string, string>> = { udp_segment: 'udp_seg' }

/** breaks a sentence at the width of the table */
function paragraph(text: string): string {
  let out = ''
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      out += `${line}\n`
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  return `${out}${line}\n`
}

/** a table of at most 79 columns */
export function table(s: Setting, rows: readonly Row[]): string {
  let out = `${count(s.bytes)} byte${s.bytes === 1 ? '' : 's'} to the other host: eth0, ${s.device}, MTU ${s.mtu}${s.offload === '' ? '' : `, ${s.offload}`}\n`
  out += `${''.padEnd(LABEL)}${rows.map((r) => (HEADS[r.way.name] ?? r.way.name).padStart(CELL)).join('')}\n`
  for (const [name, show] of lines)
    out += `${name.padEnd(LABEL)}${rows.map((r) => show(r.result, s.bytes).padStart(CELL)).join('')}\n`.replace(/ +\n/, '\n')
  for (const { way, result } of rows) {
    const why = [...result.taken.drops].map(([reason, n]) => `${reason} ${count(n)}`).join(', ')
    if (result.arrived !== s.bytes || why !== '')
      out += paragraph(
        `${way.name}: ${count(result.arrived)} of ${count(s.bytes)} bytes arrived${why === '' ? '' : `; dropped on the way: ${why}`}.`,
      )
  }
  const modelled = rows.filter((r) => r.way.modelled).map((r) => r.way.name)
  return (
    out +
    paragraph(
      `The sending kernel's work until the last buffer is free. Copied, summed: times each byte; frames: since the first call. Costs of functions: measured on Linux 6.12.117; of bytes: a rate${
        modelled.length > 0 ? `; of the program (${modelled.join(', ')}): a model` : ''
      }.`,
    )
  )
}

/** the same for programs */
export function asJson(s: Setting, rows: readonly Row[]): string {
  return `${JSON.stringify(
    {
      ...s,
      ways: rows.map(({ way, result }) => ({
        name: way.name,
        what: way.what,
        program_modelled: way.modelled,
        arrived: result.arrived,
        ...result.taken,
        copies: Object.fromEntries(result.taken.copies),
        drops: Object.fromEntries(result.taken.drops),
      })),
    },
    null,
    2,
  )}\n`
}
