/* plain.c: ordinary files out of a tar archive; what "ordinary" is stands in plain.h. */
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

struct file {
    char name[LONGEST + 1];
    const char *base; /* the last component, within `name` */
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

static bool read_file(const uint8_t *header, const char *path, struct file *file) {
    uint8_t kind = header[156];
    if ((kind != '0' && kind != '\0') || !has_checksum(header) || !read_name(header, file->name))
        return false;
    file->base = within(file->name, path);
    return file->base && read_octal(header + 100, 8, &file->mode) && read_octal(header + 108, 8, &file->uid)
           && read_octal(header + 116, 8, &file->gid) && read_octal(header + 124, 12, &file->size)
           && read_octal(header + 136, 12, &file->mtime) && file->uid < ID_LIMIT && file->gid < ID_LIMIT;
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

/* Owner before mode, because chown takes setuid away; times last. */
static bool fill(int fd, const struct file *file, const uint8_t *data) {
    struct timespec times[2] = {{.tv_sec = (time_t)file->mtime}, {.tv_sec = (time_t)file->mtime}};
    return write_all(fd, data, file->size) && !fchown(fd, (uid_t)file->uid, (gid_t)file->gid)
           && !fchmod(fd, file->mode & 07777) && !futimens(fd, times);
}

/* Makes the file, or leaves nothing: whoever comes next meets the same obstacle and knows what to say. */
static bool make(int folder, const struct file *file, const uint8_t *data) {
    int fd = openat(folder, file->base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool made = fill(fd, file, data);
    if (close(fd) && errno != EINTR)
        made = false;
    if (!made)
        unlinkat(folder, file->base, 0);
    return made;
}

void plain_files(int folder, const char *path, const uint8_t *data, size_t length, char *names, size_t room,
                 struct plain_run *ret_run) {
    struct plain_run run = {0};
    struct file file;
    while (length - run.bytes >= BLOCK) {
        const uint8_t *header = data + run.bytes;
        size_t left = length - run.bytes - BLOCK;
        if (!read_file(header, path, &file) || file.size > left)
            break;
        size_t whole = file.size + (BLOCK - file.size % BLOCK) % BLOCK;
        size_t name = strlen(file.base) + 1;
        if (whole > left || name > room - run.named || !make(folder, &file, header + BLOCK))
            break;
        memcpy(names + run.named, file.base, name);
        run.named += name;
        run.files++;
        run.bytes += BLOCK + whole;
    }
    *ret_run = run;
}
