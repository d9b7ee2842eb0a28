/* The way of the tool's process from fork to execve: its streams, limits and capabilities. */
#ifndef RCH_RUN_TOOL_H
#define RCH_RUN_TOOL_H
#include "run-base.h"

/* What the tool's process says on its way: the time before execve, then, only if that failed, why. */
struct report {
  int64_t at;
  char stage[16];
  int error;
};

/* Connects descriptor `fd` of the tool by its kind; false with errno. */
static bool connect_stream(const struct job *job, const struct wires *wires, int fd) {
  int pipe = fd == 0 ? wires->in[0] : fd == 2 && !job->joined ? wires->err[1] : wires->out[1];
  switch (job->kind[fd]) {
    case RCH_STREAM_CLOSED:
      close(fd);
      return true;
    case RCH_STREAM_DEV_NULL: {
      int null = open("/dev/null", (fd == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
      return null >= 0 && dup2(null, fd) == fd;
    }
    case RCH_STREAM_TTY:
      return dup2(wires->slave, fd) == fd;
    default:
      return dup2(pipe, fd) == fd;
  }
}

/*
 * What a caller who is root keeps inside the sandbox: power over files of the ids that are mapped, none
 * over mounts. Any other uid loses everything by execve, capabilities(7).
 */
static void drop_capabilities(void) {
  /* chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap net_bind net_raw sys_chroot setfcap */
  static const uint64_t kept = 1ull << 0 | 1ull << 1 | 1ull << 2 | 1ull << 3 | 1ull << 4 | 1ull << 5 |
                               1ull << 6 | 1ull << 7 | 1ull << 8 | 1ull << 10 | 1ull << 13 |
                               1ull << 18 | 1ull << 31;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned i = 0; i < 64; i++)
    if (!(kept >> i & 1)) prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

static void set_limits(const struct job *job) {
  for (unsigned i = 0; i < job->limit_count; i++) {
    struct rlimit now, wanted = job->limits[i];
    if (getrlimit(i, &now) != 0) continue;
    if (wanted.rlim_max > now.rlim_max && setrlimit(i, &wanted) != 0) wanted.rlim_max = now.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
    setrlimit(i, &wanted);
  }
}

/*
 * Signals as the caller had them ignored or blocked: `nohup make`, a shell script under a service of systemd (SIGPIPE).
 * But the two by which a reader of its terminal is found stop it.
 */
static void set_signals(const struct job *job) {
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int i = 1; i < NSIG; i++) {
    uint64_t bit = i == SIGTTIN || i == SIGTTOU ? 0 : 1ull << (i - 1);
    signal(i, job->ignored & bit ? SIG_IGN : SIG_DFL);
    if (job->blocked & bit) sigaddset(&blocked, i);
  }
  sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* The tool's process, up to its execve. `go` gives one byte once the tracer is there. */
static _Noreturn void become_tool(const struct job *job, const struct wires *wires, int go, int say) {
  struct report report = {0, "stdio", 0};
  setpgid(0, 0);
  char byte;
  if (go >= 0 && read(go, &byte, 1) != 1) _exit(127);
  bool ok = true;
  for (int fd = 0; ok && fd < 3; fd++) ok = connect_stream(job, wires, fd);
  if (ok && chdir(job->cwd) != 0) {
    ok = false;
    strcpy(report.stage, "chdir");
  }
  if (ok) {
    if (job->method == RCH_SANDBOX_NAMESPACES) drop_capabilities();
    if (job->has_affinity) sched_setaffinity(0, sizeof job->affinity, &job->affinity);
    umask(job->umask);
    set_limits(job);
    set_signals(job);
    report.at = clock_ns(CLOCK_REALTIME);
    (void)!write(say, &report.at, sizeof report.at);
    execve(job->tool, job->argv, job->env);
    strcpy(report.stage, "exec");
  }
  int error = errno;
  if (!report.at) (void)!write(say, &report.at, sizeof report.at);
  report.error = error;
  (void)!write(say, (char *)&report + sizeof report.at, sizeof report - sizeof report.at);
  _exit(127);
}
#endif
