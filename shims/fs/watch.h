/*
 * Whether anything may have happened in a tree since it was scanned, as inotify(7) tells it. An event is there before
 * the call that caused it returns; what is written through a mapping is told when the file is closed, and what another
 * machine does on a shared file system never is.
 */
#ifndef RCH_FS_WATCH_H
#define RCH_FS_WATCH_H
#include <linux/magic.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

#include "base.h"

#define EVENTS \
  (IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MODIFY | IN_MOVE | IN_MOVE_SELF | \
   IN_ONLYDIR)
/* Of the watches that a user may have we take this part: editors need theirs. */
#define SHARE 8
/* Numbers of watches only rise; from here on all are made anew. */
#define MOST_NUMBERS (1u << 20)

static struct {
  pthread_mutex_t lock;
  int fd; /* 0: not asked for yet; -1: there is none */
  size_t taken, most, room;
  uint32_t *owner; /* by watch: the tree's number + 1; 0: nobody's */
} watches = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Something happened in the tree; `all`: in every one. */
static void touch_trees(uint32_t number, bool all);

static size_t allowed_watches(void) {
  size_t most = 0;
  FILE *f = fopen("/proc/sys/fs/inotify/max_user_watches", "re");
  if (!f) return 0;
  if (fscanf(f, "%zu", &most) != 1) most = 0;
  fclose(f);
  return most / SHARE;
}

/* Begins, or begins anew: of no tree is known any more whether anything happened in it. */
static void begin_watches(void) {
  if (watches.fd > 0) close(watches.fd);
  watches.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  watches.most = allowed_watches();
  watches.taken = 0;
  /* The numbers begin anew too: what they had grown to must not count any more. */
  free(watches.owner);
  watches.owner = NULL;
  watches.room = 0;
  touch_trees(0, true);
}

/* Is this a file system on which everything that happens happens on this machine? */
static bool is_watchable(int fd) {
  struct statfs fs;
  if (fstatfs(fd, &fs) < 0) return false;
  switch ((unsigned long)fs.f_type) {
    case EXT4_SUPER_MAGIC: case XFS_SUPER_MAGIC: case BTRFS_SUPER_MAGIC: case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC: case OVERLAYFS_SUPER_MAGIC:
      break;
    default:
      return false;
  }
  if (watches.fd == 0) begin_watches();
  return watches.fd > 0;
}

/* Takes note of everything that happened until now. */
static void hear_events(void) {
  static char block[65536] __attribute__((aligned(8)));
  bool lost = watches.room > MOST_NUMBERS;
  for (;;) {
    ssize_t n = read(watches.fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    for (ssize_t at = 0; at < n;) {
      struct inotify_event event;
      memcpy(&event, block + at, sizeof event);
      at += (ssize_t)(sizeof event + event.len);
      if (event.mask & IN_Q_OVERFLOW) lost = true;
      if (event.wd < 0 || (size_t)event.wd >= watches.room || !watches.owner[event.wd]) continue;
      touch_trees(watches.owner[event.wd] - 1, false);
      if (!(event.mask & IN_IGNORED)) continue;
      watches.owner[event.wd] = 0;
      watches.taken--;
    }
  }
  if (lost) begin_watches();
}

/* From now on what happens in the open folder is heard. False: it is not. */
static bool watch_folder(int fd, uint32_t tree) {
  char path[32];
  bool heard = false;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  pthread_mutex_lock(&watches.lock);
  /* One that is watched already keeps its number, wherever it was moved to. */
  int made = watches.taken < watches.most ? inotify_add_watch(watches.fd, path, EVENTS) : -1;
  if (made > 0 && (size_t)made >= watches.room) {
    size_t room = (size_t)made * 2 + 64;
    watches.owner = grown(watches.owner, room * sizeof *watches.owner);
    memset(watches.owner + watches.room, 0, (room - watches.room) * sizeof *watches.owner);
    watches.room = room;
  }
  if (made > 0 && !watches.owner[made]) {
    watches.owner[made] = tree + 1;
    watches.taken++;
  }
  /* Two trees with one folder would take each other's events. */
  if (made > 0) heard = watches.owner[made] == tree + 1;
  pthread_mutex_unlock(&watches.lock);
  return heard;
}

/* Nobody asks after the tree any more; that its watches ended is heard later. */
static void unwatch_tree(uint32_t tree) {
  if (watches.fd <= 0) return;
  for (size_t wd = 0; wd < watches.room; wd++)
    if (watches.owner[wd] == tree + 1) inotify_rm_watch(watches.fd, (int)wd);
}
#endif
