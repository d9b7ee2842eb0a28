/*
 * pairs N A... -- B...: runs both commands N times, by turns and with the order changed each time, with their output
 * thrown away and the file named by PAIRS_INPUT (by default nothing) as their input. Prints a line a pair: the ns that
 * A and B took from spawn to the end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long timed(char **argv, posix_spawn_file_actions_t *quiet)
{
    pid_t pid;
    int status;
    long long begun = now();
    if (posix_spawn(&pid, argv[0], quiet, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "pairs: %s did not end well\n", argv[0]);
        exit(1);
    }
    return now() - begun;
}

int main(int argc, char **argv)
{
    posix_spawn_file_actions_t quiet;
    char **a = argv + 2, **b = NULL;
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--") == 0) {
            argv[i] = NULL;
            b = argv + i + 1;
            break;
        }
    if (argc < 5 || b == NULL || *a == NULL || *b == NULL) {
        fprintf(stderr, "usage: pairs N A... -- B...\n");
        return 64;
    }
    posix_spawn_file_actions_init(&quiet);
    const char *input = getenv("PAIRS_INPUT");
    posix_spawn_file_actions_addopen(&quiet, 0, input ? input : "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    for (int n = atoi(argv[1]), i = 0; i < n; i++) {
        long long first = timed(i % 2 == 0 ? a : b, &quiet);
        long long second = timed(i % 2 == 0 ? b : a, &quiet);
        printf("%lld %lld\n", i % 2 == 0 ? first : second, i % 2 == 0 ? second : first);
    }
    return 0;
}
