/* Writes files: from bytes, from another file with its holes, as one more name of it, or by moving it. */
#ifndef RCH_FS_CONTENT_H
#define RCH_FS_CONTENT_H
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "folders.h"

static int write_all(int fd, const uint8_t *at, size_t n, off_t offset) {
  while (n) {
    ssize_t done = pwrite(fd, at, n, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return -1;
    at += done, n -= (size_t)done, offset += done;
  }
  return 0;
}

static int copy_range(int from, int to, off_t at, off_t end) {
  static uint8_t block[1 << 17];
  bool by_kernel = end - at > (off_t)sizeof block;
  while (at < end) {
    if (by_kernel) {
      loff_t in = at, out = at;
      ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);
      if (n > 0) {
        at += n;
        continue;
      }
      if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO)) return -1;
      by_kernel = false;
    }
    ssize_t n = pread(from, block, end - at > (off_t)sizeof block ? sizeof block : (size_t)(end - at), at);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = EIO;
    if (n <= 0 || write_all(to, block, (size_t)n, at) < 0) return -1;
    at += n;
  }
  return 0;
}

/* Copies with its holes. */
static int copy_content(int from, int to, off_t size) {
  if (size > 65536) {
    if (ioctl(to, FICLONE, from) == 0) return 0;
    if (ftruncate(to, size) < 0) return -1;
    for (off_t at = 0; at < size;) {
      off_t data = lseek(from, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) return 0;
      off_t end = data < 0 ? size : lseek(from, data, SEEK_HOLE);
      if (data < 0) data = at;
      if (end < 0 || end > size) end = size;
      if (copy_range(from, to, data, end) < 0) return -1;
      at = end;
    }
    return 0;
  }
  return copy_range(from, to, 0, size);
}

/* Tries to let `temp` share the content's inode: its mode and time must be the wanted ones, or nobody's yet. */
static bool link_content(const struct operation *o, const char *content, int source, int fd, const char *temp) {
  struct stat st;
  if (fstat(source, &st) < 0) return false;
  struct timespec times[2] = {{0, UTIME_OMIT}, timespec_of(o->mtime)};
  if (st.st_nlink == 1 && (fchmod(source, o->mode) < 0 || futimens(source, times) < 0)) return false;
  if (linkat(AT_FDCWD, content, fd, temp, 0) < 0) return false;
  struct stat linked;
  if (fstatat(fd, temp, &linked, AT_SYMLINK_NOFOLLOW) == 0 && linked.st_ino == st.st_ino &&
      (linked.st_mode & 07777) == o->mode && ns(linked.st_mtim) == o->mtime)
    return true;
  unlinkat(fd, temp, 0);
  return false;
}

static void nature_of(int fd, struct nature *n) {
  struct stat st;
  *n = (struct nature){0};
  if (fstat(fd, &st) < 0) return;
  *n = (struct nature){.dev = st.st_dev, .uid = st.st_uid, .gid = st.st_gid};
  if (ioctl(fd, FS_IOC_GETFLAGS, &n->flags) < 0) n->flags = 0;
  n->bare = st.st_nlink == 1 && flistxattr(fd, NULL, 0) <= 0;
}

/* Finds out what a new file in the folder is of itself: of whom, and what it has of the folder's. Once, as a name that
 * is made and removed again costs as much as all the rest. */
static void try_folder(struct touched *t, int source, int fd, const char *temp) {
  int to = openat(fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (to < 0) return;
  nature_of(to, &t->made);
  t->tried = true;
  /* A clone takes no time either, and the content stays. */
  if (ioctl(to, FICLONE, source) == 0) t->made.bare = false;
  close(to);
  unlinkat(fd, temp, 0);
}

/* Puts the content itself at `temp`, if a new file in that folder would be just like it; false, and nothing is there. */
static bool move_content(struct touched *t, const struct operation *o, const char *content, int source, int fd,
                         const char *temp) {
  struct timespec times[2] = {{0, UTIME_OMIT}, timespec_of(o->mtime)};
  struct nature its, *made = &t->made;
  struct stat st, moved;
  if (!t->tried) try_folder(t, source, fd, temp);
  nature_of(source, &its);
  if (!(o->mode & 0400) || !its.bare || !made->bare || its.dev != made->dev) return false;
  if (its.uid != made->uid || its.gid != made->gid || its.flags != made->flags) return false;
  if (fchmod(source, o->mode) < 0 || futimens(source, times) < 0 || fstat(source, &st) < 0) return false;
  if (renameat(AT_FDCWD, content, fd, temp) < 0) return false;
  if (fstatat(fd, temp, &moved, AT_SYMLINK_NOFOLLOW) == 0 && moved.st_ino == st.st_ino) return true;
  /* The name had become another file's meanwhile. */
  unlinkat(fd, temp, 0);
  return false;
}

/* Opens the content that is to become a file. Returns 0 or an errno. */
static int open_content(const struct operation *o, const char *content, int *source) {
  struct stat st;
  int fd = open(content, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), error = 0;
  if (fd < 0) return errno;
  if (fstat(fd, &st) < 0) error = errno;
  else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != o->size) error = EBADMSG;
  if (error) close(fd);
  else *source = fd;
  return error;
}

/* Makes a file at `temp` with what is in `source`, or else in the operation. Returns 0 or an errno; then nothing is left. */
static int make_file(const struct operation *o, int source, int fd, const char *temp) {
  struct timespec times[2] = {{0, UTIME_OMIT}, timespec_of(o->mtime)};
  int to = openat(fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), done = 0, error = 0;
  if (to < 0) return errno;
  if (source < 0) done = write_all(to, o->data.at, o->data.n, 0);
  else if (o->content != 3 || ioctl(to, FICLONE, source) < 0) done = copy_content(source, to, (off_t)o->size);
  if (done < 0 || fchmod(to, o->mode) < 0 || futimens(to, times) < 0) error = errno;
  if (close(to) < 0 && !error) error = errno;
  if (error) unlinkat(fd, temp, 0);
  return error;
}

/* Writes a file's temporary in the folder `t`, which is open as `fd`. Returns 0 or an errno; then nothing is left. */
static int write_temp(struct touched *t, const struct operation *o, int fd, const char *temp) {
  if (!o->content) return o->data.n == o->size ? make_file(o, -1, fd, temp) : EBADMSG;
  char *path = text_of(o->data);
  int source = -1, error = open_content(o, path, &source);
  bool there = !error && ((o->content == 2 && link_content(o, path, source, fd, temp)) ||
                          (o->content == 3 && move_content(t, o, path, source, fd, temp)));
  if (!error && !there) error = make_file(o, source, fd, temp);
  if (source >= 0) close(source);
  free(path);
  return error;
}
#endif
