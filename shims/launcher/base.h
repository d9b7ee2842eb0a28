/* Small things that every part of the launcher uses: time, descriptors, /proc. */
#ifndef RCH_LAUNCHER_BASE_H
#define RCH_LAUNCHER_BASE_H
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "../protocol.h"

extern char **environ;

/* Descriptors of ours stand here and above: 3 and 4 belong to make's jobserver. */
#define FIRST_FD 100
/* The remote run was lost after it had started. */
#define EXIT_LOST 102

/* Milliseconds of CLOCK_MONOTONIC: all deadlines are absolute on it. */
static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The time left until a deadline, as poll(2) takes it; rounded up, so that it never spins. */
static int left_ms(int64_t deadline) {
  int64_t left = deadline - now_ms();
  if (left < 0) return 0;
  return left > 3600000 ? 3600000 : (int)left + 1;
}

static void sleep_ms(int ms) {
  struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&t, NULL);
}

/* Moves a descriptor to FIRST_FD or above, close-on-exec; as it was, where the limit forbids. */
static int high_fd(int fd) {
  if (fd < 0 || fd >= FIRST_FD) return fd;
  int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
  if (high < 0) high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (high < 0) return fd;
  close(fd);
  return high;
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* One line on standard error, in one write. */
__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
  char line[PATH_MAX + 512];
  va_list rest;
  va_start(rest, format);
  int n = vsnprintf(line, sizeof line, format, rest);
  va_end(rest);
  if (n < 0) return;
  if ((size_t)n >= sizeof line) n = sizeof line - 1;
  if (write(2, line, (size_t)n) < 0) return;
}

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static struct rch_bytes bytes_of(const char *text) {
  return (struct rch_bytes){(const uint8_t *)text, text ? strlen(text) : 0};
}

/* A NUL-terminated copy of bytes from a message; NULL when they hold a NUL or memory ran out. */
static char *text_of(struct rch_bytes bytes) {
  if (bytes.n && memchr(bytes.at, 0, bytes.n)) return NULL;
  char *text = malloc(bytes.n + 1);
  if (!text) return NULL;
  if (bytes.n) memcpy(text, bytes.at, bytes.n);
  text[bytes.n] = 0;
  return text;
}

/* The items of a list that was read, NULL-terminated, in memory of our own; NULL as text_of. */
static char **texts_of(struct rch_list list) {
  char **texts = calloc((size_t)list.count + 1, sizeof *texts);
  struct rch_bytes item;
  for (size_t i = 0; texts && rch_list_next(&list, &item); i++)
    if (!(texts[i] = text_of(item))) return NULL;
  return texts;
}

/* The fields of /proc/PID/stat from the ')' on that ends the name, which may hold anything; NULL without such a process. */
static char *read_stat(pid_t pid, char *text, size_t room) {
  char path[40] = "/proc/self/stat";
  if (pid) snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  ssize_t n = read(fd, text, room - 1);
  close(fd);
  if (n <= 0) return NULL;
  text[n] = 0;
  return strrchr(text, ')');
}

/* Its state, a letter of proc(5). */
static bool process_state(pid_t pid, char *state) {
  char text[1024], *at = read_stat(pid, text, sizeof text);
  if (!at || at[1] != ' ' || !at[2]) return false;
  *state = at[2];
  return true;
}

/* Parent and start time (field 22, clock ticks since boot) of a process, by proc(5); pid 0 is ourselves. */
static bool process_stat(pid_t pid, pid_t *parent, uint64_t *start) {
  char text[1024], *at = read_stat(pid, text, sizeof text);
  if (!at) return false;
  for (int field = 3; field <= 22; field++) {
    at = strchr(at + 1, ' ');
    if (!at) return false;
    if (field == 4) *parent = (pid_t)strtol(at + 1, NULL, 10);
    if (field == 22) *start = strtoull(at + 1, NULL, 10);
  }
  return true;
}

/* Whether `pid` is this process or one of its ancestors. */
static bool is_ancestor(pid_t pid) {
  pid_t at = getpid();
  uint64_t start;
  for (int depth = 0; at > 0 && depth < 1000; depth++) {
    if (at == pid) return true;
    pid_t parent = 0;
    if (!process_stat(at, &parent, &start)) return false;
    at = parent;
  }
  return false;
}
#endif
