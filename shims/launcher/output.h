/* The tool's output, written to the caller's descriptors without ever blocking us or changing them. */
#ifndef RCH_LAUNCHER_OUTPUT_H
#define RCH_LAUNCHER_OUTPUT_H
#include <sys/socket.h>

#include "terminal.h"

/* Bytes held unwritten beyond which the link is not read: its window for each stream is 4 MiB. */
#define OUTPUT_HELD (12u << 20)
/* What poll(2) promises a pipe takes at once (PIPE_BUF, pipe(7)), for one that could not be opened anew. */
#define PIPE_PIECE 4096
#define TTY_PIECE 256
#define OUTPUT_PIECE 65536

struct output {
  int fd;      /* the caller's descriptor; -1 when there is none */
  int own;     /* the same opened anew, O_NONBLOCK; -1 when there is none */
  uint8_t kind;
  struct rch_buffer held;
  size_t at;   /* what was written of `held` */
  uint64_t received, written, acked; /* stream offsets */
  bool closed; /* nobody reads it any more: the rest is dropped */
  bool closed_told;
  int error;   /* of a write that failed for another reason than a reader gone */
};

/* By OutStream number. */
static struct output outputs[4];

static void output_open(struct output *out, int fd, uint8_t kind) {
  *out = (struct output){.fd = fd, .own = -1, .kind = kind};
  if (fd >= 0 && (kind == RCH_STREAM_PIPE || kind == RCH_STREAM_TTY)) out->own = reopen(fd, O_WRONLY);
}

/* Kinds of descriptors 0, 1, 2. The terminal's stream goes to the first that is one: 1, 2, then 0. */
static void outputs_open(const uint8_t kinds[3]) {
  int tty = -1;
  for (int fd = 1; fd < 3; fd++) {
    output_open(&outputs[fd], kinds[fd] == RCH_STREAM_CLOSED ? -1 : fd, kinds[fd]);
    if (tty < 0 && kinds[fd] == RCH_STREAM_TTY) tty = fd;
  }
  if (tty < 0 && kinds[0] == RCH_STREAM_TTY) tty = 0;
  output_open(&outputs[RCH_OUT_TERMINAL], tty, RCH_STREAM_TTY);
}

static size_t output_held(const struct output *out) { return out->held.n - out->at; }

static size_t outputs_held(void) {
  return output_held(&outputs[1]) + output_held(&outputs[2]) + output_held(&outputs[3]);
}

/* One write of what the descriptor takes now; -1 with EAGAIN when it takes nothing. */
static ssize_t output_put(struct output *out, const uint8_t *at, size_t n) {
  struct pollfd on = {out->fd, POLLOUT, 0};
  if (out->kind == RCH_STREAM_SOCKET) return send(out->fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (out->own >= 0) return write(out->own, at, n < OUTPUT_PIECE ? n : OUTPUT_PIECE);
  if (out->kind != RCH_STREAM_PIPE && out->kind != RCH_STREAM_TTY)
    return write(out->fd, at, n < OUTPUT_PIECE ? n : OUTPUT_PIECE);
  if (poll(&on, 1, 0) <= 0) {
    errno = EAGAIN;
    return -1;
  }
  size_t piece = out->kind == RCH_STREAM_TTY ? TTY_PIECE : PIPE_PIECE;
  return write(out->fd, at, n < piece ? n : piece);
}

/* Writes what it can of `n` bytes and returns how many are done with; a stream that broke is done with all. */
static size_t output_write(struct output *out, const uint8_t *at, size_t n) {
  size_t done = 0;
  while (!out->closed && done < n) {
    ssize_t wrote = output_put(out, at + done, n - done);
    if (wrote > 0) {
      done += (size_t)wrote;
      if (out->kind == RCH_STREAM_TTY) terminal.line_start = at[done - 1] == '\n';
    } else if (wrote < 0 && errno == EAGAIN) {
      return done;
    } else if (wrote == 0 || errno != EINTR) {
      /* EPIPE and ECONNRESET: the reader left. EIO: the terminal was hung up. */
      out->closed = true;
      if (wrote < 0 && errno != EPIPE && errno != ECONNRESET && errno != EIO) out->error = errno;
    }
  }
  return out->closed ? n : done;
}

static void output_drain(struct output *out) {
  size_t done = output_write(out, out->held.at + out->at, output_held(out));
  out->at += done;
  out->written += done;
  if (out->at == out->held.n) out->at = out->held.n = 0;
}

/* Takes bytes of the stream that begin at `offset`; what came before is dropped. False: a gap, or no memory. */
static bool output_take(struct output *out, uint64_t offset, struct rch_bytes data) {
  if (offset > out->received) return false;
  uint64_t known = out->received - offset;
  if (known >= data.n) return true;
  data.at += known;
  data.n -= known;
  out->received += data.n;
  if (out->fd < 0) out->closed = true;
  if (data.n && out->kind == RCH_STREAM_TTY) text_clear();
  if (output_held(out) == 0) {
    size_t done = output_write(out, data.at, data.n);
    out->written += done;
    data.at += done;
    data.n -= done;
  }
  if (out->at > OUTPUT_PIECE && out->at > out->held.n / 2) {
    memmove(out->held.at, out->held.at + out->at, output_held(out));
    out->held.n -= out->at;
    out->at = 0;
  }
  rch_put_raw(&out->held, data.at, data.n);
  return !out->held.failed;
}

/* Says what was written, and what nobody reads any more. */
static void output_report(struct output *out, uint8_t stream, struct rch_buffer *to) {
  if (out->written > out->acked) {
    struct rch_shim_out_ack message = {stream, out->written};
    rch_put_shim_out_ack(to, &message);
    out->acked = out->written;
  }
  if (out->closed && !out->closed_told) {
    struct rch_shim_out_closed message = {stream};
    rch_put_shim_out_closed(to, &message);
    out->closed_told = true;
  }
}

/* For poll(2): the descriptor to wait on while something is held, -1 otherwise. */
static int output_waits(const struct output *out) {
  if (out->closed || output_held(out) == 0) return -1;
  return out->own >= 0 ? out->own : out->fd;
}
#endif
