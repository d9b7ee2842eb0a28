/*
 * Standard input that is not a terminal: looked at without being taken, sent ahead, and consumed here exactly as far
 * as the tool consumed it there. Prefetch is bounded by INPUT_AHEAD.
 */
#ifndef RCH_LAUNCHER_INPUT_H
#define RCH_LAUNCHER_INPUT_H
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base.h"

/* Bytes sent at the most beyond what was consumed. */
#define INPUT_AHEAD 65536

static struct {
  uint8_t kind; /* RCH_STREAM_… of descriptor 0 */
  bool open;    /* what is below was made: another worker may be asked */
  uint64_t used, sent, high; /* consumed; sent on this connection; sent ever */
  bool eof_sent;
  off_t base;   /* file: its offset at the start */
  int copy[2];  /* pipe: tee(2) copies into it */
  int64_t look_at; /* pipe: when to look again although no edge came, 0 for never */
  int look_pause;  /* ms */
  int edge;     /* epoll: each arrival wakes once, though what arrived stays unread; -1 when nothing is to watch */
} input = {.copy = {-1, -1}, .edge = -1};

static uint8_t input_bytes[INPUT_AHEAD];

static bool input_is_stream_socket(void) {
  int type = 0;
  socklen_t n = sizeof type;
  return getsockopt(0, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

/* Whether this kind of standard input can be looked at without taking it. */
static bool input_is_able(uint8_t kind) {
  return kind != RCH_STREAM_OTHER && (kind != RCH_STREAM_SOCKET || input_is_stream_socket());
}

static bool input_open(uint8_t kind) {
  if (input.open) return true;
  input.open = true;
  input.kind = kind;
  /* Open for writing only: as good as empty. */
  int flags = fcntl(0, F_GETFL);
  if (flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && kind != RCH_STREAM_TTY)
    input.kind = kind = RCH_STREAM_CLOSED;
  if (kind == RCH_STREAM_FILE) input.base = lseek(0, 0, SEEK_CUR);
  if (kind != RCH_STREAM_PIPE && kind != RCH_STREAM_SOCKET) return true;
  if (kind == RCH_STREAM_PIPE) {
    if (pipe2(input.copy, O_CLOEXEC | O_NONBLOCK) < 0) return false;
    input.copy[0] = high_fd(input.copy[0]);
    input.copy[1] = high_fd(input.copy[1]);
    int size = fcntl(0, F_GETPIPE_SZ);
    if (size > 0) fcntl(input.copy[1], F_SETPIPE_SZ, size);
  }
  /* poll(2) would report the unread bytes for ever; an edge comes with each new arrival (epoll(7)). */
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
  input.edge = high_fd(epoll_create1(EPOLL_CLOEXEC));
  return input.edge >= 0 && epoll_ctl(input.edge, EPOLL_CTL_ADD, 0, &event) == 0;
}

/* Takes the edge that woke us. */
static void input_awake(void) {
  struct epoll_event event;
  while (epoll_wait(input.edge, &event, 1, 0) > 0) continue;
}

/* What stands unread in front: up to INPUT_AHEAD bytes from `used` on, into input_bytes. */
static size_t input_peek(void) {
  ssize_t n;
  if (input.kind == RCH_STREAM_SOCKET) {
    n = recv(0, input_bytes, INPUT_AHEAD, MSG_PEEK | MSG_DONTWAIT);
  } else {
    n = tee(0, input.copy[1], INPUT_AHEAD, SPLICE_F_NONBLOCK);
    size_t got = 0;
    while (n > 0 && got < (size_t)n) {
      ssize_t more = read(input.copy[0], input_bytes + got, (size_t)n - got);
      if (more <= 0) break;
      got += (size_t)more;
    }
    if (n > 0) n = (ssize_t)got;
  }
  return n > 0 ? (size_t)n : 0;
}

/* Bytes unread in descriptor 0. */
static size_t input_held(void) {
  int held = 0;
  return ioctl(0, FIONREAD, &held) == 0 && held > 0 ? (size_t)held : 0;
}

static void input_send(struct rch_buffer *out, const uint8_t *at, size_t n) {
  struct rch_shim_stdin message = {input.sent, {at, n}};
  rch_put_shim_stdin(out, &message);
  input.sent += n;
  if (input.sent > input.high) input.high = input.sent;
}

static void input_end(struct rch_buffer *out) {
  struct rch_shim_stdin_eof message = {input.sent};
  rch_put_shim_stdin_eof(out, &message);
  input.eof_sent = true;
}

static void input_pump_file(struct rch_buffer *out) {
  while (!input.eof_sent && input.sent < input.used + INPUT_AHEAD) {
    ssize_t n = pread(0, input_bytes, input.used + INPUT_AHEAD - input.sent, input.base + (off_t)input.sent);
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) input_send(out, input_bytes, (size_t)n);
    else input_end(out);
  }
}

/*
 * A writer that is blocked in one long write(2) fills what we free without waking anybody before it is through
 * (pipe_write in fs/pipe.c wakes readers within a write only of an empty pipe): a pipe that is not empty
 * is looked at again, soon after something moved, and ten times a second at the least.
 */
static void input_plan_look(bool moved) {
  bool may_grow = input.kind == RCH_STREAM_PIPE && !input.eof_sent &&
                  input.sent - input.used < INPUT_AHEAD && input_held() > 0;
  if (moved || input.look_pause == 0) input.look_pause = 1;
  else if (input.look_pause < 100) input.look_pause *= 2;
  input.look_at = may_grow ? now_ms() + input.look_pause : 0;
}

static void input_pump_stream(struct rch_buffer *out) {
  struct pollfd on = {0, POLLIN | POLLRDHUP, 0};
  /* Asked before the look: once no writer is left, what is held does not grow any more. */
  bool ended = poll(&on, 1, 0) > 0 && on.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL);
  size_t ahead = (size_t)(input.sent - input.used);
  size_t n = input_peek();
  if (n > ahead) input_send(out, input_bytes + ahead, n - ahead);
  if (ended && input_held() <= input.sent - input.used) input_end(out);
  input_plan_look(n > ahead);
}

/* Sends what came and may be sent. */
static void input_pump(struct rch_buffer *out) {
  if (input.eof_sent || input.kind == RCH_STREAM_TTY) return;
  if (input.kind == RCH_STREAM_FILE) input_pump_file(out);
  else if (input.kind == RCH_STREAM_PIPE || input.kind == RCH_STREAM_SOCKET) input_pump_stream(out);
  else input_end(out);
}

/* Consumes to `offset`; false when that was never sent. */
static bool input_consume(uint64_t offset) {
  if (offset > input.high) return false;
  if (input.kind == RCH_STREAM_FILE && offset > input.used)
    lseek(0, (off_t)(offset - input.used), SEEK_CUR);
  while (input.used < offset && (input.kind == RCH_STREAM_PIPE || input.kind == RCH_STREAM_SOCKET)) {
    size_t n = offset - input.used < INPUT_AHEAD ? (size_t)(offset - input.used) : INPUT_AHEAD;
    /* Another reader of the same pipe may have been there: never wait for what it took. */
    size_t held = input_held();
    if (held == 0) break;
    ssize_t got = read(0, input_bytes, n < held ? n : held);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    input.used += (uint64_t)got;
  }
  if (offset > input.used) input.used = offset;
  input.look_pause = 0;
  if (input.sent < input.used) input.sent = input.used;
  return true;
}

/* On a fresh connection everything after `used` is sent again; the receiver drops by offset what it has. */
static void input_rewind(void) {
  input.sent = input.used;
  input.eof_sent = false;
}
#endif
