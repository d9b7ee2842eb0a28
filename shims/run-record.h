/*
 * `rch-run record STREAMS OUT ERR COMMAND ARG...`: runs a command here, on streams of the kinds asked for, and
 * writes what it says on standard output to the file OUT, on standard error to ERR. Ends as the command ends.
 * STREAMS has a letter for each of descriptors 0, 1 and 2:
 *   i  as ours (descriptor 0 alone)      p  a pipe       f  the file itself, as a shell's `>` opens it
 *   t  a terminal of 40 rows and 100 columns, the controlling one; all that are `t` are the same
 *   =  what descriptor 1 is (descriptor 2 alone)
 * The command leads a session of its own, which ends with us.
 */
#ifndef RCH_RUN_RECORD_H
#define RCH_RUN_RECORD_H
#include "run-attach.h"

/* Where a command's output comes from and goes to; -1 where there is none. */
struct recording {
  int from, to;
};

static int recorded_file(const char *path) {
  return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* Opens the command's terminal; the master into `*master`, the slave is returned. */
static int recorded_terminal(int *master) {
  struct winsize size = {.ws_row = 40, .ws_col = 100};
  int unlock = 0, number = 0;
  char path[32];
  *master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (*master < 0 || ioctl(*master, TIOCSPTLCK, &unlock) != 0 || ioctl(*master, TIOCGPTN, &number) != 0)
    return -1;
  ioctl(*master, TIOCSWINSZ, &size);
  snprintf(path, sizeof path, "/dev/pts/%d", number);
  return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* The command's end of one output stream; what is to be copied is noted in `copy`. -1 when it cannot be made. */
static int recorded_stream(char kind, int file, int slave, struct recording *copy) {
  int ends[2];
  if (kind == 'f') return file;
  if (kind == 't') return slave;
  if (kind != 'p' || pipe2(ends, O_CLOEXEC) != 0) return -1;
  *copy = (struct recording){ends[0], file};
  return ends[1];
}

__attribute__((noreturn)) static void become_recorded(char **command, const int fds[3], int slave) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  if (slave >= 0) ioctl(slave, TIOCSCTTY, 0);
  /* Never onto each other: the ends were opened above 2. */
  for (int i = 0; i < 3; i++)
    if (fds[i] != i && dup2(fds[i], i) < 0) _exit(126);
  execvp(command[0], command);
  _exit(errno == ENOENT ? 127 : 126);
}

/* Copies until every stream is at its end; a terminal's end is EIO. */
static bool copy_recorded(struct recording *copies, nfds_t n) {
  static uint8_t piece[1 << 16];
  for (;;) {
    struct pollfd fds[3];
    bool open = false;
    for (nfds_t i = 0; i < n; i++) {
      fds[i] = (struct pollfd){copies[i].from, POLLIN, 0};
      open = open || copies[i].from >= 0;
    }
    if (!open) return true;
    if (poll(fds, n, -1) < 0) continue;
    for (nfds_t i = 0; i < n; i++) {
      if (fds[i].fd < 0 || !fds[i].revents) continue;
      ssize_t got = read(fds[i].fd, piece, sizeof piece);
      if (got < 0 && errno == EINTR) continue;
      if (got > 0 && write_all(copies[i].to, piece, (size_t)got)) continue;
      if (got > 0) return false;
      close(fds[i].fd);
      copies[i].from = -1;
    }
  }
}

static int end_like(int status) {
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  signal(WTERMSIG(status), SIG_DFL);
  raise(WTERMSIG(status));
  return 128 + WTERMSIG(status);
}

static int record(char **arguments) {
  const char *kinds = arguments[0];
  struct recording copies[3] = {{-1, -1}, {-1, -1}, {-1, -1}};
  int slave = -1, files[2] = {recorded_file(arguments[1]), recorded_file(arguments[2])};
  if (strlen(kinds) != 3 || files[0] < 0 || files[1] < 0) {
    fprintf(stderr, "rch-run: record %s %s %s: %s\n", kinds, arguments[1], arguments[2], strerror(errno));
    return 2;
  }
  if (strchr(kinds, 't')) slave = recorded_terminal(&copies[2].from);
  copies[2].to = files[kinds[1] == 't' || kinds[2] != 't' ? 0 : 1];
  int fds[3] = {kinds[0] == 't' ? slave : 0, recorded_stream(kinds[1], files[0], slave, &copies[0]), -1};
  fds[2] = kinds[2] == '=' ? fds[1] : recorded_stream(kinds[2], files[1], slave, &copies[1]);
  if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0) {
    fprintf(stderr, "rch-run: record %s: %s\n", kinds, strerror(errno));
    return 2;
  }
  pid_t child = fork();
  if (child == 0) become_recorded(arguments + 3, fds, slave);
  if (child < 0) return 2;
  close_fd(&slave);
  if (kinds[1] == 'p') close(fds[1]);
  if (kinds[2] == 'p') close(fds[2]);
  int status = 0;
  if (!copy_recorded(copies, 3)) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return end_like(status);
}
#endif
