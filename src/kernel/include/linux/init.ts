/**
 * Initcalls, as in include/linux/init.h. Everything that a module keeps between calls (hash tables, static keys, caches, sequence
 * numbers) is made anew in one of these, so that one process can boot any number of kernels, each like the first.
 */
const levels: (() => void)[][] = [[], [], [], [], [], [], []]
/** initcalls of code that was loaded after the boot, and has not run yet */
let loaded: (() => void)[] = []
let running = false
const at =
  (level: number) =>
  (fn: () => void): void => {
    levels[level]?.push(fn)
    if (running) loaded.push(fn)
  }

export const early_initcall = at(0)
export const core_initcall = at(1)
export const arch_initcall = at(2)
export const subsys_initcall = at(3)
export const fs_initcall = at(4)
export const device_initcall = at(5)
export const module_init = device_initcall
export const late_initcall = at(6)

/** boots: runs every initcall, level by level, in the order in which the modules were loaded */
export function do_initcalls(): void {
  for (const level of levels) for (const fn of level) fn()
  loaded = []
  running = true
}

/** What insmod does: runs the initcalls of code that was imported while the kernel was running already. */
export function load_modules(): void {
  const fns = loaded
  loaded = []
  for (const fn of fns) fn()
}
