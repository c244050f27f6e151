/** struct work_struct: something that a kernel thread does later, once however often it is queued before */
export class work_struct {
  readonly func: (work: work_struct) => void
  pending = false

  constructor(func: (work: work_struct) => void) {
    this.func = func
  }
}
