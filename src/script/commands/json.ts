/** A value as iproute2's json_writer prints it. Numbers of JavaScript are enough: none is beyond 2^53 here. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }

/**
 * The text of a value: on one line, or with `pretty` in the layout of `ip -j -p` (four blanks a level and four more, elements of an
 * array without a break between `},{`). Members that are undefined are left out.
 */
export function json(v: Json, pretty: boolean): string {
  return pretty ? show(v, 0) : compact(v)
}

const members = (v: { readonly [key: string]: Json | undefined }): [string, Json][] =>
  Object.entries(v).flatMap(([k, x]) => (x === undefined ? [] : [[k, x] as [string, Json]]))
const isArray = (v: Json): v is readonly Json[] => Array.isArray(v)

function compact(v: Json): string {
  if (typeof v !== 'object' || v === null) return JSON.stringify(v)
  if (isArray(v)) return `[${v.map(compact).join(',')}]`
  return `{${members(v)
    .map(([k, x]) => `${JSON.stringify(k)}:${compact(x)}`)
    .join(',')}}`
}

/** `depth`: how many arrays and objects are open around it */
function show(v: Json, depth: number): string {
  if (typeof v !== 'object' || v === null) return JSON.stringify(v)
  const line = (d: number): string => `\n${'    '.repeat(d)}`
  if (isArray(v)) return v.length === 0 ? '[ ]' : `[ ${v.map((x) => show(x, depth + 1)).join(',')} ]`
  const inner = members(v).map(([k, x]) => `${line(depth + 1)}${JSON.stringify(k)}: ${show(x, depth + 1)}`)
  return inner.length === 0 ? '{}' : `{${inner.join(',')}${line(depth)}}`
}
