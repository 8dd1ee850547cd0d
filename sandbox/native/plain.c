/* plain.c: ordinary entries of a tar archive; what "ordinary" is stands in plain.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "plain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 512
#define LONGEST (155 + 1 + 100) /* prefix, slash, name */
#define ID_LIMIT UINT32_MAX     /* -1 is no id */

enum kind { FILE_ENTRY, LINK_ENTRY, FOLDER_ENTRY };

struct entry {
    enum kind kind;
    char name[LONGEST + 1];
    char link[100 + 1];
    uint64_t mode, uid, gid, size, mtime;
};

/* Octal digits, spaces before them, NULs or spaces behind them. False for every other notation. */
static bool read_octal(const uint8_t *field, size_t width, uint64_t *ret) {
    size_t at = 0;
    uint64_t value = 0;
    while (at < width && field[at] == ' ')
        at++;
    size_t start = at;
    for (; at < width && field[at] >= '0' && field[at] <= '7'; at++)
        value = value * 8 + (uint64_t)(field[at] - '0');
    if (at == start)
        return false;
    while (at < width && field[at] == ' ')
        at++;
    *ret = value;
    return at == width || field[at] == '\0';
}

static bool has_checksum(const uint8_t *header) {
    uint64_t claimed, sum = 8 * ' ';
    for (size_t at = 0; at < BLOCK; at++)
        if (at < 148 || at >= 156)
            sum += header[at];
    return read_octal(header + 148, 8, &claimed) && claimed == sum;
}

static bool read_name(const uint8_t *header, char name[LONGEST + 1]) {
    size_t used = 0;
    if (!memcmp(header + 257, "ustar", 6) && header[345]) {
        if (!memcmp(header + 508, "tar", 4))
            return false; /* star: its prefix is shorter */
        used = strnlen((const char *)header + 345, 155);
        memcpy(name, header + 345, used);
        name[used++] = '/';
    }
    size_t length = strnlen((const char *)header, 100);
    memcpy(name + used, header, length);
    name[used + length] = '\0';
    return length > 0 && !strstr(name, ".wh.");
}

/* The last component of NAME, if what stands before it is PATH; NULL otherwise. */
static const char *within(const char *name, const char *path) {
    size_t length = strlen(path);
    while (name[0] == '/' || (name[0] == '.' && name[1] == '/'))
        name += name[0] == '/' ? 1 : 2;
    if (length) {
        if (strncmp(name, path, length) || name[length] != '/')
            return NULL;
        name += length + 1;
    }
    return name[0] == '\0' || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ? NULL : name;
}

static bool read_kind(const uint8_t *header, struct entry *entry) {
    uint8_t type = header[156];
    entry->kind = type == '5' ? FOLDER_ENTRY : type == '2' ? LINK_ENTRY : FILE_ENTRY;
    memcpy(entry->link, header + 157, 100);
    entry->link[100] = '\0';
    return type == '0' || type == '\0' || type == '5' || (type == '2' && entry->link[0]);
}

static bool read_entry(const uint8_t *header, struct entry *entry) {
    if (!read_kind(header, entry) || !has_checksum(header) || !read_name(header, entry->name)
        || !read_octal(header + 100, 8, &entry->mode) || !read_octal(header + 108, 8, &entry->uid)
        || !read_octal(header + 116, 8, &entry->gid) || !read_octal(header + 124, 12, &entry->size)
        || !read_octal(header + 136, 12, &entry->mtime) || entry->uid >= ID_LIMIT || entry->gid >= ID_LIMIT)
        return false;
    if (entry->kind != FILE_ENTRY)
        entry->size = 0; /* what the field says means nothing: no bytes follow */
    for (size_t end = strlen(entry->name); entry->kind == FOLDER_ENTRY && end > 1 && entry->name[end - 1] == '/';)
        entry->name[--end] = '\0';
    return true;
}

static bool write_all(int fd, const uint8_t *data, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        length -= (size_t)written;
    }
    return true;
}

static void set_times(const struct entry *entry, struct timespec times[2]) {
    times[0] = times[1] = (struct timespec){.tv_sec = (time_t)entry->mtime};
}

/* Owner and mode, unless they are so already: asking is cheaper than changing, and most files are root's, with a mode
 * that the umask has left as it is. Owner before mode, because chown takes setuid away. */
static bool describe(int fd, const struct entry *entry) {
    struct stat now;
    if (fstat(fd, &now))
        return false;
    if ((now.st_uid != entry->uid || now.st_gid != entry->gid) && fchown(fd, (uid_t)entry->uid, (gid_t)entry->gid))
        return false;
    return (now.st_mode & 07777) == (entry->mode & 07777) || !fchmod(fd, entry->mode & 07777);
}

static bool fill(int fd, const struct entry *entry, const uint8_t *data) {
    struct timespec times[2];
    set_times(entry, times);
    return write_all(fd, data, entry->size) && describe(fd, entry) && !futimens(fd, times);
}

static bool make_file(int folder, const char *name, const struct entry *entry, const uint8_t *data) {
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, entry->mode & 0777);
    if (fd < 0)
        return false;
    bool made = fill(fd, entry, data);
    if (close(fd) && errno != EINTR)
        made = false;
    if (!made)
        unlinkat(folder, name, 0);
    return made;
}

static bool make_link(int folder, const char *name, const struct entry *entry) {
    struct timespec times[2];
    set_times(entry, times);
    if (symlinkat(entry->link, folder, name))
        return false;
    if (!fchownat(folder, name, (uid_t)entry->uid, (gid_t)entry->gid, AT_SYMLINK_NOFOLLOW)
        && !utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW))
        return true;
    unlinkat(folder, name, 0);
    return false;
}

/* Its fd, or -1. */
static int make_folder(int folder, const char *name, const struct entry *entry) {
    if (mkdirat(folder, name, 0700))
        return -1;
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && describe(fd, entry))
        return fd;
    if (fd >= 0)
        close(fd);
    unlinkat(folder, name, AT_REMOVEDIR);
    return -1;
}

/* Makes the entry, or leaves nothing: whoever comes next meets the same obstacle and knows what to say. */
static bool make(int folder, const char *name, const struct entry *entry, const uint8_t *data, int *ret_folder) {
    switch (entry->kind) {
    case FILE_ENTRY:
        return make_file(folder, name, entry, data);
    case LINK_ENTRY:
        return make_link(folder, name, entry);
    case FOLDER_ENTRY:
        *ret_folder = make_folder(folder, name, entry);
        return *ret_folder >= 0;
    }
    return false;
}

void plain_files(int folder, const char *path, uint32_t needed, const uint8_t *data, size_t length, char *names,
                 size_t room, struct plain_run *ret_run) {
    struct plain_run run = {.folder = -1};
    struct entry entry;
    while (run.folder < 0 && length - run.bytes >= BLOCK) {
        const uint8_t *header = data + run.bytes;
        size_t left = length - run.bytes - BLOCK;
        if (!read_entry(header, &entry) || entry.size > left)
            break;
        const char *base = within(entry.name, path);
        run.elsewhere = !base;
        if (!base || (entry.kind == FOLDER_ENTRY && (entry.mode & needed) != needed))
            break;
        size_t whole = entry.size + (BLOCK - entry.size % BLOCK) % BLOCK;
        size_t name = strlen(base) + 1;
        if (whole > left || name > room - run.named || !make(folder, base, &entry, header + BLOCK, &run.folder))
            break;
        memcpy(names + run.named, base, name);
        run.named += name;
        run.entries++;
        run.bytes += BLOCK + whole;
    }
    run.mtime = run.folder < 0 ? 0 : (int64_t)entry.mtime;
    *ret_run = run;
}
