/* What the monitor tells: starts, stops, wants of the terminal, ends. */
#ifndef RCH_RUN_NOTES_H
#define RCH_RUN_NOTES_H
#include "run-monitor.h"
#include "run-streams.h"

static bool has_terminal(const struct supervisor *s) { return s->terminal.slave >= 0; }

static bool report_modes(struct supervisor *s) {
  struct modes now;
  uint8_t wire[MODES_WIRE];
  if (!modes_changed(&s->terminal, &now)) return false;
  modes_write(wire, &now);
  rch_put_run_tty_modes(&s->send, &(struct rch_run_tty_modes){{wire, sizeof wire}});
  return true;
}

/*
 * Reads a piece of what the tool wrote to its terminal. Modes that it set before it wrote (no echo, then the prompt for
 * a password) are told before that piece, or what is typed at the prompt would be echoed.
 */
static bool read_terminal(struct supervisor *s, struct stream *stream) {
  size_t begin = s->send.n, end;
  uint8_t report[256];
  if (!read_stream(s, stream)) return false;
  end = s->send.n;
  if (!has_terminal(s) || !report_modes(s)) return true;
  /* What it was given the terminal for. */
  if (s->for_modes) s->foreground_until = 0;
  size_t length = s->send.n - end;
  if (s->send.failed || length > sizeof report) return true;
  memcpy(report, s->send.at + end, length);
  memmove(s->send.at + begin + length, s->send.at + begin, end - begin);
  memcpy(s->send.at + begin, report, length);
  return true;
}

/* Feeds the next line or piece, once the one before was read. */
static void feed_keys(struct supervisor *s) {
  if (unread(&s->terminal)) return;
  if (s->keys_end && s->keys.n == 0) {
    s->keys_end = false;
    (void)feed(&s->terminal, NULL, 0);
    return;
  }
  if (s->keys_at < s->keys.n)
    s->keys_at += feed(&s->terminal, s->keys.at + s->keys_at, s->keys.n - s->keys_at);
  if (s->keys_at >= s->keys.n) s->keys_at = s->keys.n = 0;
}

static void give_terminal(struct supervisor *s, bool for_modes) {
  s->foreground = true;
  s->for_modes = for_modes;
  s->idle_since = 0;
  s->gives_due++;
  send_kind(s->wires.control[0], NOTE_FOREGROUND, 0);
}

/* What was typed here, or its end (no bytes). */
static void on_keys(struct supervisor *s, struct rch_bytes data) {
  if (!has_terminal(s) || s->phase != RUNNING) return;
  s->want = s->want_said = false;
  s->guess_at = 0;
  if (s->keys.n - s->keys_at + data.n > STDIN_BYTES) give_up(s);
  rch_put_raw(&s->keys, data.at, data.n);
  if (s->keys.failed) give_up(s);
  if (data.n == 0 && s->keys.n == 0) s->keys_end = true;
  /*
   * A reader that is stopped gets it before it goes on, so that it cannot change the modes meanwhile. One that waits by
   * select(2) gets it once it has the terminal: else it would read in the background, and readline undoes its modes
   * when it is stopped for that.
   */
  s->keys_due = !s->reader_stops;
  if (s->reader_stops) feed_keys(s);
  s->reader_stops = false;
  give_terminal(s, false);
}

/* The tool has the terminal. */
static void on_given(struct supervisor *s) {
  if (--s->gives_due > 0) return;
  s->foreground_until = uptime_ms() + MODES_MS;
  if (s->keys_due) feed_keys(s);
  s->keys_due = false;
}

/*
 * Whether the tool needs the terminal no longer: it read what was fed. In a mode without lines it may be about to set the
 * modes back, and readline, stopped for that, sets its own once more when it goes on; so it has a while to do that, and is
 * meanwhile guessed to wait as it would be without the terminal.
 */
static bool is_done_reading(struct supervisor *s, bool changed) {
  int64_t now = uptime_ms();
  if (unread(&s->terminal)) {
    s->idle_since = 0;
    return false;
  }
  if (changed || s->keys.n > 0 || (s->terminal.known.lflag & ICANON)) return true;
  if (!s->idle_since) {
    s->idle_since = now;
    s->guess_at = now + GUESS_MS;
  }
  return now >= s->idle_since + HOLD_MS;
}

/* While the tool has the terminal: new modes are told, the next line is fed, and in the end it is taken back. */
static void watch_terminal(struct supervisor *s) {
  bool changed = report_modes(s);
  if (s->gives_due > 0) return;
  if (!(s->for_modes ? changed || uptime_ms() >= s->foreground_until : is_done_reading(s, changed))) return;
  s->idle_since = 0;
  if (s->keys.n > 0) {
    feed_keys(s);
    return;
  }
  s->foreground = false;
  s->backs_due++;
  send_kind(s->wires.control[0], NOTE_BACKGROUND, 0);
}

/*
 * The tool is in the background again. Until now it could change the modes unseen, however late it came to that;
 * in a mode without lines it may wait from now on in a way that stops nobody.
 */
static void on_taken_back(struct supervisor *s) {
  if (--s->backs_due > 0 || s->foreground) return;
  report_modes(s);
  s->guess_at = s->terminal.known.lflag & ICANON ? 0 : uptime_ms() + GUESS_MS;
}

static void on_stopped(struct supervisor *s, int signo) {
  if (has_terminal(s)) report_modes(s);
  /* It asked just before it was given the terminal, and the monitor has sent it on. */
  if ((s->foreground || s->backs_due > 0) && (signo == SIGTTIN || signo == SIGTTOU)) return;
  s->guess_at = 0;
  if (has_terminal(s) && signo == SIGTTIN) s->want = s->reader_stops = true;
  else if (has_terminal(s) && signo == SIGTTOU) give_terminal(s, true);
  else rch_put_run_stopped(&s->send, &(struct rch_run_stopped){(uint32_t)signo});
}

/* A reader's want is told after everything that the tool wrote before it: its prompt. */
static void tell_want(struct supervisor *s) {
  if (s->guess_at && uptime_ms() >= s->guess_at) {
    s->guess_at = 0;
    s->want = true;
  }
  if (!s->want || s->want_said || !output_read(s)) return;
  rch_put_run_tty_want(&s->send, &(struct rch_run_tty_want){0});
  s->want_said = true;
}

/* A whole file of /proc, at most what a frame may hold. */
static struct rch_buffer read_file(const char *path) {
  struct rch_buffer b = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return b;
  while (b.n < RCH_MAX_FRAME && rch_room(&b, PIECE_BYTES)) {
    ssize_t n = read(fd, b.at + b.n, PIECE_BYTES);
    if (n <= 0) break;
    b.n += (size_t)n;
  }
  close(fd);
  return b;
}

/* The NUL-terminated texts of a file of /proc as a list; its items are to be freed. */
static struct rch_list list_of(const struct rch_buffer *b) {
  struct rch_list list = {0};
  for (size_t i = 0; i < b->n; i++) list.count += b->at[i] == 0;
  struct rch_bytes *items = calloc((size_t)list.count + 1, sizeof *items);
  if (!items) list.count = 0;
  const uint8_t *at = b->at;
  for (uint32_t i = 0; i < list.count; i++) {
    items[i] = (struct rch_bytes){at, strlen((const char *)at)};
    at += items[i].n + 1;
  }
  list.items = items;
  return list;
}

/* The program that the held process `pid` is about to run, to be told at the end. */
static void take_program(struct supervisor *s, pid_t pid) {
  char path[64], program[PATH_MAX], cwd[PATH_MAX];
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  ssize_t program_n = readlink(path, program, sizeof program);
  snprintf(path, sizeof path, "/proc/%d/cwd", pid);
  ssize_t cwd_n = readlink(path, cwd, sizeof cwd);
  snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
  struct rch_buffer argv = read_file(path);
  snprintf(path, sizeof path, "/proc/%d/environ", pid);
  struct rch_buffer env = read_file(path);
  struct rch_run_exec_here message = {
      .path = {(uint8_t *)program, program_n > 0 ? (size_t)program_n : 0},
      .cwd = {(uint8_t *)cwd, cwd_n > 0 ? (size_t)cwd_n : 0},
      .argv = list_of(&argv),
      .env = list_of(&env),
  };
  rch_put_run_exec_here(&s->last, &message);
  free((void *)message.argv.items);
  free((void *)message.env.items);
  free(argv.at);
  free(env.at);
}

static void take_exit(struct supervisor *s, const struct note *note) {
  bool killed = WIFSIGNALED(note->value);
  struct rch_run_exit message = {
      .kind = killed ? RCH_END_SIGNALED : RCH_END_EXITED,
      .value = (uint32_t)(killed ? WTERMSIG(note->value) : WEXITSTATUS(note->value)),
      .at = note->at,
      .user_time = (uint64_t)note->user_us,
      .system_time = (uint64_t)note->system_us,
      .max_rss = (uint64_t)note->max_rss,
  };
  rch_put_run_exit(&s->last, &message);
}

static void drain_from_now(struct supervisor *s) {
  report_stdin(s);
  kill_job(s);
  s->phase = DRAINING;
}

static void on_note(struct supervisor *s, const struct note *note) {
  switch (note->kind) {
    case NOTE_FAILED:
      end_failed(s, &note->failure);
    case NOTE_STARTED:
      s->phase = RUNNING;
      rch_put_run_started(&s->send, &(struct rch_run_started){note->at});
      return;
    case NOTE_STOPPED:
      on_stopped(s, note->value);
      return;
    case NOTE_EXITED:
      if (has_terminal(s)) report_modes(s);
      take_exit(s, note);
      s->phase = TOOL_GONE;
      s->foreground = s->want = false;
      s->grace_until = uptime_ms() + GRACE_MS;
      return;
    case NOTE_CAUGHT:
      take_program(s, note->value);
      drain_from_now(s);
      return;
    case NOTE_GIVEN:
      if (s->phase == RUNNING) on_given(s);
      return;
    case NOTE_TAKEN_BACK:
      if (s->phase == RUNNING) on_taken_back(s);
      return;
    case NOTE_TTY_FREE:
      s->tty_free = true;
      return;
    default:
      return;
  }
}

/*
 * The monitor is gone without a word: something in the job, or the kernel out of memory, killed it, and so
 * the tool. The tool may have run before the monitor could say so: such a job counts as started.
 */
static void on_monitor_lost(struct supervisor *s) {
  struct note note = {.kind = NOTE_EXITED, .value = SIGKILL, .at = clock_ns(CLOCK_REALTIME)};
  close_fd(&s->wires.control[0]);
  if (s->phase == STARTING) rch_put_run_started(&s->send, &(struct rch_run_started){note.at});
  if (s->last.n == 0) take_exit(s, &note);
  drain_from_now(s);
}

static void hear_monitor(struct supervisor *s) {
  struct note note;
  while (s->phase != DRAINING) {
    ssize_t n = recv(s->wires.control[0], &note, sizeof note, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n == (ssize_t)sizeof note) on_note(s, &note);
    else on_monitor_lost(s);
  }
}
#endif
