import { napi_struct } from '../linux/netdevice.ts'
import { sk_buff_head } from '../linux/skbuff.ts'

/** struct gro_cell: a tunnel's received packets on their way to GRO, as if a card had received them */
export class gro_cell {
  readonly napi_skbs: sk_buff_head = new sk_buff_head()
  readonly napi: napi_struct = new napi_struct()
}

/** struct gro_cells: one for each processor; there is one. Functions: net/core/gro_cells.ts */
export interface gro_cells {
  cells: gro_cell | null
}
