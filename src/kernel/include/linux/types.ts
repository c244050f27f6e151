/** A place that a callee writes a value to: `int *err`. */
export interface ref<T> {
  v: T
}

/**
 * The first value of a field that will hold large numbers (32 bits without a sign, nanoseconds, addresses): a zero that the engine
 * keeps as a double. With a small integer it would remake the shape of the class when the first large number comes.
 */
export const LARGE = -0

export const U32_MAX = 0xffffffff
export const S32_MAX = 0x7fffffff
export const U16_MAX = 0xffff
export const INT_MAX = 0x7fffffff
export const INT_MIN = -0x80000000
export const LONG_MAX = Number.MAX_SAFE_INTEGER
export const MAX_SCHEDULE_TIMEOUT = LONG_MAX

export const NSEC_PER_SEC = 1_000_000_000
export const NSEC_PER_MSEC = 1_000_000
export const NSEC_PER_USEC = 1000
export const USEC_PER_SEC = 1_000_000
export const USEC_PER_MSEC = 1000
export const MSEC_PER_SEC = 1000

export const u32 = (x: number): number => x >>> 0
export const u16 = (x: number): number => x & 0xffff
export const u8 = (x: number): number => x & 0xff
export const s32 = (x: number): number => x | 0
export const DIV_ROUND_UP = (n: number, d: number): number => Math.floor((n + d - 1) / d)
export const ALIGN = (x: number, a: number): number => Math.ceil(x / a) * a
export const rounddown = (x: number, y: number): number => Math.floor(x / y) * y
export const clamp = (x: number, lo: number, hi: number): number => (x < lo ? lo : Math.min(x, hi))
/** a/b without the fraction, as C divides */
export const div = (a: number, b: number): number => Math.trunc(a / b)
/** position of the highest bit set, counted from 1; 0 for 0 */
export const fls = (x: number): number => 32 - Math.clz32(x)
export const ilog2 = (x: number): number => 31 - Math.clz32(x)
export const roundup_pow_of_two = (n: number): number => (n <= 1 ? 1 : 2 ** fls(n - 1))

/** 32-bit serial numbers, as jiffies are compared: include/linux/jiffies.h */
export const time_after32 = (a: number, b: number): boolean => ((b - a) | 0) < 0
export const time_before32 = (b: number, a: number): boolean => time_after32(a, b)

/** An error in the place of a pointer: a negative errno. include/linux/err.h */
export const IS_ERR = (p: unknown): p is number => typeof p === 'number'
