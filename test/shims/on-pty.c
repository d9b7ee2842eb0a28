/*
 * Runs a command as the foreground of a terminal of its own: on-pty ROWS COLS COMMAND ARG...
 * Our standard input becomes the keyboard, the screen our standard output, in exact bytes. SIGUSR1 makes the window
 * one row taller. Ends as the command ends; the screen is read to its end first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct winsize size;
static int master;

static void taller(int number) {
  (void)number;
  size.ws_row++;
  ioctl(master, TIOCSWINSZ, &size);
}

static int end_like(int status) {
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  signal(WTERMSIG(status), SIG_DFL);
  raise(WTERMSIG(status));
  return 1;
}

int main(int argc, char **argv) {
  char buffer[65536];
  if (argc < 4) return 2;
  size.ws_row = (unsigned short)atoi(argv[1]);
  size.ws_col = (unsigned short)atoi(argv[2]);
  pid_t child = forkpty(&master, NULL, NULL, &size);
  if (child < 0) return 2;
  if (child == 0) {
    execvp(argv[3], argv + 3);
    _exit(127);
  }
  struct sigaction action = {.sa_handler = taller};
  sigaction(SIGUSR1, &action, NULL);
  struct pollfd on[2] = {{0, POLLIN, 0}, {master, POLLIN, 0}};
  for (;;) {
    if (poll(on, 2, -1) < 0) continue;
    if (on[0].revents) {
      ssize_t n = read(0, buffer, sizeof buffer);
      if (n > 0 && write(master, buffer, (size_t)n) < 0) break;
      if (n <= 0) on[0].fd = -1;
    }
    if (on[1].revents) {
      ssize_t n = read(master, buffer, sizeof buffer);
      if (n <= 0 && errno != EINTR) break;
      if (n > 0 && write(1, buffer, (size_t)n) < 0) break;
    }
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return end_like(status);
}
