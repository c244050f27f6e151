/** include/net/flow.h */
export const LOOPBACK_IFINDEX = 1
export const FLOWI_FLAG_ANYSRC = 1
export const FLOWI_FLAG_KNOWN_NH = 2

/** The key of an IPv6 route look-up, struct flowi6. Ports and the flow label in host order. */
export class flowi6 {
  flowi6_oif = 0
  flowi6_iif = 0
  flowi6_l3mdev = 0
  flowi6_mark = 0
  flowi6_proto = 0
  flowi6_flags = 0
  flowi6_uid = 0
  readonly daddr: Uint8Array = new Uint8Array(16)
  readonly saddr: Uint8Array = new Uint8Array(16)
  /** traffic class and flow label */
  flowlabel = 0
  fl6_sport = 0
  fl6_dport = 0
  fl6_icmp_type = 0
  fl6_icmp_code = 0
  mp_hash = 0

  assign(f: flowi6): void {
    this.flowi6_oif = f.flowi6_oif
    this.flowi6_iif = f.flowi6_iif
    this.flowi6_l3mdev = f.flowi6_l3mdev
    this.flowi6_mark = f.flowi6_mark
    this.flowi6_proto = f.flowi6_proto
    this.flowi6_flags = f.flowi6_flags
    this.flowi6_uid = f.flowi6_uid
    this.daddr.set(f.daddr)
    this.saddr.set(f.saddr)
    this.flowlabel = f.flowlabel
    this.fl6_sport = f.fl6_sport
    this.fl6_dport = f.fl6_dport
    this.fl6_icmp_type = f.fl6_icmp_type
    this.fl6_icmp_code = f.fl6_icmp_code
    this.mp_hash = f.mp_hash
  }
}
/** flowi.u.ip6: made when it is first asked for */
export const flowi_ip6 = (fl: flowi4): flowi6 => (fl.ip6 ??= new flowi6())

/** The key of an IPv4 route look-up, struct flowi4. Addresses and ports in host order. */
export class flowi4 {
  /** struct flowi's other half, on what is used for IPv6 */
  ip6: flowi6 | null = null
  flowi4_oif = 0
  flowi4_iif = 0
  flowi4_l3mdev = 0
  flowi4_mark = 0
  flowi4_tos = 0
  flowi4_scope = 0
  flowi4_proto = 0
  flowi4_flags = 0
  flowi4_secid = 0
  flowi4_tun_id = 0
  flowi4_uid = 0
  flowi4_multipath_hash = 0
  saddr = 0
  daddr = 0
  fl4_sport = 0
  fl4_dport = 0
  fl4_icmp_type = 0
  fl4_icmp_code = 0
}

/** struct flowi: IPv4 or, later, IPv6 */
export type flowi = flowi4
export const flowi4_to_flowi = (fl4: flowi4): flowi => fl4
export const flowi4_to_flowi_common = (fl4: flowi4): flowi4 => fl4

export function flowi4_init_output(
  fl4: flowi4,
  oif: number,
  mark: number,
  tos: number,
  scope: number,
  proto: number,
  flags: number,
  daddr: number,
  saddr: number,
  dport: number,
  sport: number,
  uid: number,
): void {
  fl4.flowi4_oif = oif
  fl4.flowi4_iif = LOOPBACK_IFINDEX
  fl4.flowi4_l3mdev = 0
  fl4.flowi4_mark = mark
  fl4.flowi4_tos = tos
  fl4.flowi4_scope = scope
  fl4.flowi4_proto = proto
  fl4.flowi4_flags = flags
  fl4.flowi4_secid = 0
  fl4.flowi4_tun_id = 0
  fl4.flowi4_uid = uid
  fl4.daddr = daddr
  fl4.saddr = saddr
  fl4.fl4_dport = dport
  fl4.fl4_sport = sport
  fl4.flowi4_multipath_hash = 0
}

/** takes what an earlier look-up found into the key of the next */
export function flowi4_update_output(fl4: flowi4, oif: number, daddr: number, saddr: number): void {
  fl4.flowi4_oif = oif
  fl4.daddr = daddr
  fl4.saddr = saddr
}
