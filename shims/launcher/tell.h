/*
 * Calls by which a tool is only asked something, or compiles what a configure script wrote to see whether it can: that
 * happens here at once, and the daemon is told, not asked. daemon/classify has the whole of both rules.
 */
#ifndef RCH_LAUNCHER_TELL_H
#define RCH_LAUNCHER_TELL_H
#include "ask.h"

static bool is_one_of(const char *word, const char *const *words) {
  for (; *words; words++)
    if (strcmp(word, *words) == 0) return true;
  return false;
}

/* What prints a reason for each command has to ask for it. */
static bool wants_reason(void) {
  return getenv("RCH_VERBOSE") || getenv("RCH_DRY_RUN") || getenv("RCH_NOTICE");
}

/* Every file on the command line is autoconf's own (_AC_LINK_IFELSE); what has any other word is asked about. */
static bool only_probes(void) {
  size_t files = 0;
  for (char **word = self.argv + 1; *word; word++) {
    if (strcmp(*word, "-o") == 0 && word[1]) {
      word++;
    } else if ((*word)[0] != '-') {
      const char *slash = strrchr(*word, '/'), *name = slash ? slash + 1 : *word;
      if (strncmp(name, rch_probe, strlen(rch_probe)) != 0) return false;
      files++;
    }
  }
  return files > 0 && !getenv("RCH_FORCE_REMOTE");
}

static bool only_asks(void) {
  const char *name = self.name, *word = self.argv[0] ? self.argv[1] : NULL;
  if (!word || wants_reason()) return false;
  if (is_one_of(word, rch_asking_any)) return true;
  if (strcmp(name, "cargo") == 0 || strcmp(name, "rustc") == 0) return is_one_of(word, rch_asking_rust);
  bool compiler = strstr(name, "gcc") || strstr(name, "g++") || strstr(name, "clang") ||
                  strcmp(name, "cc") == 0 || strcmp(name, "c++") == 0;
  return compiler && (is_one_of(word, rch_asking_compiler) || only_probes());
}

/* Leaves word for `rch why`, and waits for nothing; what cannot be said at once stays unsaid. */
static void tell(int fd) {
  char cwd[PATH_MAX];
  struct rch_buffer out = {0};
  struct rch_shim_tell message = {.tool = bytes_of(self.name), .argv = list_of(self.argv)};
  if (getcwd(cwd, sizeof cwd) && message.argv.items) {
    message.cwd = bytes_of(cwd);
    if (rch_put_shim_tell(&out, &message)) (void)!send(fd, out.at, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  free((void *)message.argv.items);
  free(out.at);
}
#endif
