/** A line that is being typed, and the lines that were typed before. All of it is a value: a key makes a new one. */
export interface Editor {
  readonly text: string
  /** in UTF-16 units; never inside a surrogate pair */
  readonly cursor: number
  readonly history: readonly string[]
  /** index into `history`, its length for the line that is being typed */
  readonly at: number
  /** what was being typed before the history was looked at */
  readonly draft: string
  /** what was cut last */
  readonly cut: string
  /** Ctrl-R: what is searched for, null when nothing is */
  readonly search: string | null
}

export const emptyEditor = (history: readonly string[] = []): Editor => ({
  text: '',
  cursor: 0,
  history,
  at: history.length,
  draft: '',
  cut: '',
  search: null,
})

export type Edit =
  | { type: 'insert'; text: string }
  | { type: 'left' | 'right' | 'wordLeft' | 'wordRight' | 'home' | 'end' }
  | { type: 'backspace' | 'delete' | 'cutWord' | 'cutStart' | 'cutEnd' | 'paste' }
  | { type: 'older' | 'newer' }
  | { type: 'search' | 'leaveSearch' | 'clear' }
  | { type: 'replace'; from: number; to: number; text: string }

const isLow = (text: string, i: number): boolean => /[\udc00-\udfff]/.test(text[i] ?? '')
const before = (text: string, i: number): number => Math.max(0, i - (i > 1 && isLow(text, i - 1) ? 2 : 1))
const after = (text: string, i: number): number => Math.min(text.length, i + (isLow(text, i + 1) ? 2 : 1))

function wordBefore(text: string, i: number): number {
  let at = i
  while (at > 0 && /\s/.test(text[at - 1] ?? '')) at--
  while (at > 0 && /\S/.test(text[at - 1] ?? '')) at--
  return at
}
function wordAfter(text: string, i: number): number {
  let at = i
  while (at < text.length && /\s/.test(text[at] ?? '')) at++
  while (at < text.length && /\S/.test(text[at] ?? '')) at++
  return at
}

const splice = (e: Editor, from: number, to: number, text: string): Editor => ({
  ...e,
  text: e.text.slice(0, from) + text + e.text.slice(to),
  cursor: from + text.length,
})

/** the newest line before `end` that has `text` in it, -1 for none */
const find = (e: Editor, text: string, end: number): number => {
  for (let i = Math.min(end, e.history.length) - 1; i >= 0; i--) if (e.history[i]?.includes(text)) return i
  return -1
}

const show = (e: Editor, at: number): Editor => {
  const text = at < e.history.length ? (e.history[at] ?? '') : e.draft
  return { ...e, at, text, cursor: text.length }
}

/** what the keys of readline do */
export function edit(e: Editor, k: Edit): Editor {
  if (e.search !== null) return editSearch(e, e.search, k)
  switch (k.type) {
    case 'insert':
      return splice(e, e.cursor, e.cursor, k.text)
    case 'left':
      return { ...e, cursor: before(e.text, e.cursor) }
    case 'right':
      return { ...e, cursor: after(e.text, e.cursor) }
    case 'wordLeft':
      return { ...e, cursor: wordBefore(e.text, e.cursor) }
    case 'wordRight':
      return { ...e, cursor: wordAfter(e.text, e.cursor) }
    case 'home':
      return { ...e, cursor: 0 }
    case 'end':
      return { ...e, cursor: e.text.length }
    case 'backspace':
      return splice(e, before(e.text, e.cursor), e.cursor, '')
    case 'delete':
      return { ...splice(e, e.cursor, after(e.text, e.cursor), ''), cursor: e.cursor }
    case 'cutWord': {
      const from = wordBefore(e.text, e.cursor)
      return { ...splice(e, from, e.cursor, ''), cut: e.text.slice(from, e.cursor) }
    }
    case 'cutStart':
      return { ...splice(e, 0, e.cursor, ''), cut: e.text.slice(0, e.cursor) }
    case 'cutEnd':
      return { ...splice(e, e.cursor, e.text.length, ''), cut: e.text.slice(e.cursor) }
    case 'paste':
      return splice(e, e.cursor, e.cursor, e.cut)
    case 'older':
      if (e.at === 0) return e
      return show(e.at === e.history.length ? { ...e, draft: e.text } : e, e.at - 1)
    case 'newer':
      return e.at >= e.history.length ? e : show(e, e.at + 1)
    case 'search':
      return { ...e, search: '', draft: e.at === e.history.length ? e.text : e.draft }
    case 'leaveSearch':
      return e
    case 'clear':
      return { ...e, text: '', cursor: 0, at: e.history.length, draft: '' }
    case 'replace':
      return splice(e, k.from, k.to, k.text)
  }
}

function editSearch(e: Editor, search: string, k: Edit): Editor {
  const look = (text: string, end: number): Editor => {
    const at = find(e, text, end)
    return at < 0 ? { ...e, search: text } : { ...show(e, at), search: text }
  }
  switch (k.type) {
    case 'insert':
      return look(search + k.text, e.at === e.history.length ? e.history.length : e.at + 1)
    case 'backspace':
      return look(search.slice(0, before(search, search.length)), e.history.length)
    case 'search':
      return look(search, e.at)
    case 'clear':
      return { ...show({ ...e, search: null }, e.history.length) }
    case 'leaveSearch':
      return { ...e, search: null }
    default:
      return edit({ ...e, search: null }, k)
  }
}

/** the line was entered: it is the newest of the history, unless it only repeats that */
export function entered(e: Editor): Editor {
  const line = e.text.trim()
  const history = line === '' || e.history[e.history.length - 1] === line ? e.history : [...e.history, line]
  return { ...emptyEditor(history), cut: e.cut }
}
