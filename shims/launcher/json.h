/*
 * A strict reader of JSON (RFC 8259) that only finds where things stand: it checks the whole text, and gives the spans
 * of the members that were asked for, so that what is not ours can be copied byte for byte. Bounded in depth; never
 * reads past the end; no memory of its own.
 */
#ifndef RCH_LAUNCHER_JSON_H
#define RCH_LAUNCHER_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../protocol.h"

#define JSON_DEPTH 128

struct json {
  const uint8_t *at, *end;
};

/* A member that is looked for: `value` is its text, strings with their quotes; `at` is NULL when it is not there. */
struct json_want {
  const char *name;
  struct rch_bytes value;
};

static void json_space(struct json *j) {
  while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
}

static bool json_take(struct json *j, uint8_t byte) {
  if (j->at == j->end || *j->at != byte) return false;
  j->at++;
  return true;
}

/* Four hex digits; -1 when they are not. */
static int json_hex(const uint8_t *at, const uint8_t *end) {
  int value = 0;
  if (end - at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    uint8_t c = at[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/* Skips one character of UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
static bool json_utf8(struct json *j) {
  uint8_t first = *j->at;
  size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || (size_t)(j->end - j->at) < n) return false;
  for (size_t i = 1; i < n; i++)
    if ((j->at[i] & 0xc0) != 0x80) return false;
  if ((first == 0xe0 && j->at[1] < 0xa0) || (first == 0xed && j->at[1] > 0x9f)) return false;
  if ((first == 0xf0 && j->at[1] < 0x90) || (first == 0xf4 && j->at[1] > 0x8f)) return false;
  j->at += n;
  return true;
}

static bool json_string(struct json *j) {
  if (!json_take(j, '"')) return false;
  while (j->at < j->end) {
    uint8_t c = *j->at;
    if (c == '"') {
      j->at++;
      return true;
    }
    if (c < 0x20) return false;
    if (c != '\\') {
      if (!json_utf8(j)) return false;
      continue;
    }
    if (++j->at == j->end) return false;
    c = *j->at++;
    if (c == 'u') {
      if (json_hex(j->at, j->end) < 0) return false;
      j->at += 4;
    } else if (c == 0 || !strchr("\"\\/bfnrt", c)) {
      return false;
    }
  }
  return false;
}

static bool json_digits(struct json *j) {
  const uint8_t *start = j->at;
  while (j->at < j->end && *j->at >= '0' && *j->at <= '9') j->at++;
  return j->at > start;
}

static bool json_number(struct json *j) {
  json_take(j, '-');
  if (!json_take(j, '0') && !json_digits(j)) return false;
  if (json_take(j, '.') && !json_digits(j)) return false;
  if (j->at < j->end && (*j->at | 32) == 'e') {
    j->at++;
    if (!json_take(j, '+')) json_take(j, '-');
    return json_digits(j);
  }
  return true;
}

static bool json_word(struct json *j, const char *word) {
  size_t n = strlen(word);
  if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0) return false;
  j->at += n;
  return true;
}

/*
 * The characters of a string's text (with its quotes, as json_string took it) as UTF-8; half a surrogate pair becomes
 * U+FFFD. `into` has room for as many bytes as the text. Returns how many were written.
 */
static size_t json_decode(struct rch_bytes text, uint8_t *into) {
  const uint8_t *at = text.at + 1, *end = text.at + text.n - 1;
  size_t n = 0;
  while (at < end) {
    if (*at != '\\') {
      into[n++] = *at++;
      continue;
    }
    at++;
    uint8_t c = *at++;
    if (c != 'u') {
      static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
      const char *found = strchr(from, c);
      into[n++] = found ? (uint8_t)to[found - from] : c;
      continue;
    }
    uint32_t code = (uint32_t)json_hex(at, end);
    at += 4;
    if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
      uint32_t low = (uint32_t)json_hex(at + 2, end);
      if (low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
    }
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    /* An escape is longer than what it stands for, so that the room holds. */
    if (code < 0x80) {
      into[n++] = (uint8_t)code;
    } else if (code < 0x800) {
      into[n++] = (uint8_t)(0xc0 | code >> 6);
      into[n++] = (uint8_t)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      into[n++] = (uint8_t)(0xe0 | code >> 12);
      into[n++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
      into[n++] = (uint8_t)(0x80 | (code & 0x3f));
    } else {
      into[n++] = (uint8_t)(0xf0 | code >> 18);
      into[n++] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
      into[n++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
      into[n++] = (uint8_t)(0x80 | (code & 0x3f));
    }
  }
  return n;
}

/* Whether a string's text stands for exactly `wanted`. */
static bool json_is(struct rch_bytes text, const char *wanted) {
  uint8_t plain[256];
  if (!text.at || text.n < 2 || text.n > sizeof plain || text.at[0] != '"') return false;
  size_t n = json_decode(text, plain);
  return n == strlen(wanted) && memcmp(plain, wanted, n) == 0;
}

static bool json_object(struct json *j, int depth, struct json_want *wants, size_t count);
static bool json_array(struct json *j, int depth);

static bool json_value(struct json *j, int depth) {
  if (depth >= JSON_DEPTH || j->at == j->end) return false;
  switch (*j->at) {
    case '{':
      return json_object(j, depth + 1, NULL, 0);
    case '[':
      return json_array(j, depth + 1);
    case '"':
      return json_string(j);
    case 't':
      return json_word(j, "true");
    case 'f':
      return json_word(j, "false");
    case 'n':
      return json_word(j, "null");
    default:
      return json_number(j);
  }
}

static bool json_array(struct json *j, int depth) {
  if (!json_take(j, '[')) return false;
  json_space(j);
  if (json_take(j, ']')) return true;
  for (;;) {
    json_space(j);
    if (!json_value(j, depth)) return false;
    json_space(j);
    if (json_take(j, ']')) return true;
    if (!json_take(j, ',')) return false;
  }
}

/* An object, with the members that are wanted. One of those standing there twice makes it false: which one counts? */
static bool json_object(struct json *j, int depth, struct json_want *wants, size_t count) {
  if (!json_take(j, '{')) return false;
  json_space(j);
  if (json_take(j, '}')) return true;
  for (;;) {
    json_space(j);
    struct rch_bytes key = {j->at, 0};
    if (!json_string(j)) return false;
    key.n = (size_t)(j->at - key.at);
    json_space(j);
    if (!json_take(j, ':')) return false;
    json_space(j);
    const uint8_t *start = j->at;
    if (!json_value(j, depth)) return false;
    for (size_t i = 0; i < count; i++) {
      if (!json_is(key, wants[i].name)) continue;
      if (wants[i].value.at) return false;
      wants[i].value = (struct rch_bytes){start, (size_t)(j->at - start)};
    }
    json_space(j);
    if (json_take(j, '}')) return true;
    if (!json_take(j, ',')) return false;
  }
}

/* A text that is one object and nothing else. */
static bool json_text(struct rch_bytes text, struct json_want *wants, size_t count) {
  struct json j = {text.at, text.at + text.n};
  json_space(&j);
  if (!json_object(&j, 0, wants, count)) return false;
  json_space(&j);
  return j.at == j.end;
}
#endif
