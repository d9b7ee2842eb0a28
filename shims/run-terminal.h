/*
 * The job's one pty, seen from rch-run. It has the modes of the caller's terminal, but neither changes
 * output (the caller's terminal does that) nor echoes what is fed to it (the caller's terminal has echoed it).
 * OPOST and ECHO themselves stay as the caller has them: only so is a tool seen that turns them off.
 */
#ifndef RCH_RUN_TERMINAL_H
#define RCH_RUN_TERMINAL_H
#include "run-base.h"

/* What OPOST does to bytes, termios(3): off in the pty, the caller's in every report. */
#define OUTPUT_CHANGES (OLCUC | ONLCR | OCRNL | ONOCR | ONLRET | OFILL | TABDLY)

/* The longest piece fed at once: a line of the line discipline, n_tty(4), less room for an end of file. */
#define FEED_BYTES 4000

struct terminal {
  int master, slave;
  struct modes known; /* as last seen */
  struct modes callers;
  bool fed; /* the line discipline may hold input that was not read */
};

static bool get_modes(const struct terminal *t, struct modes *m) { return ioctl(t->slave, TCGETS, m) == 0; }

static struct modes without_changes(struct modes m) {
  m.oflag &= ~(uint32_t)OUTPUT_CHANGES;
  /* The tool is in the background here and not there. */
  m.lflag &= ~(uint32_t)TOSTOP;
  return m;
}

/* Opens the pty and gives it the caller's size and modes. */
static bool open_terminal(const struct job *job, struct wires *wires, struct terminal *t) {
  int unlock = 0, number = 0;
  char path[32];
  wires->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (wires->master < 0 || ioctl(wires->master, TIOCSPTLCK, &unlock) != 0 ||
      ioctl(wires->master, TIOCGPTN, &number) != 0)
    return fail("terminal", "cannot open a pty");
  snprintf(path, sizeof path, "/dev/pts/%d", number);
  wires->slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (wires->slave < 0) return fail("terminal", "cannot open %s", path);
  t->master = wires->master;
  t->slave = wires->slave;
  if (job->size.ws_row || job->size.ws_col) ioctl(t->master, TIOCSWINSZ, &job->size);
  if (!get_modes(t, &t->known)) return fail("terminal", "no modes");
  t->callers = job->has_modes ? job->modes : t->known;
  t->callers.line = t->known.line;
  t->known = without_changes(t->callers);
  ioctl(t->slave, TCSETS, &t->known);
  return get_modes(t, &t->known) || fail("terminal", "no modes");
}

/*
 * True when the tool changed the modes since the last look; `report` then holds them as the caller's
 * terminal should have them.
 */
static bool modes_changed(struct terminal *t, struct modes *report) {
  struct modes now;
  if (!get_modes(t, &now) || memcmp(&now, &t->known, sizeof now) == 0) return false;
  struct modes quiet = without_changes(now);
  if (memcmp(&quiet, &now, sizeof now) != 0) ioctl(t->slave, TCSETS, &quiet);
  t->known = quiet;
  *report = now;
  report->oflag |= t->callers.oflag & OUTPUT_CHANGES;
  report->lflag |= t->callers.lflag & TOSTOP;
  return true;
}

/* True while input that was fed has not been read. poll(2) on the slave also finishes what is on its way there. */
static bool unread(const struct terminal *t) {
  struct pollfd slave = {t->slave, POLLIN, 0};
  return poll(&slave, 1, 0) > 0 && (slave.revents & POLLIN);
}

/* True when the line discipline would take `byte` for more than itself. */
static bool is_special(const struct modes *m, uint8_t byte) {
  static const int in_lines[] = {VERASE, VKILL, VEOF, VEOL, VEOL2, VWERASE, VREPRINT, VLNEXT};
  static const int in_signals[] = {VINTR, VQUIT, VSUSP};
  static const int in_flow[] = {VSTART, VSTOP};
  if (byte == '\n' || byte == 0) return false;
  if (m->lflag & ICANON)
    for (size_t i = 0; i < sizeof in_lines / sizeof *in_lines; i++)
      if (m->cc[in_lines[i]] == byte) return true;
  if (m->lflag & ISIG)
    for (size_t i = 0; i < sizeof in_signals / sizeof *in_signals; i++)
      if (m->cc[in_signals[i]] == byte) return true;
  if (m->iflag & IXON)
    for (size_t i = 0; i < sizeof in_flow / sizeof *in_flow; i++)
      if (m->cc[in_flow[i]] == byte) return true;
  return false;
}

/*
 * Feeds the first line, or piece, of the input to the tool's terminal without an echo, and gives its length.
 * In canonical mode a piece without a newline is ended by an end of file, as the local reader saw it, and
 * characters that the caller had quoted (Ctrl-V) are quoted again.
 */
static size_t feed(struct terminal *t, const uint8_t *input, size_t n) {
  struct modes now;
  if (!get_modes(t, &now)) return n;
  bool lines = (now.lflag & ICANON) != 0, quote = lines && (now.lflag & IEXTEN);
  uint8_t piece[2 * FEED_BYTES + 1];
  size_t taken = 0, length = 0;
  bool ended = false;
  while (taken < n && length < FEED_BYTES && !(lines && ended)) {
    uint8_t byte = input[taken++];
    if (quote && is_special(&now, byte)) piece[length++] = now.cc[VLNEXT];
    piece[length++] = byte;
    ended = byte == '\n';
  }
  if (lines && !ended && now.cc[VEOF]) piece[length++] = now.cc[VEOF];
  struct modes silent = now;
  silent.lflag &= ~(uint32_t)(ECHO | ECHONL);
  bool echoes = silent.lflag != now.lflag;
  if (echoes) ioctl(t->slave, TCSETS, &silent);
  (void)!write(t->master, piece, length);
  (void)unread(t);
  if (echoes) ioctl(t->slave, TCSETS, &now);
  t->fed = true;
  return taken;
}
#endif
