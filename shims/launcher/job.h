/*
 * A command that runs on a worker, seen from here: streams, signals and the end.
 *
 *   committed ──starting──▶ announced ──started──▶ running ──exit | execHere──▶ ending (held output is written) ──▶ gone
 *      │ again, link lost        │ │ link lost ──▶ resuming ──▶ as before
 *      ▼                   again │ └─ lost, resume failed ──▶ exit 102
 *   the front is asked anew ◀────┘
 *
 * Until `starting` the worker was told nothing, so whoever loses the link asks the front where to go now: another worker,
 * or here, in its turn. After it nobody here knows whether the tool runs there: only a link that says `again` can tell.
 * (`local`, as an older link says, is an exec at once.)
 */
#ifndef RCH_LAUNCHER_JOB_H
#define RCH_LAUNCHER_JOB_H
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "ask.h"
#include "daemon.h"
#include "input.h"
#include "locks.h"
#include "output.h"

/* A link says something every 2 s: one that is silent for so long is given up. (Tests shorten both.) */
#ifndef LINK_SILENCE_MS
#define LINK_SILENCE_MS 30000
#endif
/* How long a lost job is looked for, unless the link said so (execution.resume_timeout_sec, whose default this is). */
#ifndef RESUME_MS
#define RESUME_MS 120000
#endif
/* A tool that was sent SIGTSTP has this long to say that it stopped. */
#define STOP_ANSWER_MS 200
/* One that ignores it never answers: this long after we went on again, a stop is a new one. (Tests shorten it.) */
#ifndef STALE_ANSWER_MS
#define STALE_ANSWER_MS 1000
#endif
#define JOB_BYTES 16
#define SIGNALS_KEPT 16
#define LINE_BYTES 65536

static struct {
  struct wire link;
  uint8_t id[JOB_BYTES];
  char *worker;
  int *locks; /* descriptors held by flock(2) */
  size_t lock_count;
  bool announced, started;
  bool ended, execs; /* the end came: as `end`, as the program in `program`, or as `lost` */
  char *lost;        /* why there is no end but this */
  struct rch_shim_exit end;
  uint8_t *program;
  size_t program_n;
  sigset_t received; /* the caller's mask */
  int signals;       /* signalfd, -1 before `started` */
  struct winsize size;
  int64_t stop_by;        /* deadline for `stopped`, 0 when none is due */
  bool stop_answer_stale; /* we stopped without waiting longer: its answer is not a new stop */
  int64_t stale_until;    /* once we go on, for as long as that may still be on its way; 0 before */
  uint32_t waiting[SIGNALS_KEPT]; /* signals to forward once the link is there again */
  size_t waiting_count;
  struct rch_shim_signal told[SIGNALS_KEPT]; /* those sent last: a link that died may not have passed them on */
  uint32_t told_count;
  uint8_t *line;          /* what was typed last, sent as the answer to `answered` */
  size_t line_n;
  uint32_t answered;
  int64_t resume_ms;      /* how long it is looked for then */
  int64_t lost_at;        /* when the link went away, 0 once a fresh one spoke */
  int resume_pause;       /* ms until the next attempt */
  bool lost_before;       /* a link was lost before `starting` */
} job = {.signals = -1, .link = {.fd = -1}, .resume_ms = RESUME_MS};

static void job_release(void) {
  wire_close(&job.link);
  for (size_t i = 0; i < job.lock_count; i++) close_fd(&job.locks[i]);
  job.lock_count = 0;
  free(job.locks);
  job.locks = NULL;
}

/* In launcher.c: asks the front once more, after a link that started nothing; and runs here without asking anybody. */
static _Noreturn void ask_again(void);
static _Noreturn void run_unleased(struct wire *front, const char *why);

/* Before `started` only: the link is closed first, so that nothing starts there any more. */
static _Noreturn void job_run_here(void) {
  text_clear();
  job_release();
  exec_local();
}

/* As above, to be sent elsewhere or to wait for a turn here: many may come at once. */
static _Noreturn void job_goes_elsewhere(void) {
  text_clear();
  job_release();
  free(job.worker);
  job.worker = NULL;
  job.announced = false;
  job.lost_at = 0;
  ask_again();
}

/* The link went away before `starting`. The second time nobody is asked any more. */
static _Noreturn void job_unlinked(void) {
  if (!job.lost_before) {
    job.lost_before = true;
    job_goes_elsewhere();
  }
  job_release();
  run_unleased(NULL, "the daemon lost the worker twice");
}

static _Noreturn void job_lost(struct rch_bytes why) {
  terminal_restore();
  text_clear();
  complain("rch: %.*s\n", (int)(why.n < 4096 ? why.n : 4096), (const char *)why.at);
  _exit(EXIT_LOST);
}

/* The run is lost: what came of its output before is still written. Without memory for the reason, at once. */
static void job_lose(struct rch_bytes why) {
  job.lost = text_of(why);
  if (!job.lost) job_lost(why);
  job.ended = true;
}

/* What a broken peer means: nothing lost before the start; after it the command is never run a second time. */
static _Noreturn void job_broken(const char *why) {
  if (!job.announced) job_unlinked();
  job_lost(bytes_of(why));
}

/* Ends as a process ends by that signal, without a core file of ours. */
static _Noreturn void die_by(int number) {
  struct rlimit none = {0, 0};
  sigset_t one;
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  signal(number, SIG_DFL);
  sigemptyset(&one);
  sigaddset(&one, number);
  kill(getpid(), number);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  /* Only as init of a PID namespace, or for a signal that does not end a process. */
  _exit(128 + number);
}

static void put_signal(uint32_t number) {
  struct rch_shim_signal *message = &job.told[job.told_count % SIGNALS_KEPT];
  *message = (struct rch_shim_signal){number, ++job.told_count};
  rch_put_shim_signal(&job.link.out, message);
}

static void put_size(void) {
  job.size = terminal_size();
  struct rch_shim_resize message = {job.size.ws_row, job.size.ws_col, job.size.ws_xpixel, job.size.ws_ypixel};
  rch_put_shim_resize(&job.link.out, &message);
}

/*
 * Takes the signals that a tool would get. Those that were ignored or blocked when we were started stay so, there as
 * here. SIGTTIN and SIGTTOU keep their default: whatever we do to the terminal in the background stops us.
 */
static void signals_take(void) {
  static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP};
  sigset_t taken, blocked;
  struct sigaction was;
  sigprocmask(SIG_SETMASK, NULL, &job.received);
  sigemptyset(&taken);
  sigaddset(&taken, SIGWINCH);
  sigaddset(&taken, SIGCONT);
  for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) {
    if (sigismember(&job.received, forwarded[i]) == 1) continue;
    if (sigaction(forwarded[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN) sigaddset(&taken, forwarded[i]);
  }
  blocked = taken;
  sigaddset(&blocked, SIGPIPE);
  sigaddset(&blocked, SIGXFSZ);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  job.signals = high_fd(signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC));
}

/* Continued after a stop: the tool too, with the modes and the size that hold now. */
static void job_continued(void) {
  if (job.stop_answer_stale) job.stale_until = now_ms() + STALE_ANSWER_MS;
  put_signal(SIGCONT);
  terminal_apply();
  if (terminal.fd >= 0) put_size();
}

/* Stops as the tool did; returns when continued. In an orphaned process group a terminal stop has no effect. */
static void job_stop(int number) {
  sigset_t one, before, pending;
  int by = number == SIGTTIN || number == SIGTTOU || number == SIGTSTP ? number : SIGSTOP;
  job.stop_by = 0;
  wire_flush(&job.link);
  text_clear();
  terminal_restore();
  sigemptyset(&one);
  sigaddset(&one, by);
  kill(getpid(), by);
  sigprocmask(SIG_UNBLOCK, &one, &before);
  sigprocmask(SIG_SETMASK, &before, NULL);
  /* A SIGCONT that woke us is read from the signalfd; none was sent when we never stopped. */
  if (sigpending(&pending) < 0 || sigismember(&pending, SIGCONT) != 1) job_continued();
}

/* One signal from the caller's side. */
static void job_signal(uint32_t number) {
  if (number == SIGWINCH) {
    put_size();
  } else if (number == SIGCONT) {
    job_continued();
  } else if (number == SIGTSTP) {
    put_signal(number);
    job.stop_by = now_ms() + STOP_ANSWER_MS;
    job.stop_answer_stale = false;
    job.stale_until = 0;
  } else if (job.ended) {
    /* The tool is gone, we only write what it left: it would have died writing. */
    terminal_restore();
    die_by((int)number);
  } else {
    put_signal(number);
  }
}

static bool next_signal(uint32_t *number) {
  struct signalfd_siginfo info;
  if (job.signals < 0 || read(job.signals, &info, sizeof info) != sizeof info) return false;
  *number = info.ssi_signo;
  return true;
}

static void job_started(void) {
  struct winsize asked = job.size;
  job.announced = job.started = true;
  if (job.worker) tell_where(job.worker);
  text_clear();
  signals_take();
  outputs_open((uint8_t[3]){descriptors[0].kind, descriptors[1].kind, descriptors[2].kind});
  job.size = terminal_size();
  if (memcmp(&asked, &job.size, sizeof asked) != 0) put_size();
  input_pump(&job.link.out);
}

static void put_line(void) {
  struct rch_shim_tty_input message = {job.answered, {job.line, job.line_n}};
  rch_put_shim_tty_input(&job.link.out, &message);
}

/* The tool waits for its terminal: gives it one read's worth, when there is something. */
static void job_give_line(void) {
  if (!terminal.wanted || (!job.line && !(job.line = malloc(LINE_BYTES)))) return;
  ssize_t n = terminal_read(job.line, LINE_BYTES);
  if (n < 0) return;
  job.line_n = (size_t)n;
  job.answered = terminal.want;
  terminal.wanted = false;
  put_line();
}

/* A want that was answered already is asked again when the link died with the answer. */
static void job_wanted(uint32_t want) {
  if (want == job.answered) {
    put_line();
  } else if (want > job.answered) {
    terminal.wanted = true;
    terminal.want = want;
    job_give_line();
  }
}

/* The messages of a tool that runs. False: not one of them, or cut short. */
static bool job_running_frame(const struct frame *frame) {
  const uint8_t *at = frame->body;
  size_t n = frame->n;
  union {
    struct rch_shim_out out;
    struct rch_shim_stdin_used used;
    struct rch_shim_tty_want want;
    struct rch_shim_tty_modes modes;
    struct rch_shim_stopped stopped;
  } m;
  switch (frame->number) {
    case RCH_SHIM_OUT:
      if (!rch_get_shim_out(at, n, &m.out) || m.out.stream < 1 || m.out.stream > 3) return false;
      return output_take(&outputs[m.out.stream], m.out.offset, m.out.data);
    case RCH_SHIM_STDIN_USED:
      if (!rch_get_shim_stdin_used(at, n, &m.used) || !input_consume(m.used.offset)) return false;
      input_pump(&job.link.out);
      return true;
    case RCH_SHIM_TTY_WANT:
      if (!rch_get_shim_tty_want(at, n, &m.want)) return false;
      job_wanted(m.want.want);
      return true;
    case RCH_SHIM_TTY_MODES:
      if (!rch_get_shim_tty_modes(at, n, &m.modes)) return false;
      terminal_modes(m.modes.termios);
      return true;
    case RCH_SHIM_STOPPED:
      if (!rch_get_shim_stopped(at, n, &m.stopped)) return false;
      if (!job.stop_answer_stale || (job.stale_until && now_ms() >= job.stale_until))
        job_stop((int)m.stopped.signo);
      job.stop_answer_stale = false;
      job.stale_until = 0;
      return true;
    case RCH_SHIM_EXIT:
      job.ended = true;
      return rch_get_shim_exit(at, n, &job.end);
    case RCH_SHIM_EXEC_HERE:
      job.ended = job.execs = true;
      job.program = malloc(n + 1);
      if (job.program) memcpy(job.program, at, n);
      job.program_n = n;
      return job.program != NULL;
    default:
      return false;
  }
}

/* Holds all locks of a list beside those held; false when one is busy: the tool itself shall say so, here. */
static bool take_locks(struct rch_list list) {
  struct rch_bytes item;
  int *more = realloc(job.locks, (job.lock_count + list.count + 1) * sizeof *more);
  if (!more) return false;
  job.locks = more;
  while (rch_list_next(&list, &item)) {
    char *path = text_of(item);
    int fd = path ? open_lock(path) : -1;
    free(path);
    if (fd < 0) continue;
    job.locks[job.lock_count++] = fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) return false;
  }
  return true;
}

static void job_frame(const struct frame *frame) {
  union {
    struct rch_shim_lock lock;
    struct rch_shim_notice notice;
    struct rch_shim_wait wait;
    struct rch_shim_local local;
    struct rch_shim_lost lost;
    struct rch_shim_bind bind;
    struct rch_shim_starting starting;
  } m;
  bool good = true;
  if (frame->number == RCH_SHIM_NOTICE) {
    good = rch_get_shim_notice(frame->body, frame->n, &m.notice);
    if (good) text_say(m.notice.text, m.notice.always);
  } else if (frame->number == RCH_SHIM_WAIT) {
    good = rch_get_shim_wait(frame->body, frame->n, &m.wait);
    if (good) text_show(m.wait.text);
  } else if (frame->number == RCH_SHIM_LOST) {
    good = rch_get_shim_lost(frame->body, frame->n, &m.lost);
    if (good && job.announced) job_lose(m.lost.text);
    else if (good) job_unlinked();
  } else if (frame->number == RCH_SHIM_LOCAL && !job.started) {
    if (rch_get_shim_local(frame->body, frame->n, &m.local)) text_say(m.local.notice, true);
    job_run_here();
  } else if (frame->number == RCH_SHIM_LOCK && !job.announced) {
    struct rch_shim_locked held = {0};
    if (!rch_get_shim_lock(frame->body, frame->n, &m.lock) || !take_locks(m.lock.locks)) job_run_here();
    rch_put_shim_locked(&job.link.out, &held);
  } else if (frame->number == RCH_SHIM_AGAIN && !job.started) {
    job_goes_elsewhere();
  } else if (frame->number == RCH_SHIM_BIND && !job.started) {
    good = rch_get_shim_bind(frame->body, frame->n, &m.bind);
    if (good) keep_to(m.bind.cpus);
  } else if (frame->number == RCH_SHIM_STARTING) {
    struct rch_shim_bound bound = {0};
    job.announced = true;
    /* A daemon of before an upgrade, which runs on with new launchers beside it, does not say for how long. */
    if (rch_get_shim_starting(frame->body, frame->n, &m.starting))
      job.resume_ms = (int64_t)m.starting.resume_sec * 1000;
    rch_put_shim_bound(&job.link.out, &bound);
  } else if (frame->number == RCH_SHIM_STARTED) {
    if (!job.started) job_started();
  } else {
    good = job.started && !job.ended && job_running_frame(frame);
  }
  if (!good) job_broken("the daemon sent something that makes no sense");
}
#endif
