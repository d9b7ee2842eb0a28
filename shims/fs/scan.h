/* Walks a tree and tells what differs from the walk before. */
#ifndef RCH_FS_SCAN_H
#define RCH_FS_SCAN_H
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "crew.h"

/* Kernel times are those of the last tick, up to 10 ms old; twice that is near. */
#define RACY_NS 20000000

static bool same_stat(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mode == b->st_mode && a->st_nlink == b->st_nlink && ns(a->st_mtim) == ns(b->st_mtim) &&
         ns(a->st_ctim) == ns(b->st_ctim);
}

static bool unchanged(const struct node *a, const struct node *b) {
  if (a->tag != b->tag || a->detail != b->detail || a->racy) return false;
  if (a->tag > SYMLINK) return true;
  if (!same_stat(&a->st, &b->st)) return false;
  return a->tag != SYMLINK || strcmp(a->target, b->target) == 0;
}

/* Kernel interfaces in the shape of a file system: reading them means nothing, or hangs. */
static bool foreign(int fd) {
  struct statfs fs;
  if (fstatfs(fd, &fs) < 0) return false;
  switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC: case SYSFS_MAGIC: case CGROUP_SUPER_MAGIC: case CGROUP2_SUPER_MAGIC:
    case DEBUGFS_MAGIC: case TRACEFS_MAGIC: case DEVPTS_SUPER_MAGIC: case SECURITYFS_MAGIC:
    case BPF_FS_MAGIC: case BINFMTFS_MAGIC: case NSFS_MAGIC: case PSTOREFS_MAGIC:
      return true;
    default:
      return false;
  }
}

static bool is_dots(const char *s) { return s[0] == '.' && (!s[1] || (s[1] == '.' && !s[2])); }

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted; one block of memory to free behind *arena. Returns an errno. */
static int list_names(int fd, char ***names, size_t *count, char **arena) {
  static _Thread_local char block[65536] __attribute__((aligned(16)));
  size_t used = 0, room = 0;
  *names = NULL, *arena = NULL, *count = 0;
  for (;;) {
    long n = syscall(SYS_getdents64, fd, block, sizeof block);
    if (n < 0) return errno;
    if (n == 0) break;
    for (long at = 0; at < n;) {
      struct dirent64 *d = (struct dirent64 *)(block + at);
      at += d->d_reclen;
      if (is_dots(d->d_name)) continue;
      size_t length = strlen(d->d_name) + 1;
      if (room - used < length) *arena = grown(*arena, room = room * 2 + length + 512);
      memcpy(*arena + used, d->d_name, length);
      used += length;
      ++*count;
    }
  }
  *names = grown(NULL, *count * sizeof **names);
  char *at = *arena;
  for (size_t i = 0; i < *count; i++, at += strlen(at) + 1) (*names)[i] = at;
  qsort(*names, *count, sizeof **names, compare_names);
  return 0;
}

/* Could a change after the scan leave these times as they are? */
static bool is_racy(const struct walk *w, const struct stat *st) {
  int64_t m = ns(st->st_mtim);
  return ns(st->st_ctim) >= w->started - RACY_NS || (m >= w->started - RACY_NS && m <= w->started + RACY_NS);
}

/* Looks at `name` in the folder `fd`; opens it when it is a folder. False: it is gone. */
static bool look(struct walk *w, int fd, const char *name, struct node *node, int *child) {
  static _Thread_local char target[4096]; /* walk_dir recurses: its frames must stay small */
  for (int tries = 0; tries < 8; tries++) {
    *child = -1;
    if (fstatat(fd, name, &node->st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
      if (errno == ENOENT) return false;
      node->tag = UNREADABLE, node->detail = (uint32_t)errno;
      return true;
    }
    node->racy = is_racy(w, &node->st);
    mode_t format = node->st.st_mode & S_IFMT;
    if (format == S_IFREG) {
      node->tag = FILE_;
    } else if (format == S_IFDIR) {
      node->tag = DIR_;
      *child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (*child < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) continue;
      if (*child < 0) node->tag = UNREADABLE, node->detail = (uint32_t)errno;
    } else if (format == S_IFLNK) {
      node->tag = SYMLINK;
      ssize_t n = readlinkat(fd, name, target, sizeof target - 1);
      if (n < 0 && (errno == ENOENT || errno == EINVAL)) continue;
      if (n < 0) {
        node->tag = UNREADABLE, node->detail = (uint32_t)errno;
      } else {
        target[n] = 0;
        node->target = text_of((bytes){(uint8_t *)target, (size_t)n});
      }
    } else {
      node->tag = SPECIAL, node->detail = format;
    }
    return true;
  }
  return false;
}

static void set_blind(void) { __atomic_store_n(&crew.blind, true, __ATOMIC_RELAXED); }

/* One name of a folder: `node` becomes what it is, `old` is what it was. False: leave it out. */
static bool walk_name(struct walk *w, int fd, dev_t dev, struct node *node, struct node *old, bool inside) {
  int child = -1;
  if (listed(w->skip, w->skips, w)) return false;
  if (!inside) {
    inside = listed(w->only, w->onlys, w);
    if (!inside && !leads_to_only(w)) return false;
  }
  if (strncmp(node->name, TEMP, sizeof TEMP - 1) == 0) node->tag = TEMP_;
  else if (!look(w, fd, node->name, node, &child)) return false;
  /* A file that has other names may change under one that is not in the tree. */
  if (node->racy || node->tag > SPECIAL || (node->tag != DIR_ && node->st.st_nlink > 1)) set_blind();
  if (child >= 0 && node->st.st_dev != dev && foreign(child)) {
    close(child);
    child = -1;
    node->tag = SPECIAL, node->detail = 0;
  }
  if (old && old->tag == DIR_ && node->tag != DIR_)
    for (size_t i = 0; i < old->count; i++) emit_gone(w, &old->child[i]);
  if (child >= 0) {
    if (!old || !unchanged(old, node)) emit(w, node);
    const struct node *before = old && old->tag == DIR_ ? old : NULL;
    if (!hand_over(w, child, node, before, inside)) walk_opened(w, child, node, before, inside);
  } else if (!old || !unchanged(old, node)) {
    emit(w, node);
  }
  return true;
}

static void walk_dir(struct walk *w, int fd, struct node *dir, const struct node *old, bool inside) {
  char **names, *arena;
  size_t count, was = 0, made = 0;
  /* Before it is listed: what happens meanwhile is found by the next scan. */
  if (w->watch && (dir->st.st_dev != w->dev || !watch_folder(fd, w->tree))) set_blind();
  int error = list_names(fd, &names, &count, &arena);
  if (error) {
    dir->tag = error == ENOENT ? GONE : UNREADABLE; /* ENOENT: removed since it was opened */
    dir->detail = (uint32_t)error;
    count = 0;
  }
  dir->child = grown(NULL, count * sizeof *dir->child);
  for (size_t i = 0; i < count; i++) {
    struct node *before = NULL;
    for (; old && was < old->count; was++) {
      int order = strcmp(old->child[was].name, names[i]);
      if (order > 0) break;
      if (order == 0) {
        before = &old->child[was++];
        break;
      }
      emit_gone(w, &old->child[was]);
    }
    struct node *node = &dir->child[made];
    memset(node, 0, sizeof *node);
    node->name = names[i];
    size_t at = enter(w, names[i]);
    bool there = walk_name(w, fd, dir->st.st_dev, node, before, inside);
    w->n = at;
    if (!there) {
      if (before) emit_gone(w, before);
      continue;
    }
    if (before) {
      node->name = before->name;
      before->name = NULL;
    } else {
      node->name = text_of((bytes){(uint8_t *)names[i], strlen(names[i])});
    }
    made++;
  }
  for (; old && was < old->count; was++) emit_gone(w, &old->child[was]);
  dir->count = made;
  free(names);
  free(arena);
}

/* Walks a folder that is open and is not told of yet beyond its own entry; closes it. */
static void walk_opened(struct walk *w, int fd, struct node *dir, const struct node *old, bool inside) {
  size_t at = w->n;
  walk_dir(w, fd, dir, old, inside);
  w->n = at;
  close(fd);
  if (dir->tag != DIR_) set_blind();
  if (dir->tag == UNREADABLE) emit(w, dir);
  if (dir->tag == GONE) {
    begin_record(w, GONE);
    __atomic_store_n(&crew.gone, true, __ATOMIC_RELAXED);
  }
}

/* Takes out of a tree the folders that were removed while they were walked. */
static void drop_gone(struct node *dir) {
  size_t kept = 0;
  for (size_t i = 0; i < dir->count; i++) {
    struct node *node = &dir->child[i];
    if (node->tag == GONE) {
      drop_children(node);
      free(node->name);
      continue;
    }
    drop_gone(node);
    dir->child[kept++] = *node;
  }
  dir->count = kept;
}

static struct tree *tree_of(uint32_t number) {
  for (struct tree *t = trees; t; t = t->next)
    if (t->number == number) return t;
  struct tree *t = grown(NULL, sizeof *t);
  memset(t, 0, sizeof *t);
  t->number = number;
  t->next = trees;
  return trees = t;
}

static void forget_tree(uint32_t number) {
  for (struct tree **at = &trees; *at; at = &(*at)->next) {
    struct tree *t = *at;
    if (t->number != number) continue;
    *at = t->next;
    unwatch_tree(number);
    drop_children(&t->top);
    free(t->root);
    free(t);
    return;
  }
}

static void touch_trees(uint32_t number, bool all) {
  for (struct tree *t = trees; t; t = t->next)
    if (all || t->number == number) t->touched = true;
}

/* Walks the open root, of which `top` is known; what is found takes the place of what the tree was. */
static void walk_tree(struct walk *w, int fd, struct tree *t, struct node top) {
  if (w->whole || !unchanged(&t->top, &top)) emit(w, &top);
  crew.gone = false;
  crew.blind = top.racy;
  walk_dir(w, fd, &top, w->whole ? NULL : &t->top, w->onlys == 0);
  finish_tasks();
  if (crew.gone) drop_gone(&top);
  if (top.tag != DIR_) {
    top.tag = UNREADABLE;
    crew.blind = true;
    emit(w, &top);
  }
  drop_children(&t->top);
  t->top = top;
}

static void scan(const struct rch_fs_scan *m) {
  char *root = text_of(m->root);
  int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct walk w = {.request = m->request, .started = ns(now)}, answer;
  struct node top = {.tag = DIR_};
  if (fd < 0 || fstat(fd, &top.st) < 0) {
    send_failed(m->request, errno, root);
    if (fd >= 0) close(fd);
    free(root);
    return;
  }
  top.racy = is_racy(&w, &top.st);
  struct tree *t = tree_of(m->tree);
  if (t->root && (m->fresh || strcmp(t->root, root) != 0)) {
    forget_tree(m->tree);
    t = tree_of(m->tree);
  }
  w.whole = t->root == NULL;
  /* What is left out is not watched, and may hold other names of files that are. */
  w.watch = m->quiet && !m->skip.count && !m->only.count && is_watchable(fd);
  w.tree = m->tree;
  w.dev = top.st.st_dev;
  if (w.watch) hear_events();
  if (w.watch && t->watched && !t->touched && same_stat(&t->top.st, &top.st)) {
    free(root);
  } else {
    t->touched = false;
    w.skip = sorted_list(m->skip, &w.skips);
    w.only = sorted_list(m->only, &w.onlys);
    w.path = grown(NULL, w.room = 4096);
    w.path[0] = 0;
    walk_tree(&w, fd, t, top);
    t->watched = w.watch && !crew.blind;
    free(t->root);
    t->root = root;
  }
  answer = w;
  answer.records = (struct rch_buffer){0};
  gather(&answer, &w);
  flush_records(&answer, true);
  close(fd);
  free(w.skip), free(w.only), free(w.path), free(answer.records.at), free(answer.out.at);
}
#endif
