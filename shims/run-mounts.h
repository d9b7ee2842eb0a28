/*
 * Namespaces and mounts, and room for them: what a sandbox is built from.
 *
 * The worker's old root stands at OLD while the new one is built, so nothing that is a source is ever
 * hidden before it is bound. Everything bound from the worker is read-only before any mount point is made:
 * a mkdir that fails with EROFS is how a folder of the worker shows itself, and such a folder is then
 * replaced by a tmpfs whose other children are bound back (`split`).
 */
#ifndef RCH_RUN_MOUNTS_H
#define RCH_RUN_MOUNTS_H
#include "run-base.h"

#define OLD "/.rch-old"
#define SMALL "size=16m"

#ifndef RCH_MOUNT_SETATTR
#define RCH_MOUNT_SETATTR 442
#endif
#define ATTR_RECURSIVE 0x8000
struct attributes {
  uint64_t set, clear, propagation, userns;
};

/* Descriptors of the tmpfs mounts that hold only mount points, and become read-only at the end. */
static int *made_tmpfs;
static size_t made_count;

static bool remember_tmpfs(const char *path) {
  int *grown = realloc(made_tmpfs, (made_count + 1) * sizeof *grown);
  if (!grown) return false;
  made_tmpfs = grown;
  made_tmpfs[made_count] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return made_tmpfs[made_count++] >= 0;
}

static bool write_whole(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size_t n = strlen(text);
  bool ok = write(fd, text, n) == (ssize_t)n;
  int error = errno;
  close(fd);
  errno = error;
  return ok;
}

/* The loopback interface of a fresh network namespace is down at first. */
static void raise_loopback(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  struct ifreq request = {.ifr_name = "lo"};
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
}

/*
 * Leaves this process in new user, mount, IPC and (where asked for) host name and network namespaces; its next child is init of a new
 * PID namespace. The caller's uid and gid are our own ones outside. Root where user namespaces are refused
 * (in a chroot, or by sysctl) goes on without one: the tool is then uid 0, with few capabilities.
 */
static bool enter_namespaces(const struct job *job) {
  unsigned uid = geteuid(), gid = getegid();
  int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | (job->network ? 0 : CLONE_NEWNET) |
              (*job->host ? CLONE_NEWUTS : 0);
  if (uid == 0) (void)!setgroups(0, NULL);
  if (unshare(CLONE_NEWUSER | flags) == 0) {
    char line[64];
    if (!write_whole("/proc/self/setgroups", "deny") && errno != ENOENT)
      return fail("setgroups", "cannot write /proc/self/setgroups");
    snprintf(line, sizeof line, "%u %u 1\n", job->uid, uid);
    if (!write_whole("/proc/self/uid_map", line)) return fail("uid_map", "cannot map uid %u", job->uid);
    snprintf(line, sizeof line, "%u %u 1\n", job->gid, gid);
    if (!write_whole("/proc/self/gid_map", line)) return fail("gid_map", "cannot map gid %u", job->gid);
  } else if (uid != 0 || unshare(flags) != 0) {
    return fail("unshare", "cannot make namespaces");
  }
  if (!job->network) raise_loopback();
  if (*job->host && sethostname(job->host, strlen(job->host)) != 0)
    return fail("host", "cannot take the host name %s", job->host);
  return true;
}

/* Makes the one mount at `path` read-only, keeping the flags that a user namespace locks. */
static bool remount_one(const char *path) {
  static const struct {
    unsigned long there, here;
  } kept[] = {{ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},           {ST_NOEXEC, MS_NOEXEC},
              {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME}};
  struct statvfs there;
  if (statvfs(path, &there) != 0) return false;
  unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    if (there.f_flag & kept[i].there) flags |= kept[i].here;
  return mount(NULL, path, NULL, flags, NULL) == 0;
}

/* Undoes the octal escapes of /proc/PID/mountinfo, proc_pid_mountinfo(5). */
static void unescape(char *text) {
  char *to = text;
  for (char *from = text; *from; to++) {
    unsigned code;
    if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
      *to = (char)code;
      from += 4;
    } else {
      *to = *from++;
    }
  }
  *to = 0;
}

/* The mounts below `path`. One that another covers, or of a dead server, cannot be reached by path: nor can the job. */
static bool remount_below(const char *path) {
  FILE *table = fopen(OLD "/proc/self/mountinfo", "re");
  if (!table) return false;
  char *line = NULL, point[PATH_MAX];
  size_t room = 0, length = strlen(path);
  bool ok = true;
  while (ok && getline(&line, &room, table) >= 0) {
    if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1) continue;
    unescape(point);
    if (strncmp(point, path, length) != 0 || point[length] != '/') continue;
    if (!remount_one(point) && errno == EPERM) ok = false;
  }
  free(line);
  fclose(table);
  return ok;
}

/* mount_setattr(2) came with Linux 5.12; before it, mount by mount. */
static bool make_read_only(const char *path, bool recursive) {
  struct attributes read_only = {.set = 1 /* MOUNT_ATTR_RDONLY */};
  if (syscall(RCH_MOUNT_SETATTR, AT_FDCWD, path, recursive ? ATTR_RECURSIVE : 0, &read_only,
              sizeof read_only) == 0)
    return true;
  return remount_one(path) && (!recursive || remount_below(path));
}

static bool bind_fd(int fd, const char *target) {
  char source[64];
  snprintf(source, sizeof source, OLD "/proc/self/fd/%d", fd);
  return mount(source, target, NULL, MS_BIND | MS_REC, NULL) == 0;
}

static bool mount_tmpfs(const char *path, unsigned mode, const char *options) {
  char text[64];
  snprintf(text, sizeof text, "mode=0%o%s%s", mode, *options ? "," : "", options);
  return mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, text) == 0;
}

/* An empty place for a mount: a folder, or a file. */
static bool make_place(const char *path, bool file) {
  return file ? mknod(path, S_IFREG | 0644, 0) == 0 : mkdir(path, 0755) == 0;
}

/* Makes `name` of the folder `from` visible as the same name below `to`, which is ours; what cannot be is left out. */
static void keep_entry(int from, const char *name, const char *to) {
  char target[PATH_MAX], link[PATH_MAX];
  struct stat there;
  if (!path_of(target, "%s/%s", to, name)) return;
  if (fstatat(from, name, &there, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (S_ISLNK(there.st_mode)) {
    ssize_t n = readlinkat(from, name, link, sizeof link - 1);
    if (n < 0) return;
    link[n] = 0;
    (void)!symlink(link, target);
    return;
  }
  int fd = openat(from, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  if (make_place(target, !S_ISDIR(there.st_mode))) (void)bind_fd(fd, target);
  close(fd);
}

/* Covers the worker's folder `path` by a tmpfs of ours in which its children are seen as before. */
static bool split(const char *path) {
  struct stat there;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (stat(path, &there) != 0) return false;
  if (!mount_tmpfs(path, there.st_mode & 07777, SMALL) || !remember_tmpfs(path)) return false;
  if (fd < 0) return true;
  DIR *folder = fdopendir(fd);
  if (!folder) return false;
  for (struct dirent *entry; (entry = readdir(folder));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      keep_entry(dirfd(folder), entry->d_name, path);
  closedir(folder);
  return true;
}

/* The next part of `*rest`, taken off it; NULL at the end. */
static char *next_part(char **rest) {
  *rest += strspn(*rest, "/");
  if (!**rest) return NULL;
  char *part = *rest;
  *rest += strcspn(part, "/");
  if (**rest) *(*rest)++ = 0;
  return part;
}

/*
 * Makes sure that `target` exists, as a folder or file, and gives where it is once symlinks are followed.
 * Missing parts are made in our tmpfs; a worker's folder on the way that lacks one is split.
 */
static bool find_place(const char *target, bool file, char *place) {
  char buffer[PATH_MAX], joined[PATH_MAX], next[PATH_MAX], link[PATH_MAX];
  if (!path_of(buffer, "%s", target)) return false;
  char *rest = buffer;
  int links = 0;
  *place = 0;
  for (char *part; (part = next_part(&rest));) {
    if (strcmp(part, ".") == 0) continue;
    if (strcmp(part, "..") == 0) {
      char *slash = strrchr(place, '/');
      if (slash) *slash = 0;
      continue;
    }
    bool last = rest[strspn(rest, "/")] == 0;
    struct stat there;
    if (!path_of(next, "%s/%s", place, part)) return false;
    if (lstat(next, &there) != 0) {
      if (errno != ENOENT && errno != EACCES) return false;
      bool made = errno == ENOENT && make_place(next, last && file);
      if (!made && (!*place || !split(place) || !make_place(next, last && file))) return false;
    } else if (S_ISLNK(there.st_mode)) {
      ssize_t n = readlink(next, link, sizeof link - 1);
      if (n < 0 || ++links > 40) return false;
      link[n] = 0;
      if (!path_of(joined, "%s/%s", link, rest)) return false;
      memcpy(buffer, joined, sizeof buffer);
      rest = buffer;
      if (*link == '/') *place = 0;
      continue;
    } else if (S_ISDIR(there.st_mode) == (last && file)) {
      errno = last && file ? EISDIR : ENOTDIR;
      return false;
    }
    memcpy(place, next, sizeof next);
  }
  return true;
}
#endif
