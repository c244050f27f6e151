/* What a recorded scenario's program is made of: docs/recording.md. Runs inside the machine, as its only busy process. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#ifndef SOL_TCP
#define SOL_TCP 6
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

#define TRACING "/t/"
#define HUGE (2UL << 20)
#define SIZE (8UL << 20)
#define OUT_OF_TIME 40

typedef struct { struct sockaddr_storage a; socklen_t l; } Addr;
enum mode { GRAPH, SKB, WIRE, QUIET };

static enum mode mode;
static char *folder, *bytes, *unreadable;
static FILE *results, *heads;
static int host_ns, peer_ns, tracing_on = -1, marker = -1, tap = -1;
static void run(void);

static void ms(int n) { struct timespec t = { n / 1000, (n % 1000) * 1000000L }; nanosleep(&t, 0); }

static void put(const char *file, const char *value) {
  char path[256];
  snprintf(path, sizeof path, TRACING "%s", file);
  int fd = open(path, O_WRONLY | O_TRUNC);
  if (fd < 0 || write(fd, value, strlen(value)) < 0) fprintf(stderr, "%s <- %s: %s\n", path, value, strerror(errno));
  close(fd);
}
static FILE *out(const char *name) { char path[300]; snprintf(path, sizeof path, "%s/%s", folder, name); return fopen(path, "w"); }

/* ---- arguments */

static Addr v4(const char *ip, int port) {
  Addr a = { .l = sizeof(struct sockaddr_in) };
  struct sockaddr_in *s = (void *)&a.a;
  s->sin_family = AF_INET, s->sin_port = htons(port), inet_pton(AF_INET, ip, &s->sin_addr);
  return a;
}
static Addr v6(const char *ip, int port) {
  Addr a = { .l = sizeof(struct sockaddr_in6) };
  struct sockaddr_in6 *s = (void *)&a.a;
  s->sin6_family = AF_INET6, s->sin6_port = htons(port), inet_pton(AF_INET6, ip, &s->sin6_addr);
  return a;
}
static Addr dev(const char *name) {
  Addr a = { .l = sizeof(struct sockaddr_ll) };
  struct sockaddr_ll *s = (void *)&a.a;
  s->sll_family = AF_PACKET, s->sll_protocol = htons(ETH_P_IP), s->sll_ifindex = if_nametoindex(name), s->sll_halen = 6;
  memset(s->sll_addr, 0xff, 6);
  return a;
}
static Addr un(const char *path) {
  Addr a = { .l = sizeof(struct sockaddr_un) };
  struct sockaddr_un *s = (void *)&a.a;
  s->sun_family = AF_UNIX, strncpy(s->sun_path, path, sizeof s->sun_path - 1);
  return a;
}
/* memory that was never touched, 16 bytes into a page, where malloc() puts what it gets by mmap() */
static char *fresh(long n) { return (char *)mmap(0, n + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 16; }
static void iov(struct iovec *v, int n, const long *l) {
  long at = 0;
  for (int i = 0; i < n; i++) v[i].iov_base = bytes + at, v[i].iov_len = l[i], at += l[i];
}
static int file(const char *path, long n) {
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
  for (long done = 0; done < n;) done += write(fd, bytes, n - done < (long)SIZE ? n - done : (long)SIZE);
  close(fd);
  ms(10); /* a tick, so that the first read changes the file's access time */
  return open(path, O_RDONLY);
}
static void drain(int fd) { static char b[1 << 20]; while (recv(fd, b, sizeof b, MSG_DONTWAIT) > 0); }
static void in_peer(int peer) {
  static int is;
  if (peer != is) setns(peer ? peer_ns : host_ns, CLONE_NEWNET);
  is = peer;
}
static void sh(const char *command) {
  int status = system(command);
  if (status) fprintf(stderr, "%s: %s: status %d\n", folder, command, status);
}

/* ---- what is recorded: between two calls the tracer is off, and nothing is read before the end */

static void before(void) {
  static int calls;
  if (mode != GRAPH && mode != SKB) return;
  char m[32];
  int n = snprintf(m, sizeof m, "CALL %d\n", ++calls);
  lseek(tracing_on, 0, 0), write(tracing_on, "1", 1), write(marker, m, n);
}
static void after(void) {
  int e = errno;
  if (mode == GRAPH || mode == SKB) lseek(tracing_on, 0, 0), write(tracing_on, "0", 1);
  errno = e;
}
static void done(const char *text, int recorded, long r, int e, int is_fd) {
  char value[64];
  if (r < 0) snprintf(value, sizeof value, "-1 %s", strerrorname_np(e));
  else if (is_fd) strcpy(value, "fd");
  else snprintf(value, sizeof value, "%ld", r);
  fprintf(results, "%s%s = %s\n", recorded ? "> " : "", text, value);
  if (recorded) fprintf(heads, "%s = %s\n", text, value);
}
static void timer(int n, const char *text) {
  before(), ms(n), after();
  fprintf(results, "> %s = 0\n", text), fprintf(heads, "%s = 0\n", text);
}

static void start_tracing(void) {
  char pid[16];
  snprintf(pid, sizeof pid, "%d", getpid());
  tracing_on = open(TRACING "tracing_on", O_WRONLY);
  put("tracing_on", "0"), put("buffer_size_kb", "100000"), put("set_graph_function", "");
  /* a timer runs in whatever is current: then everybody is traced, and the timer is looked for afterwards */
  if (mode == GRAPH) {
    put("set_ftrace_pid", TIMERS ? "" : pid), put("current_tracer", "function_graph");
    put("options/funcgraph-tail", "1"), put("options/funcgraph-overhead", "0"), put("options/funcgraph-proc", "0"), put("options/funcgraph-irqs", "0");
  } else put("set_event_pid", TIMERS ? "" : pid);
  marker = open(TRACING "trace_marker", O_WRONLY);
  put("trace", "");
}
static void stop_tracing(void) {
  put("tracing_on", "0");
  FILE *from = fopen(TRACING "trace", "r"), *to = out(mode == GRAPH ? "graph.raw" : "skb.raw");
  static char b[65536];
  for (size_t n; (n = fread(b, 1, sizeof b, from)) > 0;) fwrite(b, 1, n, to);
  fclose(from), fclose(to);
  if (mode == GRAPH) put("current_tracer", "nop");
}

/* nobody waits at the tap, so that no packet wakes a process */
static void open_tap(void) {
  int size = 256 << 20, one = 1;
  tap = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  setsockopt(tap, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4), setsockopt(tap, SOL_SOCKET, SO_TIMESTAMPNS, &one, 4);
  setsockopt(tap, SOL_PACKET, PACKET_AUXDATA, &one, 4);
}
static void write_capture(void) {
  static char b[300000];
  FILE *f = out("wire.pcap");
  unsigned head[] = { 0xa1b2c3d4, 0x00040002, 0, 0, 262144, 1 };
  int lo = if_nametoindex("lo");
  fwrite(head, sizeof head, 1, f);
  for (;;) {
    struct sockaddr_ll a;
    char c[256];
    struct iovec v = { b, sizeof b };
    struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
    long n = recvmsg(tap, &m, MSG_DONTWAIT);
    if (n < 0) break;
    if (a.sll_ifindex == lo && a.sll_pkttype != PACKET_OUTGOING) continue;
    struct timespec t = { 0, 0 };
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
      if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SO_TIMESTAMPNS) memcpy(&t, CMSG_DATA(h), sizeof t);
      struct tpacket_auxdata *x = (void *)CMSG_DATA(h);
      if (h->cmsg_level != SOL_PACKET || h->cmsg_type != PACKET_AUXDATA || !(x->tp_status & TP_STATUS_VLAN_VALID)) continue;
      /* a VLAN's tag is beside the frame: it goes back behind the addresses */
      unsigned short tag[] = { htons(x->tp_vlan_tpid), htons(x->tp_vlan_tci) };
      memmove(b + 16, b + 12, n - 12), memcpy(b + 12, tag, 4), n += 4;
    }
    unsigned record[] = { t.tv_sec, t.tv_nsec / 1000, n, n };
    fwrite(record, sizeof record, 1, f), fwrite(b, n, 1, f);
  }
  fclose(f);
}

/* PROGRAM graph|skb|wire|quiet FOLDER, with the namespaces `host` and `peer` made */
int main(int argc, char **argv) {
  const char *modes[] = { "graph", "skb", "wire", "quiet" };
  if (argc != 3) return 2;
  while (mode < QUIET && strcmp(argv[1], modes[mode])) mode++;
  folder = argv[2];
  signal(SIGPIPE, SIG_IGN), alarm(OUT_OF_TIME);
  char *memory = mmap(0, SIZE + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bytes = (char *)(((unsigned long)memory + HUGE - 1) & ~(HUGE - 1));
  madvise(bytes, SIZE, MADV_HUGEPAGE);
  for (unsigned long i = 0; i < SIZE; i++) bytes[i] = i;
  unreadable = mmap(0, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  host_ns = open("/run/netns/host", O_RDONLY), peer_ns = open("/run/netns/peer", O_RDONLY);
  setns(host_ns, CLONE_NEWNET);
  char name[32];
  snprintf(name, sizeof name, "results-%s", argv[1]), results = out(name);
  snprintf(name, sizeof name, "heads-%s", argv[1]), heads = out(name);
  if (mode == GRAPH || mode == SKB) start_tracing();
  if (mode == WIRE) open_tap();
  run();
  ms(300);
  if (mode == WIRE) write_capture();
  if (mode == GRAPH || mode == SKB) stop_tracing();
  fclose(results), fclose(heads);
  return 0;
}
