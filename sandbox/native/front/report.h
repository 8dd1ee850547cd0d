/* report.h: the one error record of a command that fails, in the shape that engines read. */
#pragma once
#include <stdbool.h>

struct log {
    int fd;    /* of --log FILE, or -1: standard error alone */
    bool json; /* --log-format json */
};

/* Opens --log FILE for appending. Returns an fd or -errno. */
int open_log(const char *path);

/* Writes the record, and if that goes to a file the plain message to standard error as well. MESSAGE holds letters,
 * digits, spaces and "_+.:-" only, so no escaping is needed. Returns 1, the exit code. */
int report(const struct log *log, const char *message);
