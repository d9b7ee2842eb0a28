/* The job's streams on their way: standard input as far as the tool reads it, output as far as it has credit. */
#ifndef RCH_RUN_STREAMS_H
#define RCH_RUN_STREAMS_H
#include "run-state.h"

/* Says how much the tool has read: what was written less what the pipe still holds, FIONREAD of pipe(7). */
static void report_stdin(struct supervisor *s) {
  int held = 0;
  if (s->wires.in[1] < 0 || ioctl(s->wires.in[1], FIONREAD, &held) != 0) return;
  uint64_t used = s->in_written - (uint64_t)held;
  int64_t now = uptime_ms();
  if (used <= s->in_used) {
    s->in_wait = s->in_wait * 2 > STDIN_POLL_MAX_MS ? STDIN_POLL_MAX_MS : s->in_wait * 2;
    s->in_next = now + s->in_wait;
    return;
  }
  s->in_used = used;
  s->in_wait = STDIN_POLL_MIN_MS;
  s->in_next = now + s->in_wait;
  rch_put_run_stdin_used(&s->send, &(struct rch_run_stdin_used){used});
}

static void drop_stdin(struct supervisor *s) {
  free(s->in.at);
  s->in = (struct rch_buffer){0};
  s->in_at = 0;
}

/*
 * Writes what fits. The write end is kept open, for its count, until the end of input was written and all
 * was read: the tool then sees the end when it has read the rest and not before.
 */
static void pump_stdin(struct supervisor *s) {
  int to = s->wires.in[1];
  if (to < 0) return;
  bool wrote = false;
  while (s->in_at < s->in.n) {
    ssize_t n = write(to, s->in.at + s->in_at, s->in.n - s->in_at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) {
      /* Nobody reads any more; what the pipe holds stays unused. */
      report_stdin(s);
      drop_stdin(s);
      close_fd(&s->wires.in[1]);
      return;
    }
    if (n <= 0) break;
    s->in_at += (size_t)n;
    s->in_written += (uint64_t)n;
    wrote = true;
  }
  if (s->in_at == s->in.n) drop_stdin(s);
  if (wrote) {
    report_stdin(s);
    s->in_wait = STDIN_POLL_MIN_MS;
    s->in_next = uptime_ms() + s->in_wait;
  }
}

static void on_stdin(struct supervisor *s, uint64_t offset, struct rch_bytes data) {
  if (s->wires.in[1] < 0 || s->in_eof || offset > s->in_end) return;
  uint64_t known = s->in_end - offset;
  if (known >= data.n) return;
  if (s->in.n - s->in_at + data.n > STDIN_BYTES) give_up(s);
  if (s->in_at > PIECE_BYTES) {
    s->in.n -= s->in_at;
    memmove(s->in.at, s->in.at + s->in_at, s->in.n);
    s->in_at = 0;
  }
  rch_put_raw(&s->in, data.at + known, data.n - known);
  if (s->in.failed) give_up(s);
  s->in_end = offset + data.n;
  pump_stdin(s);
}

static struct stream *stream_of(struct supervisor *s, uint8_t number) {
  if (number == RCH_OUT_STDERR && s->job.joined) number = RCH_OUT_STDOUT;
  return number >= 1 && number <= 3 ? &s->out[number - 1] : NULL;
}

static bool may_read(const struct supervisor *s, const struct stream *stream) {
  return stream->fd >= 0 && stream->credit > 0 && s->send.n - s->sent < SEND_BYTES;
}

/* Reads one piece of a stream right into a frame; false when there was nothing. */
static bool read_stream(struct supervisor *s, struct stream *stream) {
  size_t most = stream->credit < PIECE_BYTES ? (size_t)stream->credit : PIECE_BYTES;
  size_t before = s->send.n, start = rch_frame_begin(&s->send, RCH_RUN_OUT);
  rch_put_u8(&s->send, stream->number);
  size_t length_at = s->send.n;
  rch_put_u32(&s->send, 0);
  if (!rch_room(&s->send, most)) give_up(s);
  ssize_t n;
  do n = read(stream->fd, s->send.at + s->send.n, most);
  while (n < 0 && errno == EINTR);
  if (n <= 0) {
    s->send.n = before;
    if (n == 0 || errno != EAGAIN) {
      if (stream->number != RCH_OUT_TERMINAL) close(stream->fd);
      stream->fd = -1;
    }
    return false;
  }
  uint32_t got = (uint32_t)n;
  memcpy(s->send.at + length_at, &got, sizeof got);
  s->send.n += got;
  stream->credit -= got;
  rch_frame_end(&s->send, start);
  return true;
}

/* True when nothing that the tool wrote waits to be read. */
static bool output_read(struct supervisor *s) {
  for (int i = 0; i < 3; i++) {
    struct pollfd fd = {s->out[i].fd, POLLIN, 0};
    if (fd.fd >= 0 && poll(&fd, 1, 0) > 0 && (fd.revents & POLLIN)) return false;
  }
  return true;
}

static void close_output(struct supervisor *s, uint8_t number) {
  struct stream *stream = stream_of(s, number);
  if (!stream || stream->number == RCH_OUT_TERMINAL) return;
  close_fd(&stream->fd);
}
#endif
