/* streams.c: see streams.h. */
#define _GNU_SOURCE
#include "streams.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void open_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) /* the lowest free number, which is this one */
            return;
}

int shown(const struct log *log)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    if (errno == EPIPE)
        return 1; /* whoever read it has seen enough */
    const char *name = strerrorname_np(errno), *words = strerror(errno);
    char message[160];
    snprintf(message, sizeof message, "cannot write to standard output: %s: %c%s", name ? name : "EIO",
             tolower((unsigned char)words[0]), words + 1);
    return report(log, message);
}
