/* The caller's terminal: its modes and size, lines for a tool that reads it, and our own transient line. */
#ifndef RCH_LAUNCHER_TERMINAL_H
#define RCH_LAUNCHER_TERMINAL_H
#include <sys/ioctl.h>
#include <termios.h>

#include "base.h"

/* c_iflag, c_oflag, c_cflag, c_lflag as u32, then 19 bytes of c_cc (the kernel's NCCS). */
#define TERMIOS_CC 19
#define TERMIOS_BYTES (16 + TERMIOS_CC)

static struct {
  int fd;      /* the caller's: the first terminal among 0, 1, 2; -1 without one */
  int line_fd; /* where lines are read: an open file description of our own, O_NONBLOCK; -1 until wanted */
  bool wanted; /* the tool reads its terminal */
  uint32_t want; /* the number of that wish */
  bool saved, changed;
  struct termios original, current;
  bool text_shown;  /* our transient line stands on it */
  bool line_start;  /* the tool's last output to it ended a line */
} terminal = {.fd = -1, .line_fd = -1, .line_start = true};

static void terminal_find(void) {
  struct termios modes;
  for (int fd = 0; fd < 3 && terminal.fd < 0; fd++)
    if (tcgetattr(fd, &modes) == 0) terminal.fd = fd;
}

/* Whether a terminal is ours to change now; one that is not our controlling terminal knows no background. */
static bool terminal_is_foreground(int fd) {
  pid_t group = tcgetpgrp(fd);
  return group < 0 || group == getpgrp();
}

static size_t terminal_pack(uint8_t into[TERMIOS_BYTES]) {
  struct termios modes;
  if (terminal.fd < 0 || tcgetattr(terminal.fd, &modes) < 0) return 0;
  uint32_t flags[4] = {modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag};
  memcpy(into, flags, 16);
  memcpy(into + 16, modes.c_cc, TERMIOS_CC);
  return TERMIOS_BYTES;
}

static struct winsize terminal_size(void) {
  struct winsize size = {0, 0, 0, 0};
  if (terminal.fd >= 0) ioctl(terminal.fd, TIOCGWINSZ, &size);
  return size;
}

/* Sets the tool's modes, in the foreground only: in the background the terminal is another's. */
static void terminal_apply(void) {
  if (!terminal.changed || !terminal_is_foreground(terminal.fd)) return;
  tcsetattr(terminal.fd, TCSANOW, &terminal.current);
}

/*
 * The tool changed its terminal: so is ours, but for what belongs to the line itself (c_cflag). The worker reports
 * what OPOST does as it is here: its own terminal leaves that work to ours.
 */
static void terminal_modes(struct rch_bytes packed) {
  uint32_t flags[4];
  if (terminal.fd < 0 || packed.n != TERMIOS_BYTES) return;
  if (!terminal.saved) {
    if (tcgetattr(terminal.fd, &terminal.original) < 0) return;
    terminal.saved = true;
  }
  memcpy(flags, packed.at, 16);
  terminal.current = terminal.original;
  terminal.current.c_iflag = flags[0];
  terminal.current.c_oflag = flags[1];
  terminal.current.c_lflag = flags[3];
  memcpy(terminal.current.c_cc, packed.at + 16, TERMIOS_CC);
  terminal.changed = true;
  terminal_apply();
}

/* Gives the terminal back as we found it; the modes to set again on SIGCONT are kept. */
static void terminal_restore(void) {
  if (!terminal.changed || !terminal_is_foreground(terminal.fd)) return;
  tcsetattr(terminal.fd, TCSANOW, &terminal.original);
}

/*
 * Opens what `fd` stands for anew, for an open file description of our own: O_NONBLOCK may not be set on the caller's,
 * which its other holders share. -1 where that is not allowed (another user's terminal).
 */
static int reopen(int fd, int flags) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return high_fd(open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

/* A descriptor to read the tool's terminal input from: fd 0, or /dev/tty when that is something else. */
static void terminal_open_lines(void) {
  if (terminal.line_fd >= 0) return;
  if (isatty(0)) terminal.line_fd = reopen(0, O_RDONLY);
  if (terminal.line_fd < 0)
    terminal.line_fd = high_fd(open("/dev/tty", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

/*
 * What one read(2) of the terminal gives: a line, its end (0), or in a mode without lines whatever is there; one read
 * answers one `ttyWant`. In the background the read stops our process group by SIGTTIN as it would any
 * reader's, and goes on after SIGCONT. -1: nothing yet.
 */
static ssize_t terminal_read(uint8_t *into, size_t n) {
  terminal_open_lines();
  if (terminal.line_fd < 0) return 0;
  for (;;) {
    ssize_t got = read(terminal.line_fd, into, n);
    if (got >= 0) return got;
    if (errno == EAGAIN) return -1;
    /* EIO: an orphaned background group, or the terminal was hung up. */
    if (errno != EINTR) return 0;
  }
}

/* Rubs out our transient line. */
static void text_clear(void) {
  if (!terminal.text_shown) return;
  terminal.text_shown = false;
  if (write(2, "\r\033[K", 4) < 0) return;
}

/* Shows one dim line, to be rubbed out later; only on a terminal that is ours now and has no half line on it. */
static void text_show(struct rch_bytes text) {
  char line[512];
  if (text.n == 0 || !isatty(2) || !terminal_is_foreground(2) || !terminal.line_start) return;
  text_clear();
  struct winsize size = {0, 0, 0, 0};
  size_t width = ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
  size_t n = (size_t)sprintf(line, "\r\033[2m");
  size_t start = n;
  size_t i = 0;
  for (; i < text.n && n - start < width && n < sizeof line - 8; i++)
    line[n++] = text.at[i] < ' ' || text.at[i] == 0x7f ? ' ' : (char)text.at[i];
  /* Not in the middle of a character of UTF-8. */
  for (; i < text.n && i > 0 && (text.at[i] & 0xc0) == 0x80; i--) n--;
  memcpy(line + n, "\033[0m", 4);
  terminal.text_shown = write(2, line, n + 4) > 0;
}

static bool ends_with(struct rch_bytes text, const char *end) {
  size_t n = strlen(end);
  return text.n >= n && memcmp(text.at + text.n - n, end, n) == 0;
}

/*
 * Text of the daemon's for standard error, as it stands: whole lines, or one that it draws over and over after a "\r".
 * On a terminal alone, unless the caller asked for it (`always`); never over a half line of the tool's.
 */
static void text_say(struct rch_bytes text, bool always) {
  bool draws = text.n && text.at[0] == '\r', on_terminal = isatty(2);
  if (text.n == 0 || (!always && (!on_terminal || !terminal_is_foreground(2)))) return;
  if (draws && !terminal.line_start) return;
  if (!draws) text_clear();
  if (!draws && !terminal.line_start && on_terminal) complain("\n");
  complain("%.*s%s", (int)(text.n < 4096 ? text.n : 4096), (const char *)text.at,
           draws || ends_with(text, "\n") ? "" : "\n");
  terminal.line_start = true;
  terminal.text_shown = draws && !ends_with(text, "\033[K");
}
#endif
