import { NFT_REG_1 } from '../../../kernel/include/net/netfilter/nf_tables.ts'
import * as ct from '../../../kernel/net/netfilter/nft_ct.ts'
import { nft_immediate } from '../../../kernel/net/netfilter/nft_immediate.ts'
import { match, value } from './match.ts'
import { handlers } from './rule.ts'
import * as t from './types.ts'

const keys: Readonly<Record<string, [number, t.Datatype]>> = {
  state: [ct.NFT_CT_STATE, t.ct_state],
  direction: [ct.NFT_CT_DIRECTION, t.ct_dir],
  status: [ct.NFT_CT_STATUS, t.ct_status],
  mark: [ct.NFT_CT_MARK, t.mark],
}

handlers.set('ct', (b) => {
  const word = b.lx.next()
  const key = Object.hasOwn(keys, word.text) ? keys[word.text] : undefined
  const [id, type] = key ?? b.lx.error(`ct key ${word.text} is not there on this host`, word)
  if (b.lx.take('set')) {
    if (id !== ct.NFT_CT_MARK) b.lx.error(`ct key ${word.text} cannot be set`, word)
    const v = value(b, type, b.lx.next())
    b.exprs.push(nft_immediate(NFT_REG_1, v.from), ct.nft_ct_set(id, NFT_REG_1))
    b.parts.push(`ct ${word.text} set ${v.text}`)
    return
  }
  match(b, `ct ${word.text}`, type, () => ct.nft_ct_load(id, NFT_REG_1))
})

handlers.set('notrack', (b) => {
  b.exprs.push(ct.nft_notrack())
  b.parts.push('notrack')
})
