/*
 * The launcher under the name rch-hook: an agent runs it when a session begins, and before each shell command, with the
 * call as JSON on standard input. Whatever is in the way ends in no answer and exit code 0: the agent goes on as though we
 * were not there.
 */
#ifndef RCH_LAUNCHER_HOOK_H
#define RCH_LAUNCHER_HOOK_H
#include <ctype.h>
#include <dirent.h>

#include "daemon.h"
#include "hook-input.h"

/* Bytes of input that are read; a longer one is left alone. */
#define HOOK_BYTES (8u << 20)
/* ms for the input to come: the agent's own pace, not ours. */
#define HOOK_INPUT_MS 1000
/* ms for connecting and the daemon's answer; tests compile in more. */
#ifndef HOOK_ANSWER_MS
#define HOOK_ANSWER_MS 40
#endif

static bool hook_is_ours(const char *called) {
  const char *slash = called ? strrchr(called, '/') : NULL;
  return called && strcmp(slash ? slash + 1 : called, "rch-hook") == 0;
}

/* Without a name: Claude Code. */
static const struct hook_agent *hook_agent_named(const char *name) {
  for (size_t i = 0; i < sizeof hook_agents / sizeof *hook_agents; i++)
    if (strcmp(name ? name : "claude", hook_agents[i].name) == 0) return &hook_agents[i];
  return NULL;
}

/* Whether the text may end here: cheap, for an agent that keeps its end open. */
static bool hook_may_end(const struct rch_buffer *in) {
  size_t n = in->n;
  while (n && strchr(" \t\r\n", in->at[n - 1])) n--;
  return n && in->at[n - 1] == '}';
}

/* Reads the call; false when it does not come, is none, or is not for us. */
static bool hook_read(const struct hook_agent *agent, struct rch_buffer *in, struct hook_call *call) {
  int64_t deadline = now_ms() + HOOK_INPUT_MS;
  for (;;) {
    struct pollfd on = {0, POLLIN, 0};
    if (!rch_room(in, 65536) || poll(&on, 1, left_ms(deadline)) == 0) return false;
    ssize_t n = read(0, in->at + in->n, 65536);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n > 0) in->n += (size_t)n;
    if (in->n > HOOK_BYTES) return false;
    if ((n <= 0 || hook_may_end(in)) && hook_parse(agent, (struct rch_bytes){in->at, in->n}, call)) return true;
    if (n <= 0) return false;
  }
}

/* The characters of a string of the call, in memory of its own. */
static struct rch_bytes hook_text(struct rch_bytes text) {
  uint8_t *plain = text.at ? malloc(text.n) : NULL;
  return (struct rch_bytes){plain, plain ? json_decode(text, plain) : 0};
}

static bool hook_starts_with(struct rch_bytes text, struct rch_bytes start) {
  return text.n >= start.n && memcmp(text.at, start.at, start.n) == 0;
}

/* Asks the daemon whether the line is worth wrapping; starts one where none runs. */
static bool hook_ask(struct rch_bytes line, struct rch_bytes cwd) {
  char path[PATH_MAX];
  struct wire front;
  struct frame frame;
  struct rch_shim_hook_answer answer;
  struct rch_shim_hook_question question = {RCH_SHIM_PROTOCOL, line, cwd};
  int64_t deadline = now_ms() + HOOK_ANSWER_MS;
  if ((!check_run_folder() && errno != ENOENT) || daemon_is_hung()) return false;
  int fd = -1;
  if (run_path(path, "front.sock")) fd = connect_socket(path, deadline);
  if (fd < 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) start_daemon();
    return false;
  }
  wire_open(&front, fd);
  bool wraps = rch_put_shim_hook_question(&front.out, &question) && front.out.n <= RCH_MAX_FRAME &&
               wire_await(&front, deadline, &frame) && frame.number == RCH_SHIM_HOOK_ANSWER &&
               rch_get_shim_hook_answer(frame.body, frame.n, &answer) && answer.wrap;
  wire_close(&front);
  return wraps;
}

static void hook_write(const struct rch_buffer *out) {
  for (size_t at = 0; at < out->n;) {
    ssize_t n = write(1, out->at + at, out->n - at);
    if (n > 0) at += (size_t)n;
    else if (n < 0 && errno == EAGAIN) sleep_ms(1);
    else if (n == 0 || errno != EINTR) return;
  }
}

/* Whether a call is to be changed: not where it is already, and no shell can be given a NUL. */
static bool hook_wants(const struct hook_call *call, struct rch_bytes prefix) {
  struct rch_bytes line = hook_text(call->command), cwd = hook_text(call->cwd);
  bool wants = line.at && !memchr(line.at, 0, line.n) && !hook_starts_with(line, prefix) && hook_ask(line, cwd);
  free((void *)line.at);
  free((void *)cwd.at);
  return wants;
}

/* The mark of a session whose shells have the shims on PATH: run/sessions/ID. */
static bool session_path(char *into, const struct hook_call *call) {
  char name[64 + sizeof "sessions/"] = "sessions/";
  size_t n = strlen(name);
  struct rch_bytes id = hook_text(call->session);
  bool good = id.n > 0 && n + id.n < sizeof name;
  for (size_t i = 0; good && i < id.n; i++) good = isalnum(id.at[i]) || (i && id.at[i] && strchr("-_.", id.at[i]));
  if (good) memcpy(name + n, id.at, id.n);
  free((void *)id.at);
  return good && run_path(into, name);
}

static bool session_has_shims(const struct hook_call *call) {
  char path[PATH_MAX];
  return check_run_folder() && session_path(path, call) && access(path, F_OK) == 0;
}

/* Marks of sessions that began so long ago go. */
#define SESSION_S (90 * 24 * 3600)

static void mark_session(const struct hook_call *call) {
  char folder[PATH_MAX], path[PATH_MAX];
  struct stat mark;
  struct dirent *entry;
  if (!make_run_folder() || !run_path(folder, "sessions") || !session_path(path, call)) return;
  if (mkdir(folder, 0700) < 0 && errno != EEXIST) return;
  DIR *all = opendir(folder);
  while (all && (entry = readdir(all)))
    if (entry->d_name[0] != '.' && fstatat(dirfd(all), entry->d_name, &mark, AT_SYMLINK_NOFOLLOW) == 0 &&
        !is_fresh(&mark, SESSION_S))
      unlinkat(dirfd(all), entry->d_name, 0);
  if (all) closedir(all);
  set_mark(path);
}

/* The largest file of lines that is added to, bytes. */
#define SESSION_FILE_BYTES (1 << 20)

/* Has every shell of the session begin with the shims on PATH, so that no line need be changed. */
static void begin_session(const struct hook_agent *agent, const struct hook_call *call, struct rch_bytes prefix) {
  const char *file = getenv(agent->file);
  struct rch_buffer have = {0}, line = {0};
  struct stat info;
  int fd = file && file[0] == '/' ? open(file, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600) : -1;
  bool good = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size < SESSION_FILE_BYTES &&
              rch_room(&have, (size_t)info.st_size + 1);
  ssize_t n = good ? read(fd, have.at, (size_t)info.st_size) : -1;
  if (n > 0 && have.at[n - 1] != '\n') hook_put(&line, "\n");
  rch_put_raw(&line, prefix.at, prefix.n - 2); /* without the `; ` */
  hook_put(&line, "\n");
  if (n >= 0 && !line.failed &&
      (memmem(have.at, (size_t)n, line.at, line.n) || write(fd, line.at, line.n) == (ssize_t)line.n))
    mark_session(call);
  close_fd(&fd);
  free(have.at);
  free(line.at);
}

static void hook_run(const struct hook_agent *agent) {
  struct rch_buffer in = {0}, prefix = {0}, out = {0};
  struct hook_call call;
  /* Where the shims are on PATH the line needs nothing; where there are none it could get nothing. */
  walk_path("rch-hook", NULL);
  if (self.has_shim_folder && !self.path && hook_prefix(&prefix, self.shims) && hook_read(agent, &in, &call)) {
    struct rch_bytes before = {prefix.at, prefix.n};
    if (!call.command.at) begin_session(agent, &call, before);
    else if (!session_has_shims(&call) && hook_wants(&call, before) && hook_answer(&out, agent, &call, before))
      hook_write(&out);
  }
  free(in.at);
  free(prefix.at);
  free(out.at);
}
#endif
