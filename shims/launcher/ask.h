/* The question: everything about this call that a decision may need. */
#ifndef RCH_LAUNCHER_ASK_H
#define RCH_LAUNCHER_ASK_H
#include <linux/kcmp.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "terminal.h"
#include "tool.h"

struct descriptor {
  uint8_t kind;
  uint32_t flags;
  uint64_t dev, ino;
};

/* Descriptors 0, 1, 2 as they were given to us. */
static struct descriptor descriptors[3];
/* Which of them are one open file description: bits of RCH_SHARED_…. */
static uint8_t shared_descriptors;

static uint8_t kind_of(int fd, const struct stat *file) {
  if (S_ISREG(file->st_mode)) return RCH_STREAM_FILE;
  if (S_ISFIFO(file->st_mode)) return RCH_STREAM_PIPE;
  if (S_ISSOCK(file->st_mode)) return RCH_STREAM_SOCKET;
  if (!S_ISCHR(file->st_mode)) return RCH_STREAM_OTHER;
  if (file->st_rdev == makedev(1, 3)) return RCH_STREAM_DEV_NULL;
  return isatty(fd) ? RCH_STREAM_TTY : RCH_STREAM_OTHER;
}

/*
 * Whether two descriptors of one regular file are one open file description, by kcmp(2). Where that is not allowed, a
 * flag that means nothing for a regular file is turned over for a moment: flags belong to the description.
 */
static bool same_description(int a, int b) {
  long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);
  if (order >= 0) return order == 0;
  int flags = fcntl(a, F_GETFL), before = fcntl(b, F_GETFL);
  if (fcntl(a, F_SETFL, flags ^ O_NONBLOCK) < 0) return false;
  int after = fcntl(b, F_GETFL);
  fcntl(a, F_SETFL, flags);
  return before != after;
}

static void compare_descriptors(int a, int b, uint8_t bit) {
  const struct descriptor *one = &descriptors[a], *two = &descriptors[b];
  if (one->kind != RCH_STREAM_FILE || two->kind != RCH_STREAM_FILE) return;
  if (one->dev == two->dev && one->ino == two->ino && same_description(a, b)) shared_descriptors |= bit;
}

/* Looks at 0, 1, 2; must come before anything else is opened. */
static void look_at_descriptors(void) {
  for (int fd = 0; fd < 3; fd++) {
    struct stat file;
    struct descriptor *seen = &descriptors[fd];
    int flags = fcntl(fd, F_GETFL);
    memset(seen, 0, sizeof *seen);
    if (flags < 0 || fstat(fd, &file) < 0) continue;
    seen->kind = kind_of(fd, &file);
    seen->flags = (uint32_t)flags;
    unsigned device;
    bool known = seen->kind == RCH_STREAM_TTY && ioctl(fd, TIOCGDEV, &device) == 0;
    seen->dev = known ? 0 : file.st_dev;
    seen->ino = known ? device : file.st_ino;
  }
  compare_descriptors(0, 1, RCH_SHARED_IN_OUT);
  compare_descriptors(0, 2, RCH_SHARED_IN_ERR);
  compare_descriptors(1, 2, RCH_SHARED_OUT_ERR);
}

/* What processes and files we see, as src/base/view.ts writes it; empty where that cannot be told. */
static void look_around(char *view, size_t n) {
  struct stat processes, mounts, root;
  view[0] = 0;
  if (stat("/proc/self/ns/pid", &processes) < 0 || stat("/proc/self/ns/mnt", &mounts) < 0 || stat("/", &root) < 0)
    return;
  snprintf(view, n, "pid:%llu mnt:%llu root:%llu:%llu", (unsigned long long)processes.st_ino,
           (unsigned long long)mounts.st_ino, (unsigned long long)root.st_dev, (unsigned long long)root.st_ino);
}

static size_t count_of(char **texts) {
  size_t count = 0;
  while (texts[count]) count++;
  return count;
}

/* A list for the wire; its items are freed by the caller. NULL items without memory. */
static struct rch_list list_of(char **texts) {
  size_t count = count_of(texts);
  struct rch_bytes *items = malloc((count + 1) * sizeof *items);
  for (size_t i = 0; items && i < count; i++) items[i] = bytes_of(texts[i]);
  return (struct rch_list){.count = (uint32_t)count, .items = items};
}

static size_t pack_rlimits(uint8_t *into) {
  size_t n = 0;
  for (int number = 0; number < RLIM_NLIMITS; number++) {
    /* The kernel's own form of a limit; libraries differ in how they declare getrlimit(2). */
    uint64_t pair[2];
    if (syscall(SYS_prlimit64, 0, number, NULL, pair) < 0) break;
    memcpy(into + n, pair, sizeof pair);
    n += sizeof pair;
  }
  return n;
}

/*
 * The signals that are ignored, then those that are blocked, as the caller left them: nothing of ours has changed any
 * before the question. Those of the libraries themselves (32 to 34) are asked of the kernel like all others.
 */
static size_t pack_signals(uint8_t *into) {
  uint64_t sets[2] = {0, 0};
  for (int number = 1; number < NSIG; number++) {
    /* The kernel's own form of an action: the handler first, whatever follows. */
    uint64_t action[8] = {0};
    if (syscall(SYS_rt_sigaction, number, NULL, action, 8) == 0 && (void (*)(int))(uintptr_t)action[0] == SIG_IGN)
      sets[0] |= 1ull << (number - 1);
  }
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &sets[1], 8);
  memcpy(into, sets, sizeof sets);
  return sizeof sets;
}

/* Appends the question to a buffer; false without memory. */
static bool put_ask(struct rch_buffer *out) {
  char cwd[PATH_MAX], view[128];
  uint8_t termios[TERMIOS_BYTES], rlimits[RLIM_NLIMITS * 16], signals[16];
  struct winsize size = terminal_size();
  mode_t mask = umask(0);
  umask(mask);
  if (!getcwd(cwd, sizeof cwd) || cwd[0] != '/') return false;
  look_around(view, sizeof view);
  const struct descriptor *in = &descriptors[0], *to = &descriptors[1], *error = &descriptors[2];
  struct rch_shim_ask ask = {
      .protocol = RCH_SHIM_PROTOCOL,
      .version = bytes_of(RCH_VERSION),
      .pid = (uint32_t)getpid(),
      .ppid = (uint32_t)getppid(),
      .start_time = self.start,
      .tool = bytes_of(self.name),
      .real = bytes_of(self.real),
      .shim_dir = bytes_of(self.shims),
      .cwd = bytes_of(cwd),
      .view = bytes_of(view),
      .umask = mask,
      .in_kind = in->kind, .in_flags = in->flags, .in_dev = in->dev, .in_ino = in->ino,
      .out_kind = to->kind, .out_flags = to->flags, .out_dev = to->dev, .out_ino = to->ino,
      .err_kind = error->kind, .err_flags = error->flags, .err_dev = error->dev, .err_ino = error->ino,
      .shared = shared_descriptors,
      .rows = size.ws_row, .cols = size.ws_col, .xpixel = size.ws_xpixel, .ypixel = size.ws_ypixel,
      .termios = {termios, terminal_pack(termios)},
      .rlimits = {rlimits, pack_rlimits(rlimits)},
      .signals = {signals, pack_signals(signals)},
      .argv = list_of(self.argv),
      .env = list_of(environ),
  };
  bool made = ask.argv.items && ask.env.items && rch_put_shim_ask(out, &ask);
  free((void *)ask.argv.items);
  free((void *)ask.env.items);
  return made && out->n <= RCH_MAX_FRAME;
}
#endif
