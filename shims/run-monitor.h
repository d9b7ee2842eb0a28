/*
 * Inside the job: init of the PID namespace, and the monitor: session leader, the terminal's foreground,
 * the tool's parent, tracer and the reaper of its orphans.
 */
#ifndef RCH_RUN_MONITOR_H
#define RCH_RUN_MONITOR_H
#include "run-processes.h"
#include "run-sandbox.h"
#include "run-tool.h"

/* How often the monitor looks, after the tool's end, whether somebody still holds the terminal. */
#define HOLDER_POLL_MS 20
/* How long the tool may take to stop when it is stopped and continued to restart a read of its terminal. */
#define PULSE_MS 5

struct monitor {
  const struct job *job;
  int control, slave, children;
  pid_t tool;
  bool ended, foreground, first_exec;
  bool pulsing;        /* a stop by SIGSTOP is ours */
  int64_t pulse_until; /* 0 once the group was continued */
  int stopped;         /* signal the tool's group is stopped by, 0 while it runs */
};

static bool traced(const struct monitor *m) { return m->job->caught[0] != NULL; }

static bool terminal_is_free(const struct monitor *m) {
  char path[64], name[PATH_MAX];
  snprintf(path, sizeof path, "/proc/self/fd/%d", m->slave);
  ssize_t n = readlink(path, name, sizeof name - 1);
  if (n <= 0) return true;
  name[n] = 0;
  return !any_descendant(holds_terminal, name);
}

/* Starts the tool; false after a failure was said. */
static bool start_tool(struct monitor *m, const struct wires *wires) {
  int say[2], go[2] = {-1, -1};
  if (pipe2(say, O_CLOEXEC) != 0 || (traced(m) && pipe2(go, O_CLOEXEC) != 0))
    return fail("pipe", "cannot make a pipe");
  m->tool = fork();
  if (m->tool < 0) return fail("fork", "cannot fork");
  if (m->tool == 0) become_tool(m->job, wires, go[0], say[1]);
  setpgid(m->tool, m->tool);
  close(say[1]);
  if (traced(m)) {
    if (ptrace(PTRACE_SEIZE, m->tool, 0, PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) != 0)
      return fail("ptrace", "cannot trace the tool");
    (void)!write(go[1], "", 1);
    close(go[0]);
    close(go[1]);
  }
  struct report report = {0};
  size_t n = 0;
  for (ssize_t got; n < sizeof report; n += (size_t)got) {
    got = read(say[0], (char *)&report + n, sizeof report - n);
    if (got < 0 && errno == EINTR) got = 0;
    else if (got <= 0) break;
  }
  close(say[0]);
  if (n == sizeof report) {
    report.stage[sizeof report.stage - 1] = 0;
    errno = report.error;
    const char *what = strcmp(report.stage, "chdir") == 0 ? m->job->cwd : m->job->tool;
    return fail(report.stage, "%s", what);
  }
  if (n < sizeof report.at) {
    errno = 0;
    return fail("start", "the tool's process died before its start");
  }
  struct note started = {.kind = NOTE_STARTED, .at = report.at};
  return send_note(m->control, &started);
}

/* The tool's group; one that left it for a group or session of its own (setsid(2)) gets it alone. */
static void signal_group(const struct monitor *m, int signo) {
  if (!m->ended && kill(-m->tool, signo) != 0 && errno == ESRCH) kill(m->tool, signo);
}

static void end_pulse(struct monitor *m) {
  m->pulse_until = 0;
  signal_group(m, SIGCONT);
}

/* The tool's group stopped by `signo`. */
static void on_stop(struct monitor *m, int signo) {
  if (m->pulsing && signo == SIGSTOP) {
    m->pulsing = false;
    end_pulse(m);
    return;
  }
  if (m->foreground && (signo == SIGTTIN || signo == SIGTTOU)) {
    /* It asked just before it was given the terminal. */
    signal_group(m, SIGCONT);
    return;
  }
  m->stopped = signo;
  send_kind(m->control, NOTE_STOPPED, signo);
}

/* True when the program the tool has just become lies below a prefix to catch. */
static bool caught_exec(const struct monitor *m) {
  char path[64], program[PATH_MAX];
  snprintf(path, sizeof path, "/proc/%d/exe", m->tool);
  ssize_t n = readlink(path, program, sizeof program - 1);
  if (n <= 0) return false;
  program[n] = 0;
  for (char **prefix = m->job->caught; *prefix; prefix++) {
    size_t length = strlen(*prefix);
    while (length > 1 && (*prefix)[length - 1] == '/') length--;
    if (strncmp(program, *prefix, length) == 0 && program[length] == '/') return true;
  }
  return false;
}

/* A stop that only a tracer sees: ptrace(2), "Stopped states". */
static void on_traced_stop(struct monitor *m, int status) {
  int signo = WSTOPSIG(status), event = status >> 16;
  if (event == PTRACE_EVENT_EXEC) {
    if (!m->first_exec && caught_exec(m)) {
      send_kind(m->control, NOTE_CAUGHT, m->tool);
      return;
    }
    m->first_exec = false;
    ptrace(PTRACE_CONT, m->tool, 0, 0);
  } else if (event == PTRACE_EVENT_STOP) {
    if (signo == SIGSTOP || signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU) {
      ptrace(PTRACE_LISTEN, m->tool, 0, 0);
      on_stop(m, signo);
    } else {
      ptrace(PTRACE_CONT, m->tool, 0, 0);
    }
  } else {
    ptrace(PTRACE_CONT, m->tool, 0, signo);
  }
}

static int64_t micros(struct timeval time) { return (int64_t)time.tv_sec * 1000000 + time.tv_usec; }

/* Takes every change of state of the job's processes; orphans are reaped without a word. */
static void reap(struct monitor *m) {
  int status;
  struct rusage usage;
  for (pid_t pid; (pid = wait4(-1, &status, WNOHANG | WUNTRACED | __WALL, &usage)) > 0;) {
    if (pid != m->tool || m->ended) continue;
    if (WIFSTOPPED(status)) {
      if (traced(m)) on_traced_stop(m, status);
      else on_stop(m, WSTOPSIG(status));
      continue;
    }
    m->ended = true;
    struct note note = {.kind = NOTE_EXITED,
                        .value = status,
                        .at = clock_ns(CLOCK_REALTIME),
                        .user_us = micros(usage.ru_utime),
                        .system_us = micros(usage.ru_stime),
                        .max_rss = usage.ru_maxrss};
    send_note(m->control, &note);
  }
}

static bool is_stop(int signo) {
  return signo == SIGTSTP || signo == SIGSTOP || signo == SIGTTIN || signo == SIGTTOU;
}

/*
 * Passes a signal on. A group that only waits for its terminal is stopped where a local one would be
 * reading: a stop is said at once, anything else wakes it.
 */
static void pass_signal(struct monitor *m, int signo) {
  bool waiting = m->stopped == SIGTTIN || m->stopped == SIGTTOU;
  if (m->pulse_until) end_pulse(m);
  else m->pulsing = false;
  if (waiting && is_stop(signo)) {
    m->stopped = signo;
    send_kind(m->control, NOTE_STOPPED, signo);
    return;
  }
  if (signo == SIGCONT) m->stopped = 0;
  signal_group(m, signo);
  if (waiting && signo != SIGCONT) {
    m->stopped = 0;
    signal_group(m, SIGCONT);
  }
}

static void to_foreground(struct monitor *m) {
  if (m->slave < 0 || m->ended) return;
  m->foreground = true;
  tcsetpgrp(m->slave, m->tool);
  if (m->stopped == SIGTTIN || m->stopped == SIGTTOU) {
    m->stopped = 0;
    signal_group(m, SIGCONT);
  }
  send_kind(m->control, NOTE_GIVEN, 0);
}

/*
 * Takes the terminal back. Whoever blocks in a read of it would go on reading: the line discipline asks
 * for the foreground at the start of a read only. A stop and a continue restart that read. The tool may
 * not get to stop while it waits for a child of vfork(2) that did: hence the bound in time.
 */
static void to_background(struct monitor *m) {
  if (m->slave < 0 || m->ended) return;
  m->foreground = false;
  tcsetpgrp(m->slave, getpgrp());
  send_kind(m->control, NOTE_TAKEN_BACK, 0);
  if (m->stopped) return;
  m->pulsing = true;
  m->pulse_until = uptime_ms() + PULSE_MS;
  signal_group(m, SIGSTOP);
}

/* Does what rch-run asks; false when it is gone. */
static bool obey(struct monitor *m) {
  struct note note;
  ssize_t n = recv(m->control, &note, sizeof note, 0);
  if (n < 0 && errno == EINTR) return true;
  if (n != (ssize_t)sizeof note) return false;
  switch (note.kind) {
    case NOTE_SIGNAL:
      if (note.value > 0 && note.value < NSIG) pass_signal(m, note.value);
      return true;
    case NOTE_RESIZED:
      if (!m->foreground) signal_group(m, SIGWINCH);
      return true;
    case NOTE_FOREGROUND:
      to_foreground(m);
      return true;
    case NOTE_BACKGROUND:
      to_background(m);
      return true;
    default:
      return true;
  }
}

static void watch(struct monitor *m) {
  bool free_said = m->slave < 0;
  struct pollfd fds[2] = {{m->control, POLLIN, 0}, {m->children, POLLIN, 0}};
  for (;;) {
    if (m->ended && !free_said && terminal_is_free(m)) {
      send_kind(m->control, NOTE_TTY_FREE, 0);
      free_said = true;
    }
    int wait = m->ended && !free_said ? HOLDER_POLL_MS : m->pulse_until ? 1 : -1;
    if (poll(fds, 2, wait) < 0 && errno != EINTR) return;
    if (fds[1].revents) {
      struct signalfd_siginfo info;
      (void)!read(m->children, &info, sizeof info);
      reap(m);
    }
    if (m->pulse_until && uptime_ms() >= m->pulse_until) {
      reap(m);
      if (m->pulse_until) end_pulse(m);
    }
    if (fds[0].revents && !obey(m)) return;
  }
}

/* The monitor; returns when rch-run is gone. */
static void monitor_job(const struct job *job, struct wires *wires) {
  struct monitor m = {.job = job, .control = wires->control[1], .slave = wires->slave, .first_exec = true};
  sigset_t all, child;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  close(3);
  close_fd(&wires->control[0]);
  close_fd(&wires->master);
  close_fd(&wires->in[1]);
  close_fd(&wires->out[0]);
  close_fd(&wires->err[0]);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  setsid();
  m.children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  bool ok = m.children >= 0 || fail("signalfd", "cannot watch children");
  if (ok && m.slave >= 0 && (ioctl(m.slave, TIOCSCTTY, 0) != 0 || tcsetpgrp(m.slave, getpgrp()) != 0))
    ok = fail("terminal", "cannot take the terminal");
  ok = ok && start_tool(&m, wires);
  if (!ok) {
    send_failure(m.control);
    return;
  }
  close_fd(&wires->in[0]);
  close_fd(&wires->out[1]);
  close_fd(&wires->err[1]);
  watch(&m);
}

/* Init of the PID namespace: finishes the root, starts the monitor, reaps; its end is the job's end. */
static _Noreturn void init_main(const struct job *job, struct wires *wires) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!finish_root()) {
    send_failure(wires->control[1]);
    _exit(0);
  }
  pid_t monitor = fork();
  if (monitor == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    monitor_job(job, wires);
    _exit(0);
  }
  if (monitor < 0) {
    fail("fork", "cannot fork");
    send_failure(wires->control[1]);
  }
  int *const held[] = {&wires->control[0], &wires->control[1], &wires->in[0],  &wires->in[1], &wires->out[0],
                       &wires->out[1],     &wires->err[0],     &wires->err[1], &wires->master, &wires->slave};
  for (size_t i = 0; i < sizeof held / sizeof *held; i++) close_fd(held[i]);
  close(3);
  while (monitor > 0) {
    pid_t pid = waitpid(-1, NULL, __WALL);
    if (pid == monitor || (pid < 0 && errno == ECHILD)) break;
  }
  _exit(0);
}
#endif
