/* `rch-run probe`: whether the sandbox can be made here, found by making one. */
#ifndef RCH_RUN_PROBE_H
#define RCH_RUN_PROBE_H
#include "run-sandbox.h"

/* Makes an empty sandbox as a job would; the failure goes to `say`. */
static _Noreturn void try_sandbox(int say) {
  static struct job job;
  static char *none[] = {NULL}, host[] = "rch-probe";
  job.hide = none;
  job.host = host;
  job.uid = geteuid();
  job.gid = getegid();
  job.network = true;
  bool ok = enter_namespaces(&job) && build_root(&job);
  pid_t init = ok ? fork() : 0;
  if (init == 0) {
    if (ok) ok = finish_root();
    (void)!write(say, &failure, sizeof failure);
    _exit(0);
  }
  if (init < 0) {
    fail("fork", "cannot fork");
    (void)!write(say, &failure, sizeof failure);
  }
  waitpid(init, NULL, 0);
  _exit(0);
}

static void print_json_text(const char *text) {
  putchar('"');
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') printf("\\%c", *text);
    else if ((unsigned char)*text < 0x20) printf("\\u%04x", *text);
    else putchar(*text);
  }
  putchar('"');
}

static int probe(void) {
  int ends[2];
  struct failure why = {"probe", 0, "the probe's process died"};
  if (pipe2(ends, O_CLOEXEC) != 0) return 1;
  signal(SIGCHLD, SIG_DFL);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) try_sandbox(ends[1]);
  close(ends[1]);
  if (child > 0 && read(ends[0], &why, sizeof why) == (ssize_t)sizeof why) waitpid(child, NULL, 0);
  bool can = why.stage[0] == 0;
  printf("{\"namespaces\":%s,\"stage\":", can ? "true" : "false");
  print_json_text(why.stage);
  printf(",\"error\":");
  print_json_text(why.text);
  printf("}\n");
  return 0;
}
#endif
