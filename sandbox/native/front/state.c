/* state.c: see state.h. */
#define _GNU_SOURCE
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reads a whole small file as text. Returns its length, or -errno; -EFBIG when it does not fit. */
static ssize_t read_text(int folder, const char *path, char *text, size_t size)
{
    int fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t length = 0;
    while (length < size) {
        ssize_t n = read(fd, text + length, size - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;
            close(fd);
            return -error;
        }
        if (n == 0)
            break;
        length += (size_t)n;
    }
    close(fd);
    if (length == size)
        return -EFBIG;
    text[length] = '\0';
    return (ssize_t)length;
}

/* Strict decimal: digits only, no sign, no overflow. */
static bool parse_number(const char *text, unsigned long long limit, unsigned long long *number)
{
    unsigned long long value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        unsigned digit = (unsigned)(*text - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

const char *status_name(enum status status)
{
    switch (status) {
    case CREATED:
        return "created";
    case RUNNING:
        return "running";
    case PAUSED:
        return "paused";
    case STOPPED:
        return "stopped";
    case UNCLEAR:
        break;
    }
    return "unclear";
}

bool valid_id(const char *id)
{
    if (*id == '\0' || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return false;
    size_t length = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-");
    return id[length] == '\0' && length <= 255;
}

int open_folder(int root, const char *id)
{
    int folder = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return folder < 0 ? -errno : folder;
}

bool lock_folder(int folder)
{
    return flock(folder, LOCK_EX | LOCK_NB) == 0;
}

static unsigned parse_needs(char *words)
{
    static const struct {
        const char *word;
        enum need need;
    } known[] = {
        {"poststart", NEEDS_POSTSTART},
        {"poststop", NEEDS_POSTSTOP},
        {"shared-pidns", NEEDS_SHARED_PIDNS},
        {"systemd", NEEDS_SYSTEMD},
    };
    unsigned needs = 0;
    for (char *rest, *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        unsigned need = NEEDS_UNKNOWN;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strcmp(word, known[i].word) == 0)
                need = known[i].need;
        needs |= need;
    }
    return needs;
}

static bool take(const char **field, const char *value, char first, char last)
{
    size_t length = strlen(value);
    if (*field || length < 2 || value[0] != first || value[length - 1] != last)
        return false;
    *field = value;
    return true;
}

/* One line, `key value`. Unknown keys are for newer versions of this version's readers: passed over. */
static bool parse_line(struct record *record, char *key)
{
    unsigned long long number;
    char *value = strchr(key, ' ');
    if (!value)
        return false;
    *value++ = '\0';

    if (strcmp(key, "ociVersion") == 0)
        return take(&record->oci_version, value, '"', '"');
    if (strcmp(key, "id") == 0)
        return take(&record->id, value, '"', '"');
    if (strcmp(key, "bundle") == 0)
        return take(&record->bundle, value, '"', '"');
    if (strcmp(key, "rootfs") == 0)
        return take(&record->rootfs, value, '"', '"');
    if (strcmp(key, "created") == 0)
        return take(&record->created, value, '"', '"');
    if (strcmp(key, "owner") == 0)
        return take(&record->owner, value, '"', '"');
    if (strcmp(key, "annotations") == 0)
        return take(&record->annotations, value, '{', '}');
    if (strcmp(key, "pid") == 0) {
        if (!parse_number(value, 1 << 30, &number))
            return false;
        record->pid = (pid_t)number;
        return true;
    }
    if (strcmp(key, "start") == 0)
        return parse_number(value, ~0ULL, &record->start);
    if (strcmp(key, "freezer") == 0) {
        record->freezer_v1 = strncmp(value, "v1 ", 3) == 0;
        return (record->freezer_v1 || strncmp(value, "v2 ", 3) == 0) &&
               take(&record->freezer, value + 3, '/', value[strlen(value) - 1]);
    }
    if (strcmp(key, "cgroup") == 0) {
        if (value[0] != '/' || record->cgroups_count == MAX_CGROUPS)
            return false;
        record->cgroups[record->cgroups_count++] = value;
        return true;
    }
    if (strcmp(key, "needs") == 0)
        record->needs |= parse_needs(value);
    return true;
}

bool read_record(int folder, struct record *record)
{
    memset(record, 0, offsetof(struct record, text));
    ssize_t length = read_text(folder, "state", record->text, sizeof record->text);
    if (length <= 0 || record->text[length - 1] != '\n' || strlen(record->text) != (size_t)length)
        return false;

    bool first = true;
    for (char *rest, *line = strtok_r(record->text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (first ? strcmp(line, "pyrunc-state 1") != 0 : !parse_line(record, line))
            return false;
        first = false;
    }
    return record->oci_version && record->id && record->bundle && record->rootfs && record->created && record->owner;
}

/* Whether /proc/PID/stat (read into TEXT) is that of a living process that began at START. */
static bool is_that_process(const char *text, unsigned long long start)
{
    const char *field = strrchr(text, ')'); /* a program's name may hold anything, also ") Z " */
    if (!field || field[1] != ' ' || strchr("ZXx", field[2]))
        return false;
    for (int number = 2; number < 22; number++) {
        field = strchr(field + 1, ' ');
        if (!field)
            return false;
    }
    return strtoull(field + 1, NULL, 10) == start;
}

/* Sets PROCESS to a pidfd of the container's process, or to -1 when that has ended. False: cannot be told. */
static bool open_process(const struct record *record, int *process)
{
    *process = -1;
    /* The pidfd before the look at the start time: if that is right, no other process can have got the pid in between,
     * and whatever is done through the pidfd meets this process or nobody. */
    int pidfd = (int)syscall(SYS_pidfd_open, record->pid, 0);
    if (pidfd < 0)
        return errno == ESRCH;

    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", record->pid);
    ssize_t length = read_text(AT_FDCWD, path, text, sizeof text);
    if (length > 0 && is_that_process(text, record->start)) {
        *process = pidfd;
        return true;
    }
    /* No file although the process lives: /proc is absent, hides others' processes, or belongs to another namespace. */
    bool ended = length > 0 || wait_for_end(pidfd, 0);
    close(pidfd);
    return ended;
}

static bool read_frozen(const struct record *record, bool *frozen)
{
    char text[32];
    *frozen = false;
    if (!record->freezer)
        return true;
    ssize_t length = read_text(AT_FDCWD, record->freezer, text, sizeof text);
    if (length < 0)
        return length == -ENOENT || length == -ENODEV;
    *frozen = strcmp(text, record->freezer_v1 ? "FROZEN\n" : "1\n") == 0;
    return *frozen || strcmp(text, record->freezer_v1 ? "THAWED\n" : "0\n") == 0;
}

enum status read_status(int folder, const struct record *record, int *process)
{
    bool frozen;
    *process = -1;
    if (record->pid == 0 || !open_process(record, process))
        return UNCLEAR;
    if (*process < 0)
        return STOPPED;
    if (!read_frozen(record, &frozen))
        return UNCLEAR;
    if (frozen)
        return PAUSED;
    if (faccessat(folder, "start.sock", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return CREATED;
    return errno == ENOENT ? RUNNING : UNCLEAR;
}

bool wait_for_end(int process, int timeout_ms)
{
    struct pollfd ended = {.fd = process, .events = POLLIN};
    int n;
    do
        n = poll(&ended, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n == 1;
}
