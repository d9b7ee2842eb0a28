/* Files that a tool locks while it works, held by the launcher while it works elsewhere: `target/debug/.cargo-lock`. */
#ifndef RCH_LAUNCHER_LOCKS_H
#define RCH_LAUNCHER_LOCKS_H
#include <sys/stat.h>

#include "tool.h"

/* What cargo writes into a target folder that it makes, and looks for in none that is there: https://bford.info/cachedir/ */
static const char cache_tag[] =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by cargo.\n"
    "# For information about cache directory tags see https://bford.info/cachedir/\n";

/* Makes a target folder as cargo does, where the folder above it exists. */
static void make_target(const char *path) {
  char tag[PATH_MAX];
  int fd;
  if (mkdir(path, 0777) < 0 || snprintf(tag, sizeof tag, "%s/CACHEDIR.TAG", path) >= (int)sizeof tag) return;
  if ((fd = open(tag, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) < 0) return;
  if (write(fd, cache_tag, sizeof cache_tag - 1) != sizeof cache_tag - 1) unlink(tag);
  close(fd);
}

/*
 * Opens a file to be locked: missing, it is made as cargo would, with its folder and the target folder around that, so
 * that a cargo which is started here meanwhile waits. -1: there is nothing to hold (no such place, a read-only one).
 */
static int open_lock(const char *path) {
  char folder[PATH_MAX], target[PATH_MAX];
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0 && errno == ENOENT && strlen(path) < sizeof folder) {
    strcpy(folder, path);
    if (!cut_last(folder)) return -1;
    strcpy(target, folder);
    if (cut_last(target)) make_target(target);
    if (mkdir(folder, 0777) == 0 || errno == EEXIST) fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  }
  return high_fd(fd);
}
#endif
