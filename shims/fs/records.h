/* What a scan remembers of a tree, and the records in which it tells what differs. */
#ifndef RCH_FS_RECORDS_H
#define RCH_FS_RECORDS_H
#include "watch.h"

#define PART (1u << 20)

enum { GONE, FILE_, DIR_, SYMLINK, SPECIAL, UNREADABLE, TEMP_ };

/* What the last scan saw: a folder's children are sorted by name. */
struct node {
  char *name, *target;
  struct node *child;
  size_t count;
  struct stat st;
  uint32_t detail;
  uint8_t tag, racy;
};
struct tree {
  uint32_t number;
  char *root;
  struct node top;
  bool watched; /* whatever happens in it is heard, and nobody wrote in it while it was scanned */
  bool touched; /* something happened in it since */
  struct tree *next;
};
/* A place in a walk's records: where what a task finds belongs, or (no task) where they may be cut. */
struct mark {
  size_t at;
  struct task *task;
};
/* A walk of a tree, or of one folder of it by another thread. */
struct walk {
  struct rch_buffer records, out;
  struct mark *marks;
  size_t marked, mark_room;
  uint32_t request;
  int64_t started;
  bool whole, part; /* part: of a larger walk */
  bool watch;
  uint32_t tree;
  dev_t dev; /* of what is watched */
  char *path;
  size_t n, room;
  bytes *skip, *only;
  size_t skips, onlys;
};

static struct tree *trees;

static void drop_children(struct node *dir) {
  for (size_t i = 0; i < dir->count; i++) {
    drop_children(&dir->child[i]);
    free(dir->child[i].name);
    free(dir->child[i].target);
  }
  free(dir->child);
  dir->child = NULL;
  dir->count = 0;
}

static void flush_records(struct walk *w, bool last) {
  struct rch_fs_scanned m = {w->request, {w->records.at, w->records.n}, last, w->whole, w->started};
  if (w->records.failed) die("out of memory");
  rch_put_fs_scanned(&w->out, &m);
  send_out(&w->out);
  w->records.n = 0;
}

static void put_mark(struct walk *w, struct task *task) {
  if (w->marked == w->mark_room)
    w->marks = grown(w->marks, (w->mark_room = w->mark_room * 2 + 16) * sizeof *w->marks);
  w->marks[w->marked++] = (struct mark){w->records.n, task};
}

/* Bytes of records since the last mark. */
static size_t unmarked(const struct walk *w) {
  return w->records.n - (w->marked ? w->marks[w->marked - 1].at : 0);
}

static void begin_record(struct walk *w, uint8_t tag) {
  if (unmarked(w) >= PART) {
    /* What comes before in the tree may still be under way elsewhere. */
    if (w->part || w->marked) put_mark(w, NULL);
    else flush_records(w, false);
  }
  rch_put_u8(&w->records, tag);
  rch_put_bytes(&w->records, (bytes){(const uint8_t *)w->path, w->n});
}

static void emit(struct walk *w, const struct node *node) {
  begin_record(w, node->tag);
  if (node->tag == SPECIAL || node->tag == UNREADABLE) rch_put_u32(&w->records, node->detail);
  if (node->tag > SYMLINK) return;
  put_stat(&w->records, &node->st);
  rch_put_u8(&w->records, node->racy);
  if (node->tag == SYMLINK)
    rch_put_bytes(&w->records, (bytes){(const uint8_t *)node->target, strlen(node->target)});
}

/* Makes w->path the path of `name` in it; returns what to cut it back to. */
static size_t enter(struct walk *w, const char *name) {
  size_t before = w->n, n = strlen(name);
  if (w->room < before + n + 2) w->path = grown(w->path, w->room = (before + n + 2) * 2);
  if (before) w->path[w->n++] = '/';
  memcpy(w->path + w->n, name, n + 1);
  w->n += n;
  return before;
}

static void emit_gone(struct walk *w, const struct node *node) {
  size_t before = enter(w, node->name);
  for (size_t i = 0; i < node->count; i++) emit_gone(w, &node->child[i]);
  begin_record(w, GONE);
  w->n = before;
}

static int compare_bytes(const void *a, const void *b) {
  const bytes *x = a, *y = b;
  size_t least = x->n < y->n ? x->n : y->n;
  int order = least ? memcmp(x->at, y->at, least) : 0;
  return order ? order : (x->n > y->n) - (x->n < y->n);
}

static bytes *sorted_list(struct rch_list list, size_t *count) {
  bytes *items = grown(NULL, list.count * sizeof *items);
  *count = 0;
  for (bytes item; rch_list_next(&list, &item);) items[(*count)++] = item;
  qsort(items, *count, sizeof *items, compare_bytes);
  return items;
}

static bool listed(const bytes *items, size_t count, const struct walk *w) {
  bytes key = {(const uint8_t *)w->path, w->n};
  return count && bsearch(&key, items, count, sizeof *items, compare_bytes) != NULL;
}

/* Is anything of `only` below the path? */
static bool leads_to_only(struct walk *w) {
  size_t low = 0, high = w->onlys;
  w->path[w->n] = '/';
  bytes key = {(const uint8_t *)w->path, w->n + 1};
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (compare_bytes(&w->only[middle], &key) < 0) low = middle + 1;
    else high = middle;
  }
  bool yes = low < w->onlys && w->only[low].n > key.n && memcmp(w->only[low].at, key.at, key.n) == 0;
  w->path[w->n] = 0;
  return yes;
}
#endif
