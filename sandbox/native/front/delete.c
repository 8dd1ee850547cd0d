/* delete.c: see delete.h. */
#define _GNU_SOURCE
#include "delete.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Everything in a state folder that we know, in the order in which it is removed. */
static const char *const files[] = {"start.sock", "steps", "config.json", "state"};
enum { FILES = sizeof files / sizeof *files };

static bool is_known(const char *name)
{
    for (size_t i = 0; i < FILES; i++)
        if (strcmp(name, files[i]) == 0)
            return true;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool is_plain_delete(int folder, const struct record *record)
{
    if (record->needs & (NEEDS_POSTSTOP | NEEDS_SYSTEMD | NEEDS_UNKNOWN) || !lock_folder(folder))
        return false;
    _Alignas(struct dirent64) char buffer[4096];
    ssize_t length;
    while ((length = getdents64(folder, buffer, sizeof buffer)) > 0) {
        const struct dirent64 *entry;
        for (ssize_t at = 0; at < length; at += entry->d_reclen) {
            entry = (const struct dirent64 *)(buffer + at);
            if (!is_known(entry->d_name))
                return false;
        }
    }
    return length == 0;
}

/* A cgroup stays busy for a moment after its last process has ended; one with processes or cgroups inside stays so. */
static bool remove_cgroup(const char *path)
{
    for (long pause = 200000; pause < 10000000; pause *= 2) {
        if (rmdir(path) == 0 || errno == ENOENT)
            return true;
        if (errno != EBUSY)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
    return rmdir(path) == 0 || errno == ENOENT;
}

bool delete_stopped(int root, int folder, const char *id, const struct record *record)
{
    for (unsigned i = 0; i < record->cgroups_count; i++)
        if (!remove_cgroup(record->cgroups[i]))
            return false;
    /* Cgroups before files, and `state` as the last file, because whoever finishes an interrupted delete needs it. */
    for (size_t i = 0; i < FILES; i++)
        if (unlinkat(folder, files[i], 0) < 0 && errno != ENOENT)
            return false;
    return unlinkat(root, id, AT_REMOVEDIR) == 0 || errno == ENOENT;
}
