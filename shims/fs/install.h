/* Puts what was made under a temporary name where it belongs, if that is as it was expected. */
#ifndef RCH_FS_INSTALL_H
#define RCH_FS_INSTALL_H
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>

#include "ways.h"

static bool matches(const struct guard *g, const struct stat *st, bool with_ctime) {
  if (g->dev != st->st_dev || g->ino != st->st_ino) return false;
  if (S_ISDIR(st->st_mode)) return true; /* our own work in it moves the rest */
  return g->size == (uint64_t)st->st_size && g->mtime == ns(st->st_mtim) && g->mode == (st->st_mode & 07777) &&
         (!with_ctime || g->ctime == 0 || g->ctime == ns(st->st_ctim));
}

/*
 * The second half of a temporary's name says whose it is (src/tree/leftovers.ts), so that what a killed process left
 * can be told from what another is at: pid, the low bits of its start time (proc_pid_stat(5)), FNV-1a of the boot id.
 */
static void temp_name(char *out) {
  static uint32_t start, boot, count;
  if (!count) {
    char text[1024] = "";
    FILE *file = fopen("/proc/self/stat", "re");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[n] = 0;
    if (file) fclose(file);
    char *field = strrchr(text, ')');
    for (int i = 2; field && i < 22; i++) field = strchr(field + 1, ' ');
    start = field ? (uint32_t)strtoull(field + 1, NULL, 10) : 0;
    file = fopen("/proc/sys/kernel/random/boot_id", "re");
    n = file ? fread(text, 1, 36, file) : 0;
    if (file) fclose(file);
    boot = 2166136261u;
    for (size_t i = 0; i < n; i++) boot = (boot ^ (uint8_t)text[i]) * 16777619u;
  }
  snprintf(out, 64, TEMP "%08x%08x%08x%08x", (unsigned)++count, (unsigned)getpid(), (unsigned)start, (unsigned)boot);
}

static int rename_with(int fd, const char *from, const char *to, unsigned flags) {
  return (int)syscall(SYS_renameat2, fd, from, fd, to, flags);
}

static bool unsupported(void) { return errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP; }

static int remove_name(int fd, const char *name, bool dir) { return unlinkat(fd, name, dir ? AT_REMOVEDIR : 0); }

static int failed(struct result *r, int error) {
  r->error = error;
  return r->outcome = FAILED;
}

/* A conflict: what is at `temp` is kept beside, or dropped where nothing is kept. */
static int keep(struct applying *a, struct operation *o, int fd, const char *temp, struct result *r) {
  struct stat st;
  char name[256];
  r->outcome = CONFLICT;
  if (fstatat(fd, temp, &st, AT_SYMLINK_NOFOLLOW) < 0) return CONFLICT;
  for (int n = 0; *a->suffix && n < 100; n++) {
    beside_name(a, o->name, n, name);
    int done = rename_with(fd, temp, name, RENAME_NOREPLACE);
    struct stat other;
    if (done < 0 && unsupported() && fstatat(fd, name, &other, AT_SYMLINK_NOFOLLOW) < 0)
      done = renameat(fd, temp, fd, name);
    if (done < 0) continue;
    int n_dir = (int)(o->name - o->path);
    if ((size_t)n_dir + strlen(name) <= MAX_PATH) snprintf(r->kept, sizeof r->kept, "%.*s%s", n_dir, o->path, name);
    if (S_ISDIR(st.st_mode)) add_diverted(a, o->path, r->kept);
    return CONFLICT;
  }
  remove_name(fd, temp, S_ISDIR(st.st_mode));
  return CONFLICT;
}

/* Swaps temp and target; where the file system cannot, the target's old version is lost to the rename (*swapped false). */
static int exchange(int fd, const char *temp, const char *name, bool other_type, bool *swapped) {
  *swapped = true;
  if (rename_with(fd, temp, name, RENAME_EXCHANGE) == 0) return 0;
  if (!unsupported()) return -1;
  *swapped = false;
  if (other_type) {
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || remove_name(fd, name, S_ISDIR(st.st_mode)) < 0) return -1;
  }
  return renameat(fd, temp, fd, name);
}

/* Makes what is at `temp` be at the operation's path, if that is as guarded. */
static int install(struct applying *a, struct operation *o, int fd, const char *temp, struct result *r) {
  struct stat new, old;
  bool swapped;
  if (fstatat(fd, temp, &new, AT_SYMLINK_NOFOLLOW) < 0) return failed(r, errno);
  bool there = fstatat(fd, o->name, &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there && errno != ENOENT) return failed(r, errno);
  if (o->guard.kind == G_ABSENT || (!there && o->guard.kind == G_NONE)) {
    if (there) return keep(a, o, fd, temp, r);
    if (rename_with(fd, temp, o->name, RENAME_NOREPLACE) == 0) return r->outcome = DONE;
    if (errno == EEXIST) return o->guard.kind == G_NONE ? install(a, o, fd, temp, r) : keep(a, o, fd, temp, r);
    if (unsupported() && renameat(fd, temp, fd, o->name) == 0) return r->outcome = DONE;
    return failed(r, errno);
  }
  bool other_type = S_ISDIR(new.st_mode) != S_ISDIR(old.st_mode);
  if (o->guard.kind == G_NONE && !other_type) {
    if (renameat(fd, temp, fd, o->name) < 0) return failed(r, errno);
    unlinkat(fd, temp, 0); /* rename(2) does nothing when both are one inode */
    return r->outcome = DONE;
  }
  if (!there || (o->guard.kind == G_IDENTITY && !matches(&o->guard, &old, true))) return keep(a, o, fd, temp, r);
  if (exchange(fd, temp, o->name, other_type, &swapped) < 0) {
    if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) return keep(a, o, fd, temp, r);
    return failed(r, errno);
  }
  if (!swapped) return r->outcome = DONE;
  if (S_ISDIR(old.st_mode)) close_parent(a);
  if (fstatat(fd, temp, &old, AT_SYMLINK_NOFOLLOW) == 0 && (o->guard.kind == G_NONE || matches(&o->guard, &old, false)) &&
      remove_name(fd, temp, S_ISDIR(old.st_mode)) == 0)
    return r->outcome = DONE;
  /* Not what was expected, or a folder that is not empty: it goes back. */
  if (rename_with(fd, temp, o->name, RENAME_EXCHANGE) < 0 && errno == ENOENT)
    rename_with(fd, temp, o->name, RENAME_NOREPLACE);
  return keep(a, o, fd, temp, r);
}

/* install, and what is there now; the temporary is gone afterwards in any case. */
static void finish(struct applying *a, struct operation *o, int fd, const char *temp, struct result *r) {
  /* The parent's descriptor is kept for the next operation, but install may close it. */
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  int made = openat(own, temp, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (install(a, o, own, temp, r) == FAILED) {
    struct stat st;
    if (fstatat(own, temp, &st, AT_SYMLINK_NOFOLLOW) == 0) remove_name(own, temp, S_ISDIR(st.st_mode));
  }
  r->known = r->outcome == DONE && made >= 0 && fstat(made, &r->st) == 0;
  if (made >= 0) close(made);
  if (own >= 0) close(own);
}
#endif
