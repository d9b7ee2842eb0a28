/* Who we are, which tool we stand for, and how to become it. */
#ifndef RCH_LAUNCHER_TOOL_H
#define RCH_LAUNCHER_TOOL_H
#include <sys/auxv.h>

#include "base.h"

/* Where a shell looks when PATH is unset. */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static struct {
  char home[PATH_MAX];    /* of the installation */
  char shims[PATH_MAX];   /* home/shims */
  char name[NAME_MAX + 1];
  char real[PATH_MAX];    /* the tool, absolute; empty when there is none */
  char *path;             /* "PATH=…" without the shim folder; NULL when it is not on it */
  char marker[PATH_MAX + 64]; /* "RCH_SHIM=PID:STARTTIME:REAL" */
  uint64_t start;         /* our start time */
  char **argv;
  struct stat me, installed, shim_folder;
  bool has_installed, has_shim_folder;
} self;

/* Fills `into` with "DIR/REST"; false when it is too long. */
static bool join_path(char *into, const char *folder, const char *rest) {
  int n = snprintf(into, PATH_MAX, "%s/%s", folder, rest);
  return n > 0 && n < PATH_MAX;
}

static bool cut_last(char *path) {
  char *slash = strrchr(path, '/');
  if (!slash) return false;
  *slash = 0;
  return true;
}

/* The installation: the folder above the one that holds this program's file. */
static bool find_home(void) {
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self.home, sizeof self.home - 1);
  if (n > 0) {
    self.home[n] = 0;
    if (stat("/proc/self/exe", &self.me) < 0) return false;
  } else {
    /* No /proc: by the path that execve(2) was given. */
    const char *called = (const char *)getauxval(AT_EXECFN);
    if (!called || !realpath(called, self.home) || stat(called, &self.me) < 0) return false;
  }
  if (!cut_last(self.home) || !cut_last(self.home)) return false;
  if (join_path(path, self.home, "lib/rch-shim"))
    self.has_installed = stat(path, &self.installed) == 0;
  if (!join_path(self.shims, self.home, "shims")) return false;
  self.has_shim_folder = stat(self.shims, &self.shim_folder) == 0;
  return true;
}

/* Whether a file is this launcher: the running one, or the one an upgrade put in its place. */
static bool is_launcher(const struct stat *file) {
  return same_file(file, &self.me) || (self.has_installed && same_file(file, &self.installed));
}

/* Takes `name` from folder `entry` of PATH as the real tool, if it is one. */
static bool take_real(const char *entry, size_t n, const char *name) {
  char cwd[PATH_MAX] = "";
  char path[PATH_MAX];
  struct stat file;
  const char *between = n && entry[n - 1] == '/' ? "" : "/";
  if (n == 0 || entry[0] != '/') {
    if (!getcwd(cwd, sizeof cwd - 1)) return false;
    if (n && strcmp(cwd, "/") != 0) strcat(cwd, "/");
  }
  int length = snprintf(path, sizeof path, "%s%.*s%s%s", cwd, (int)n, entry, between, name);
  if (length <= 0 || length >= PATH_MAX) return false;
  if (stat(path, &file) < 0 || !S_ISREG(file.st_mode) || is_launcher(&file)) return false;
  if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0) return false;
  memcpy(self.real, path, (size_t)length + 1);
  return true;
}

/*
 * The tool that this very process became before it came back to us, when it is called by this name: a proxy that was
 * told of the shim by its path. NULL otherwise.
 */
static const char *came_back_from(const char *name) {
  const char *marker = getenv("RCH_SHIM");
  char *end;
  if (!marker || strtol(marker, &end, 10) != getpid() || *end != ':') return NULL;
  if (strtoull(end + 1, &end, 10) != self.start || *end != ':') return NULL;
  const char *slash = strrchr(end + 1, '/');
  return slash && strcmp(slash + 1, name) == 0 ? end + 1 : NULL;
}

/*
 * Walks PATH once: finds the real tool, and composes the PATH without the shim folder. Tools up to `past` are passed
 * over; false when `past` was not met.
 */
static bool walk_path(const char *name, const char *past) {
  const char *path = getenv("PATH");
  const char *at = path ? path : DEFAULT_PATH;
  size_t kept = 0, room = strlen(at) + sizeof "PATH=";
  char *clean = malloc(room);
  bool dropped = false, first = true;
  self.real[0] = 0;
  if (clean) kept = (size_t)(stpcpy(clean, "PATH=") - clean);
  for (;; at++) {
    size_t n = strcspn(at, ":");
    char folder[PATH_MAX];
    struct stat seen;
    bool ours = false;
    if (self.has_shim_folder && n > 0 && n < sizeof folder) {
      memcpy(folder, at, n);
      folder[n] = 0;
      ours = stat(folder, &seen) == 0 && same_file(&seen, &self.shim_folder);
    }
    if (ours) {
      dropped = true;
    } else {
      if (clean) {
        if (!first) clean[kept++] = ':';
        memcpy(clean + kept, at, n);
        kept += n;
        clean[kept] = 0;
      }
      first = false;
      if (!self.real[0] && take_real(at, n, name) && past) {
        if (strcmp(self.real, past) == 0) past = NULL;
        self.real[0] = 0;
      }
    }
    at += n;
    if (!*at) break;
  }
  free(self.path);
  self.path = dropped ? clean : NULL;
  if (!dropped) free(clean);
  return !past;
}

/* Sets name and real by one way of being called; false when it names no tool. */
static bool try_name(const char *called) {
  if (!called) return false;
  const char *slash = strrchr(called, '/');
  const char *name = slash ? slash + 1 : called;
  size_t n = strlen(name);
  if (n == 0 || n > NAME_MAX || strcmp(name, "rch-shim") == 0) return false;
  memcpy(self.name, name, n + 1);
  /* One that came back to us would do so for ever: those after it on PATH are meant. */
  const char *past = came_back_from(name);
  if (!walk_path(name, past)) walk_path(name, NULL);
  return self.real[0] != 0;
}

/* Follows a link that somebody made to a shim (~/bin/mycc -> …/shims/cc) to the shim's own name. */
static bool try_links(const char *called) {
  char path[PATH_MAX], target[PATH_MAX], folder[PATH_MAX];
  struct stat seen;
  if (!called || strlen(called) >= sizeof path) return false;
  strcpy(path, called);
  for (int i = 0; i < 8; i++) {
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 0) return false;
    target[n] = 0;
    if (target[0] != '/') {
      if (!cut_last(path) || !join_path(folder, path, target)) return false;
      strcpy(target, folder);
    }
    strcpy(path, target);
    strcpy(folder, target);
    if (!cut_last(folder) || stat(folder, &seen) < 0) return false;
    if (self.has_shim_folder && same_file(&seen, &self.shim_folder)) return try_name(path);
  }
  return false;
}

/*
 * Which tool: the file that execve(2) was given decides, as it would without us; argv[0] is free text
 * (`exec -a`), and serves where that file has no telling name (fexecve, rch-shim itself).
 */
static bool find_tool(void) {
  const char *called = (const char *)getauxval(AT_EXECFN);
  if (try_name(called) || try_links(called) || try_name(self.argv[0])) return true;
  return false;
}

/*
 * argv[0] with a slash that leads to the launcher came from a look-up that found the shim (`$(command -v gcc)`):
 * without us it would have found the tool, and gcc looks for its parts beside its argv[0].
 */
static void correct_argv0(void) {
  struct stat file;
  if (self.argv[0] && strchr(self.argv[0], '/') && stat(self.argv[0], &file) == 0 && is_launcher(&file))
    self.argv[0] = self.real;
}

/* The marker of an outer launcher that is really an ancestor of ours (proc(5) gives the chain). */
static bool find_nested(void) {
  const char *marker = getenv("RCH_SHIM");
  char *end;
  if (!marker || !*marker) return false;
  long pid = strtol(marker, &end, 10);
  if (pid <= 0 || *end != ':') return false;
  uint64_t wanted = strtoull(end + 1, NULL, 10), start = 0;
  pid_t parent;
  return process_stat((pid_t)pid, &parent, &start) && start == wanted && is_ancestor((pid_t)pid);
}

static bool is_nested(void) {
  static int known = -1;
  if (known < 0) known = find_nested();
  return known;
}

static bool is_variable(const char *entry, const char *name) {
  size_t n = strlen(name);
  return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

/* An environment for a program here: no shim folder on PATH, and the marker. NULL without memory. */
static char **local_environment(void) {
  size_t count = 0, kept = 0;
  bool marked = is_nested() && !came_back_from(self.name);
  while (environ[count]) count++;
  char **made = malloc((count + 2) * sizeof *made);
  if (!made) return NULL;
  for (size_t i = 0; i < count; i++) {
    if (!marked && is_variable(environ[i], "RCH_SHIM")) continue;
    if (self.path && is_variable(environ[i], "PATH")) {
      /* An empty PATH would mean the current folder. */
      if (self.path[sizeof "PATH=" - 1]) made[kept++] = self.path;
      continue;
    }
    made[kept++] = environ[i];
  }
  if (!marked && self.marker[0]) made[kept++] = self.marker;
  made[kept] = NULL;
  return made;
}

/* A script without "#!": execve(2) refuses it, a shell runs it itself. */
static void exec_as_script(const char *path, char **argv, char **env) {
  char head[128];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
  close_fd(&fd);
  if (n < 0 || memchr(head, 0, (size_t)n)) return;
  size_t count = 0;
  while (argv[count]) count++;
  char **script = malloc((count + 3) * sizeof *script);
  if (!script) return;
  script[0] = (char *)"sh";
  script[1] = (char *)path;
  for (size_t i = 1; i < count; i++) script[i + 1] = argv[i];
  script[count ? count + 1 : 2] = NULL;
  execve("/bin/sh", script, env);
}

/* Becomes a program, or says like a shell why not. */
static _Noreturn void become(const char *path, char **argv, char **env) {
  execve(path, argv, env);
  int error = errno;
  if (error == ENOEXEC) exec_as_script(path, argv, env);
  if (error == ENOENT) {
    complain("%s: cannot execute: required file not found\n", path);
    _exit(127);
  }
  complain("%s: %s\n", path, strerror(error));
  _exit(126);
}

/* Tells `rch exec --prefix` where the latest command runs: a line more in the file that it named. */
static void tell_where(const char *where) {
  const char *path = getenv("RCH_WORKER_FILE");
  char line[300];
  int fd = path && *path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW) : -1;
  if (fd < 0) return;
  int n = snprintf(line, sizeof line, "%s\n", where);
  if (n > 0 && (size_t)n < sizeof line && write(fd, line, (size_t)n) < 0) errno = 0;
  close(fd);
}

static _Noreturn void exec_local(void) {
  char **env = local_environment();
  if (!is_nested()) tell_where("local");
  become(self.real, self.argv, env ? env : environ);
}
#endif
