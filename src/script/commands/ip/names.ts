/** numbers that iproute2 knows by name: /etc/iproute2/rt_scopes, rt_protos, rt_tables, and the kinds of routes */
const table = (
  names: Readonly<Record<string, number>>,
): { of: (text: string) => number | null; name: (n: number) => string } => ({
  of: (text) => (Object.hasOwn(names, text) ? (names[text] ?? null) : /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : null),
  name: (n) => Object.keys(names).find((k) => names[k] === n) ?? String(n),
})

const scopes = table({ global: 0, nowhere: 255, host: 254, link: 253, site: 200 })
export const scopeOf = scopes.of
export const scopeName = scopes.name

const protocols = table({
  unspec: 0,
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  gated: 8,
  ra: 9,
  mrt: 10,
  zebra: 11,
  bird: 12,
  dnrouted: 13,
  xorp: 14,
  ntk: 15,
  dhcp: 16,
  keepalived: 18,
  babel: 42,
  bgp: 186,
  isis: 187,
  ospf: 188,
  rip: 189,
  eigrp: 192,
})
export const protocolOf = protocols.of
export const protocolName = protocols.name

const tables = table({ unspec: 0, default: 253, main: 254, local: 255 })
export const tableOf = tables.of
export const tableName = tables.name

const types = table({
  none: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
  nat: 10,
})
/** RTN_* by its name; null for a number or an unknown one */
export const typeOf = (text: string): number | null => (/^\d/.test(text) ? null : types.of(text))
export const typeName = types.name
