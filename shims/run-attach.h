/* `rch-run attach SOCKET`: a bridge between our stdio and the agent's Unix socket. */
#ifndef RCH_RUN_ATTACH_H
#define RCH_RUN_ATTACH_H
#include "run-base.h"

#define BRIDGE_BYTES (1 << 20)
/* Exit codes of attach: 3 says that nobody listens, so that an agent can be started. */
#define NOBODY_LISTENS 3

/* Connects to a socket whose path may be longer than sun_path, by a descriptor of its folder. */
static int connect_socket(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), folder = -1;
  if (fd < 0) return -1;
  const char *slash = strrchr(path, '/');
  int n = snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  if (slash && n >= (int)sizeof address.sun_path) {
    char parent[PATH_MAX];
    if (!path_of(parent, "%.*s", (int)(slash - path) + 1, path)) return -1;
    folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -1;
    n = snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder, slash + 1);
  }
  if (n >= (int)sizeof address.sun_path) errno = ENAMETOOLONG;
  else if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) n = -1;
  int error = errno;
  if (folder >= 0) close(folder);
  if (n < 0) return fd;
  close(fd);
  errno = error;
  return -1;
}

static bool is_pipe(int fd) {
  struct stat there;
  return fstat(fd, &there) == 0 && S_ISFIFO(there.st_mode);
}

/* Waits until `fd` is ready for `events`; false when `other` (the far side of the copy, or -1) has gone. */
static bool ready(int fd, short events, int other) {
  struct pollfd fds[2] = {{fd, events, 0}, {other, 0, 0}};
  while (poll(fds, 2, -1) < 0)
    if (errno != EINTR) return false;
  return fds[0].revents || !(fds[1].revents & (POLLERR | POLLHUP | POLLNVAL));
}

static bool write_all(int to, const uint8_t *at, size_t n) {
  while (n > 0) {
    ssize_t wrote = write(to, at, n);
    if (wrote > 0) {
      at += wrote;
      n -= (size_t)wrote;
    } else if (wrote < 0 && errno == EAGAIN) {
      if (!ready(to, POLLOUT, -1)) return false;
    } else if (wrote == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

/* Copies until the end of `from` (true) or until `to` takes no more (false). Descriptors may block or not. */
static bool copy_all(int from, int to) {
  bool splices = is_pipe(from) || is_pipe(to);
  uint8_t *buffer = malloc(BRIDGE_BYTES);
  if (is_pipe(from)) fcntl(from, F_SETPIPE_SZ, BRIDGE_BYTES);
  if (is_pipe(to)) fcntl(to, F_SETPIPE_SZ, BRIDGE_BYTES);
  for (bool ok = buffer != NULL; ok;) {
    if (!ready(from, POLLIN, to)) break;
    ssize_t n = splices ? splice(from, NULL, to, NULL, BRIDGE_BYTES, SPLICE_F_MOVE)
                        : read(from, buffer, BRIDGE_BYTES);
    if (n == 0) {
      free(buffer);
      return true;
    }
    if (n > 0) {
      ok = splices || write_all(to, buffer, (size_t)n);
    } else if (splices && errno == EINVAL) {
      splices = false;
    } else if (splices && errno == EAGAIN) {
      ok = ready(to, POLLOUT, -1);
    } else {
      ok = errno == EINTR || errno == EAGAIN;
    }
  }
  free(buffer);
  return false;
}

static int attach(const char *path) {
  int fd = connect_socket(path);
  if (fd < 0) {
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR || errno == ELOOP) return NOBODY_LISTENS;
    perror(path);
    return 1;
  }
  signal(SIGPIPE, SIG_IGN);
  int bytes = 4 * BRIDGE_BYTES;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  pid_t parent = getpid(), sender = fork();
  if (sender < 0) return 1;
  if (sender == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close(1);
    (void)copy_all(0, fd);
    shutdown(fd, SHUT_WR);
    _exit(0);
  }
  close(0);
  bool ended = copy_all(fd, 1);
  kill(sender, SIGKILL);
  waitpid(sender, NULL, 0);
  return ended ? 0 : 1;
}
#endif
