import type { minmax } from '../include/net/tcp.ts'

// Kathleen Nichols' estimator of the smallest or largest value of the last `win`: it keeps the best of three sub-windows

export const minmax_get = (m: minmax): number => m.s[0].v

export const minmax_reset = (m: minmax, t: number, meas: number): number => {
  for (const s of m.s) {
    s.t = t
    s.v = meas
  }
  return meas
}

function shift(m: minmax, t: number, v: number): void {
  const [s0, s1, s2] = m.s
  s0.t = s1.t
  s0.v = s1.v
  s1.t = s2.t
  s1.v = s2.v
  s2.t = t
  s2.v = v
}

function minmax_subwin_update(m: minmax, win: number, t: number, v: number): number {
  const [s0, s1, s2] = m.s
  const dt = (t - s0.t) >>> 0
  if (dt > win) {
    // the best one is too old, and perhaps the second as well
    shift(m, t, v)
    if ((t - s0.t) >>> 0 > win) shift(m, t, v)
  } else if (s1.t === s0.t && dt > Math.floor(win / 4)) {
    s1.t = t
    s1.v = v
    s2.t = t
    s2.v = v
  } else if (s2.t === s1.t && dt > Math.floor(win / 2)) {
    s2.t = t
    s2.v = v
  }
  return s0.v
}

/** `t` and `win` in the same unit, 32 bits; @returns the largest value of the window */
export function minmax_running_max(m: minmax, win: number, t: number, meas: number): number {
  const [s0, s1, s2] = m.s
  if (meas >= s0.v || (t - s2.t) >>> 0 > win) return minmax_reset(m, t, meas)
  if (meas >= s1.v) {
    s1.t = t
    s1.v = meas
    s2.t = t
    s2.v = meas
  } else if (meas >= s2.v) {
    s2.t = t
    s2.v = meas
  }
  return minmax_subwin_update(m, win, t, meas)
}

/** `t` and `win` in the same unit, 32 bits; @returns the smallest value of the window */
export function minmax_running_min(m: minmax, win: number, t: number, meas: number): number {
  const [s0, s1, s2] = m.s
  if (meas <= s0.v || (t - s2.t) >>> 0 > win) return minmax_reset(m, t, meas)
  if (meas <= s1.v) {
    s1.t = t
    s1.v = meas
    s2.t = t
    s2.v = meas
  } else if (meas <= s2.v) {
    s2.t = t
    s2.v = meas
  }
  return minmax_subwin_update(m, win, t, meas)
}
