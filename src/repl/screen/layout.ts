/** Which panes the user wants to see. */
export interface Panes {
  tree: boolean
  skb: boolean
  state: boolean
}

export interface Size {
  columns: number
  rows: number
}

export interface Rect {
  width: number
  height: number
}

/** Where the panes go; null for one that is not shown. `side`: the panes at the right of the tree. */
interface Layout {
  wide: boolean
  height: number
  tree: Rect | null
  skb: Rect | null
  state: Rect | null
}

/** rows below the panes: status and prompt */
export const BELOW = 2
/** from so many columns on, panes stand side by side */
const WIDE = 110
/** rows of output that stay in sight above the live part */
const OUTPUT = 6
const LEAST = { tree: 4, skb: 5, state: 4 }

/** below that the panes would be of no use: a plain prompt is */
export const tooSmall = (s: Size): boolean => s.columns < 60 || s.rows < 16

/** Rows of what stands around the panes. */
interface Around {
  /** the words of a tour */
  guide: number
  /** what could stand at the cursor */
  menu: number
  keys: number
}

/** as many of these rows as there is room for: with status and prompt always fewer than the screen has */
export function allot(rows: number, wanted: Around): Around {
  let left = Math.max(0, rows - 1 - BELOW)
  const take = (n: number): number => {
    const taken = Math.min(n, left)
    left -= taken
    return taken
  }
  const menu = take(wanted.menu)
  const guide = take(wanted.guide)
  return { guide, menu, keys: take(wanted.keys) }
}

/**
 * Divides a screen. The live part (panes, status, prompt, `extra` rows of whatever else) never has more rows than the screen less
 * one: a frame as tall as the terminal would take its scroll-back away. `higher`: so many rows more than that for the panes, or less.
 */
export function layOut(s: Size, panes: Panes, extra: number, higher = 0): Layout {
  const usual = Math.min(s.rows - OUTPUT, Math.ceil(s.rows * 0.75)) - BELOW - 1 - extra
  const room = Math.max(0, Math.min(usual + higher, s.rows - 1 - BELOW - extra))
  const none: Layout = { wide: false, height: 0, tree: null, skb: null, state: null }
  const wanted = (['tree', 'skb', 'state'] as const).filter((p) => panes[p])
  if (wanted.length === 0 || room < LEAST.tree) return none
  if (s.columns >= WIDE && panes.tree && wanted.length > 1) {
    const left = Math.min(70, Math.floor(s.columns * 0.45))
    const width = s.columns - left
    const both = panes.skb && panes.state
    const skb = both ? Math.ceil(room * 0.6) : room
    return {
      wide: true,
      height: room,
      tree: { width: left, height: room },
      skb: panes.skb ? { width, height: skb } : null,
      state: panes.state ? { width, height: both ? room - skb : room } : null,
    }
  }
  // one below the other; those that find no room are left out, the tree last
  const shown = [...wanted]
  while (shown.length > 1 && shown.reduce((n, p) => n + LEAST[p], 0) > room) shown.pop()
  const share = Math.floor(room / shown.length)
  const out = { ...none, height: room }
  shown.forEach((p, i) => {
    out[p] = { width: s.columns, height: i === 0 ? room - share * (shown.length - 1) : share }
  })
  return out
}
