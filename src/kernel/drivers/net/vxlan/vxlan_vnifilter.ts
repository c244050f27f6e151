import { kfunc } from '../../../../trace/kfunc.ts'
import type { vxlan_dev } from '../../../include/net/vxlan.ts'

/** counts by VNI, for devices that have a filter of them: none has */
export const vxlan_vnifilter_count = kfunc(
  'vxlan_vnifilter_count',
  (_vxlan: vxlan_dev, _vni: number, _vninode: null, _type: number, _len: number): void => {},
)
