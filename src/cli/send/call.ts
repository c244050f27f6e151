import type { UserBuffer } from '../../host/process.ts'
import { constants as c } from '../../script/constants.ts'
import type { World } from '../send_world.ts'
import type { SendOptions } from './options.ts'

/** A call, ready to be made again and again, and how it reads. */
interface PreparedSend {
  readonly title: string
  make(): number
}

/** the call, with its arguments in the process's memory */
export function makeCall(w: World, o: SendOptions, data: Uint8Array | number, given: number): PreparedSend {
  const p = w.host.process
  const { fd } = w
  const length = typeof data === 'number' ? data : data.length
  const map = (): UserBuffer => p.map(length, typeof data === 'number' ? 'pattern' : data)
  const flags = o.zerocopy ? given | (c.MSG_ZEROCOPY ?? 0) : given
  const names = [...(o.flags?.split(',') ?? []), ...(o.zerocopy ? ['MSG_ZEROCOPY'] : [])]
  const f = names.length === 0 ? '0' : [...new Set(names)].join('|')
  const to = w.destination
  switch (o.call) {
    case 'send': {
      const b = map()
      const make =
        o.entry === 'send'
          ? () => w.enterSend(fd, b.address, length, flags)
          : () => p.syscall('sendto', fd, b.address, length, flags, 0, 0)
      return { title: `send(${fd}, ${length}, ${f})`, make }
    }
    case 'write': {
      const b = map()
      return { title: `write(${fd}, ${length})`, make: () => p.syscall('write', fd, b.address, length) }
    }
    case 'sendto': {
      const b = map()
      return {
        title: `sendto(${fd}, ${length}, ${f}${to === null ? '' : `, ${w.destinationName}`})`,
        make: () => p.sendto(fd, b.address, length, flags, to),
      }
    }
    case 'sendmsg': {
      const b = map()
      return { title: `sendmsg(${fd}, [${length}], ${f})`, make: () => p.msg('sendmsg', fd, [b], flags, null, null) }
    }
    case 'writev': {
      const b = map()
      return { title: `writev(${fd}, [${length}])`, make: () => p.vector('writev', fd, [b]) }
    }
    case 'sendmmsg': {
      const list = Array.from({ length: o.count }, map)
      return {
        title: `sendmmsg(${fd}, [${list.map((b) => b.length).join(',')}], ${f})`,
        make: () => p.sendmmsg(fd, list, flags, null),
      }
    }
    case 'sendfile': {
      const from = w.openFile(data)
      return { title: `sendfile(${fd}, ${from}, ${length})`, make: () => p.syscall('sendfile', fd, from, 0, length) }
    }
  }
}
