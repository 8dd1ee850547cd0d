/* report.c: see report.h. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int open_log(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

static void write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* there is nowhere left to say so */
        text += n;
        length -= (size_t)n;
    }
}

int report(const struct log *log, const char *message)
{
    char when[sizeof "2026-01-01T00:00:00Z"], line[1024];
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));

    int length;
    if (log->json)
        length = snprintf(line, sizeof line, "{\"level\":\"error\",\"msg\":\"%s\",\"time\":\"%s\"}\n", message, when);
    else
        length = snprintf(line, sizeof line, "time=\"%s\" level=error msg=\"%s\"\n", when, message);
    write_all(log->fd < 0 ? STDERR_FILENO : log->fd, line, (size_t)length);
    if (log->fd >= 0) {
        length = snprintf(line, sizeof line, "%s\n", message);
        write_all(STDERR_FILENO, line, (size_t)length);
    }
    return 1;
}
