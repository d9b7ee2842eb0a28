/* Finding a job again after its link went away: the worker keeps what was not written here yet. */
#ifndef RCH_LAUNCHER_RESUME_H
#define RCH_LAUNCHER_RESUME_H
#include "job.h"

/* Signals while there is no link: kept for it; a second one that asks for the end is obeyed here. */
static void resume_signals(int *fatal) {
  uint32_t number;
  while (next_signal(&number)) {
    if (number == SIGCONT) terminal_apply();
    if (number == SIGWINCH || number == SIGCONT) continue;
    if (number == SIGTSTP) {
      job_stop(SIGTSTP);
      continue;
    }
    if (number != SIGUSR1 && number != SIGUSR2 && ++*fatal > 1) {
      terminal_restore();
      die_by((int)number);
    }
    if (job.waiting_count < sizeof job.waiting / sizeof *job.waiting)
      job.waiting[job.waiting_count++] = number;
  }
}

/* Sleeps until `deadline` or until `wire` has a frame; signals are served and held output is written meanwhile. */
static bool resume_wait(struct wire *wire, int64_t deadline, int *fatal, struct frame *frame) {
  for (;;) {
    if (wire) {
      wire_flush(wire);
      if (wire_next(wire, frame)) return true;
      if (wire->closed) return false;
    }
    struct pollfd on[5] = {{job.signals, POLLIN, 0}, {wire ? wire->fd : -1, POLLIN, 0}};
    for (int stream = 1; stream < 4; stream++) on[1 + stream] = (struct pollfd){output_waits(&outputs[stream]), POLLOUT, 0};
    int ready = poll(on, 5, left_ms(deadline));
    if (ready == 0) return false;
    if (ready < 0) continue;
    if (on[0].revents) resume_signals(fatal);
    if (on[1].revents) wire_fill(wire);
    for (int stream = 1; stream < 4; stream++)
      if (on[1 + stream].revents) output_drain(&outputs[stream]);
  }
}

/* Waits before the next attempt: 200 ms at first, 2 s in the end. */
static void resume_pause(int *fatal) {
  int64_t next = now_ms() + job.resume_pause, limit = job.lost_at + job.resume_ms;
  resume_wait(NULL, next < limit ? next : limit, fatal, NULL);
  job.resume_pause = job.resume_pause * 2 < 2000 ? job.resume_pause * 2 : 2000;
}

/*
 * Asks the front once where the job is; returns the link's socket, allocated, or NULL when it cannot be had now, or
 * never (job.ended).
 */
static char *resume_where(int64_t limit, int *fatal) {
  struct wire front;
  struct frame frame;
  struct rch_shim_where where = {RCH_SHIM_PROTOCOL, {job.id, JOB_BYTES}};
  struct rch_shim_remote remote;
  char path[PATH_MAX], *found = NULL;
  int fd = -1;
  if (!check_run_folder() || !run_path(path, "front.sock") ||
      (fd = connect_socket(path, now_ms() + ACK_MS)) < 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      if (run_has("stopped")) job_lose(bytes_of("the daemon was stopped while the command ran on a worker"));
      else start_daemon();
    }
    return NULL;
  }
  wire_open(&front, fd);
  rch_put_shim_where(&front.out, &where);
  for (;;) {
    int64_t silence = now_ms() + FRONT_SILENCE_MS;
    if (found || !resume_wait(&front, silence < limit ? silence : limit, fatal, &frame)) break;
    if (frame.number == RCH_SHIM_LOCAL) {
      struct rch_shim_local local;
      bool said = rch_get_shim_local(frame.body, frame.n, &local) && local.reason.n;
      job_lose(said ? local.reason : bytes_of("the daemon does not know this job any more"));
      break;
    }
    if (frame.number == RCH_SHIM_REMOTE) {
      if (!rch_get_shim_remote(frame.body, frame.n, &remote) || !(found = text_of(remote.socket))) break;
    } else if (frame.number != RCH_SHIM_ACK && frame.number != RCH_SHIM_WAIT) {
      break;
    }
  }
  wire_close(&front);
  return found;
}

/* Says on a fresh connection from where on we need the streams, and repeats what may have been lost on the way. */
static void resume_tell(void) {
  struct rch_shim_resume message = {{job.id, JOB_BYTES}, outputs[1].written, outputs[2].written,
                                    outputs[3].written, input.used};
  struct rch_shim_rejoin unstarted = {{job.id, JOB_BYTES}};
  if (!job.started) {
    rch_put_shim_rejoin(&job.link.out, &unstarted);
    return;
  }
  rch_put_shim_resume(&job.link.out, &message);
  for (int stream = 1; stream < 4; stream++) {
    outputs[stream].acked = outputs[stream].written;
    outputs[stream].closed_told = false;
  }
  input_rewind();
  input_pump(&job.link.out);
  if (terminal.fd >= 0) put_size();
  for (uint32_t at = job.told_count > SIGNALS_KEPT ? job.told_count - SIGNALS_KEPT : 0; at < job.told_count; at++)
    rch_put_shim_signal(&job.link.out, &job.told[at % SIGNALS_KEPT]);
  for (size_t i = 0; i < job.waiting_count; i++) put_signal(job.waiting[i]);
  job.waiting_count = 0;
}

/* The link went away while the tool ran: finds it, or ends with EXIT_LOST. */
static void job_resume(void) {
  int fatal = 0;
  wire_close(&job.link);
  if (job.lost_at == 0) {
    job.lost_at = now_ms();
    job.resume_pause = 200;
  } else {
    /* The fresh link went away without a word. */
    resume_pause(&fatal);
  }
  while (now_ms() < job.lost_at + job.resume_ms) {
    char *socket = resume_where(job.lost_at + job.resume_ms, &fatal);
    if (job.ended) return;
    int fd = socket ? connect_socket(socket, now_ms() + ACK_MS) : -1;
    free(socket);
    if (fd >= 0) {
      wire_close(&job.link);
      wire_open(&job.link, fd);
      resume_tell();
      return;
    }
    resume_pause(&fatal);
  }
  char why[256];
  snprintf(why, sizeof why,
           "the connection to the running command was lost and did not come back within %lld s; "
           "it is not run again here, since it may have done part of its work",
           (long long)(job.resume_ms / 1000));
  job_lose(bytes_of(why));
}
#endif
