/*
 * Which folders may have changed since they were listed, as inotify(7) tells it: an event is there before the call that
 * caused it returns. What is written through a mapping is told only when the file is closed, and what another machine
 * does on a shared file system never is.
 */
#ifndef RCH_FS_WATCH_H
#define RCH_FS_WATCH_H
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

#include "base.h"

/* How a tree is scanned (src/protocol/fs.ts). */
enum { UNWATCHED, WATCHING, TRUSTING };

#define EVENTS \
  (IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MODIFY | IN_MOVE | IN_MOVE_SELF | \
   IN_ONLYDIR)
/* Of the watches that a user may have we take this part: editors need theirs. */
#define SHARE 8

static struct {
  pthread_mutex_t lock;
  int fd; /* 0: not asked for yet; -1: there is none */
  size_t taken, most;
  size_t room;
  uint32_t *owner; /* by watch: the tree's number + 1; 0: nobody's */
  uint8_t *heard;  /* by watch: something happened since the folder was listed */
} watches = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Tells that something happened in the tree. */
static void touch_tree(uint32_t number);
static void touch_all_trees(void);

static size_t allowed_watches(void) {
  size_t most = 0;
  FILE *f = fopen("/proc/sys/fs/inotify/max_user_watches", "re");
  if (!f) return 0;
  if (fscanf(f, "%zu", &most) != 1) most = 0;
  fclose(f);
  return most / SHARE;
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
  if (watches.fd == 0) {
    watches.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watches.most = allowed_watches();
  }
  return watches.fd > 0;
}

/* Events were lost: of no folder is known whether anything happened in it. */
static void give_up_watches(void) {
  for (size_t wd = 0; wd < watches.room; wd++) {
    if (!watches.owner[wd]) continue;
    inotify_rm_watch(watches.fd, (int)wd);
    watches.owner[wd] = 0;
  }
  watches.taken = 0;
  touch_all_trees();
}

/* Takes note of everything that happened until now. */
static void hear_events(void) {
  static char block[65536] __attribute__((aligned(8)));
  bool lost = false;
  if (watches.fd <= 0) return;
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
      if (!watches.heard[event.wd]) touch_tree(watches.owner[event.wd] - 1);
      watches.heard[event.wd] = true;
      if (!(event.mask & IN_IGNORED)) continue;
      watches.owner[event.wd] = 0;
      watches.taken--;
    }
  }
  if (lost) give_up_watches();
}

/* Has nothing happened in the folder of this watch of the tree's? */
static bool is_quiet(int wd, uint32_t tree) {
  pthread_mutex_lock(&watches.lock);
  bool quiet = wd > 0 && (size_t)wd < watches.room && watches.owner[wd] == tree + 1 && !watches.heard[wd];
  pthread_mutex_unlock(&watches.lock);
  return quiet;
}

/* From now on what happens in the open folder is heard; `wd`: its watch until now. 0: there is none for it. */
static int watch_folder(int fd, int wd, uint32_t tree) {
  char path[32];
  pthread_mutex_lock(&watches.lock);
  bool kept = wd > 0 && (size_t)wd < watches.room && watches.owner[wd] == tree + 1;
  if (!kept) {
    wd = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int made = watches.taken < watches.most ? inotify_add_watch(watches.fd, path, EVENTS) : -1;
    if (made > 0 && (size_t)made >= watches.room) {
      size_t room = (size_t)made * 2 + 64;
      watches.owner = grown(watches.owner, room * sizeof *watches.owner);
      watches.heard = grown(watches.heard, room);
      memset(watches.owner + watches.room, 0, (room - watches.room) * sizeof *watches.owner);
      watches.room = room;
    }
    /* Two trees with one folder would take each other's events. */
    if (made > 0 && !watches.owner[made]) {
      watches.owner[made] = tree + 1;
      watches.taken++;
      wd = made;
    }
  }
  if (wd) watches.heard[wd] = false;
  pthread_mutex_unlock(&watches.lock);
  return wd;
}

/* Nobody asks after the folder any more; that the watch ended is heard later. */
static void unwatch(int wd) {
  if (wd > 0 && watches.fd > 0) inotify_rm_watch(watches.fd, wd);
}
#endif
