/*
 * Threads that walk folders beside the first one. A folder that is handed over leaves a mark in the records of the
 * walk it belongs to, so that the whole is told in the same order, however many walked.
 */
#ifndef RCH_FS_CREW_H
#define RCH_FS_CREW_H
#include <pthread.h>
#include <sched.h>

#include "records.h"

/* Threads besides the first: a scan waits for the kernel's locks more than for a fifth core. */
#define MOST_HELPERS 3
/* Folders handed over and not begun; each holds a descriptor. */
#define MOST_WAITING 16
/* Names that a folder had at the last scan from which handing it over costs less than it gains. */
#define WORTH 32
/* A level of the tree takes some hundred bytes of it. */
#define HELPER_STACK (8u << 20)

struct task {
  struct walk walk;
  int fd;
  struct node *dir;
  const struct node *old;
  bool inside;
  struct task *next;
};

static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct task *first;
  int waiting, busy, helpers;
  bool started;
  bool gone;  /* some folder was removed while it was walked */
  bool blind; /* something may change unheard, or is to be looked at again in any case */
} crew = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void walk_opened(struct walk *w, int fd, struct node *dir, const struct node *old, bool inside);

/* Does the task handed over last, as whoever is nearest to the root waits for it. The lock is held around it. */
static void do_task(void) {
  struct task *task = crew.first;
  crew.first = task->next;
  crew.waiting--;
  crew.busy++;
  pthread_mutex_unlock(&crew.lock);
  walk_opened(&task->walk, task->fd, task->dir, task->old, task->inside);
  pthread_mutex_lock(&crew.lock);
  if (--crew.busy == 0 && !crew.first) pthread_cond_broadcast(&crew.changed);
}

static void *help(void *unused) {
  pthread_mutex_lock(&crew.lock);
  for (;;) {
    while (!crew.first) pthread_cond_wait(&crew.changed, &crew.lock);
    do_task();
  }
  return unused;
}

/* Starts a helper for each further CPU that we may use; without any, nothing is handed over. */
static void start_helpers(void) {
  cpu_set_t cpus;
  pthread_attr_t attributes;
  pthread_t thread;
  int most = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) - 1 : 0;
  crew.started = true;
  if (most > MOST_HELPERS) most = MOST_HELPERS;
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setstacksize(&attributes, HELPER_STACK);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  while (crew.helpers < most && pthread_create(&thread, &attributes, help, NULL) == 0) crew.helpers++;
  pthread_attr_destroy(&attributes);
}

/* Leaves the folder at w->path to whoever is free. False: it is not worth it, or everybody has enough to do. */
static bool hand_over(struct walk *w, int fd, struct node *dir, const struct node *old, bool inside) {
  if (!w->whole && (!old || old->count < WORTH)) return false;
  pthread_mutex_lock(&crew.lock);
  if (!crew.started) start_helpers();
  bool room = crew.helpers > 0 && crew.waiting < MOST_WAITING;
  if (room) {
    struct task *task = grown(NULL, sizeof *task);
    *task = (struct task){.walk = *w, .fd = fd, .dir = dir, .old = old, .inside = inside, .next = crew.first};
    struct walk *own = &task->walk;
    own->records = own->out = (struct rch_buffer){0};
    own->marks = NULL;
    own->marked = own->mark_room = 0;
    own->part = true;
    own->path = memcpy(grown(NULL, own->room = w->n + 256), w->path, w->n + 1);
    put_mark(w, task);
    crew.first = task;
    crew.waiting++;
    pthread_cond_broadcast(&crew.changed);
  }
  pthread_mutex_unlock(&crew.lock);
  return room;
}

/* Takes part until everything handed over is done. */
static void finish_tasks(void) {
  pthread_mutex_lock(&crew.lock);
  while (crew.first || crew.busy)
    if (crew.first) do_task();
    else pthread_cond_wait(&crew.changed, &crew.lock);
  pthread_mutex_unlock(&crew.lock);
}

/* Adds records, none of which is cut, to the answer. */
static void pour(struct walk *into, const struct walk *from, size_t start, size_t end) {
  if (into->records.n >= PART) flush_records(into, false);
  if (!rch_room(&into->records, end - start)) die("out of memory");
  if (end > start) memcpy(into->records.at + into->records.n, from->records.at + start, end - start);
  into->records.n += end - start;
}

/* Tells what a walk and those it handed over found, in the order of the tree, and frees the tasks. */
static void gather(struct walk *into, struct walk *from) {
  size_t start = 0;
  if (from->records.failed) die("out of memory");
  for (size_t i = 0; i < from->marked; i++) {
    struct task *task = from->marks[i].task;
    pour(into, from, start, from->marks[i].at);
    start = from->marks[i].at;
    if (!task) continue;
    gather(into, &task->walk);
    free(task->walk.path);
    free(task);
  }
  pour(into, from, start, from->records.n);
  free(from->marks);
  free(from->records.at);
}
#endif
