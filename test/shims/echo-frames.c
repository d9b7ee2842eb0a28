/*
 * Reads frames from standard input, decodes each by the generated header, encodes it again and writes that to standard
 * output: echo-frames shim|run|fs. A frame that does not decode comes back as an empty frame of number 0.
 */
#include <stdio.h>
#include <unistd.h>

#include "../../shims/protocol.h"

/* A list that was read, made ready to be written. */
__attribute__((unused)) static void fill_items(struct rch_list *list) {
  struct rch_list walk = *list;
  struct rch_bytes *items = malloc((list->count + 1u) * sizeof *items);
  for (size_t i = 0; rch_list_next(&walk, &items[i]);) i++;
  list->items = items;
}
__attribute__((unused)) static void fill_numbers(struct rch_list *list) {
  struct rch_list walk = *list;
  uint32_t *numbers = malloc((list->count + 1u) * sizeof *numbers);
  for (size_t i = 0; rch_list_next_u32(&walk, &numbers[i]);) i++;
  list->numbers = numbers;
}
__attribute__((unused)) static void drop_list(struct rch_list *list) {
  free((void *)list->items);
  free((void *)list->numbers);
}

/* echo_frame, with a case for each message; written by test/protocol/frames.test.ts. */
#include "echo-cases.h"

static bool read_all(void *into, size_t n) {
  for (size_t at = 0; at < n;) {
    ssize_t got = read(0, (char *)into + at, n - at);
    if (got <= 0) return false;
    at += (size_t)got;
  }
  return true;
}

static bool write_all(const uint8_t *from, size_t n) {
  for (size_t at = 0; at < n;) {
    ssize_t done = write(1, from + at, n - at);
    if (done <= 0) return false;
    at += (size_t)done;
  }
  return true;
}

int main(int argc, char **argv) {
  char family = argc > 1 ? argv[1][0] : 0;
  uint32_t length;
  while (read_all(&length, 4)) {
    struct rch_buffer out = {0};
    /* Exactly as long as the frame, so that the sanitizer sees any read past it. */
    uint8_t *frame = malloc(length ? length : 1);
    if (length < 1 || length > RCH_MAX_FRAME || !read_all(frame, length)) return 2;
    if (!echo_frame(family, frame[0], frame + 1, length - 1, &out)) {
      out.n = 0;
      rch_frame_end(&out, rch_frame_begin(&out, 0));
    }
    if (!write_all(out.at, out.n)) return 2;
    free(out.at);
    free(frame);
  }
  return 0;
}
