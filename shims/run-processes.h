/* The descendants of this process, by /proc: found, killed, and asked what they hold open. */
#ifndef RCH_RUN_PROCESSES_H
#define RCH_RUN_PROCESSES_H
#include "run-base.h"

/* How long a job that may not be killed is waited for. */
#define HOPELESS_MS 5000

/* The parent's id of process `pid` by /proc, 0 when it is gone. */
static pid_t parent_of(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  char *end = strrchr(text, ')');
  int parent = 0;
  if (!end || sscanf(end + 1, " %*c %d", &parent) != 1) return 0;
  return parent;
}

static bool is_descendant(pid_t pid, pid_t of) {
  for (int depth = 0; pid > 1 && depth < 4096; depth++)
    if ((pid = parent_of(pid)) == of) return true;
  return false;
}

/* Calls `see` for each living descendant of this process until it returns true; false when none did. */
static bool any_descendant(bool (*see)(pid_t, const void *), const void *with) {
  DIR *processes = opendir("/proc");
  if (!processes) return false;
  bool seen = false;
  pid_t self = getpid();
  for (struct dirent *entry; !seen && (entry = readdir(processes));) {
    pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
    if (pid > 1 && pid != self && is_descendant(pid, self)) seen = see(pid, with);
  }
  closedir(processes);
  return seen;
}

/* `with`: a bool *, set when the process is, or may soon be, dead by it. */
static bool kill_one(pid_t pid, const void *with) {
  if (kill(pid, SIGKILL) == 0) **(bool *const *)with = true;
  return false;
}

/*
 * Without a PID namespace: kills and reaps until no descendant is left. As the subreaper this process
 * becomes the parent of every orphan, setsid(2) or not, so having no child means that the job is gone. What may not be
 * killed (set-user-ID programs: EPERM) is waited for only so long.
 */
static void sweep(void) {
  for (int64_t hopeless = 0;;) {
    bool some = false, *killed = &some;
    any_descendant(kill_one, &killed);
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0) {
    }
    if (pid < 0 && errno == ECHILD) return;
    if (some) hopeless = 0;
    else if (!hopeless) hopeless = uptime_ms() + HOPELESS_MS;
    else if (uptime_ms() >= hopeless) return;
    poll(NULL, 0, 1);
  }
}

/* True when `pid` has an open descriptor of the terminal named `with`. */
static bool holds_terminal(pid_t pid, const void *with) {
  char path[64], target[PATH_MAX];
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *fds = opendir(path);
  if (!fds) return false;
  bool holds = false;
  for (struct dirent *entry; !holds && (entry = readdir(fds));) {
    ssize_t n = readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);
    if (n <= 0) continue;
    target[n] = 0;
    holds = strcmp(target, with) == 0 || strcmp(target, "/dev/tty") == 0;
  }
  closedir(fds);
  return holds;
}
#endif
