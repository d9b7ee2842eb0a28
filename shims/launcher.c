/*
 * The launcher: every name in the shim folder (cargo, gcc, make …) is a link to this program. It finds the real tool,
 * asks the daemon where to run it, and becomes the tool here, or stands for it while it runs on a worker. Whatever
 * goes wrong before the tool has started there ends in the real tool running here, untouched.
 * One more name of it is rch-hook (launcher/hook.h).
 */
#include "launcher/hook.h"
#include "launcher/relay.h"
#include "launcher/tell.h"

/*
 * Programs that keep what a compiler made: they tell compilers apart by their files, so that they must find the
 * compiler itself, not a shim that stays the same when the compiler changes. Here, with the shims off PATH.
 */
static bool is_compiler_cache(void) { return strcmp(self.name, "ccache") == 0 || strcmp(self.name, "sccache") == 0; }

/* Settings and circumstances under which the daemon is not asked. */
static bool decides_alone(void) {
  if (is_on("RCH_BYPASS") || is_off("RCH_ENABLED")) return true;
  /* On a worker it always counts: the daemon is on another machine. */
  return is_set("RCH_ON_WORKER") || is_compiler_cache() || is_nested();
}

/*
 * Here, since `why` keeps the daemon from saying where, with the bound that holds without a lease; who only asks
 * (--version) waits for nobody.
 */
static _Noreturn void run_unleased(struct wire *front, const char *why) {
  if (front) wire_close(front);
  text_clear();
  if (is_on("RCH_VERBOSE")) complain("rch: local: %s (rch doctor daemon)\n", why);
  if (!only_asks()) take_local_lock();
  exec_local();
}

/* Runs the command of `first` as a child on the caller's descriptors; its failure is our end, unless it may fail. */
static bool run_first(struct wire *front, const struct rch_shim_first *first) {
  char *path = text_of(first->path), **argv = texts_of(first->argv), **env = local_environment();
  struct rch_shim_first_done done = {RCH_END_EXITED, 0};
  struct sigaction standard = {.sa_handler = SIG_DFL}, was;
  pid_t parent = getpid(), ended = 0;
  int status = 0;
  if (!path || !argv || !env || access(path, X_OK) < 0) return false;
  text_clear();
  /* Where SIGCHLD is ignored a child's end cannot be learned (wait(2)). */
  sigaction(SIGCHLD, &standard, &was);
  pid_t child = fork();
  if (child == 0) {
    sigaction(SIGCHLD, &was, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent) _exit(127);
    become(path, argv, env);
  }
  while (child > 0 && (ended = waitpid(child, &status, 0)) < 0 && errno == EINTR) continue;
  sigaction(SIGCHLD, &was, NULL);
  if (child < 0 || ended < 0) return false;
  if (WIFSIGNALED(status)) done = (struct rch_shim_first_done){RCH_END_SIGNALED, (uint32_t)WTERMSIG(status)};
  else done.value = (uint32_t)WEXITSTATUS(status);
  rch_put_shim_first_done(&front->out, &done);
  wire_flush(front);
  if (done.kind == RCH_END_SIGNALED) die_by((int)done.value);
  if (done.value && !first->may_fail) _exit((int)done.value);
  return true;
}

/* One message of the front; false when it makes no sense here. */
static bool take_answer(struct wire *front, const struct frame *frame) {
  union {
    struct rch_shim_wait wait;
    struct rch_shim_local local;
    struct rch_shim_first first;
    struct rch_shim_remote remote;
    struct rch_shim_bind bind;
    struct rch_shim_exit end;
    struct rch_shim_lost lost;
  } m;
  switch (frame->number) {
    case RCH_SHIM_ACK:
      return true;
    case RCH_SHIM_WAIT:
      if (!rch_get_shim_wait(frame->body, frame->n, &m.wait)) return false;
      text_show(m.wait.text);
      return true;
    case RCH_SHIM_LOCAL:
      if (!rch_get_shim_local(frame->body, frame->n, &m.local)) return false;
      text_clear();
      text_say(m.local.notice, true);
      wire_close(front);
      exec_local();
    case RCH_SHIM_FIRST:
      return rch_get_shim_first(frame->body, frame->n, &m.first) && run_first(front, &m.first);
    case RCH_SHIM_BIND:
      if (!rch_get_shim_bind(frame->body, frame->n, &m.bind)) return false;
      keep_to(m.bind.cpus);
      return true;
    case RCH_SHIM_EXIT:
      if (!rch_get_shim_exit(frame->body, frame->n, &m.end)) return false;
      text_clear();
      wire_close(front);
      if (m.end.kind == RCH_END_SIGNALED) die_by((int)m.end.value);
      _exit((int)m.end.value);
    case RCH_SHIM_REMOTE:
      if (!rch_get_shim_remote(frame->body, frame->n, &m.remote)) return false;
      text_clear();
      job_run(front, &m.remote);
    case RCH_SHIM_LOST: /* no worker, and the user does not want it here */
      if (!rch_get_shim_lost(frame->body, frame->n, &m.lost)) return false;
      job_lost(m.lost.text);
    default:
      return false;
  }
}

static _Noreturn void ask(int fd) {
  struct wire front;
  struct frame frame;
  /* One that was waited for in vain a moment ago is not waited for again. */
  bool patient = insists() && !daemon_is_hung();
  int64_t patience = now_ms() + (patient ? FRONT_SILENCE_MS : BUSY_ACK_MS), deadline = now_ms() + ACK_MS;
  int asleep = 0;
  wire_open(&front, fd);
  if (!put_ask(&front.out)) run_unleased(&front, "the command is too long to be asked about");
  do {
    while (wire_await(&front, deadline, &frame)) {
      if (!take_answer(&front, &frame)) run_unleased(&front, "the daemon's answer makes no sense");
      patience = deadline = now_ms() + FRONT_SILENCE_MS;
    }
    deadline = now_ms() + BUSY_LOOK_MS;
  } while (!front.closed && deadline < patience && peer_is_busy(front.fd, &asleep, patient));
  if (!front.closed) remember_hung();
  run_unleased(&front, front.closed ? "the daemon went away" : "the daemon does not answer");
}

/* A connection to the front; without one the tool runs here. */
static int reach_front(void) {
  char path[PATH_MAX];
  int fd = -1;
  if (run_path(path, "front.sock")) fd = connect_socket(path, now_ms() + ACK_MS);
  if (fd >= 0) return fd;
  bool absent = errno == ENOENT || errno == ECONNREFUSED, late = errno == ETIMEDOUT;
  if (absent) start_daemon();
  if (late) remember_hung();
  run_unleased(NULL, absent ? "no daemon runs" : "the daemon does not answer");
}

static _Noreturn void ask_again(void) { ask(reach_front()); }

/* The hook: silent about everything that goes wrong, and never a failure. */
static int be_hook(const char *agent) {
  const struct hook_agent *named = hook_agent_named(agent);
  signal(SIGPIPE, SIG_IGN);
  if (named && find_home() && !decides_alone()) hook_run(named);
  return 0;
}

int main(int argc, char **argv) {
  char *nameless[] = {(char *)"", NULL};
  pid_t parent;
  self.argv = argc > 0 ? argv : nameless;
  if (hook_is_ours((const char *)getauxval(AT_EXECFN)) || hook_is_ours(self.argv[0]))
    return be_hook(argc > 1 ? argv[1] : NULL);
  if (!process_stat(0, &parent, &self.start)) self.start = 0;
  look_at_descriptors();
  if (!find_home()) {
    complain("rch: cannot find the launcher's own file\n");
    return 127;
  }
  if (!find_tool()) {
    if (!self.name[0]) {
      complain("usage: rch-shim is called by the name of a tool, through a link in %s\n", self.shims);
      return 2;
    }
    complain("%s: command not found (rch: no such program on PATH besides the shim)\n", self.name);
    return 127;
  }
  correct_argv0();
  if (self.start)
    snprintf(self.marker, sizeof self.marker, "RCH_SHIM=%d:%llu:%s", (int)getpid(), (unsigned long long)self.start,
             self.real);
  if (decides_alone()) exec_local();
  if (!check_run_folder() && errno != ENOENT) exec_local();
  if (daemon_is_hung() && !insists()) run_unleased(NULL, "the daemon did not answer a moment ago");
  int fd = reach_front();
  if (only_asks()) {
    tell(fd);
    close_fd(&fd);
    exec_local();
  }
  terminal_find();
  ask(fd);
}
