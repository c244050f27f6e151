import { type DeviceQueue, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../../../hardware/virtio_net.ts'
import { kfunc, nameOf } from '../../../trace/kfunc.ts'
import { traceIndirect, tracer } from '../../../trace/tracer.ts'
import { ENOSPC } from '../../include/linux/errno.ts'
import { dma_space } from '../../kernel/dma/mapping.ts'
import { __kmalloc_noprof, kfree } from '../../mm/slub.ts'
import type { scatterlist } from '../../net/core/skbuff.ts'

const VRING_AVAIL_F_NO_INTERRUPT = 1
const DESC = 16

interface vring_desc_state {
  data: unknown
  /** the table of an indirect buffer: what kmalloc gave, its bytes, and its address */
  indir: { object: unknown; view: DataView; dma: number; count: number } | null
}

/** struct vring_virtqueue, split layout, with event indices and indirect descriptors */
export class virtqueue {
  readonly name: string
  readonly index: number
  readonly num: number
  num_free: number
  readonly desc: DataView
  readonly avail: DataView
  readonly used: DataView
  readonly indirect: boolean
  free_head = 0
  num_added = 0
  last_used_idx = 0
  event_triggered = false
  avail_flags_shadow = 0
  avail_idx_shadow = 0
  broken = false
  readonly desc_state: vring_desc_state[] = []
  readonly extra_next: number[] = []
  callback: ((vq: virtqueue) => void) | null
  notify: (vq: virtqueue) => boolean
  priv: unknown = null
  readonly device: DeviceQueue

  constructor(
    name: string,
    index: number,
    num: number,
    indirect: boolean,
    callback: ((vq: virtqueue) => void) | null,
    notify: (vq: virtqueue) => boolean,
  ) {
    this.name = name
    this.index = index
    this.num = num
    this.num_free = num
    this.indirect = indirect
    this.callback = callback
    this.notify = notify
    this.desc = new DataView(new ArrayBuffer(DESC * num))
    this.avail = new DataView(new ArrayBuffer(6 + 2 * num))
    this.used = new DataView(new ArrayBuffer(6 + 8 * num))
    for (let i = 0; i < num; i++) {
      this.desc_state.push({ data: null, indir: null })
      this.extra_next.push(i + 1)
    }
    this.device = {
      num,
      desc: this.desc,
      avail: this.avail,
      used: this.used,
      interrupt: () => {},
      lastAvail: 0,
      usedIdx: 0,
      signalled: 0,
    }
  }

  /** where the driver says after which used buffer it wants an interrupt */
  set used_event(value: number) {
    this.avail.setUint16(4 + 2 * this.num, value & 0xffff, true)
  }
  get avail_event(): number {
    return this.used.getUint16(4 + 8 * this.num, true)
  }
  get used_idx(): number {
    return this.used.getUint16(2, true)
  }
}

/** the device is told of memory by its address; here that is one for each piece */
const vring_map_one_sg = kfunc('vring_map_one_sg', (_vq: virtqueue, sg: scatterlist, _direction: number): number =>
  dma_space.map(sg.mem.bytes, sg.offset, sg.length),
)
const vring_unmap_one_split = kfunc('vring_unmap_one_split', (vq: virtqueue, i: number): void => {
  unmap(vq.desc, i)
})
const unmap = (table: DataView, i: number): void =>
  dma_space.unmap(table.getUint32(i * DESC, true) + table.getUint32(i * DESC + 4, true) * 2 ** 32)

const put_desc = (table: DataView, i: number, addr: number, len: number, flags: number, next: number): void => {
  const at = i * DESC
  table.setUint32(at, addr >>> 0, true)
  table.setUint32(at + 4, Math.floor(addr / 2 ** 32), true)
  table.setUint32(at + 8, len, true)
  table.setUint16(at + 12, flags, true)
  table.setUint16(at + 14, next, true)
}

const virtqueue_use_indirect = (vq: virtqueue, total_sg: number): boolean => vq.indirect && total_sg > 1 && vq.num_free > 0

const alloc_indirect_split = kfunc('alloc_indirect_split', (_vq: virtqueue, total_sg: number, gfp: number) => {
  const object: unknown = __kmalloc_noprof(total_sg * DESC, gfp)
  const bytes = new Uint8Array(total_sg * DESC)
  return { object, view: new DataView(bytes.buffer), dma: dma_space.map(bytes, 0, bytes.length), count: total_sg }
})

const virtqueue_add_split = kfunc(
  'virtqueue_add_split',
  (vq: virtqueue, sgs: scatterlist[], total_sg: number, out_sgs: number, _in_sgs: number, data: unknown, gfp: number): number => {
    const head = vq.free_head
    const indir = virtqueue_use_indirect(vq, total_sg) ? alloc_indirect_split(vq, total_sg, gfp) : null
    const descs_used = indir === null ? total_sg : 1
    if (vq.num_free < descs_used) {
      if (out_sgs) {
        if (tracer.on) traceIndirect('vq->notify', nameOf(vq.notify))
        vq.notify(vq)
      }
      return -ENOSPC
    }
    const table = indir === null ? vq.desc : indir.view
    let i = indir === null ? head : 0
    for (let n = 0; n < total_sg; n++) {
      const sg = sgs[n] as scatterlist
      const write = n >= out_sgs ? VRING_DESC_F_WRITE : 0
      const addr = vring_map_one_sg(vq, sg, write ? 2 : 1)
      const next = indir === null ? (vq.extra_next[i] as number) : i + 1
      put_desc(table, i, addr, sg.length, write | (n + 1 < total_sg ? VRING_DESC_F_NEXT : 0), next)
      i = next
    }
    if (indir !== null) {
      put_desc(vq.desc, head, indir.dma, total_sg * DESC, VRING_DESC_F_INDIRECT, 0)
      vq.free_head = vq.extra_next[head] as number
    } else vq.free_head = i
    vq.num_free -= descs_used
    const state = vq.desc_state[head] as vring_desc_state
    state.data = data
    state.indir = indir
    vq.avail.setUint16(4 + 2 * (vq.avail_idx_shadow & (vq.num - 1)), head, true)
    vq.avail_idx_shadow = (vq.avail_idx_shadow + 1) & 0xffff
    vq.avail.setUint16(2, vq.avail_idx_shadow, true)
    vq.num_added++
    return 0
  },
)
const virtqueue_add = kfunc(
  'virtqueue_add',
  (vq: virtqueue, sgs: scatterlist[], total_sg: number, out_sgs: number, in_sgs: number, data: unknown, gfp: number): number =>
    virtqueue_add_split(vq, sgs, total_sg, out_sgs, in_sgs, data, gfp),
)
/** gives the device a buffer to read; `data` comes back when it is through with it */
export const virtqueue_add_outbuf = kfunc(
  'virtqueue_add_outbuf',
  (vq: virtqueue, sg: scatterlist[], num: number, data: unknown, gfp: number): number =>
    virtqueue_add(vq, sg, num, num, 0, data, gfp),
)
/** gives the device a buffer to fill */
export const virtqueue_add_inbuf_ctx = kfunc(
  'virtqueue_add_inbuf_ctx',
  (vq: virtqueue, sg: scatterlist[], num: number, data: unknown, _ctx: unknown, gfp: number): number =>
    virtqueue_add(vq, sg, num, 0, num, data, gfp),
)

const vring_need_event = (event_idx: number, new_idx: number, old: number): boolean =>
  ((new_idx - event_idx - 1) & 0xffff) < ((new_idx - old) & 0xffff)

/** whether the device wants to be told of what was added */
export const virtqueue_kick_prepare = kfunc('virtqueue_kick_prepare', (vq: virtqueue): boolean => {
  const old = (vq.avail_idx_shadow - vq.num_added) & 0xffff
  vq.num_added = 0
  return vring_need_event(vq.avail_event, vq.avail_idx_shadow, old)
})
export const virtqueue_notify = kfunc('virtqueue_notify', (vq: virtqueue): boolean => {
  if (vq.broken) return false
  if (tracer.on) traceIndirect('vq->notify', nameOf(vq.notify))
  return vq.notify(vq)
})

const detach_buf_split = kfunc('detach_buf_split', (vq: virtqueue, head: number): void => {
  const state = vq.desc_state[head] as vring_desc_state
  state.data = null
  let i = head
  while (vq.desc.getUint16(i * DESC + 12, true) & VRING_DESC_F_NEXT) {
    vring_unmap_one_split(vq, i)
    i = vq.extra_next[i] as number
    vq.num_free++
  }
  vring_unmap_one_split(vq, i)
  vq.extra_next[i] = vq.free_head
  vq.free_head = head
  vq.num_free++
  if (state.indir !== null) {
    for (let n = 0; n < state.indir.count; n++) unmap(state.indir.view, n)
    kfree(state.indir.object)
    state.indir = null
  }
})

const virtqueue_get_buf_ctx_split = kfunc('virtqueue_get_buf_ctx_split', (vq: virtqueue, len: { v: number }): unknown => {
  if (vq.last_used_idx === vq.used_idx) return null
  const at = 4 + 8 * (vq.last_used_idx & (vq.num - 1))
  const i = vq.used.getUint32(at, true)
  len.v = vq.used.getUint32(at + 4, true)
  const ret = vq.desc_state[i]?.data
  detach_buf_split(vq, i)
  vq.last_used_idx = (vq.last_used_idx + 1) & 0xffff
  if (!(vq.avail_flags_shadow & VRING_AVAIL_F_NO_INTERRUPT)) vq.used_event = vq.last_used_idx
  return ret
})
export const virtqueue_get_buf_ctx = kfunc('virtqueue_get_buf_ctx', (vq: virtqueue, len: { v: number }): unknown =>
  virtqueue_get_buf_ctx_split(vq, len),
)
/** what was given to the device and is done with; null when there is nothing. `len.v`: bytes that it wrote */
export const virtqueue_get_buf = kfunc('virtqueue_get_buf', (vq: virtqueue, len: { v: number }): unknown =>
  virtqueue_get_buf_ctx_split(vq, len),
)

export const virtqueue_disable_cb = kfunc('virtqueue_disable_cb', (vq: virtqueue): void => {
  if (vq.avail_flags_shadow & VRING_AVAIL_F_NO_INTERRUPT) return
  vq.avail_flags_shadow |= VRING_AVAIL_F_NO_INTERRUPT
  if (vq.event_triggered) return
  // an index that is far away: half the range behind
  vq.used_event = 0
})
/** asks for an interrupt again; its argument for virtqueue_poll() */
export const virtqueue_enable_cb_prepare = kfunc('virtqueue_enable_cb_prepare', (vq: virtqueue): number => {
  vq.event_triggered = false
  vq.avail_flags_shadow &= ~VRING_AVAIL_F_NO_INTERRUPT
  vq.used_event = vq.last_used_idx
  return vq.last_used_idx
})
export const virtqueue_poll = kfunc(
  'virtqueue_poll',
  (vq: virtqueue, last_used_idx: number): boolean => last_used_idx !== vq.used_idx,
)

/** asks for an interrupt when three quarters of what is out there are done; false when they are already */
export const virtqueue_enable_cb_delayed = kfunc('virtqueue_enable_cb_delayed', (vq: virtqueue): boolean => {
  vq.event_triggered = false
  vq.avail_flags_shadow &= ~VRING_AVAIL_F_NO_INTERRUPT
  const bufs = Math.floor((((vq.avail_idx_shadow - vq.last_used_idx) & 0xffff) * 3) / 4)
  vq.used_event = vq.last_used_idx + bufs
  return ((vq.used_idx - vq.last_used_idx) & 0xffff) <= bufs
})

export const virtqueue_get_vring_size = kfunc('virtqueue_get_vring_size', (vq: virtqueue): number => vq.num)

/** the interrupt of a queue */
export const vring_interrupt = kfunc('vring_interrupt', (_irq: number, vq: virtqueue): number => {
  if (vq.last_used_idx === vq.used_idx) return 0
  vq.event_triggered = true
  if (tracer.on) traceIndirect('vq->vq.callback', nameOf(vq.callback))
  vq.callback?.(vq)
  return 1
})
/** the doorbell of a queue: a register of the device */
export const vp_notify = kfunc('vp_notify', (vq: virtqueue): boolean => {
  ;(vq.priv as () => void)()
  return true
})
