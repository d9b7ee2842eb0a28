/* The daemon from outside: its folder, its socket, what is remembered of it, and what holds without it. */
#ifndef RCH_LAUNCHER_DAEMON_H
#define RCH_LAUNCHER_DAEMON_H
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tool.h"
#include "wire.h"

/* The question must be acknowledged within this. */
#define ACK_MS 250
/* One that is at work, or waits for a CPU, gets so long; it is looked at this often, and may be found asleep so often. */
#define BUSY_ACK_MS 2000
#define BUSY_LOOK_MS 50
#define BUSY_ASLEEP 3
/* After it, and until the answer, heartbeats come every 2 s: so long a silence is a daemon that hangs. */
#define FRONT_SILENCE_MS 10000
/* A daemon that did not acknowledge is left alone for so long. */
#define HUNG_S 10
/* At most one attempt to start a daemon in so long. */
#define STARTING_S 5
/* How long a heavy tool waits for one of the local locks: a bound for storms, not a gate. */
#define LOCAL_LOCK_MS 60000

/* home/run, ours alone; the empty string when it is missing or cannot be trusted. */
static char run_folder[PATH_MAX];

/* Checks owner and mode of home/run; errno is ENOENT when it is not there. */
static bool check_run_folder(void) {
  char path[PATH_MAX];
  struct stat folder;
  run_folder[0] = 0;
  if (!join_path(path, self.home, "run")) return false;
  if (stat(path, &folder) < 0) return false;
  if (!S_ISDIR(folder.st_mode) || folder.st_uid != geteuid() || (folder.st_mode & 077) != 0) {
    errno = EPERM;
    return false;
  }
  strcpy(run_folder, path);
  return true;
}

/* The same, made where it is missing. Somebody else's, or open to others: mkdir fails. */
static bool make_run_folder(void) {
  char path[PATH_MAX];
  if (check_run_folder()) return true;
  return errno == ENOENT && join_path(path, self.home, "run") && mkdir(path, 0700) == 0 && check_run_folder();
}

static bool run_path(char *into, const char *name) {
  return run_folder[0] && join_path(into, run_folder, name);
}

static bool run_has(const char *name) {
  char path[PATH_MAX];
  return run_path(path, name) && access(path, F_OK) == 0;
}

/* Whether a mark was set less than `seconds` ago; one from the future counts for nothing. */
static bool is_fresh(const struct stat *mark, int seconds) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t age = now.tv_sec - mark->st_mtim.tv_sec;
  return age >= 0 && age < seconds;
}

static bool is_set(const char *name) {
  const char *value = getenv(name);
  return value && *value;
}

/* A switch that says no. The same words as in src/config/request.ts. */
static bool is_off(const char *name) {
  static const char *const words[] = {"0", "false", "no", "off"};
  const char *value = getenv(name);
  for (size_t i = 0; value && i < sizeof words / sizeof *words; i++)
    if (strcasecmp(value, words[i]) == 0) return true;
  return false;
}

/* A switch that is set, and does not say no. */
static bool is_on(const char *name) { return is_set(name) && !is_off(name); }

/* Whether the caller would rather wait for a daemon on a slow machine than have its command run here. */
static bool insists(void) {
  return is_set("RCH_WORKER") || is_on("RCH_FORCE_REMOTE");
}

/*
 * Whether the process at the other end may be no hung one, but one on a busy machine: it runs, or would if it had a CPU or
 * its disk, or was found asleep (it waits for a thread of its own) less than BUSY_ASLEEP times in a row, or however often
 * where the caller is `patient`.
 */
static bool peer_is_busy(int fd, int *asleep, bool patient) {
  struct ucred peer;
  socklen_t n = sizeof peer;
  char state;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 || !process_state(peer.pid, &state)) return false;
  if (state == 'R' || state == 'D') *asleep = 0;
  else if (state != 'S') return false;
  return (*asleep)++ < BUSY_ASLEEP || patient;
}

static bool daemon_is_hung(void) {
  char path[PATH_MAX];
  struct stat mark;
  return run_path(path, "hung") && stat(path, &mark) == 0 && is_fresh(&mark, HUNG_S);
}

/* A file whose time is now. */
static void set_mark(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return;
  futimens(fd, NULL);
  close(fd);
}

static void remember_hung(void) {
  char path[PATH_MAX];
  if (run_path(path, "hung")) set_mark(path);
}

/* Whether this caller may start the daemon: one in STARTING_S, agreed on under flock(2) of home/run/starting. */
static bool may_start(void) {
  char path[PATH_MAX];
  struct stat mark;
  if (!run_path(path, "starting")) return false;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool may = flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &mark) == 0 &&
             (mark.st_size == 0 || !is_fresh(&mark, STARTING_S));
  /* A byte in it tells a mark from a file just made; writing sets the time. */
  if (may) may = pwrite(fd, "1", 1, 0) == 1;
  close(fd);
  return may;
}

/* Variables of the caller's build that must not reach a daemon which outlives it. */
static bool is_passing(const char *entry) {
  static const char *const prefixes[] = {"RCH_",  "LD_",     "NODE_", "MAKE",    "MFLAGS=",
                                         "GNUMAKEFLAGS=", "CARGO", "RUST", "FAKEROOT", NULL};
  for (const char *const *at = prefixes; *at; at++)
    if (strncmp(entry, *at, strlen(*at)) == 0) return true;
  return false;
}

/* Limits (setrlimit(2)) that matter to a daemon, and what it needs: bytes that Node asks for at the least, a day's seconds. */
static const struct {
  int number;
  rlim_t least;
} daemon_limits[] = {{RLIMIT_CPU, 86400}, {RLIMIT_AS, (rlim_t)8 << 30}, {RLIMIT_DATA, (rlim_t)4 << 30},
                     {RLIMIT_FSIZE, (rlim_t)4 << 30}, {RLIMIT_NOFILE, 256}};
enum { DAEMON_LIMITS = sizeof daemon_limits / sizeof *daemon_limits };

/* Whether a daemon could live under the hard limits of this caller (`ulimit -t 60; make`), which nothing undoes. */
static bool is_livable(void) {
  struct rlimit limit;
  for (size_t i = 0; i < DAEMON_LIMITS; i++)
    if (getrlimit(daemon_limits[i].number, &limit) == 0 && limit.rlim_max < daemon_limits[i].least) return false;
  return true;
}

/* What this caller asked for itself (taskset, nice, ulimit) is not for a daemon that serves all. */
static void be_unbounded(void) {
  struct rlimit limit;
  cpu_set_t all;
  memset(&all, 0xff, sizeof all);
  sched_setaffinity(0, sizeof all, &all);
  setpriority(PRIO_PROCESS, 0, 0);
  for (size_t i = 0; i < DAEMON_LIMITS; i++) {
    if (getrlimit(daemon_limits[i].number, &limit) < 0) continue;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(daemon_limits[i].number, &limit);
  }
}

static _Noreturn void become_daemon(const char *node, const char *program) {
  char *argv[] = {(char *)node, (char *)program, (char *)"--background", NULL};
  sigset_t none;
  size_t count = 0, kept = 0;
  while (environ[count]) count++;
  char **env = malloc((count + 1) * sizeof *env);
  if (!env || chdir("/") < 0) _exit(1);
  for (size_t i = 0; i < count; i++)
    if (!is_passing(environ[i]))
      env[kept++] = self.path && is_variable(environ[i], "PATH") ? self.path : environ[i];
  env[kept] = NULL;
  for (int fd = 0; fd < 3; fd++) close(fd);
  if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2) _exit(1);
  if (syscall(SYS_close_range, 3u, ~0u, 0u) < 0)
    for (int fd = 3; fd < 4096; fd++) close(fd);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  umask(022);
  be_unbounded();
  execve(node, argv, env);
  _exit(1);
}

/* Starts the daemon in the background, unless the user stopped it, and does not wait for it. */
static void start_daemon(void) {
  char node[PATH_MAX], program[PATH_MAX];
  if (!join_path(node, self.home, "lib/node") || !join_path(program, self.home, "lib/rchd.mjs")) return;
  if (access(node, X_OK) < 0 || access(program, R_OK) < 0) return;
  if (!run_folder[0] && !make_run_folder()) return;
  if (run_has("stopped") || !is_livable() || !may_start()) return;
  pid_t child = fork();
  if (child == 0) {
    setsid();
    if (fork() == 0) become_daemon(node, program);
    _exit(0);
  }
  if (child > 0)
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
}

/* Keeps this process, and what it becomes, to some of the CPUs that it may use; a caller's own choice stands. */
static void keep_to(struct rch_list cpus) {
  cpu_set_t set, own;
  uint32_t cpu;
  CPU_ZERO(&set);
  while (rch_list_next_u32(&cpus, &cpu))
    if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  if (sched_getaffinity(0, sizeof own, &own) < 0) return;
  CPU_AND(&set, &set, &own);
  if (CPU_COUNT(&set) > 0) sched_setaffinity(0, sizeof set, &set);
}

static bool is_heavy(void) {
  static const char *const heavy[] = {"cargo", "make", "gmake", "ninja", "cmake", "meson", NULL};
  for (const char *const *at = heavy; *at; at++)
    if (strcmp(self.name, *at) == 0) return true;
  return false;
}

/* Tries each of `count` record locks of a file: 1 taken, 0 all busy, -1 one is an ancestor's or none can be had. */
static int try_local_locks(int fd, int count) {
  for (int i = 0; i < count; i++) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1};
    if (fcntl(fd, F_SETLK, &lock) == 0) return 1;
    if (errno != EAGAIN && errno != EACCES) return -1;
    struct flock held = lock;
    if (fcntl(fd, F_GETLK, &held) == 0 && held.l_type != F_UNLCK && is_ancestor(held.l_pid)) return -1;
  }
  return 0;
}

/*
 * Without a daemon there is no lease, so a heavy tool takes one of as many record locks as there are CPUs.
 * fcntl(2) record locks survive execve and are not inherited by fork: the tool holds it exactly as long as
 * it lives. Whoever already runs below a holder never waits, nobody waits for ever, and a daemon that the user
 * stopped on purpose bounds nothing.
 */
static void take_local_lock(void) {
  char path[PATH_MAX];
  cpu_set_t cpus;
  int64_t deadline = now_ms() + LOCAL_LOCK_MS;
  if (!is_heavy() || is_nested() || run_has("stopped") || !run_path(path, "local.lock")) return;
  int fd = high_fd(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd < 0) return;
  int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  int taken;
  while ((taken = try_local_locks(fd, count)) == 0 && now_ms() < deadline) sleep_ms(50);
  if (taken == 1) fcntl(fd, F_SETFD, 0);
}
#endif
