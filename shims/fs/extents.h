/* Tells where a file holds data, by SEEK_DATA and SEEK_HOLE of lseek(2). */
#ifndef RCH_FS_EXTENTS_H
#define RCH_FS_EXTENTS_H
#include <fcntl.h>

#include "base.h"

/* Holes below this are told as data: jumping over them gains nothing. */
#define LEAST_HOLE (256 << 10)
#define MOST_RANGES 65536

static void put_range(struct rch_buffer *out, off_t from, off_t till) {
  rch_put_u64(out, (uint64_t)from);
  rch_put_u64(out, (uint64_t)till);
}

/* False: too many, or the file system cannot tell. */
static bool map_ranges(int fd, off_t size, struct rch_buffer *out) {
  off_t from = 0, till = 0;
  bool open = false;
  for (size_t count = 0; till < size; count++) {
    off_t data = lseek(fd, till, SEEK_DATA);
    if (data < 0 && errno != ENXIO) return false;
    if (data < 0 || data >= size) break;
    off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole <= data || count == MOST_RANGES) return false;
    if (open && data - till >= LEAST_HOLE) {
      put_range(out, from, till);
      open = false;
    }
    if (!open) from = data >= LEAST_HOLE || till > 0 ? data : 0;
    open = true;
    till = hole < size ? hole : size;
  }
  if (open) put_range(out, from, till);
  return true;
}

static void tell_extents(const struct rch_fs_extents *m) {
  char *path = text_of(m->path);
  struct stat st;
  struct rch_buffer ranges = {0}, out = {0};
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0) {
    send_failed(m->request, errno, path);
  } else {
    bool known = S_ISREG(st.st_mode) && map_ranges(fd, st.st_size, &ranges);
    struct rch_fs_mapped answer = {m->request, known, (uint64_t)st.st_size, {ranges.at, known ? ranges.n : 0}};
    if (ranges.failed) die("out of memory");
    rch_put_fs_mapped(&out, &answer);
    send_out(&out);
  }
  if (fd >= 0) close(fd);
  free(path), free(ranges.at), free(out.at);
}
#endif
