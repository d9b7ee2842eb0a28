/* Folders below a root: opened without following anything, and left with the times they had. */
#ifndef RCH_FS_FOLDERS_H
#define RCH_FS_FOLDERS_H
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base.h"

/* What a file is besides its name, content, mode and times; `bare`: one name, no lists of access rights, labels and the like. */
struct nature {
  dev_t dev;
  uid_t uid;
  gid_t gid;
  int flags;
  bool bare;
};
/* A folder in which something was made or removed: its mtime goes back to what it was. */
struct touched {
  char *path;
  struct stat st;
  bool opened, settled;
  bool tried;         /* `made` is known */
  struct nature made; /* of a new file in it; not bare where a content is better cloned than moved */
};
/* What would have come below `from`, which is no folder here, is kept below `to`. */
struct diverted {
  char *from, *to;
  struct diverted *next;
};
struct applying {
  int root;
  char *suffix;
  struct touched *touched;
  size_t count, room;
  uint32_t *index;
  size_t slots;
  struct diverted *diverted;
  char parent[MAX_PATH + 1]; /* of the descriptor kept open */
  int parent_fd;
};
enum { DONE, CONFLICT, FAILED, SKIPPED };
struct result {
  int outcome, error;
  bool known;
  struct stat st;
  char kept[MAX_PATH + 1];
};
enum { G_NONE, G_ABSENT, G_IDENTITY };
struct guard {
  int kind;
  uint64_t dev, ino, size;
  int64_t mtime, ctime;
  uint32_t mode;
};
struct operation {
  uint8_t op;
  char path[MAX_PATH + 1];
  const char *name; /* within path */
  struct guard guard;
  uint32_t mode;
  int64_t mtime;
  uint64_t size;
  uint8_t content;
  bytes data;
  bool moved; /* the path was diverted */
};

static bool no_openat2;

/* Is it a path below a root: no empty, `.`, `..` part, no NUL? '' is the root. */
static bool sane(bytes path) {
  if (path.n == 0) return true;
  if (path.n > MAX_PATH || memchr(path.at, 0, path.n)) return false;
  for (size_t at = 0, start = 0; at <= path.n; at++) {
    if (at < path.n && path.at[at] != '/') continue;
    size_t n = at - start;
    const uint8_t *part = path.at + start;
    if (n == 0 || n > 255 || (part[0] == '.' && (n == 1 || (n == 2 && part[1] == '.')))) return false;
    start = at + 1;
  }
  return true;
}

/* Opens the folder `path` below `root` one part after the other; *bad is set to the length of the path up to what stopped it. */
static int open_walking(int root, const char *path, size_t *bad) {
  int at = fcntl(root, F_DUPFD_CLOEXEC, 3);
  for (const char *p = path; at >= 0 && *p;) {
    const char *end = strchrnul(p, '/');
    char part[256];
    memcpy(part, p, (size_t)(end - p));
    part[end - p] = 0;
    int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    close(at);
    errno = error;
    at = next;
    if (bad) *bad = (size_t)(end - path);
    p = *end ? end + 1 : end;
  }
  return at;
}

static int open_folder(int root, const char *path) {
  if (!no_openat2 && *path && strlen(path) < MAX_PATH) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EAGAIN)) return fd;
    if (errno == ENOSYS) no_openat2 = true;
  }
  return open_walking(root, path, NULL);
}

static int set_by_fd(int fd, uint32_t mode, int64_t mtime) {
  char path[64];
  struct timespec times[2] = {{0, UTIME_OMIT}, timespec_of(mtime)};
  /* fchmod and futimens refuse an O_PATH descriptor; its link in /proc leads to the same inode. */
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (chmod(path, mode) < 0) return -1;
  return utimensat(AT_FDCWD, path, times, 0);
}

static uint32_t hash_of(const char *s) {
  uint32_t h = 2166136261u;
  for (; *s; s++) h = (h ^ (uint8_t)*s) * 16777619u;
  return h;
}

/* The record of a touched folder, or NULL; with `make`, a new one. */
static struct touched *find_touched(struct applying *a, const char *path, bool make) {
  if (a->count * 2 >= a->slots) {
    a->slots = a->slots ? a->slots * 2 : 64;
    a->index = grown(a->index, a->slots * sizeof *a->index);
    memset(a->index, 0, a->slots * sizeof *a->index);
    for (size_t i = 0; i < a->count; i++) {
      size_t slot = hash_of(a->touched[i].path) & (a->slots - 1);
      while (a->index[slot]) slot = (slot + 1) & (a->slots - 1);
      a->index[slot] = (uint32_t)i + 1;
    }
  }
  size_t slot = hash_of(path) & (a->slots - 1);
  for (; a->index[slot]; slot = (slot + 1) & (a->slots - 1))
    if (strcmp(a->touched[a->index[slot] - 1].path, path) == 0) return &a->touched[a->index[slot] - 1];
  if (!make) return NULL;
  if (a->count == a->room) a->touched = grown(a->touched, (a->room = a->room * 2 + 16) * sizeof *a->touched);
  struct touched *t = &a->touched[a->count++];
  memset(t, 0, sizeof *t);
  t->path = text_of((bytes){(const uint8_t *)path, strlen(path)});
  a->index[slot] = (uint32_t)a->count;
  return t;
}

/* Before the first change in a folder: remembers its times, and lets us write in it for a while. */
static struct touched *touch(struct applying *a, const char *path, int fd) {
  struct touched *t = find_touched(a, path, true);
  struct stat st;
  if (fstat(fd, &st) < 0 || (t->st.st_ino == st.st_ino && t->st.st_dev == st.st_dev)) return t;
  t->st = st;
  t->settled = t->tried = false;
  t->opened = (st.st_mode & 0300) != 0300 && geteuid() != 0;
  if (t->opened) set_by_fd(fd, (st.st_mode & 07777) | 0700, ns(st.st_mtim));
  return t;
}

static void close_parent(struct applying *a) {
  if (a->parent_fd >= 0) close(a->parent_fd);
  a->parent_fd = -1;
}

static void restore_touched(struct applying *a) {
  for (size_t i = a->count; i-- > 0;) {
    struct touched *t = &a->touched[i];
    struct stat st;
    int fd = t->settled ? -1 : open_folder(a->root, t->path);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == t->st.st_ino && st.st_dev == t->st.st_dev)
      set_by_fd(fd, (t->opened ? t->st.st_mode : st.st_mode) & 07777, ns(t->st.st_mtim));
    if (fd >= 0) close(fd);
    free(t->path);
  }
}
#endif
