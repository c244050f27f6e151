/** a netlink message, include/net/netlink.h: a header, what its type has, attributes. Numbers are in host order. */
export const NLMSG_HDRLEN = 16
export const NLA_HDRLEN = 4

export const NLMSG_ALIGN = (len: number): number => (len + 3) & ~3
export const nlmsg_msg_size = (payload: number): number => NLMSG_HDRLEN + payload
export const nlmsg_total_size = (payload: number): number => NLMSG_ALIGN(nlmsg_msg_size(payload))

export const nla_attr_size = (payload: number): number => NLA_HDRLEN + payload
export const nla_total_size = (payload: number): number => NLMSG_ALIGN(nla_attr_size(payload))

/** an attribute of 32-bit numbers */
export const u32_bytes = (...numbers: number[]): Uint8Array => new Uint8Array(new Uint32Array(numbers).buffer)
