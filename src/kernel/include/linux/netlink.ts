/**
 * struct netlink_ext_ack: what the kernel says, in words, of the request that it answers. Requests are answered one at a time, so
 * there is one; functions take `extack` as in Linux, and write here.
 */
export const ext_ack: { msg: string } = { msg: '' }

export const NL_SET_ERR_MSG = (_extack: null, msg: string): void => {
  ext_ack.msg = msg
}
/** does not overwrite what a function further down said */
export const NL_SET_ERR_MSG_WEAK = (extack: null, msg: string): void => {
  if (ext_ack.msg === '') NL_SET_ERR_MSG(extack, msg)
}
