/* Frames over a non-blocking Unix socket. */
#ifndef RCH_LAUNCHER_WIRE_H
#define RCH_LAUNCHER_WIRE_H
#include <sys/socket.h>
#include <sys/un.h>

#include "base.h"

/* Bytes asked of the socket at once. */
#define WIRE_CHUNK (256 * 1024)

struct wire {
  int fd;
  struct rch_buffer in, out;
  size_t in_at, out_at; /* what was taken of each */
  bool closed;          /* the peer is gone, or the stream is beyond repair */
};

struct frame {
  uint8_t number;
  const uint8_t *body; /* valid until the next wire_fill */
  size_t n;
};

/* Fills a socket address; a path too long for it goes through a descriptor of its folder. */
static bool socket_address(const char *path, struct sockaddr_un *address, int *folder) {
  char parent[PATH_MAX];
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  *folder = -1;
  if (strlen(path) < sizeof address->sun_path) {
    strcpy(address->sun_path, path);
    return true;
  }
  const char *name = strrchr(path, '/');
  if (!name || (size_t)(name - path) >= sizeof parent) return false;
  memcpy(parent, path, (size_t)(name - path));
  parent[name - path] = 0;
  *folder = high_fd(open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC));
  int n = *folder < 0 ? -1
                      : snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d%s",
                                 *folder, name);
  if (n > 0 && (size_t)n < sizeof address->sun_path) return true;
  close_fd(folder);
  return false;
}

/*
 * Connects without ever blocking past `deadline`, to a listener of our own user. Else -1 and errno: ENOENT or
 * ECONNREFUSED when nobody listens, ETIMEDOUT when the queue stayed full, EPERM for another user's socket.
 */
static int connect_socket(const char *path, int64_t deadline) {
  struct sockaddr_un address;
  struct ucred peer;
  socklen_t n = sizeof peer;
  int folder;
  if (!socket_address(path, &address, &folder)) return -1;
  int fd = high_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int error = fd < 0 ? errno : 0;
  /* EAGAIN: the listener's queue is full (unix(7)); there is nothing to poll for. */
  while (!error && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    error = errno == EAGAIN && now_ms() >= deadline ? ETIMEDOUT : errno;
    if (error != EAGAIN && error != EINTR) break;
    if (error == EAGAIN) sleep_ms(5);
    error = 0;
  }
  close_fd(&folder);
  if (!error && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0) error = errno;
  if (!error && peer.uid != geteuid()) error = EPERM;
  if (!error) return fd;
  close_fd(&fd);
  errno = error;
  return -1;
}

static void wire_open(struct wire *wire, int fd) {
  memset(wire, 0, sizeof *wire);
  wire->fd = fd;
}

static void wire_close(struct wire *wire) {
  close_fd(&wire->fd);
  free(wire->in.at);
  free(wire->out.at);
  wire_open(wire, -1);
  wire->closed = true;
}

/* Sends what the socket takes now. */
static void wire_flush(struct wire *wire) {
  while (!wire->closed && wire->out_at < wire->out.n) {
    ssize_t n = send(wire->fd, wire->out.at + wire->out_at, wire->out.n - wire->out_at,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      wire->out_at += (size_t)n;
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      wire->closed = true;
    }
  }
  if (wire->out_at == wire->out.n) wire->out_at = wire->out.n = 0;
}

/* Reads what is there, one chunk at the most. */
static void wire_fill(struct wire *wire) {
  struct rch_buffer *in = &wire->in;
  if (wire->closed) return;
  if (wire->in_at) {
    memmove(in->at, in->at + wire->in_at, in->n - wire->in_at);
    in->n -= wire->in_at;
    wire->in_at = 0;
  }
  /* Small at first: the usual answer is an ack and a `local`. */
  size_t chunk = in->n || in->room > 4096 ? WIRE_CHUNK : 4096;
  if (!rch_room(in, chunk)) {
    wire->closed = true;
    return;
  }
  ssize_t n = recv(wire->fd, in->at + in->n, chunk, MSG_DONTWAIT);
  if (n > 0) in->n += (size_t)n;
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) wire->closed = true;
}

/* The next whole frame that was read. A length that cannot be closes the wire. */
static bool wire_next(struct wire *wire, struct frame *frame) {
  const uint8_t *at = wire->in.at + wire->in_at;
  size_t held = wire->in.n - wire->in_at;
  uint32_t length;
  if (held < 4) return false;
  memcpy(&length, at, 4);
  if (length < 1 || length > RCH_MAX_FRAME) {
    wire->closed = true;
    wire->in.n = wire->in_at = 0;
    return false;
  }
  if (held - 4 < length) return false;
  *frame = (struct frame){at[4], at + 5, length - 1};
  wire->in_at += 4 + (size_t)length;
  return true;
}

/* Waits for a frame until `deadline`, sending what is left to send. False: none came, or the wire closed. */
static bool wire_await(struct wire *wire, int64_t deadline, struct frame *frame) {
  for (;;) {
    wire_flush(wire);
    if (wire_next(wire, frame)) return true;
    if (wire->closed) return false;
    struct pollfd on = {wire->fd, POLLIN, 0};
    if (wire->out_at < wire->out.n) on.events |= POLLOUT;
    int ready = poll(&on, 1, left_ms(deadline));
    if (ready == 0) return false;
    if (ready > 0 && on.revents & ~POLLOUT) wire_fill(wire);
  }
}
#endif
