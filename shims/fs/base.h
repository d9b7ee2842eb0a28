/* What scans and applies share: memory, times, bytes on the wire. */
#ifndef RCH_FS_BASE_H
#define RCH_FS_BASE_H
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../protocol.h"

#define TEMP ".rch-tmp-"
#define MAX_PATH 4096

typedef struct rch_bytes bytes;

static void die(const char *what) {
  fprintf(stderr, "rch-fs: %s\n", what);
  exit(1);
}

static void *grown(void *at, size_t n) {
  void *p = realloc(at, n ? n : 1);
  if (!p) die("out of memory");
  return p;
}

static int64_t ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static struct timespec timespec_of(int64_t t) {
  struct timespec v = {t / 1000000000, t % 1000000000};
  if (v.tv_nsec < 0) {
    v.tv_nsec += 1000000000;
    v.tv_sec--;
  }
  return v;
}

static void send_out(struct rch_buffer *b) {
  if (b->failed) die("out of memory");
  for (size_t at = 0; at < b->n;) {
    ssize_t n = write(1, b->at + at, b->n - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) exit(1);
    at += (size_t)n;
  }
  b->n = 0;
}

static void send_failed(uint32_t request, int error, const char *what) {
  struct rch_buffer b = {0};
  struct rch_fs_failed m = {request, (uint32_t)error, {(const uint8_t *)what, strlen(what)}};
  rch_put_fs_failed(&b, &m);
  send_out(&b);
  free(b.at);
}

static void put_stat(struct rch_buffer *b, const struct stat *st) {
  rch_put_u64(b, st->st_dev);
  rch_put_u64(b, st->st_ino);
  rch_put_u64(b, (uint64_t)st->st_size);
  rch_put_i64(b, ns(st->st_mtim));
  rch_put_i64(b, ns(st->st_ctim));
  rch_put_u32(b, st->st_mode & 07777);
  rch_put_u32(b, (uint32_t)st->st_nlink);
}

static char *text_of(bytes v) {
  char *s = grown(NULL, v.n + 1);
  if (v.n) memcpy(s, v.at, v.n);
  s[v.n] = 0;
  return s;
}
#endif
