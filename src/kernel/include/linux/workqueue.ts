import { timer_list } from './timer.ts'

/** struct work_struct: something that a kernel thread does later, once however often it is queued before */
export class work_struct {
  readonly func: (work: work_struct) => void
  pending = false

  constructor(func: (work: work_struct) => void) {
    this.func = func
  }
}

/** struct delayed_work: queued when its timer has run out */
export class delayed_work extends work_struct {
  readonly timer: timer_list = new timer_list(this)
}
