/*
 * What an agent tells a hook before it runs a shell command, and the answer that changes nothing of it but the
 * command's beginning: `export PATH='…/shims':"$PATH"; ` is put before it, on the same line, so that everything after
 * it (chains, pipes, here-documents, comments, a trailing backslash or &) stands as the agent wrote it, with the same
 * line numbers and the same exit code.
 */
#ifndef RCH_LAUNCHER_HOOK_INPUT_H
#define RCH_LAUNCHER_HOOK_INPUT_H
#include "json.h"

/*
 * Claude Code: PreToolUse and SessionStart of code.claude.com/docs/en/hooks. Gemini CLI: BeforeTool of its
 * docs/hooks/reference.md. `start`: what is told once, when a session begins, with a file named by the variable `file`
 * whose lines every shell of the session reads first; NULL where there is no such thing.
 */
struct hook_agent {
  const char *name, *tool, *event, *field, *start, *file;
};
static const struct hook_agent hook_agents[] = {
    {"claude", "Bash", "PreToolUse", "updatedInput", "SessionStart", "CLAUDE_ENV_FILE"},
    {"gemini", "run_shell_command", "BeforeTool", "tool_input", NULL, NULL},
};

/* Spans of the input; `cwd` and `session` may be missing, and so are `input` and `command` where a session begins. */
struct hook_call {
  struct rch_bytes input, command, cwd, session;
};

static bool hook_is_string(struct rch_bytes text) { return text.at && text.n >= 2 && text.at[0] == '"'; }

/* Whether the text is a call of the agent's shell, or the beginning of a session, whole and well-formed. */
static bool hook_parse(const struct hook_agent *agent, struct rch_bytes text, struct hook_call *call) {
  struct json_want top[] = {
      {"tool_name", {0}}, {"tool_input", {0}}, {"cwd", {0}}, {"hook_event_name", {0}}, {"session_id", {0}}};
  struct json_want input[] = {{"command", {0}}};
  if (!json_text(text, top, 5)) return false;
  struct rch_bytes session = hook_is_string(top[4].value) ? top[4].value : (struct rch_bytes){0};
  if (agent->start && top[3].value.at && json_is(top[3].value, agent->start)) {
    *call = (struct hook_call){.session = session};
    return true;
  }
  if (!json_is(top[0].value, agent->tool)) return false;
  if (top[3].value.at && !json_is(top[3].value, agent->event)) return false;
  if (!top[1].value.at || !json_text(top[1].value, input, 1) || !hook_is_string(input[0].value)) return false;
  *call = (struct hook_call){.input = top[1].value, .command = input[0].value, .session = session};
  if (hook_is_string(top[2].value)) call->cwd = top[2].value;
  return true;
}

static void hook_put(struct rch_buffer *out, const char *text) { rch_put_raw(out, text, strlen(text)); }

/* The shell words that go before a command. False for a folder that cannot stand on PATH or in JSON. */
static bool hook_prefix(struct rch_buffer *out, const char *shims) {
  struct json j = {(const uint8_t *)shims, (const uint8_t *)shims + strlen(shims)};
  hook_put(out, "export PATH='");
  while (j.at < j.end) {
    const uint8_t *start = j.at;
    if (*start < 0x20 || *start == 0x7f || *start == ':' || !json_utf8(&j)) return false;
    if (*start == '\'') hook_put(out, "'\\''");
    else rch_put_raw(out, start, (size_t)(j.at - start));
  }
  hook_put(out, "':\"$PATH\"; ");
  return !out->failed;
}

/* Appends text inside a JSON string; it has no control characters. */
static void hook_put_escaped(struct rch_buffer *out, struct rch_bytes text) {
  for (size_t i = 0; i < text.n; i++) {
    if (text.at[i] == '"' || text.at[i] == '\\') hook_put(out, "\\");
    rch_put_raw(out, text.at + i, 1);
  }
}

/* The answer: the tool's input byte for byte, with `prefix` at the beginning of its command. No permission is given. */
static bool hook_answer(struct rch_buffer *out, const struct hook_agent *agent, const struct hook_call *call,
                        struct rch_bytes prefix) {
  const uint8_t *inside = call->command.at + 1, *end = call->input.at + call->input.n;
  hook_put(out, "{\"hookSpecificOutput\":{\"hookEventName\":\"");
  hook_put(out, agent->event);
  hook_put(out, "\",\"");
  hook_put(out, agent->field);
  hook_put(out, "\":");
  rch_put_raw(out, call->input.at, (size_t)(inside - call->input.at));
  hook_put_escaped(out, prefix);
  rch_put_raw(out, inside, (size_t)(end - inside));
  hook_put(out, "}}\n");
  return !out->failed;
}
#endif
