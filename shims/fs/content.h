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

/* Whether a file is what the new one `made` would be with its content, mode and times: of its owner and file system, and
 * neither has anything (lists of access rights, labels, flags) that a folder hands on to what is made in it. */
static bool is_alike(int file, int made) {
  struct stat a, b;
  int of_a = 0, of_b = 0;
  if (fstat(file, &a) < 0 || fstat(made, &b) < 0 || a.st_nlink != 1) return false;
  if (a.st_dev != b.st_dev || a.st_uid != b.st_uid || a.st_gid != b.st_gid) return false;
  if (ioctl(file, FS_IOC_GETFLAGS, &of_a) < 0) of_a = 0;
  if (ioctl(made, FS_IOC_GETFLAGS, &of_b) < 0) of_b = 0;
  return of_a == of_b && flistxattr(file, NULL, 0) <= 0 && flistxattr(made, NULL, 0) <= 0;
}

/* Puts the content itself over `temp`; false, and it is where it was. */
static bool move_content(const struct operation *o, const char *content, int source, int fd, const char *temp) {
  struct timespec times[2] = {{0, UTIME_OMIT}, timespec_of(o->mtime)};
  return fchmod(source, o->mode) == 0 && futimens(source, times) == 0 && renameat(AT_FDCWD, content, fd, temp) == 0;
}

/* Writes a file's temporary. Returns 0 or an errno; then nothing is left. */
static int write_temp(const struct operation *o, int fd, const char *temp) {
  struct timespec times[2] = {{0, UTIME_OMIT}, timespec_of(o->mtime)};
  int source = -1, error = 0;
  char *path = NULL;
  if (o->content) {
    struct stat st;
    path = text_of(o->data);
    source = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (source < 0) error = errno;
    else if (fstat(source, &st) < 0) error = errno;
    else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != o->size) error = EBADMSG;
    if (error || (o->content == 2 && link_content(o, path, source, fd, temp))) {
      if (source >= 0) close(source);
      free(path);
      return error;
    }
  } else if (o->data.n != o->size) {
    return EBADMSG;
  }
  int to = openat(fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (to < 0) {
    error = errno;
  } else {
    /* A clone takes no time either, and the content stays. */
    bool cloned = o->content == 3 && ioctl(to, FICLONE, source) == 0;
    bool moved = o->content == 3 && !cloned && (o->mode & 0400) && is_alike(source, to) && move_content(o, path, source, fd, temp);
    if (!moved) {
      int done = 0;
      if (!cloned) done = source >= 0 ? copy_content(source, to, (off_t)o->size) : write_all(to, o->data.at, o->data.n, 0);
      if (done < 0 || fchmod(to, o->mode) < 0 || futimens(to, times) < 0) error = errno;
    }
    if (close(to) < 0 && !error) error = errno;
    if (error) unlinkat(fd, temp, 0);
  }
  if (source >= 0) close(source);
  free(path);
  return error;
}
#endif
