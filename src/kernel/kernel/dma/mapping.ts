import { DmaSpace } from '../../../hardware/dma.ts'
import { kfunc } from '../../../trace/kfunc.ts'
import { early_initcall } from '../../include/linux/init.ts'
import { is_vmalloc_addr } from '../../mm/usercopy.ts'

/** the bus addresses of this machine: one space for all its cards */
export let dma_space: DmaSpace = new DmaSpace()
early_initcall(() => {
  dma_space = new DmaSpace()
})

/** a device that masters the bus */
export interface dma_device {
  readonly name: string
}

/** lets a device reach `size` bytes of a page, or of a head, from `offset` on. @returns the bus address */
export const dma_map_page_attrs = kfunc(
  'dma_map_page_attrs',
  (_dev: dma_device, page: { readonly bytes: Uint8Array }, offset: number, size: number, _dir: number, _attrs: number): number =>
    dma_space.map(page.bytes, offset, size),
)
export const dma_unmap_page_attrs = kfunc(
  'dma_unmap_page_attrs',
  (_dev: dma_device, addr: number, _size: number, _dir: number, _attrs: number): void => dma_space.unmap(addr),
)
/** include/linux/dma-mapping.h */
export const dma_map_single = (
  dev: dma_device,
  mem: { readonly bytes: Uint8Array },
  offset: number,
  size: number,
  dir: number,
): number => {
  is_vmalloc_addr(mem.bytes)
  return dma_map_page_attrs(dev, mem, offset, size, dir, 0)
}
export const dma_unmap_single = (dev: dma_device, addr: number, size: number, dir: number): void =>
  dma_unmap_page_attrs(dev, addr, size, dir, 0)

/** memory for rings, which both sides use at once */
export function dma_alloc_coherent(_dev: dma_device, size: number): { bytes: Uint8Array; dma: number } {
  const bytes = new Uint8Array(size)
  return { bytes, dma: dma_space.map(bytes, 0, size) }
}
export const dma_free_coherent = (_dev: dma_device, dma: number): void => dma_space.unmap(dma)

export const DMA_TO_DEVICE = 1
export const DMA_FROM_DEVICE = 2
