import { kfunc } from '../../trace/kfunc.ts'
import { decide, tracer } from '../../trace/tracer.ts'
import type { netdev_queue } from '../include/linux/netdevice.ts'
import { jiffies } from '../kernel/time/timer.ts'

/** struct dql: how many bytes a card should have in its ring, found out from how fast it sends them */
export type dql = netdev_queue['dql']

const POSDIFF = (a: number, b: number): number => (a > b ? a - b : 0)

/** include/linux/dynamic_queue_limits.h: bytes that went to the card */
export const dql_queued = kfunc('dql_queued', (d: dql, count: number): void => {
  d.last_obj_cnt = count
  d.num_queued += count
})
export const dql_avail = (d: dql): number => d.adj_limit - d.num_queued

/** bytes that the card has sent */
export const dql_completed = kfunc('dql_completed', (d: dql, count: number): void => {
  const { num_queued } = d
  const completed = d.num_completed + count
  let { limit } = d
  let ovlimit = POSDIFF(num_queued - d.num_completed, limit)
  const inprogress = num_queued - completed
  const prev_inprogress = d.prev_num_queued - d.num_completed
  const all_prev_completed = completed >= d.prev_num_queued
  if ((ovlimit && !inprogress) || (d.prev_ovlimit && all_prev_completed)) {
    // the card ran dry while packets were held back
    limit += POSDIFF(completed, d.prev_num_queued) + d.prev_ovlimit
    d.slack_start_time = jiffies()
    d.lowest_slack = 0xffffffff
  } else if (inprogress && prev_inprogress && !all_prev_completed) {
    let slack = POSDIFF(limit + d.prev_ovlimit, 2 * (completed - d.num_completed))
    slack = Math.max(slack, d.prev_ovlimit ? POSDIFF(d.prev_last_obj_cnt, d.prev_ovlimit) : 0)
    if (slack < d.lowest_slack) d.lowest_slack = slack
    if (jiffies() > d.slack_start_time + d.slack_hold_time) {
      limit = POSDIFF(limit, d.lowest_slack)
      d.slack_start_time = jiffies()
      d.lowest_slack = 0xffffffff
    }
  }
  limit = Math.min(Math.max(limit, d.min_limit), d.max_limit)
  if (limit !== d.limit) {
    if (tracer.on) decide('dql_completed', 'byte queue limit changed', { from: d.limit, to: limit })
    d.limit = limit
    ovlimit = 0
  }
  d.adj_limit = limit + completed
  d.prev_ovlimit = ovlimit
  d.prev_last_obj_cnt = d.last_obj_cnt
  d.num_completed = completed
  d.prev_num_queued = num_queued
})

export const dql_reset = kfunc('dql_reset', (d: dql): void => {
  d.limit = d.min_limit
  d.num_queued = 0
  d.num_completed = 0
  d.adj_limit = d.min_limit
  d.last_obj_cnt = 0
  d.prev_num_queued = 0
  d.prev_last_obj_cnt = 0
  d.prev_ovlimit = 0
  d.lowest_slack = 0xffffffff
  d.slack_start_time = jiffies()
})
