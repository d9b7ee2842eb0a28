/* What the parts of rch-run share: failures, texts, the spec in C form, and the notes between its processes. */
#ifndef RCH_RUN_BASE_H
#define RCH_RUN_BASE_H
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "protocol.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Why the job cannot start: the step, its errno (0 when there is none) and a line for people. */
struct failure {
  char stage[24];
  int error;
  char text[200];
};
static struct failure failure;

/* Records the failure with the current errno and returns false. */
__attribute__((format(printf, 2, 3))) static bool fail(const char *stage, const char *format, ...) {
  failure.error = errno;
  snprintf(failure.stage, sizeof failure.stage, "%s", stage);
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(failure.text, sizeof failure.text, format, arguments);
  va_end(arguments);
  if (n >= 0 && (size_t)n < sizeof failure.text && failure.error != 0)
    snprintf(failure.text + n, sizeof failure.text - (size_t)n, ": %s", strerror(failure.error));
  return false;
}

/* A path of the plan, NUL-terminated, inside a PATH_MAX array; false and ENAMETOOLONG when it does not fit. */
__attribute__((format(printf, 2, 3))) static bool path_of(char *path, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(path, PATH_MAX, format, arguments);
  va_end(arguments);
  if (n >= 0 && n < PATH_MAX) return true;
  errno = ENAMETOOLONG;
  return false;
}

static int64_t clock_ns(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Milliseconds that only go up. */
static int64_t uptime_ms(void) { return clock_ns(CLOCK_MONOTONIC) / 1000000; }

/* The kernel's own struct termios, which the wire form mirrors: TCGETS and TCSETS take it. */
struct modes {
  uint32_t iflag, oflag, cflag, lflag;
  uint8_t line;
  uint8_t cc[19];
};
#define MODES_WIRE 35

static struct modes modes_read(const uint8_t *at) {
  struct modes m = {0};
  memcpy(&m, at, 16);
  memcpy(m.cc, at + 16, sizeof m.cc);
  return m;
}
static void modes_write(uint8_t *at, const struct modes *m) {
  memcpy(at, m, 16);
  memcpy(at + 16, m->cc, sizeof m->cc);
}

struct bind {
  char *source, *target;
  uint32_t flags;
  int fd;
};

/* A file that stands in place of the worker's. */
struct stand_in {
  char *path;
  struct rch_bytes content;
};

/* The spec with NUL-terminated strings, owned here. */
struct job {
  uint8_t method;
  struct bind *binds;
  size_t bind_count;
  char **hide, **argv, **env, **caught;
  char *tool, *cwd;
  struct stand_in *files;
  size_t file_count;
  char *host;
  uint32_t uid, gid, umask, window;
  bool network, joined;
  uint8_t kind[3];
  struct winsize size;
  bool has_modes;
  struct modes modes;
  struct rlimit limits[RLIM_NLIMITS];
  unsigned limit_count;
  uint64_t ignored, blocked; /* bit n - 1 for signal n */
  cpu_set_t affinity;
  bool has_affinity;
};

static bool job_has_terminal(const struct job *job) {
  return job->kind[0] == RCH_STREAM_TTY || job->kind[1] == RCH_STREAM_TTY ||
         job->kind[2] == RCH_STREAM_TTY;
}

/* A copy of the bytes as a C string; NULL when they hold a NUL or memory ran out. */
static char *text_of(struct rch_bytes bytes) {
  if (bytes.n != 0 && memchr(bytes.at, 0, bytes.n)) return NULL;
  char *text = malloc(bytes.n + 1);
  if (!text) return NULL;
  if (bytes.n != 0) memcpy(text, bytes.at, bytes.n);
  text[bytes.n] = 0;
  return text;
}

static struct rch_bytes bytes_of(struct rch_bytes bytes) {
  struct rch_bytes copy = {NULL, bytes.n};
  if (bytes.n == 0) return copy;
  uint8_t *at = malloc(bytes.n);
  if (at) memcpy(at, bytes.at, bytes.n);
  copy.n = at ? bytes.n : 0;
  copy.at = at;
  return copy;
}

/* A NULL-terminated array of the list's texts; NULL when one cannot be. */
static char **texts_of(struct rch_list list) {
  char **texts = calloc((size_t)list.count + 1, sizeof *texts);
  if (!texts) return NULL;
  struct rch_bytes item;
  for (size_t i = 0; rch_list_next(&list, &item); i++)
    if (!(texts[i] = text_of(item))) return NULL;
  return texts;
}

static bool absolute(const char *path) { return path && path[0] == '/'; }

static bool job_binds(struct job *job, const struct rch_run_spec *spec) {
  uint32_t n = spec->mount_targets.count;
  if (spec->mount_sources.count != n || spec->mount_flags.count != n)
    return fail("spec", "the lists of mounts differ in length");
  job->binds = calloc((size_t)n + 1, sizeof *job->binds);
  if (!job->binds) return fail("spec", "out of memory");
  struct rch_list sources = spec->mount_sources, targets = spec->mount_targets,
                  flags = spec->mount_flags;
  struct rch_bytes source, target;
  for (; job->bind_count < n; job->bind_count++) {
    struct bind *bind = &job->binds[job->bind_count];
    if (!rch_list_next(&sources, &source) || !rch_list_next(&targets, &target) ||
        !rch_list_next_u32(&flags, &bind->flags))
      return fail("spec", "the lists of mounts are cut short");
    bind->fd = -1;
    bind->source = text_of(source);
    bind->target = text_of(target);
    bool fresh = (bind->flags & RCH_MOUNT_TMPFS) != 0;
    if (!absolute(bind->target) || strspn(bind->target, "/") == target.n ||
        (!fresh && !absolute(bind->source)))
      return fail("spec", "mount %zu has no absolute path", job->bind_count);
  }
  return true;
}

static bool job_files(struct job *job, const struct rch_run_spec *spec) {
  uint32_t n = spec->file_paths.count;
  if (spec->file_contents.count != n) return fail("spec", "the lists of files differ in length");
  job->files = calloc((size_t)n + 1, sizeof *job->files);
  if (!job->files) return fail("spec", "out of memory");
  struct rch_list paths = spec->file_paths, contents = spec->file_contents;
  struct rch_bytes path, content;
  for (; job->file_count < n; job->file_count++) {
    struct stand_in *file = &job->files[job->file_count];
    if (!rch_list_next(&paths, &path) || !rch_list_next(&contents, &content))
      return fail("spec", "the lists of files are cut short");
    file->path = text_of(path);
    file->content = bytes_of(content);
    if (!absolute(file->path) || file->content.n != content.n)
      return fail("spec", "file %zu has no absolute path", job->file_count);
  }
  return true;
}

static void job_limits(struct job *job, struct rch_bytes limits) {
  struct rch_reader reader = {limits.at, limits.n, true};
  for (; job->limit_count < RLIM_NLIMITS && reader.n >= 16; job->limit_count++) {
    job->limits[job->limit_count].rlim_cur = rch_take_u64(&reader);
    job->limits[job->limit_count].rlim_max = rch_take_u64(&reader);
  }
}

/* Copies and checks the spec; its frame may be freed afterwards. */
static bool job_from(struct job *job, const struct rch_run_spec *spec) {
  errno = 0;
  job->method = spec->method;
  if (job->method > RCH_SANDBOX_NONE) return fail("spec", "unknown method %u", job->method);
  if (!job_binds(job, spec) || !job_files(job, spec)) return false;
  job->hide = texts_of(spec->hide);
  job->argv = texts_of(spec->argv);
  job->env = texts_of(spec->env);
  job->caught = texts_of(spec->catch_exec);
  job->tool = text_of(spec->tool);
  job->cwd = text_of(spec->cwd);
  job->host = text_of(spec->host);
  if (!job->hide || !job->argv || !job->env || !job->caught || !job->host || !absolute(job->tool) ||
      !absolute(job->cwd) || !job->argv[0])
    return fail("spec", "a path, argument or variable is not one");
  job->uid = spec->uid;
  job->gid = spec->gid;
  job->umask = spec->umask & 0777;
  job->window = spec->window;
  job->network = spec->network;
  job->joined = spec->joined;
  job->kind[0] = spec->in_kind;
  job->kind[1] = spec->out_kind;
  job->kind[2] = spec->err_kind;
  job->size = (struct winsize){spec->rows, spec->cols, spec->xpixel, spec->ypixel};
  job->has_modes = spec->termios.n == MODES_WIRE;
  if (job->has_modes) job->modes = modes_read(spec->termios.at);
  job_limits(job, spec->rlimits);
  if (spec->signals.n == 2 * sizeof(uint64_t)) {
    memcpy(&job->ignored, spec->signals.at, sizeof job->ignored);
    memcpy(&job->blocked, spec->signals.at + sizeof job->ignored, sizeof job->blocked);
  }
  struct rch_list cpus = spec->affinity;
  uint32_t cpu;
  CPU_ZERO(&job->affinity);
  while (rch_list_next_u32(&cpus, &cpu)) {
    if (cpu >= CPU_SETSIZE) continue;
    CPU_SET(cpu, &job->affinity);
    job->has_affinity = true;
  }
  return true;
}

/* What rch-run (outside) and the monitor (inside) tell each other, one packet each. */
enum note_kind {
  /* from the monitor, or the init before it */
  NOTE_FAILED = 1, /* the job did not start: `failure` */
  NOTE_STARTED,    /* the execve succeeded: `at` */
  NOTE_STOPPED,    /* the tool stopped by signal `value` */
  NOTE_EXITED,     /* the tool ended with wait status `value` */
  NOTE_CAUGHT,     /* the tool (`value`: its pid here) became a program to catch, and is held */
  NOTE_TTY_FREE,   /* the tool ended and no process holds the terminal */
  NOTE_GIVEN,      /* NOTE_FOREGROUND was obeyed */
  NOTE_TAKEN_BACK, /* NOTE_BACKGROUND was obeyed: modes change no more without a stop */
  /* to the monitor */
  NOTE_SIGNAL,     /* signal `value` to the tool's group */
  NOTE_RESIZED,    /* the terminal's size changed */
  NOTE_FOREGROUND, /* give the tool's group the terminal, and continue it */
  NOTE_BACKGROUND, /* take it back; whoever reads the terminal stops again */
};
struct note {
  int32_t kind, value;
  int64_t at, user_us, system_us, max_rss;
  struct failure failure;
};

static bool send_note(int to, const struct note *note) {
  ssize_t n;
  do n = send(to, note, sizeof *note, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n == (ssize_t)sizeof *note;
}
static bool send_kind(int to, enum note_kind kind, int value) {
  struct note note = {.kind = kind, .value = value};
  return send_note(to, &note);
}
static void send_failure(int to) {
  struct note note = {.kind = NOTE_FAILED, .failure = failure};
  send_note(to, &note);
}

/* Descriptors of one job; -1 where there is none. */
struct wires {
  int control[2]; /* 0: rch-run's end, 1: the monitor's */
  int in[2];      /* the tool's standard input: 0 is its end */
  int out[2], err[2];
  int master, slave;
};

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}
#endif
