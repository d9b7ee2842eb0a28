/*
 * Reads inputs (u32 length, bytes) from standard input and writes for each what the hook would answer if the daemon said
 * yes, in the same form; nothing (length 0) where it would be silent: hook-cases AGENT SHIM-FOLDER
 */
#include <stdio.h>
#include <unistd.h>

#include "../../shims/launcher/hook-input.h"

static bool read_all(void *into, size_t n) {
  for (size_t at = 0; at < n;) {
    ssize_t got = read(0, (char *)into + at, n - at);
    if (got <= 0) return false;
    at += (size_t)got;
  }
  return true;
}

static bool write_all(const void *from, size_t n) {
  for (size_t at = 0; at < n;) {
    ssize_t done = write(1, (const char *)from + at, n - at);
    if (done <= 0) return false;
    at += (size_t)done;
  }
  return true;
}

int main(int argc, char **argv) {
  const struct hook_agent *agent = &hook_agents[argc > 1 && argv[1][0] == 'g'];
  struct rch_buffer prefix = {0};
  uint32_t length;
  if (argc < 3 || !hook_prefix(&prefix, argv[2])) return 2;
  while (read_all(&length, 4)) {
    struct rch_buffer out = {0};
    struct hook_call call;
    /* Exactly as long as the input, so that the sanitizer sees any read past it. */
    uint8_t *input = malloc(length ? length : 1);
    if (!input || !read_all(input, length)) return 2;
    if (hook_parse(agent, (struct rch_bytes){input, length}, &call) && call.command.at) {
      uint8_t *plain = malloc(call.command.n), *cwd = malloc(call.cwd.n ? call.cwd.n : 1);
      json_decode(call.command, plain);
      if (call.cwd.at) json_decode(call.cwd, cwd);
      if (!hook_answer(&out, agent, &call, (struct rch_bytes){prefix.at, prefix.n})) return 2;
      free(plain);
      free(cwd);
    }
    uint32_t n = (uint32_t)out.n;
    if (!write_all(&n, 4) || !write_all(out.at, out.n)) return 2;
    free(out.at);
    free(input);
  }
  free(prefix.at);
  return 0;
}
