/**
 * struct netlink_ext_ack: what the kernel says, in words, of the request that it answers. Requests are answered one at a time, so
 * there is one; functions take `extack` as in Linux, and write here.
 */
export const ext_ack: { msg: string } = { msg: '' }

export const NL_SET_ERR_MSG = (_extack: null, msg: string): void => {
  ext_ack.msg = msg
}
