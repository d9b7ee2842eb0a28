/* A job from the front's answer to its end. */
#ifndef RCH_LAUNCHER_RELAY_H
#define RCH_LAUNCHER_RELAY_H
#include "resume.h"

/* The caller's mask and dispositions as they were, for a program that takes our place. */
static void signals_give_back(void) {
  struct sigaction was;
  /* Being ignored for a moment discards the SIGPIPE of our own writes. */
  if (sigaction(SIGPIPE, NULL, &was) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR)
    sigaction(SIGPIPE, &was, NULL);
  sigprocmask(SIG_SETMASK, &job.received, NULL);
}

static bool has_name_of(char **texts, const char *entry) {
  size_t n = strcspn(entry, "=");
  for (; *texts; texts++)
    if (strncmp(*texts, entry, n) == 0 && ((*texts)[n] == '=' || (*texts)[n] == 0)) return true;
  return false;
}

/* The caller's environment with the tool's changes; NULL without memory. */
static char **merge_environment(char **set, char **unset) {
  char **base = local_environment();
  char **made = base ? malloc((count_of(base) + count_of(set) + 1) * sizeof *made) : NULL;
  size_t n = 0;
  if (!made) return NULL;
  for (; *base; base++)
    if (!has_name_of(set, *base) && !has_name_of(unset, *base)) made[n++] = *base;
  for (; *set; set++) made[n++] = *set;
  made[n] = NULL;
  return made;
}

/* Becomes the program that the tool would have become (cargo run). */
static _Noreturn void job_exec_here(void) {
  struct rch_shim_exec_here here;
  if (!rch_get_shim_exec_here(job.program, job.program_n, &here)) job_broken("a program cut short");
  char *path = text_of(here.path), *cwd = text_of(here.cwd);
  char **argv = texts_of(here.argv), **set = texts_of(here.set_env), **unset = texts_of(here.unset_env);
  if (!path || !cwd || !argv || !set || !unset) job_broken("a program that cannot be run");
  char **env = merge_environment(set, unset);
  if (!env) job_broken("out of memory");
  if (*cwd && chdir(cwd) < 0) {
    complain("rch: cannot enter %s: %s\n", cwd, strerror(errno));
    _exit(EXIT_LOST);
  }
  job_release();
  tell_where("local");
  signals_give_back();
  become(path, argv, env);
}

static _Noreturn void job_end(void) {
  terminal_restore();
  text_clear();
  if (job.lost) job_lost(bytes_of(job.lost));
  if (job.execs) job_exec_here();
  /* The tool saw only that nobody reads. */
  bool broken_pipe = job.end.kind == RCH_END_SIGNALED && job.end.value == SIGPIPE;
  for (int stream = 1; stream < 4 && (job.end.value == 0 || broken_pipe); stream++) {
    if (!outputs[stream].error) continue;
    complain("rch: cannot write the output of %s: %s\n", self.name, strerror(outputs[stream].error));
    _exit(EXIT_LOST);
  }
  if (job.end.kind == RCH_END_SIGNALED) die_by((int)job.end.value);
  _exit((int)job.end.value);
}

enum { ON_LINK, ON_SIGNALS, ON_STDOUT, ON_STDERR, ON_TERMINAL, ON_INPUT, ON_LINE, ON_COUNT };

/* Waits for anything to do. `stalled`: too much output is held to read more. */
static void job_wait(bool stalled, int64_t heard) {
  bool reads = !stalled && !job.ended && !job.link.closed;
  bool sends = job.link.out_at < job.link.out.n && !job.link.closed;
  struct pollfd on[ON_COUNT] = {
      [ON_LINK] = {reads || sends ? job.link.fd : -1, (short)((reads ? POLLIN : 0) | (sends ? POLLOUT : 0)), 0},
      [ON_SIGNALS] = {job.signals, POLLIN, 0},
      [ON_STDOUT] = {output_waits(&outputs[1]), POLLOUT, 0},
      [ON_STDERR] = {output_waits(&outputs[2]), POLLOUT, 0},
      [ON_TERMINAL] = {output_waits(&outputs[3]), POLLOUT, 0},
      [ON_INPUT] = {job.started && !input.eof_sent ? input.edge : -1, POLLIN, 0},
      [ON_LINE] = {terminal.wanted ? terminal.line_fd : -1, POLLIN, 0},
  };
  int64_t deadline = reads ? heard + LINK_SILENCE_MS : INT64_MAX;
  if (job.stop_by && job.stop_by < deadline) deadline = job.stop_by;
  if (input.look_at && input.look_at < deadline) deadline = input.look_at;
  if (poll(on, ON_COUNT, deadline == INT64_MAX ? -1 : left_ms(deadline)) < 0) return;
  uint32_t number;
  if (input.look_at && now_ms() >= input.look_at) input_pump(&job.link.out);
  while (on[ON_SIGNALS].revents && next_signal(&number)) job_signal(number);
  if (on[ON_INPUT].revents) {
    input_awake();
    input_pump(&job.link.out);
  }
  if (on[ON_LINE].revents) job_give_line();
  if (reads && on[ON_LINK].revents & ~POLLOUT) wire_fill(&job.link);
}

static void job_move_output(void) {
  for (uint8_t stream = 1; stream < 4; stream++) {
    if (output_held(&outputs[stream])) output_drain(&outputs[stream]);
    output_report(&outputs[stream], stream, &job.link.out);
  }
  wire_flush(&job.link);
}

/* Whether the link has said nothing for too long; what arrived while we were stopped counts as said. */
static bool job_is_silent(int64_t heard) {
  if (job.link.closed || now_ms() < heard + LINK_SILENCE_MS) return false;
  size_t before = job.link.in.n - job.link.in_at;
  wire_fill(&job.link);
  return job.link.in.n - job.link.in_at == before;
}

static _Noreturn void job_relay(void) {
  int64_t heard = now_ms();
  for (;;) {
    struct frame frame;
    bool stalled = false;
    while (!job.ended && !(stalled = outputs_held() >= OUTPUT_HELD) && wire_next(&job.link, &frame)) {
      job.lost_at = 0;
      job_frame(&frame);
      /* After it: the frame may have stopped us for a while. */
      heard = now_ms();
    }
    /* All of it is ours now; the link knows it by this. */
    if (job.ended && !job.link.closed) wire_close(&job.link);
    job_move_output();
    if (job.ended && outputs_held() == 0) job_end();
    if (stalled && outputs_held() < OUTPUT_HELD) continue;
    /* Nothing can be heard while we do not read. */
    if (stalled) heard = now_ms();
    if (!job.ended && !stalled && (job.link.closed || job_is_silent(heard))) {
      if (!job.announced) job_unlinked();
      job_resume();
      heard = now_ms();
      continue;
    }
    if (job.stop_by && now_ms() >= job.stop_by) {
      job.stop_answer_stale = true;
      job_stop(SIGTSTP);
      heard = now_ms();
    }
    job_wait(stalled, heard);
  }
}

/* The front said `remote`: commits there, or runs here when something here stands in the way. */
static _Noreturn void job_run(struct wire *front, const struct rch_shim_remote *remote) {
  struct rch_shim_commit commit = {{job.id, JOB_BYTES}};
  char *socket = text_of(remote->socket);
  bool able = socket && remote->job.n == JOB_BYTES && input_is_able(descriptors[0].kind) &&
              input_open(descriptors[0].kind) && take_locks(remote->locks);
  int fd = able ? connect_socket(socket, now_ms() + ACK_MS) : -1;
  if (able) memcpy(job.id, remote->job.at, JOB_BYTES);
  job.worker = text_of(remote->worker);
  wire_close(front);
  if (!able) job_run_here();
  if (fd < 0) job_unlinked();
  job.size = terminal_size();
  wire_open(&job.link, fd);
  rch_put_shim_commit(&job.link.out, &commit);
  job_relay();
}
#endif
