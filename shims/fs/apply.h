/* Does a list of operations (src/tree/apply.ts) below a root. */
#ifndef RCH_FS_APPLY_H
#define RCH_FS_APPLY_H
#include "content.h"
#include "install.h"

static void do_hardlink(struct applying *a, struct operation *o, int fd, const char *temp, struct result *r) {
  struct operation to = {.op = 8};
  char dir[MAX_PATH + 1];
  struct stat st;
  if (!sane(o->data) || o->data.n == 0) {
    failed(r, EINVAL);
    return;
  }
  memcpy(to.path, o->data.at, o->data.n);
  to.path[o->data.n] = 0;
  divert(a, &to);
  const char *name = split(to.path, dir);
  int from = open_folder(a->root, dir);
  if (from < 0 || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) failed(r, errno);
  else if (!S_ISREG(st.st_mode)) failed(r, ELOOP);
  else if (linkat(from, name, fd, temp, 0) < 0) failed(r, errno);
  else finish(a, o, fd, temp, r);
  if (from >= 0) close(from);
}

static void do_dir(struct applying *a, struct operation *o, int fd, const char *temp, struct result *r) {
  struct stat st;
  if (!*o->path || mkdirat(fd, o->name, 0700) == 0) return;
  if (errno != EEXIST) {
    failed(r, errno);
    return;
  }
  if (fstatat(fd, o->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) return;
  if (mkdirat(fd, temp, 0700) < 0) failed(r, errno);
  else finish(a, o, fd, temp, r);
  r->known = false;
}

/* A FIFO, or a socket that nobody listens on. */
static void do_special(struct applying *a, struct operation *o, int fd, const char *temp, struct result *r) {
  struct timespec times[2] = {{0, UTIME_OMIT}, timespec_of(o->mtime)};
  if (mknodat(fd, temp, (o->content ? S_IFSOCK : S_IFIFO) | 0600, 0) < 0) {
    failed(r, errno);
  } else if (fchmodat(fd, temp, o->mode, 0) < 0 || utimensat(fd, temp, times, AT_SYMLINK_NOFOLLOW) < 0) {
    failed(r, errno);
    unlinkat(fd, temp, 0);
  } else {
    finish(a, o, fd, temp, r);
  }
}

static void do_dir_meta(struct applying *a, struct operation *o, struct result *r) {
  divert(a, o);
  int fd = open_folder(a->root, o->path);
  struct touched *t = find_touched(a, o->path, false);
  /* A folder of the user's in the place of one of ours is no failure: what was to be in it was diverted. */
  if (fd < 0 && *a->suffix && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) r->outcome = CONFLICT;
  else if (fd < 0 || set_by_fd(fd, o->mode, o->mtime) < 0) failed(r, errno);
  else r->known = fstat(fd, &r->st) == 0;
  if (t && r->outcome == DONE) t->settled = true;
  if (fd >= 0) close(fd);
}

static void do_remove(struct applying *a, struct operation *o, int fd, const char *temp, struct result *r) {
  struct stat st;
  if (fstatat(fd, o->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno != ENOENT) failed(r, errno);
    return;
  }
  bool dir = S_ISDIR(st.st_mode), guarded = o->guard.kind != G_NONE;
  if (guarded && (o->guard.kind == G_ABSENT || !matches(&o->guard, &st, true))) {
    r->outcome = CONFLICT;
    return;
  }
  if (dir) close_parent(a);
  if (dir || !guarded || (rename_with(fd, o->name, temp, RENAME_NOREPLACE) < 0 && unsupported())) {
    if (remove_name(fd, o->name, dir) == 0 || errno == ENOENT) return;
    if (errno == ENOTEMPTY || errno == EEXIST) r->outcome = CONFLICT;
    else failed(r, errno);
    return;
  }
  if (fstatat(fd, temp, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno != ENOENT) failed(r, errno);
  } else if (!matches(&o->guard, &st, false) || unlinkat(fd, temp, 0) < 0) {
    r->outcome = CONFLICT;
    if (rename_with(fd, temp, o->name, RENAME_NOREPLACE) < 0) keep(a, o, fd, temp, r);
  }
}

/* Where `aside` puts things, and emptying it is left to whoever named it; -1: nobody did. */
static int trash_fd = -1;

/* A name goes with all that is in it. */
static void do_aside(struct applying *a, struct operation *o, int fd, const char *temp, struct result *r) {
  /* It may be what is kept open. */
  close_parent(a);
  struct stat st;
  if (trash_fd < 0) {
    failed(r, ENOTSUP);
  } else if (renameat(fd, o->name, trash_fd, temp) < 0) {
    /* ENOENT is also told when it is the folder for such things that is gone. */
    int error = errno;
    if (error != ENOENT || fstatat(fd, o->name, &st, AT_SYMLINK_NOFOLLOW) == 0) failed(r, error);
  }
}

static void do_meta(struct operation *o, int fd, struct result *r) {
  int at = openat(fd, o->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (at < 0 || fstat(at, &r->st) < 0) {
    if (errno == ENOENT && o->guard.kind == G_IDENTITY) r->outcome = CONFLICT;
    else failed(r, errno);
  } else if (o->guard.kind == G_ABSENT || (o->guard.kind == G_IDENTITY && !matches(&o->guard, &r->st, true))) {
    r->outcome = CONFLICT;
  } else if (!S_ISREG(r->st.st_mode)) {
    failed(r, ELOOP);
  } else if (set_by_fd(at, o->mode, o->mtime) < 0) {
    failed(r, errno);
  } else {
    r->known = fstat(at, &r->st) == 0;
  }
  if (at >= 0) close(at);
}

static void do_operation(struct applying *a, struct operation *o, struct result *r) {
  char temp[64];
  if (o->op == 4) {
    do_dir_meta(a, o, r);
    return;
  }
  int fd = parent_of(a, o);
  if (fd < 0) {
    bool lost = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    if (!lost || (o->op != 6 && o->op != 8 && o->op != 9)) failed(r, errno);
    return;
  }
  if (o->op == 8) {
    r->known = fstatat(fd, *o->name ? o->name : ".", &r->st, AT_SYMLINK_NOFOLLOW) == 0;
    return;
  }
  if (!*o->path && o->op != 3) {
    failed(r, EINVAL);
    return;
  }
  /* What is removed below may be the parent that is kept open. */
  fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (fd < 0) {
    failed(r, errno);
    return;
  }
  struct touched *t = o->op == 7 ? NULL : touch(a, a->parent, fd);
  temp_name(temp);
  int error = 0;
  struct timespec times[2] = {{0, UTIME_OMIT}, timespec_of(o->mtime)};
  switch (o->op) {
    case 1:
      if ((error = write_temp(t, o, fd, temp)) == 0) finish(a, o, fd, temp, r);
      break;
    case 2: {
      char *target = text_of(o->data);
      if (symlinkat(target, fd, temp) < 0 || utimensat(fd, temp, times, AT_SYMLINK_NOFOLLOW) < 0) error = errno;
      else finish(a, o, fd, temp, r);
      free(target);
      break;
    }
    case 3: do_dir(a, o, fd, temp, r); break;
    case 5: do_hardlink(a, o, fd, temp, r); break;
    case 6: do_remove(a, o, fd, temp, r); break;
    case 7: do_meta(o, fd, r); break;
    case 9: do_aside(a, o, fd, temp, r); break;
    case 10: do_special(a, o, fd, temp, r); break;
    default: error = EINVAL;
  }
  if (error) failed(r, error);
  close(fd);
  if (!o->moved || r->outcome != DONE) return;
  /* It was done beside what is in its way here. */
  r->outcome = CONFLICT;
  r->known = false;
  if (o->op != 6) strcpy(r->kept, o->path);
}

static bool take_operation(struct rch_reader *in, struct operation *o) {
  memset(o, 0, offsetof(struct operation, path));
  o->op = rch_take_u8(in);
  bytes path = rch_take_bytes(in);
  o->guard = (struct guard){.kind = rch_take_u8(in)};
  if (o->guard.kind > G_IDENTITY || !in->ok || !sane(path)) return false;
  if (path.n) memcpy(o->path, path.at, path.n);
  o->path[path.n] = 0;
  if (o->guard.kind == G_IDENTITY) {
    o->guard.dev = rch_take_u64(in), o->guard.ino = rch_take_u64(in), o->guard.size = rch_take_u64(in);
    o->guard.mtime = rch_take_i64(in), o->guard.ctime = rch_take_i64(in), o->guard.mode = rch_take_u32(in);
    rch_take_u32(in);
  }
  o->mode = 0, o->mtime = 0, o->size = 0, o->content = 0, o->data = (bytes){NULL, 0}, o->moved = false;
  if (o->op == 1 || o->op == 4 || o->op == 7 || o->op == 10) o->mode = rch_take_u32(in) & 07777;
  if (o->op == 1 || o->op == 2 || o->op == 4 || o->op == 7 || o->op == 10) o->mtime = rch_take_i64(in);
  if (o->op == 1) o->size = rch_take_u64(in);
  if (o->op == 1 || o->op == 10) o->content = rch_take_u8(in);
  if (o->op == 1 || o->op == 2 || o->op == 5) o->data = rch_take_bytes(in);
  return in->ok && o->op >= 1 && o->op <= 10 && o->content <= (o->op == 10 ? 1 : 3) && o->size <= INT64_MAX;
}

static void put_result(struct rch_buffer *out, const struct result *r) {
  rch_put_u8(out, (uint8_t)r->outcome);
  rch_put_u32(out, (uint32_t)r->error);
  rch_put_bool(out, r->known);
  if (r->known) put_stat(out, &r->st);
  rch_put_bytes(out, (bytes){(const uint8_t *)r->kept, strlen(r->kept)});
}

/* False: the message makes no sense. */
static bool apply(const struct rch_fs_apply *m) {
  static struct operation o;
  static struct result r;
  char *root = text_of(m->root);
  struct applying a = {.root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .parent_fd = -1};
  struct rch_reader in = {m->operations.at, m->operations.n, true};
  struct rch_buffer results = {0}, out = {0};
  bool sense = true, stopped = false;
  if (a.root < 0) {
    send_failed(m->request, errno, root);
    free(root);
    return true;
  }
  a.suffix = text_of(m->suffix);
  while (in.n && (sense = take_operation(&in, &o))) {
    r.outcome = stopped ? SKIPPED : DONE, r.error = 0, r.known = false, r.kept[0] = 0;
    if (!stopped) do_operation(&a, &o, &r);
    if (r.outcome == FAILED) stopped = true;
    put_result(&results, &r);
  }
  close_parent(&a);
  restore_touched(&a);
  while (a.diverted) {
    struct diverted *d = a.diverted;
    a.diverted = d->next;
    free(d->from), free(d->to), free(d);
  }
  close(a.root);
  struct rch_fs_applied answer = {m->request, {results.at, results.n}};
  if (results.failed) die("out of memory");
  if (sense) rch_put_fs_applied(&out, &answer);
  send_out(&out);
  free(root), free(a.suffix), free(a.touched), free(a.index), free(results.at), free(out.at);
  return sense;
}
#endif
