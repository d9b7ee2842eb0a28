/* The question: everything about this call that a decision may need. */
#ifndef RCH_LAUNCHER_ASK_H
#define RCH_LAUNCHER_ASK_H
#include <sys/resource.h>
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

static uint8_t kind_of(int fd, const struct stat *file) {
  if (S_ISREG(file->st_mode)) return RCH_STREAM_FILE;
  if (S_ISFIFO(file->st_mode)) return RCH_STREAM_PIPE;
  if (S_ISSOCK(file->st_mode)) return RCH_STREAM_SOCKET;
  if (!S_ISCHR(file->st_mode)) return RCH_STREAM_OTHER;
  if (file->st_rdev == makedev(1, 3)) return RCH_STREAM_DEV_NULL;
  return isatty(fd) ? RCH_STREAM_TTY : RCH_STREAM_OTHER;
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
    seen->dev = file.st_dev;
    seen->ino = file.st_ino;
  }
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
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)number, &limit) < 0) break;
    uint64_t pair[2] = {limit.rlim_cur, limit.rlim_max};
    memcpy(into + n, pair, sizeof pair);
    n += sizeof pair;
  }
  return n;
}

/* Appends the question to a buffer; false without memory. */
static bool put_ask(struct rch_buffer *out) {
  char cwd[PATH_MAX];
  uint8_t termios[TERMIOS_BYTES], rlimits[RLIM_NLIMITS * 16];
  struct winsize size = terminal_size();
  mode_t mask = umask(0);
  umask(mask);
  if (!getcwd(cwd, sizeof cwd) || cwd[0] != '/') return false;
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
      .umask = mask,
      .in_kind = in->kind, .in_flags = in->flags, .in_dev = in->dev, .in_ino = in->ino,
      .out_kind = to->kind, .out_flags = to->flags, .out_dev = to->dev, .out_ino = to->ino,
      .err_kind = error->kind, .err_flags = error->flags, .err_dev = error->dev, .err_ino = error->ino,
      .rows = size.ws_row, .cols = size.ws_col, .xpixel = size.ws_xpixel, .ypixel = size.ws_ypixel,
      .termios = {termios, terminal_pack(termios)},
      .rlimits = {rlimits, pack_rlimits(rlimits)},
      .argv = list_of(self.argv),
      .env = list_of(environ),
  };
  bool made = ask.argv.items && ask.env.items && rch_put_shim_ask(out, &ask);
  free((void *)ask.argv.items);
  free((void *)ask.env.items);
  return made && out->n <= RCH_MAX_FRAME;
}
#endif
