// the queue disciplines that a host has
import '../../../kernel/net/sched/sch_fifo.ts'
import '../../../kernel/net/sched/sch_fq.ts'
import '../../../kernel/net/sched/sch_fq_codel.ts'
import '../../../kernel/net/sched/sch_htb.ts'
import '../../../kernel/net/sched/sch_mq.ts'
import '../../../kernel/net/sched/sch_netem.ts'
import '../../../kernel/net/sched/sch_prio.ts'
import '../../../kernel/net/sched/sch_tbf.ts'
