/*
 * The job's own view of the machine: a tmpfs as root in which the worker's top-level folders are bound
 * read-only, the roots stand at the caller's paths, and homes, /tmp, /dev, /run and /proc are the job's own.
 */
#ifndef RCH_RUN_SANDBOX_H
#define RCH_RUN_SANDBOX_H
#include "run-mounts.h"

/* True when the plan itself says what stands at `path`. */
static bool planned(const struct job *job, const char *path) {
  for (size_t i = 0; i < job->bind_count; i++)
    if (strcmp(job->binds[i].target, path) == 0) return true;
  return false;
}

static bool private_folder(const struct job *job, const char *path) {
  char place[PATH_MAX];
  if (planned(job, path)) return true;
  if (!find_place(path, false, place) || !mount_tmpfs(place, 01777, ""))
    return fail("tmp", "cannot make a private %s", path);
  return true;
}

/* The top-level entries of the worker, read-only; the special ones are made elsewhere. */
static bool bind_worker(void) {
  static const char *const own[] = {".", "..", "proc", "dev", "run", "tmp", &OLD[1]};
  DIR *folder = opendir(OLD);
  if (!folder) return fail("root", "cannot read the worker's root");
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(folder));) {
    bool ours = false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
      ours = ours || strcmp(entry->d_name, own[i]) == 0;
    char path[PATH_MAX];
    struct stat there, root;
    if (ours || !path_of(path, "/%s", entry->d_name)) continue;
    keep_entry(dirfd(folder), entry->d_name, "");
    if (lstat(path, &there) != 0 || S_ISLNK(there.st_mode)) continue;
    /* What could not be bound is an empty place on our own tmpfs. */
    if (stat("/", &root) == 0 && root.st_dev == there.st_dev) continue;
    if (!make_read_only(path, true)) ok = fail("readonly", "cannot make %s read-only", path);
  }
  closedir(folder);
  return ok;
}

/* Of /run: the place of locks, and what /etc/resolv.conf and a Nix system point to. */
static bool make_run(void) {
  static const char *const kept[] = {"/run/systemd/resolve", "/run/resolvconf",
                                     "/run/NetworkManager/resolv.conf", "/run/current-system"};
  if (mkdir("/run", 0755) != 0 || mkdir("/run/lock", 01777) != 0) return fail("run", "cannot make /run");
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    char from[PATH_MAX], place[PATH_MAX];
    struct stat there;
    if (!path_of(from, OLD "%s", kept[i]) || stat(from, &there) != 0) continue;
    int fd = open(from, O_PATH | O_CLOEXEC);
    if (fd < 0) continue;
    if (!find_place(kept[i], !S_ISDIR(there.st_mode), place) || !bind_fd(fd, place) ||
        !make_read_only(place, true)) {
      close(fd);
      return fail("run", "cannot bind %s", kept[i]);
    }
    close(fd);
  }
  return true;
}

static bool make_dev(void) {
  static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
  static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                         {"/proc/self/fd/0", "/dev/stdin"},
                                         {"/proc/self/fd/1", "/dev/stdout"},
                                         {"/proc/self/fd/2", "/dev/stderr"},
                                         {"pts/ptmx", "/dev/ptmx"}};
  if (mkdir("/dev", 0755) != 0 || !mount_tmpfs("/dev", 0755, SMALL) || !remember_tmpfs("/dev"))
    return fail("dev", "cannot make /dev");
  int old = open(OLD "/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (old < 0) return fail("dev", "the worker has no /dev");
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) keep_entry(old, nodes[i], "/dev");
  close(old);
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) (void)!symlink(links[i][0], links[i][1]);
  if (mkdir("/dev/pts", 0755) != 0 || mkdir("/dev/shm", 0755) != 0 || !mount_tmpfs("/dev/shm", 01777, ""))
    return fail("dev", "cannot make /dev/shm");
  if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"))
    return fail("devpts", "cannot mount a devpts");
  return true;
}

static int by_length(const void *a, const void *b) {
  size_t one = strlen(*(char *const *)a), other = strlen(*(char *const *)b);
  return (one > other) - (one < other);
}

/*
 * Covers each folder to hide, outer ones first. One that the worker does not have is made: the caller's
 * home is there, and empty, although nothing of it was brought.
 */
static bool hide_folders(const struct job *job) {
  size_t n = 0;
  while (job->hide[n]) n++;
  qsort(job->hide, n, sizeof *job->hide, by_length);
  for (size_t i = 0; i < n; i++) {
    char place[PATH_MAX];
    struct stat there;
    if (!absolute(job->hide[i]) || !find_place(job->hide[i], false, place)) continue;
    if (!*place || stat(place, &there) != 0) continue;
    if (!mount_tmpfs(place, there.st_mode & 07777, SMALL) || !remember_tmpfs(place))
      return fail("hide", "cannot hide %s", job->hide[i]);
  }
  return true;
}

/* Takes away a symlink at `path`, in a folder of ours: what stands in for it must not be seen under its other name. */
static bool clear_link(const char *path) {
  char folder[PATH_MAX], place[PATH_MAX], target[PATH_MAX];
  struct stat there;
  const char *name = strrchr(path, '/') + 1;
  if (!path_of(folder, "%.*s", (int)(name - path), path) || !find_place(folder, false, place) ||
      !path_of(target, "%s/%s", place, name))
    return false;
  if (lstat(target, &there) != 0 || !S_ISLNK(there.st_mode) || unlink(target) == 0) return true;
  return *place && split(place) && unlink(target) == 0;
}

/* Lets `content` stand in place of the file `path`. */
static bool place_file(const char *path, struct rch_bytes content) {
  static const char fresh[] = "/.rch-file";
  char place[PATH_MAX];
  int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  bool ok = fd >= 0 && write(fd, content.at, content.n) == (ssize_t)content.n;
  if (fd >= 0) close(fd);
  ok = ok && find_place(path, true, place) &&
       mount(fresh, place, NULL, MS_BIND, NULL) == 0 && make_read_only(place, false);
  int error = errno;
  unlink(fresh);
  errno = error;
  return ok ? true : fail("file", "cannot stand in for %s", path);
}

/* Room is made for all before the first is placed: a folder that is split later would hide those placed in it. */
static bool place_files(const struct job *job) {
  char place[PATH_MAX];
  for (size_t i = 0; i < job->file_count; i++)
    if (!clear_link(job->files[i].path) || !find_place(job->files[i].path, true, place))
      return fail("file", "cannot make room for %s", job->files[i].path);
  for (size_t i = 0; i < job->file_count; i++)
    if (!place_file(job->files[i].path, job->files[i].content)) return false;
  return true;
}

static bool bind_roots(const struct job *job) {
  for (size_t i = 0; i < job->bind_count; i++) {
    const struct bind *bind = &job->binds[i];
    bool fresh = (bind->flags & RCH_MOUNT_TMPFS) != 0;
    char place[PATH_MAX];
    if (!find_place(bind->target, (bind->flags & RCH_MOUNT_FILE) != 0, place))
      return fail("mount", "cannot make room for %s", bind->target);
    if (!(fresh ? mount_tmpfs(place, 0755, "") : bind_fd(bind->fd, place)))
      return fail("mount", "cannot bind %s", bind->target);
    if ((bind->flags & RCH_MOUNT_READ_ONLY) && !make_read_only(place, true))
      return fail("readonly", "cannot make %s read-only", bind->target);
  }
  return true;
}

/* Opens the sources, as long as the worker's tree is as it was. */
static bool open_sources(const struct job *job) {
  for (size_t i = 0; i < job->bind_count; i++) {
    struct bind *bind = &job->binds[i];
    if (bind->flags & RCH_MOUNT_TMPFS) continue;
    bind->fd = open(bind->source, O_PATH | O_CLOEXEC);
    if (bind->fd < 0) return fail("source", "cannot open %s", bind->source);
  }
  return true;
}

/* Turns to a tmpfs as root, the worker's at OLD. */
static bool turn_root(void) {
  static const char *const bases[] = {"/tmp", "/mnt", "/usr"};
  const char *base = NULL;
  struct stat there;
  for (size_t i = 0; !base && i < sizeof bases / sizeof *bases; i++)
    if (stat(bases[i], &there) == 0 && S_ISDIR(there.st_mode)) base = bases[i];
  if (!base) return fail("root", "no folder to mount on");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
    return fail("private", "cannot make the mounts private");
  if (!mount_tmpfs(base, 0755, SMALL)) return fail("tmpfs", "cannot mount a tmpfs");
  if (chdir(base) != 0 || mkdir(&OLD[1], 0755) != 0 ||
      syscall(SYS_pivot_root, ".", &OLD[1]) != 0 || chdir("/") != 0)
    return fail("pivot", "cannot change the root");
  return true;
}

/* Builds the job's root, all but /proc, which only a process of the PID namespace can mount. */
static bool build_root(const struct job *job) {
  mode_t mask = umask(0);
  bool ok = open_sources(job) && turn_root() && bind_worker() && make_run() && make_dev() &&
            (mkdir("/proc", 0555) == 0 || fail("proc", "cannot make /proc")) &&
            (mkdir("/tmp", 01777) == 0 || fail("tmp", "cannot make /tmp")) && hide_folders(job) &&
            private_folder(job, "/tmp") && private_folder(job, "/var/tmp") &&
            place_files(job) && bind_roots(job);
  umask(mask);
  for (size_t i = 0; i < job->bind_count; i++) close_fd(&job->binds[i].fd);
  return ok;
}

/*
 * Process ids go on from ours outside, as they would there: what is named by them (profiles of LLVM by %p, temporary files)
 * is another file in each job. A kernel that refuses (no CONFIG_CHECKPOINT_RESTORE) numbers from 2.
 */
static void number_processes(void) {
  char ours[32];
  ssize_t n = readlink(OLD "/proc/self", ours, sizeof ours - 1);
  if (n <= 0) return;
  ours[n] = 0;
  (void)write_whole("/proc/sys/kernel/ns_last_pid", ours);
}

/* The rest, by init of the PID namespace: /proc while the worker's own is still seen (the kernel asks for it). */
static bool finish_root(void) {
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
    return fail("proc", "cannot mount /proc");
  number_processes();
  if (umount2(OLD, MNT_DETACH) != 0 || rmdir(OLD) != 0)
    return fail("detach", "cannot leave the worker's root");
  for (size_t i = 0; i < made_count; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", made_tmpfs[i]);
    if (!make_read_only(path, false)) return fail("readonly", "cannot seal a folder of mount points");
  }
  if (!make_read_only("/", false)) return fail("readonly", "cannot seal the root");
  return true;
}
#endif
