/*
 * rch-run: runs one job on a worker, in the caller's own paths, on streams of the caller's kinds.
 *
 *   rch-run                 reads a spec on descriptor 3 (src/protocol/run.ts), runs it, reports its end there
 *   rch-run wait            the same; says so in its command line until the spec is there
 *   rch-run attach SOCKET   bridges stdio and the agent's socket; exit code 3 when nobody listens
 *   rch-run probe           prints as JSON whether the sandbox can be made here
 *   rch-run record …        runs a command here on streams of given kinds, and keeps what it says (run-record.h)
 *
 *   rch-run ── init of the PID namespace ── monitor ── tool        (method namespaces)
 *   rch-run ── monitor ── tool                                     (method none)
 *
 * rch-run stays outside and carries bytes between the job's pipes or pty and descriptor 3. The end of
 * descriptor 3, or of rch-run, ends the job: init dies with rch-run, and all its namespace with init;
 * without a namespace the monitor, then rch-run, kill every descendant.
 */
#include "run-attach.h"
#include "run-notes.h"
#include "run-probe.h"
#include "run-record.h"

static void on_message(struct supervisor *s, uint8_t number, const uint8_t *body, size_t n) {
  union {
    struct rch_run_credit credit;
    struct rch_run_stdin in;
    struct rch_run_stdin_eof eof;
    struct rch_run_tty_input keys;
    struct rch_run_signal signal;
    struct rch_run_resize resize;
    struct rch_run_out_closed closed;
  } m;
  int control = s->wires.control[0];
  struct stream *stream;
  if (number == RCH_RUN_CREDIT && rch_get_run_credit(body, n, &m.credit)) {
    if ((stream = stream_of(s, m.credit.stream))) stream->credit += m.credit.bytes;
  } else if (number == RCH_RUN_STDIN && rch_get_run_stdin(body, n, &m.in)) {
    on_stdin(s, m.in.offset, m.in.data);
  } else if (number == RCH_RUN_STDIN_EOF && rch_get_run_stdin_eof(body, n, &m.eof)) {
    s->in_eof = true;
  } else if (number == RCH_RUN_TTY_INPUT && rch_get_run_tty_input(body, n, &m.keys)) {
    on_keys(s, m.keys.data);
  } else if (number == RCH_RUN_SIGNAL && rch_get_run_signal(body, n, &m.signal)) {
    s->want_said = false;
    if (control >= 0) send_kind(control, NOTE_SIGNAL, (int)m.signal.signo);
  } else if (number == RCH_RUN_RESIZE && rch_get_run_resize(body, n, &m.resize)) {
    struct winsize size = {m.resize.rows, m.resize.cols, m.resize.xpixel, m.resize.ypixel};
    if (has_terminal(s)) ioctl(s->terminal.master, TIOCSWINSZ, &size);
    if (control >= 0) send_kind(control, NOTE_RESIZED, 0);
  } else if (number == RCH_RUN_OUT_CLOSED && rch_get_run_out_closed(body, n, &m.closed)) {
    close_output(s, m.closed.stream);
  } else {
    /* `kill`, and whatever breaks the protocol. */
    give_up(s);
  }
}

/* The length of the whole frame at the start of what was received; 0 when it is not all there. */
static size_t whole_frame(struct supervisor *s, size_t at) {
  uint32_t length;
  if (s->receive.n - at < sizeof length) return 0;
  memcpy(&length, s->receive.at + at, sizeof length);
  if (length < 1 || length > RCH_MAX_FRAME) give_up(s);
  return s->receive.n - at - sizeof length < length ? 0 : sizeof length + length;
}

static bool receive_more(struct supervisor *s) {
  if (!rch_room(&s->receive, PIECE_BYTES)) give_up(s);
  ssize_t n = read(AGENT, s->receive.at + s->receive.n, s->receive.room - s->receive.n);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) give_up(s);
  s->receive.n += (size_t)n;
  return true;
}

static void forget_received(struct supervisor *s, size_t n) {
  s->receive.n -= n;
  memmove(s->receive.at, s->receive.at + n, s->receive.n);
  if (s->receive.n > 0 || s->receive.room < 2 * 1024 * 1024) return;
  free(s->receive.at);
  s->receive = (struct rch_buffer){0};
}

static void obey_agent(struct supervisor *s) {
  size_t at = 0;
  for (size_t n; (n = whole_frame(s, at)); at += n)
    on_message(s, s->receive.at[at + 4], s->receive.at + at + 5, n - 5);
  if (at > 0) forget_received(s, at);
}

static void read_spec(struct supervisor *s) {
  struct rch_run_spec spec;
  size_t n;
  while (!(n = whole_frame(s, 0))) {
    struct pollfd agent = {AGENT, POLLIN, 0};
    poll(&agent, 1, -1);
    receive_more(s);
  }
  errno = 0;
  if (s->receive.at[4] != RCH_RUN_SPEC || !rch_get_run_spec(s->receive.at + 5, n - 5, &spec)) {
    fail("spec", "the first frame is not a whole spec");
    end_failed(s, &failure);
  }
  if (!job_from(&s->job, &spec)) end_failed(s, &failure);
  forget_received(s, n);
}

static bool is_piped(uint8_t kind) {
  return kind == RCH_STREAM_PIPE || kind == RCH_STREAM_FILE || kind >= RCH_STREAM_SOCKET;
}

static bool make_pipe(int ends[2], int ours) {
  if (pipe2(ends, O_CLOEXEC) != 0) return fail("pipe", "cannot make a pipe");
  return fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0 || fail("pipe", "cannot set up a pipe");
}

static bool make_wires(struct supervisor *s) {
  struct wires *w = &s->wires;
  const uint8_t *kind = s->job.kind;
  bool out = is_piped(kind[1]), err = is_piped(kind[2]);
  s->job.joined = s->job.joined && out && err;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, w->control) != 0)
    return fail("socket", "cannot make a socket pair");
  if (is_piped(kind[0]) && !make_pipe(w->in, 1)) return false;
  if (out && !make_pipe(w->out, 0)) return false;
  if (err && !s->job.joined && !make_pipe(w->err, 0)) return false;
  return !job_has_terminal(&s->job) || open_terminal(&s->job, w, &s->terminal);
}

static void start_job(struct supervisor *s) {
  struct wires *w = &s->wires;
  bool namespaces = s->job.method == RCH_SANDBOX_NAMESPACES;
  if (namespaces && !(enter_namespaces(&s->job) && build_root(&s->job))) end_failed(s, &failure);
  if (!make_wires(s)) end_failed(s, &failure);
  if (!namespaces) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  s->child = fork();
  if (s->child == 0) {
    if (namespaces) init_main(&s->job, w);
    monitor_job(&s->job, w);
    sweep();
    _exit(0);
  }
  if (s->child < 0) {
    fail("fork", "cannot fork");
    end_failed(s, &failure);
  }
  close_fd(&w->control[1]);
  close_fd(&w->in[0]);
  close_fd(&w->out[1]);
  close_fd(&w->err[1]);
  for (size_t i = 0; i < made_count; i++) close(made_tmpfs[i]);
  int const fds[3] = {w->out[0], w->err[0], w->master};
  for (uint8_t i = 0; i < 3; i++) s->out[i] = (struct stream){fds[i], i + 1, s->job.window};
  s->tty_free = !has_terminal(s);
}

static void sooner(int *wait, int64_t at, int64_t now) {
  int left = at <= now ? 0 : at - now > INT_MAX ? INT_MAX : (int)(at - now);
  if (*wait < 0 || left < *wait) *wait = left;
}

/* Whether the pipe of standard input still has to be looked at. */
static bool stdin_open(const struct supervisor *s) {
  return s->wires.in[1] >= 0 && s->phase < DRAINING && s->in_used < s->in_written;
}

static int next_wait(const struct supervisor *s) {
  int wait = -1;
  int64_t now = uptime_ms();
  if (s->phase == DRAINING) return wait;
  if (stdin_open(s)) sooner(&wait, s->in_next, now);
  if (s->phase == RUNNING && (s->foreground || (s->want && !s->want_said)))
    sooner(&wait, now + TERMINAL_POLL_MS, now);
  if (s->phase == RUNNING && s->guess_at) sooner(&wait, s->guess_at, now);
  if (s->phase == TOOL_GONE) sooner(&wait, s->grace_until, now);
  return wait;
}

/* Nothing of the job is left to read once its processes are dead and its pipes empty. */
static void drain(struct supervisor *s) {
  bool empty = true;
  for (int i = 0; i < 3; i++) {
    struct stream *stream = &s->out[i];
    while (may_read(s, stream) && read_stream(s, stream)) {
    }
    if (stream->fd < 0) continue;
    struct pollfd fd = {stream->fd, POLLIN, 0};
    if (poll(&fd, 1, 0) > 0 && (fd.revents & POLLIN)) empty = false;
  }
  if (!empty) return;
  rch_put_raw(&s->send, s->last.at, s->last.n);
  end_told(s);
}

/* After the tool's end its children may finish writing, for a while. */
static void settle(struct supervisor *s) {
  bool open = s->out[0].fd >= 0 || s->out[1].fd >= 0 || !s->tty_free;
  if (open && uptime_ms() < s->grace_until) return;
  drain_from_now(s);
}

static void tick(struct supervisor *s) {
  if (s->wires.in[1] >= 0 && s->phase < DRAINING) {
    pump_stdin(s);
    if (stdin_open(s) && uptime_ms() >= s->in_next) report_stdin(s);
    if (s->in_eof && s->in_at == s->in.n && s->in_written == s->in_used) close_fd(&s->wires.in[1]);
  }
  if (s->phase == RUNNING && s->foreground) watch_terminal(s);
  if (s->phase == RUNNING) tell_want(s);
  if (s->phase == TOOL_GONE) settle(s);
  if (s->phase == DRAINING) drain(s);
  flush(s);
}

static void turn(struct supervisor *s) {
  enum { FROM_AGENT, MONITOR, STDIN, OUT, COUNT = OUT + 3 };
  bool sending = s->sent < s->send.n;
  struct pollfd fds[COUNT] = {
      [FROM_AGENT] = {AGENT, (short)(POLLIN | (sending ? POLLOUT : 0)), 0},
      [MONITOR] = {s->phase == DRAINING ? -1 : s->wires.control[0], POLLIN, 0},
      [STDIN] = {s->in_at < s->in.n ? s->wires.in[1] : -1, POLLOUT, 0},
  };
  for (int i = 0; i < 3; i++)
    fds[OUT + i] = (struct pollfd){may_read(s, &s->out[i]) ? s->out[i].fd : -1, POLLIN, 0};
  if (poll(fds, COUNT, next_wait(s)) < 0 && errno != EINTR) give_up(s);
  if ((fds[FROM_AGENT].revents & ~POLLOUT) && receive_more(s)) obey_agent(s);
  for (int i = 0; i < 3; i++)
    if (fds[OUT + i].revents && may_read(s, &s->out[i]))
      (void)(i + 1 == RCH_OUT_TERMINAL ? read_terminal(s, &s->out[i]) : read_stream(s, &s->out[i]));
  if (fds[MONITOR].revents) hear_monitor(s);
  tick(s);
}

/* Descriptors 0 to 2 exist and 3 up are ours alone, whatever the agent left open. */
static void tidy_descriptors(void) {
  int fd;
  do fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  while (fd >= 0 && fd < 3);
  if (fd > 3) close(fd);
  if (syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) != 0)
    for (int i = 3; i < 1024; i++) fcntl(i, F_SETFD, FD_CLOEXEC);
}

/* `word`: what our command line says until there is a job; NULL for nothing. */
static int supervise(char *word) {
  static struct supervisor s = {
      .wires = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, -1, -1},
      .terminal = {.master = -1, .slave = -1},
      .out = {{-1, 1, 0}, {-1, 2, 0}, {-1, 3, 0}},
      .in_wait = STDIN_POLL_MIN_MS,
  };
  if (fcntl(AGENT, F_GETFD) < 0 || fcntl(AGENT, F_SETFL, fcntl(AGENT, F_GETFL) | O_NONBLOCK) != 0) {
    fprintf(stderr, "rch-run: descriptor 3 is not open; this program is started by the agent\n");
    return 2;
  }
  tidy_descriptors();
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  setsid();
  read_spec(&s);
  if (word) memset(word, 0, strlen(word));
  start_job(&s);
  obey_agent(&s);
  for (;;) turn(&s);
}

int main(int argc, char **argv) {
  if (argc == 1) return supervise(NULL);
  if (argc == 2 && strcmp(argv[1], "wait") == 0) return supervise(argv[1]);
  if (argc == 3 && strcmp(argv[1], "attach") == 0) return attach(argv[2]);
  if (argc == 2 && strcmp(argv[1], "probe") == 0) return probe();
  if (argc >= 6 && strcmp(argv[1], "record") == 0) return record(argv + 2);
  fprintf(stderr,
          "usage: rch-run [wait] | rch-run attach SOCKET | rch-run probe | rch-run record STREAMS OUT ERR COMMAND ARG...\n");
  return 2;
}
