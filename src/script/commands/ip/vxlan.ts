import type { vxlan_attrs } from '../../../kernel/drivers/net/vxlan/vxlan_core.ts'
import { dotted } from '../../../kernel/include/linux/in.ts'
import { netdev_priv } from '../../../kernel/include/linux/netdevice.ts'
import * as V from '../../../kernel/include/net/vxlan.ts'
import '../../../kernel/drivers/net/vxlan/vxlan_core.ts'
import { fail } from '../words.ts'
import { address, device } from './context.ts'
import { registerKind, unknownWord } from './link_kinds.ts'

const USAGE = 255
const isGroup = (a: number): boolean => a >>> 28 === 0xe
const u8 = (v: number): boolean => v < 256
const u16 = (v: number): boolean => v < 65536

/** what a VXLAN device can be told, and this one cannot do */
const missing = new Set(
  ['proxy', 'rsc', 'l2miss', 'l3miss', 'external', 'vnifilter', 'remcsumtx', 'remcsumrx', 'udp6zerocsumtx', 'udp6zerocsumrx']
    .flatMap((w) => [w, `no${w}`])
    .concat('gbp', 'gpe', 'flowlabel', 'label', 'nolocalbypass', 'group6', 'remote6', 'local6'),
)

/** `ip link add … type vxlan id VNI [remote ADDR] [local ADDR] [dev NAME] [dstport PORT] …` */
registerKind('vxlan', {
  parse: (c, w) => {
    const a: vxlan_attrs = {}
    const limited = (what: string, fits: (v: number) => boolean): number => {
      const word = w.peek
      const v = w.number(`invalid ${what}`)
      return fits(v) ? v : w.invalid(word, `invalid ${what}`)
    }
    while (!w.done) {
      const word = w.next()
      if (word === 'id' || word === 'vni') a.id = limited('id', (v) => v < V.VXLAN_N_VID)
      else if (word === 'remote' || word === 'group') {
        const text = w.peek
        a.remote = address(w)
        if (isGroup(a.remote) !== (word === 'group')) w.invalid(text, `invalid ${word} address`)
      } else if (word === 'local') {
        const text = w.peek
        a.local = address(w)
        if (isGroup(a.local)) w.invalid(text, 'invalid local address')
      } else if (word === 'dev') a.link = device(c, w.next()).ifindex
      else if (word === 'ttl' || word === 'hoplimit') {
        if (w.take('inherit')) a.ttl_inherit = true
        else if (!w.take('auto')) a.ttl = limited('TTL', u8)
      } else if (word === 'tos' || word === 'dsfield') {
        if (w.take('inherit')) a.tos = 1
        else a.tos = limited('TOS', u8)
      } else if (word === 'df') {
        const modes = ['unset', 'set', 'inherit']
        const mode = w.next()
        a.df = modes.includes(mode) ? modes.indexOf(mode) : w.invalid(mode, 'DF must be "unset", "set" or "inherit"')
      } else if (word === 'dstport') a.port = limited('dstport', u16)
      else if (word === 'srcport' || word === 'port')
        a.port_range = { low: limited('min port', u16), high: limited('max port', u16) }
      else if (word === 'ageing') a.ageing = w.take('none') ? 0 : limited('age', () => true)
      else if (word === 'maxaddress') a.limit = w.take('unlimited') ? 0 : limited('max addresses', () => true)
      else if (word === 'learning' || word === 'nolearning') a.learning = word === 'learning'
      else if (word === 'udpcsum' || word === 'noudpcsum') a.udp_csum = word === 'udpcsum'
      else if (word === 'localbypass') a.localbypass = true
      else if (missing.has(word)) fail(`Error: "${word}" is not there on this host.`)
      else unknownWord('vxlan', word)
    }
    if (a.id === undefined) fail('vxlan: missing virtual network identifier', USAGE)
    return a
  },
  details: (d) => {
    const { cfg, default_dst } = netdev_priv<V.vxlan_dev>(d)
    const low = cfg.port_min
    return [
      ` id ${cfg.vni}`,
      cfg.remote_ip === 0 ? '' : ` ${isGroup(cfg.remote_ip) ? 'group' : 'remote'} ${dotted(cfg.remote_ip)}`,
      cfg.saddr === 0 ? '' : ` local ${dotted(cfg.saddr)}`,
      default_dst.remote_dev === null ? '' : ` dev ${default_dst.remote_dev.name}`,
      ` srcport ${low} ${cfg.port_max} dstport ${cfg.dst_port}`,
      cfg.flags & V.VXLAN_F_LEARN ? '' : ' nolearning',
      cfg.tos === 1 ? ' tos inherit' : cfg.tos ? ` tos 0x${cfg.tos.toString(16)}` : '',
      cfg.flags & V.VXLAN_F_TTL_INHERIT ? ' ttl inherit' : ` ttl ${cfg.ttl || 'auto'}`,
      cfg.df === V.VXLAN_DF_UNSET ? '' : ` df ${cfg.df === V.VXLAN_DF_SET ? 'set' : 'inherit'}`,
      ` ageing ${cfg.age_interval}`,
      cfg.addrmax ? ` maxaddr ${cfg.addrmax}` : '',
      cfg.flags & V.VXLAN_F_UDP_ZERO_CSUM_TX ? ' noudpcsum' : ' udpcsum',
    ].join('')
  },
})
