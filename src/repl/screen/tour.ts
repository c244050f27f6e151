import { clip, flow, type Span } from './text.ts'

/** One stop of a tour: how to come there from the one before, what there is to see. */
interface Stop {
  title: string
  lines: readonly string[]
  text: string
  question: string
  /** the line that answers it */
  answer: string
}

export interface Tour {
  stops: readonly Stop[]
}

export const firstWalk: Tour = {
  stops: [
    {
      title: 'send() enters the kernel',
      lines: ['tbreak __sys_sendto', 'send 4096'],
      text: "The program called send() with 4096 bytes. The processor has switched to the kernel, which looks up the descriptor's socket. The bytes are still the program's: there is no sk_buff yet.",
      question: 'Which functions brought us here?',
      answer: 'bt',
    },
    {
      title: 'The socket finds its protocol',
      lines: ['tbreak tcp_sendmsg_locked', 'continue'],
      text: 'Two calls through pointers, sock->ops->sendmsg and sk->sk_prot->sendmsg, have led from "a socket" to TCP. The socket is locked now: nobody else may touch the connection.',
      question: 'How much may the connection have on its way?',
      answer: 'print tp.snd_cwnd',
    },
    {
      title: 'The bytes become a buffer',
      lines: ['tbreak tcp_push', 'continue'],
      text: 'An sk_buff was made and the 4096 bytes copied, once, into a page that hangs off it. Its head is empty, with room in front: each layer below will put its header there.',
      question: 'What does the buffer cost, beside its bytes?',
      answer: 'print skb.truesize - skb.len',
    },
    {
      title: 'May it go?',
      lines: ['tbreak __tcp_transmit_skb', 'continue'],
      text: "tcp_write_xmit asked: does the congestion window allow it, the receiver's window, Nagle, the queues below? All said yes. What goes down is a clone: the original stays until it is acknowledged.",
      question: 'What is on its way now, and what may be?',
      answer: 'info sockets',
    },
    {
      title: "TCP's header",
      lines: ['tbreak ip_queue_xmit', 'continue'],
      text: 'The header was pushed in front: data moved 32 bytes toward the head. The checksum field holds only the sum of the addresses: the device finishes it, or nobody, on loopback.',
      question: 'What stands in those bytes?',
      answer: 'x/32xb skb.data',
    },
    {
      title: 'IP',
      lines: ['tbreak ip_output', 'continue'],
      text: 'The route was kept in the socket, so no table was searched. Twenty bytes more in front: addresses, length, protocol 6. From here on nobody knows of the connection, only of a packet.',
      question: 'What does this function do?',
      answer: 'list',
    },
    {
      title: 'The neighbour and the device',
      lines: ['tbreak __dev_queue_xmit', 'continue'],
      text: 'The link header came from a cache: on lo it is all zeroes. A card would queue the packet now in its queueing discipline; lo has none, and hands it to its driver at once.',
      question: 'Which queue does each device have?',
      answer: 'info devices',
    },
    {
      title: 'The wire that is none',
      lines: ['tbreak loopback_xmit', 'continue'],
      text: 'This is the driver. It takes the sender off the buffer and puts it on the queue of received packets: what goes out of lo comes in on lo. The same buffer turns round.',
      question: 'What has the frame become?',
      answer: 'x/66xb skb.data',
    },
    {
      title: 'Up the other side',
      lines: ['tbreak tcp_v4_rcv', 'continue'],
      text: 'A softirq runs, still inside the send() of the program: it takes the packet from the queue, strips the headers it went down with, and finds the socket by its addresses and ports.',
      question: 'How deep are we?',
      answer: 'bt',
    },
    {
      title: 'And back as the ACK',
      lines: ['tbreak tcp_ack', 'continue'],
      text: 'The receiver had the bytes and answered at once. The sender, in the same send() still, takes the acknowledgement: the original buffer goes, the window opens. Then send() returns 4096.',
      question: 'What was the last thing before this?',
      answer: 'reverse-step',
    },
  ],
}

/** the stop's words above the panes */
export function tourLines(tour: Tour, at: number, width: number, keys = 'right: on, left: back, Ctrl-D: leave'): Span[][] {
  const stop = tour.stops[at]
  if (stop === undefined) return []
  const out: Span[][] = [
    clip(
      [
        { text: `${at + 1}/${tour.stops.length} ${stop.title}`, bold: true, color: 'cyan' },
        { text: `   ${keys}`, dim: true },
      ],
      width,
    ),
  ]
  let line = ''
  for (const word of stop.text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width - 1) {
      out.push([{ text: line }])
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  out.push([{ text: line }])
  // the answer is there to be typed: it is not cut
  out.push(...flow([[{ text: stop.question, italic: true }], [{ text: stop.answer, color: 'green', bold: true }]], width - 1, 2))
  return out
}
