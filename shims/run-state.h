/* The state of one job outside of it, and its ends. */
#ifndef RCH_RUN_STATE_H
#define RCH_RUN_STATE_H
#include "run-base.h"
#include "run-processes.h"
#include "run-terminal.h"

#define AGENT 3
/* Read at once from a stream; the capacity of a pipe, pipe(7). */
#define PIECE_BYTES 65536u
/* No more is read from the job while this much waits for the agent. */
#define SEND_BYTES (256u * 1024)
/* Standard input held for the tool; an agent that sends more breaks the protocol. */
#define STDIN_BYTES (64u * 1024 * 1024)
/* How long processes that the tool left behind may go on while they hold its output open. */
#ifndef GRACE_MS
#define GRACE_MS 2000
#endif
/* Standard input's use is looked at in intervals that grow between these bounds while nothing changes. */
#define STDIN_POLL_MIN_MS 1
#define STDIN_POLL_MAX_MS 32
/* While the tool has the terminal it is looked at so often, and when it only changes modes, so long. */
#define TERMINAL_POLL_MS 1
#define MODES_MS 30
/* How long a tool in a mode without lines keeps the terminal after it read what was fed. */
#define HOLD_MS 200
/*
 * A tool in a mode without lines (readline, a menu) may wait by select(2), which no background group is
 * stopped for. When it has not read for so long, it is taken to be waiting: a guess, and the only one here.
 */
#define GUESS_MS 20
/* How long the agent may take to close descriptor 3 after the last message. */
#define LINGER_MS 5000

enum phase { STARTING, RUNNING, TOOL_GONE, DRAINING };

struct stream {
  int fd; /* -1 when closed or ended */
  uint8_t number;
  uint64_t credit;
};

struct supervisor {
  struct job job;
  struct wires wires;
  struct terminal terminal;
  enum phase phase;
  pid_t child; /* init, or the monitor */
  struct rch_buffer send, receive, last;
  size_t sent;
  struct stream out[3];

  struct rch_buffer in;
  size_t in_at; /* of `in`, written to the pipe */
  uint64_t in_end, in_written, in_used;
  bool in_eof;
  int64_t in_next;
  int in_wait;

  struct rch_buffer keys;
  size_t keys_at;
  bool keys_end;     /* the end of input was typed */
  bool keys_due;     /* what was typed waits for NOTE_GIVEN */
  bool reader_stops; /* the reader that wants input is stopped, not guessed to wait */
  bool want, want_said, foreground, for_modes;
  int64_t foreground_until;
  int64_t idle_since; /* when it was seen to have read all, while it has the terminal; 0: not yet */
  int gives_due, backs_due; /* NOTE_FOREGROUND and NOTE_BACKGROUND that were not obeyed yet */
  int64_t guess_at; /* 0: nothing to guess */

  bool tty_free;
  int64_t grace_until;
};

static void kill_job(struct supervisor *s) {
  if (s->child <= 0) return;
  if (s->job.method == RCH_SANDBOX_NAMESPACES) {
    /* The kernel ends init only after every other process of its namespace is gone, pid_namespaces(7). */
    kill(s->child, SIGKILL);
    while (waitpid(s->child, NULL, 0) < 0 && errno == EINTR) {
    }
  } else {
    sweep();
  }
  s->child = -1;
}

static _Noreturn void give_up(struct supervisor *s) {
  kill_job(s);
  _exit(1);
}

static void flush(struct supervisor *s) {
  if (s->send.failed || s->last.failed) give_up(s);
  while (s->sent < s->send.n) {
    ssize_t n = write(AGENT, s->send.at + s->sent, s->send.n - s->sent);
    if (n > 0) s->sent += (size_t)n;
    else if (errno == EAGAIN) return;
    else if (errno != EINTR) give_up(s);
  }
  s->sent = s->send.n = 0;
}

static void flush_all(struct supervisor *s) {
  for (;;) {
    flush(s);
    if (s->send.n == 0) return;
    struct pollfd agent = {AGENT, POLLOUT, 0};
    poll(&agent, 1, -1);
  }
}

/*
 * Sends everything and says that nothing follows. What the agent still writes (credit for the last output)
 * is taken until it closes: a write that fails would make it drop what it has not read.
 */
static _Noreturn void end_told(struct supervisor *s) {
  flush_all(s);
  shutdown(AGENT, SHUT_WR);
  int64_t until = uptime_ms() + LINGER_MS;
  uint8_t ignored[4096];
  for (int64_t left; (left = until - uptime_ms()) > 0;) {
    struct pollfd agent = {AGENT, POLLIN, 0};
    if (poll(&agent, 1, (int)left) < 0 && errno != EINTR) break;
    ssize_t n = read(AGENT, ignored, sizeof ignored);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) break;
  }
  _exit(0);
}

static _Noreturn void end_failed(struct supervisor *s, const struct failure *why) {
  kill_job(s);
  struct rch_run_failed message = {
      .stage = {(const uint8_t *)why->stage, strlen(why->stage)},
      .error = (uint32_t)why->error,
      .message = {(const uint8_t *)why->text, strlen(why->text)},
  };
  rch_put_run_failed(&s->send, &message);
  end_told(s);
}
#endif
