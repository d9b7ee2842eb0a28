/* The way to where an operation works, and what is done when something stands in it. */
#ifndef RCH_FS_WAYS_H
#define RCH_FS_WAYS_H
#include "folders.h"

/* Splits off the folder's part of a path into `dir`; returns the name. */
static const char *split(const char *path, char *dir) {
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) : 0;
  memcpy(dir, path, n);
  dir[n] = 0;
  return slash ? slash + 1 : path;
}

static void beside_name(const struct applying *a, const char *name, int n, char *out) {
  char tail[240];
  int tailed = n ? snprintf(tail, sizeof tail, ".rch-%.200s.%d", a->suffix, n)
                 : snprintf(tail, sizeof tail, ".rch-%.200s", a->suffix);
  size_t most = 255 - (size_t)tailed, named = strlen(name) < most ? strlen(name) : most;
  memcpy(out, name, named);
  memcpy(out + named, tail, (size_t)tailed + 1);
}

/* Puts a diverted path in place of one below something that is no folder here. */
static void divert(struct applying *a, struct operation *o) {
  for (const struct diverted *d = a->diverted; d; d = d->next) {
    size_t n = strlen(d->from);
    char path[2 * MAX_PATH + 2];
    if (strncmp(o->path, d->from, n) != 0 || o->path[n] != '/') continue;
    snprintf(path, sizeof path, "%s%s", d->to, o->path + n);
    if (strlen(path) > MAX_PATH) return;
    strcpy(o->path, path);
    o->moved = true;
    return;
  }
}

static void add_diverted(struct applying *a, const char *from, const char *to) {
  struct diverted *d = grown(NULL, sizeof *d);
  d->from = text_of((bytes){(const uint8_t *)from, strlen(from)});
  d->to = text_of((bytes){(const uint8_t *)to, strlen(to)});
  d->next = a->diverted;
  a->diverted = d;
}

/*
 * The way to the operation's parent is blocked in the tree as it is now. Where versions are kept: makes missing
 * folders, and beside what is no folder one that takes the rest. True when it is worth another try.
 */
static bool clear_way(struct applying *a, struct operation *o, const char *dir) {
  char up[MAX_PATH + 1], at[MAX_PATH + 1], name[256];
  size_t bad = 0;
  if (!*a->suffix || o->op == 6 || o->op == 8) return false;
  int fd = open_walking(a->root, dir, &bad);
  if (fd >= 0) {
    close(fd);
    return false;
  }
  int error = errno;
  memcpy(at, dir, bad);
  at[bad] = 0;
  const char *last = split(at, up);
  fd = open_folder(a->root, up);
  if (fd < 0) return false;
  bool again = false;
  if (error == ENOENT) {
    touch(a, up, fd);
    again = mkdirat(fd, last, 0755) == 0;
  } else if (error == ENOTDIR || error == ELOOP) {
    touch(a, up, fd);
    for (int n = 0; n < 100 && !again; n++) {
      beside_name(a, last, n, name);
      if (mkdirat(fd, name, 0755) < 0) continue;
      char to[MAX_PATH + 300];
      snprintf(to, sizeof to, "%s%s%s", up, *up ? "/" : "", name);
      add_diverted(a, at, to);
      again = true;
    }
  }
  close(fd);
  return again;
}

/* The folder an operation works in; sets o->name. -1: errno. */
static int parent_of(struct applying *a, struct operation *o) {
  char dir[MAX_PATH + 1];
  for (int tries = 0; tries < MAX_PATH; tries++) {
    divert(a, o);
    o->name = split(o->path, dir);
    if (a->parent_fd >= 0 && strcmp(a->parent, dir) == 0) return a->parent_fd;
    close_parent(a);
    a->parent_fd = open_folder(a->root, dir);
    strcpy(a->parent, dir);
    if (a->parent_fd >= 0) return a->parent_fd;
    int error = errno;
    if (!clear_way(a, o, dir)) {
      errno = error;
      return -1;
    }
  }
  return -1;
}
#endif
