import { Box, Static, Text, useApp, useInput, useStdin } from 'ink'
import { type ReactElement, useCallback, useEffect, useRef, useState } from 'react'
import type { Block, Candidate, Engine, Progress, Reply, View } from '../engine/types.ts'
import { type Edit, type Editor, edit, emptyEditor, entered } from './editor.ts'
import { keysLines } from './keys_lines.ts'
import { allot, layOut, type Panes, type Rect } from './layout.ts'
import { Line, Lines } from './lines.tsx'
import { Prompt } from './prompt.tsx'
import { skbLines } from './skb_lines.ts'
import { stateLines } from './state_lines.ts'
import { useSize } from './terminal.ts'
import { clip, highlight, type Span } from './text.ts'
import { type Tour, tourLines } from './tour.ts'
import { treeLines } from './tree_lines.ts'
import { PROMPT } from './words.ts'

interface AppProps {
  engine: Engine
  /** lines of earlier runs */
  history: readonly string[]
  /** keeps a line for later runs */
  remember(line: string): void
  /** a guided walk, null for none */
  tour: Tour | null
}

/** A line of the scroll-back: printed once, above the live part, never again touched. */
interface Printed {
  id: number
  spans: Span[]
}

const MENU = 6
const KEYS = 8
const colours: Readonly<Record<Block['kind'], Omit<Span, 'text'>>> = {
  text: {},
  stop: { color: 'yellow' },
  result: { bold: true },
  output: {},
  source: {},
  value: {},
  echo: { dim: true },
  error: { color: 'red' },
  help: {},
}
const STEPS: Readonly<Record<string, string>> = {
  s: 'step',
  n: 'next',
  f: 'finish',
  c: 'continue',
  S: 'reverse-step',
  N: 'reverse-next',
  F: 'reverse-finish',
  C: 'reverse-continue',
  u: 'up',
  d: 'down',
}

/** The screen: what was printed scrolls away above; below it the panes at the cursor, where it is, and the prompt. */
export function App({ engine, history, remember, tour }: AppProps): ReactElement {
  const { exit } = useApp()
  const size = useSize()
  const [printed, setPrinted] = useState<Printed[]>([])
  // keys come faster than React draws: what they work on is in a ref, what is drawn in the state
  const [editor, drawEditor] = useState<Editor>(() => emptyEditor(history))
  const typed = useRef(editor)
  const [view, setView] = useState<View | null>(null)
  const [panes, setPanes] = useState<Panes>({ tree: true, skb: true, state: size.columns >= 110 })
  const [higher, setHigher] = useState(0)
  const [byKeys, drawByKeys] = useState(false)
  const keyed = useRef(false)
  const [showKeys, setShowKeys] = useState(false)
  const [busy, setBusy] = useState('')
  const [progress, setProgress] = useState<Progress | null>(null)
  const [menu, setMenu] = useState<{ candidates: readonly Candidate[]; from: number; chosen: number } | null>(null)
  const [stop, setStop] = useState(0)
  const number = useRef(0)
  const queue = useRef<{ line: string; quiet: boolean; stop: number }[]>([])
  /** where each stop of the tour was, once it has been come to */
  const stops = useRef(new Map<number, number>())
  const running = useRef(false)

  const setEditor = (e: Editor): void => {
    typed.current = e
    drawEditor(e)
  }
  const setByKeys = (on: boolean): void => {
    keyed.current = on
    drawByKeys(on)
  }

  const print = useCallback((lines: readonly Span[][]) => {
    setPrinted((old) => [...old, ...lines.map((spans) => ({ id: number.current++, spans }))])
  }, [])

  const words = tour === null ? [] : tourLines(tour, stop, size.columns)
  const around = allot(size.rows, {
    guide: words.length,
    menu: Math.min(MENU, menu?.candidates.length ?? 0),
    keys: showKeys ? KEYS : 0,
  })
  const guide = words.slice(0, around.guide)
  const layout = layOut(size, panes, around.guide + around.menu + around.keys, higher)
  const { tree, skb, state } = layout

  /** an engine that cannot go on must not take the screen with it */
  const fail = useCallback(
    (e: unknown): undefined => {
      print([[{ text: `skbtrace failed: ${e instanceof Error ? e.message : String(e)}`, color: 'red' }]])
    },
    [print],
  )

  const treeRows = tree === null ? 0 : tree.height - 2
  const wantSkb = skb !== null
  const wantState = state !== null
  const looked = useRef(false)
  const look = useCallback(async () => {
    const above = Math.floor(treeRows / 2)
    looked.current = true
    const want = { ...(treeRows > 0 ? { tree: { above, below: treeRows - above } } : {}), skb: wantSkb, state: wantState }
    const seen = await engine.view(want).catch(fail)
    if (seen !== undefined) setView(seen)
  }, [engine, fail, treeRows, wantSkb, wantState])

  /** what a line led to, above the live part; a step by key shows in the panes alone */
  const tell = useCallback(
    (reply: Reply, quiet: boolean) => {
      const blocks = quiet
        ? reply.blocks.filter((b) => b.kind === 'error' || b.kind === 'result')
        : reply.blocks.filter((b) => b.kind !== 'echo')
      print(blocks.flatMap((b) => b.text.split('\n').map((text): Span[] => [{ text, ...colours[b.kind] }])))
    },
    [print],
  )

  const work = useCallback(async () => {
    if (running.current) return
    running.current = true
    for (;;) {
      const next = queue.current.shift()
      if (next === undefined) {
        await look()
        // what was typed meanwhile
        if (queue.current.length > 0) continue
        break
      }
      setBusy(next.line)
      if (!next.quiet) print([[{ text: PROMPT, color: 'green' }, ...highlight(next.line)]])
      const reply = await engine.submit(next.line).catch(fail)
      if (reply === undefined) continue
      tell(reply, next.quiet)
      if (next.stop >= 0 && reply.at !== null) stops.current.set(next.stop, reply.at.event)
      if (reply.quit) {
        exit()
        return
      }
    }
    running.current = false
    setBusy('')
    setProgress(null)
  }, [engine, exit, fail, look, print, tell])

  const submit = useCallback(
    (lines: readonly string[], quiet = false, stop = -1) => {
      queue.current.push(...lines.map((line) => ({ line, quiet, stop })))
      void work()
    },
    [work],
  )

  useEffect(() => {
    engine.onProgress = setProgress
    return () => {
      engine.onProgress = null
    }
  }, [engine])

  // what a file had in it is there already; a tour begins with its first stop
  const begun = useRef(false)
  useEffect(() => {
    if (begun.current) return
    begun.current = true
    if (tour !== null) submit(tour.stops[0]?.lines ?? [], true, 0)
    else void look()
  }, [look, submit, tour])

  // another size or another pane wants other rows
  useEffect(() => {
    if (!running.current && looked.current) void look()
  }, [look])

  const goTo = (to: number): void => {
    if (tour === null || to < 0 || to >= tour.stops.length || running.current) return
    setStop(to)
    const event = stops.current.get(to)
    submit(event === undefined ? (tour.stops[to]?.lines ?? []) : [`goto ${event}`], true, to)
  }

  const change = (k: Edit): void => {
    setMenu(null)
    setEditor(edit(typed.current, k))
  }

  const complete = async (): Promise<void> => {
    if (menu !== null && menu.candidates.length > 0) {
      const chosen = (menu.chosen + 1) % Math.min(MENU, menu.candidates.length)
      const text = menu.candidates[chosen]?.text ?? ''
      setEditor(edit(typed.current, { type: 'replace', from: menu.from, to: typed.current.cursor, text }))
      setMenu({ ...menu, chosen })
      return
    }
    const asked = typed.current
    const found = await engine.complete(asked.text, asked.cursor).catch(fail)
    // typed on in the meantime: what was found fits no longer
    if (found === undefined || typed.current.text !== asked.text || typed.current.cursor !== asked.cursor) return
    const { from, to, candidates } = found
    const [only] = candidates
    if (only === undefined) return
    if (candidates.length === 1) {
      setEditor(edit(typed.current, { type: 'replace', from, to, text: `${only.text}${/[.(/]$/.test(only.text) ? '' : ' '}` }))
      return
    }
    // as much as all of them begin with
    let common = only.text
    for (const c of candidates) while (!c.text.startsWith(common)) common = common.slice(0, -1)
    if (common.length > to - from) setEditor(edit(typed.current, { type: 'replace', from, to, text: common }))
    setMenu({ candidates, from, chosen: -1 })
  }

  const enter = (): void => {
    const line = typed.current.text.trim()
    if (line !== '') remember(line)
    setEditor(entered(typed.current))
    setMenu(null)
    if (line === '' && tour !== null && view === null) return
    submit([line])
  }

  const toggle = (which: string): boolean => {
    const pane = ({ 1: 'tree', 2: 'skb', 3: 'state' } as const)[which]
    if (pane !== undefined) setPanes((p) => ({ ...p, [pane]: !p[pane] }))
    else if (which === '+' || which === '=') setHigher((h) => Math.min(size.rows - 10, h + 2))
    else if (which === '-') setHigher((h) => Math.max(-8, h - 2))
    else return false
    return true
  }

  // ink calls what Backspace sends (DEL) delete, as the key of that name: what was sent tells them apart
  const { internal_eventEmitter: keys } = useStdin()
  const raw = useRef('')
  useEffect(() => {
    const keep = (data: string): void => {
      raw.current = data
    }
    keys.prependListener('input', keep)
    return () => {
      keys.off('input', keep)
    }
  }, [keys])

  useInput((input, key) => {
    if (key.ctrl && input === 'c') {
      if (running.current) {
        queue.current = []
        engine.interrupt()
      } else if (typed.current.text !== '' || typed.current.search !== null) change({ type: 'clear' })
      else print([[{ text: 'Ctrl-D or quit leaves', dim: true }]])
      return
    }
    if (key.ctrl && input === 'd' && typed.current.text === '') {
      exit()
      return
    }
    // ink knows Alt with letters and digits only
    if ((key.meta || ['\u001b+', '\u001b=', '\u001b-'].includes(raw.current)) && toggle(input)) return
    if (keyed.current && input.length > 1 && /^[a-z]+$/i.test(input)) {
      // typed faster than it was read
      for (const c of input) if (STEPS[c] !== undefined && queue.current.length < 3) submit([STEPS[c]], true)
      return
    }
    if (keyed.current) {
      if (key.escape || key.return || input === ':') setByKeys(false)
      else if (input === '?') setShowKeys((s) => !s)
      else if (tour !== null && (key.rightArrow || input === '>')) goTo(stop + 1)
      else if (tour !== null && (key.leftArrow || input === '<')) goTo(stop - 1)
      else if (!toggle(input)) {
        const verb =
          STEPS[input] ??
          (key.downArrow ? 'next' : key.upArrow ? 'reverse-next' : key.rightArrow ? 'step' : key.leftArrow ? 'reverse-step' : '')
        if (verb !== '' && queue.current.length < 3) submit([verb], true)
      }
      return
    }
    if (key.escape) {
      if (menu !== null) setMenu(null)
      else if (showKeys) setShowKeys(false)
      else if (typed.current.search !== null) change({ type: 'leaveSearch' })
      else if (typed.current.text === '') setByKeys(true)
      return
    }
    if (tour !== null && typed.current.text === '') {
      if (key.rightArrow || key.return) {
        goTo(stop + 1)
        return
      }
      if (key.leftArrow) {
        goTo(stop - 1)
        return
      }
    }
    if (key.return) {
      if (typed.current.search !== null) change({ type: 'leaveSearch' })
      enter()
    } else if (key.tab) void complete()
    else if (key.upArrow || (key.ctrl && input === 'p')) change({ type: 'older' })
    else if (key.downArrow || (key.ctrl && input === 'n')) change({ type: 'newer' })
    else if (key.leftArrow) change({ type: key.ctrl || key.meta ? 'wordLeft' : 'left' })
    else if (key.rightArrow) change({ type: key.ctrl || key.meta ? 'wordRight' : 'right' })
    else if (key.home) change({ type: 'home' })
    else if (key.end) change({ type: 'end' })
    else if (key.delete && raw.current.endsWith('~')) change({ type: 'delete' })
    else if (key.backspace || key.delete) change({ type: 'backspace' })
    else if (key.ctrl) {
      const done = (
        {
          a: 'home',
          e: 'end',
          b: 'left',
          f: 'right',
          h: 'backspace',
          d: 'delete',
          w: 'cutWord',
          u: 'cutStart',
          k: 'cutEnd',
          y: 'paste',
          r: 'search',
          g: 'clear',
        } as const
      )[input]
      if (done !== undefined) change({ type: done })
    } else if (key.meta) {
      if (input === 'b') change({ type: 'wordLeft' })
      else if (input === 'f') change({ type: 'wordRight' })
    } else if (input === '?' && typed.current.text === '' && typed.current.search === null) setShowKeys((s) => !s)
    else if (/.\t$/.test(input)) {
      // typed faster than it was read
      change({ type: 'insert', text: input.replace(/\p{Cc}/gu, '') })
      void complete()
    } else if (/[\r\n]/.test(input)) {
      // a paste of lines: those that are whole are done
      const { text, cursor, history: older } = typed.current
      const lines = `${text.slice(0, cursor)}${input}`.split(/\r\n|\r|\n/).map((l) => l.replace(/\p{Cc}/gu, ''))
      const rest = lines.pop() ?? ''
      const whole = lines.filter((l) => l.trim() !== '')
      for (const l of whole) remember(l)
      setEditor({ ...emptyEditor([...older, ...whole]), text: rest + text.slice(cursor), cursor: rest.length })
      setMenu(null)
      submit(lines.length > 1 ? whole : lines)
    } else if (input !== '') change({ type: 'insert', text: input.replace(/\p{Cc}/gu, '') })
  })

  return (
    <>
      <Static items={printed}>{(p) => <Printed key={p.id} spans={p.spans} />}</Static>
      <Box flexDirection="column" width={size.columns}>
        {guide.length > 0 && <Lines lines={guide} />}
        {view?.at !== null && view !== null && (
          <Box flexDirection={layout.wide ? 'row' : 'column'}>
            {tree !== null && <Pane title="call tree" rect={tree} lines={treeLines(view.tree, tree.width - 1)} />}
            <Box flexDirection="column">
              {skb !== null && (
                <Pane
                  title="sk_buff"
                  rect={skb}
                  lines={
                    view.skb === null
                      ? [[{ text: 'no sk_buff here', dim: true }]]
                      : skbLines(view.skb, skb.width - 1, skb.height - 1)
                  }
                />
              )}
              {state !== null && (
                <Pane
                  title="state"
                  rect={state}
                  lines={stateLines(view.state, view.displays, state.width - 1, state.height - 1)}
                />
              )}
            </Box>
          </Box>
        )}
        {around.keys > 0 && <Lines lines={keysLines(size.columns - 1, around.keys)} />}
        <Line spans={statusSpans(view, busy, progress, byKeys, size.columns - 1)} />
        {byKeys ? (
          <Text dimColor wrap="truncate-end">
            s n f c step, S N F C backward, u d frames, 1 2 3 panes, ? keys, Esc prompt
          </Text>
        ) : (
          <Prompt
            editor={editor}
            width={size.columns - 1}
            menu={menu === null ? [] : menu.candidates.slice(0, around.menu)}
            chosen={menu?.chosen ?? -1}
          />
        )}
      </Box>
    </>
  )
}

function Printed({ spans }: { spans: readonly Span[] }): ReactElement {
  return (
    <Text>
      {spans.map((s, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a piece of a line is what its place says
        <Text key={i} color={s.color} bold={s.bold} dimColor={s.dim}>
          {s.text === '' ? ' ' : s.text}
        </Text>
      ))}
    </Text>
  )
}

/** A pane: a rule with its name, then lines. */
function Pane({ title, rect, lines }: { title: string; rect: Rect; lines: Span[][] }): ReactElement {
  const rule: Span[] = [{ text: `─ ${title} ${'─'.repeat(Math.max(0, rect.width - title.length - 4))}`, dim: true }]
  const body = lines.slice(0, rect.height - 1)
  while (body.length < rect.height - 1) body.push([])
  return (
    <Box width={rect.width} height={rect.height} flexDirection="column" overflow="hidden">
      <Lines lines={[rule, ...body]} />
    </Box>
  )
}

/** where the cursor is, or what runs, in one line */
function statusSpans(view: View | null, busy: string, progress: Progress | null, byKeys: boolean, width: number): Span[] {
  const at = view?.at ?? null
  let text: string
  if (busy !== '' && progress !== null)
    text = ` ${busy}: ${progress.events} events${progress.what === 'again' ? ' looked at again' : ''}, Ctrl-C stops`
  else if (at === null) text = ' nothing has run yet: send 4096, help, ? for the keys'
  else
    text = ` ${at.fn === '' ? at.kind : at.fn}  event ${at.event} of ${at.events}  ${(at.ns / 1e9).toFixed(9)} s  ${at.context}`
  if (byKeys) text = ` KEYS ${text}`
  return clip([{ text: text.padEnd(width), inverse: true }], width)
}
