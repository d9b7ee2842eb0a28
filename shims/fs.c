/*
 * rch-fs: walks trees and changes them for a Node program, over stdin and stdout (src/protocol/fs.ts).
 * It never follows a symlink below a root, never leaves a root, and replaces each thing in one step.
 * RCH_FS_WALK=1 in the environment: resolve parents part by part, as on a kernel without openat2(2).
 */
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "fs/apply.h"
#include "fs/extents.h"
#include "fs/scan.h"

static bool take_message(uint8_t number, const uint8_t *body, size_t n) {
  switch (number) {
    case RCH_FS_SCAN: {
      struct rch_fs_scan m;
      if (!rch_get_fs_scan(body, n, &m) || memchr(m.root.at, 0, m.root.n)) return false;
      scan(&m);
      return true;
    }
    case RCH_FS_APPLY: {
      struct rch_fs_apply m;
      if (!rch_get_fs_apply(body, n, &m)) return false;
      return apply(&m);
    }
    case RCH_FS_EXTENTS: {
      struct rch_fs_extents m;
      if (!rch_get_fs_extents(body, n, &m) || memchr(m.path.at, 0, m.path.n)) return false;
      tell_extents(&m);
      return true;
    }
    case RCH_FS_FORGET: {
      struct rch_fs_forget m;
      if (!rch_get_fs_forget(body, n, &m)) return false;
      forget_tree(m.tree);
#ifdef __GLIBC__
      /* Of trees with many files malloc would keep the most. */
      if (!trees) malloc_trim(0);
#endif
      return true;
    }
    default:
      return false;
  }
}

/* Reads n bytes of stdin. False at its end. */
static bool read_in(uint8_t *at, size_t n) {
  while (n) {
    ssize_t got = read(0, at, n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got, n -= (size_t)got;
  }
  return true;
}

/* usage: rch-fs [FOLDER], where `aside` may put things */
int main(int argc, char **argv) {
  struct rlimit files;
  /* Whoever takes up what the parent was at must not find this process still at it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  /* One descriptor a level of the tree. */
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  /* Without it nothing goes aside. */
  if (argc > 1) trash_fd = open(argv[1], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  no_openat2 = getenv("RCH_FS_WALK") != NULL;
  for (uint8_t head[5]; read_in(head, sizeof head);) {
    uint32_t length;
    memcpy(&length, head, sizeof length);
    if (length < 1 || length > RCH_MAX_FRAME) die("a frame of no sense");
    uint8_t *body = grown(NULL, length);
    if (!read_in(body, length - 1)) {
      free(body);
      break;
    }
    if (!take_message(head[4], body, length - 1)) die("a message of no sense");
    free(body);
  }
  /* All at once: the kernel takes its time for each. */
  if (watches.fd > 0) close(watches.fd), watches.fd = -1;
  while (trees) forget_tree(trees->number);
  return 0;
}
