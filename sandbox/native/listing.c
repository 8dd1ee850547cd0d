/* listing.c: the entries of a folder as rows of JSON; which of them stands in listing.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SECOND 1000000000
#define SECONDS_LIMIT (INT64_MAX / SECOND - 1)

#ifndef SYS_listxattrat
#define SYS_listxattrat 465 /* Linux 6.13; the same everywhere */
#endif

struct text {
    char *data;
    size_t used, room;
};

struct folder {
    int fd;
    const char *path;
    uint32_t uid, gid;
};

static bool put(struct text *text, const char *data, size_t length) {
    if (length > text->room - text->used)
        return false;
    memcpy(text->data + text->used, data, length);
    text->used += length;
    return true;
}

static bool put_string(struct text *text, const char *string) {
    return put(text, string, strlen(string));
}

static bool put_number(struct text *text, int64_t number) {
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10));
    if (number < 0)
        digits[--at] = '-';
    digits[--at] = ',';
    return put(text, digits + at, sizeof(digits) - at);
}

static bool put_time(struct text *text, struct timespec time) {
    return time.tv_sec > -SECONDS_LIMIT && time.tv_sec < SECONDS_LIMIT
           && put_number(text, (int64_t)time.tv_sec * SECOND + time.tv_nsec);
}

/* Whether TEXT stands for itself in JSON. */
static bool is_simple(const char *text) {
    for (; *text; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            return false;
    return true;
}

static bool has_attributes(int folder, const char *name) {
    long size = syscall(SYS_listxattrat, folder, name, AT_SYMLINK_NOFOLLOW, NULL, 0);
    if (size < 0 && errno == ENOSYS) {
        char path[NAME_MAX + 32];
        if (snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", folder, name) >= (int)sizeof(path))
            return true;
        size = llistxattr(path, NULL, 0);
    }
    return size != 0; /* an error is for those who know what to say of it */
}

static bool read_link(int folder, const char *name, char link[PATH_MAX]) {
    ssize_t length = readlinkat(folder, name, link, PATH_MAX);
    if (length < 0 || length >= PATH_MAX)
        return false;
    link[length] = '\0';
    return is_simple(link);
}

/* [path, type, mode, uid, gid, size, mtime, device, link, attributes, inode, ctime] */
static bool put_row(struct text *text, const struct folder *folder, const char *name, const struct stat *info) {
    char link[PATH_MAX] = "";
    bool is_link = S_ISLNK(info->st_mode);
    if (is_link && !read_link(folder->fd, name, link))
        return false;
    const char *type = is_link ? "\",\"2\"" : S_ISDIR(info->st_mode) ? "\",\"5\"" : "\",\"0\"";
    return put_string(text, "[\"") && put_string(text, folder->path) && put_string(text, name)
           && put_string(text, type) && put_number(text, is_link ? 0777 : info->st_mode & 07777)
           && put_number(text, info->st_uid == folder->uid ? 0 : info->st_uid)
           && put_number(text, info->st_gid == folder->gid ? 0 : info->st_gid)
           && put_number(text, S_ISREG(info->st_mode) ? info->st_size : 0) && put_time(text, info->st_mtim)
           && put_string(text, ",0,\"") && put_string(text, link) && put_string(text, "\",{}")
           && info->st_ino <= INT64_MAX && put_number(text, (int64_t)info->st_ino) && put_time(text, info->st_ctim)
           && put_string(text, "],");
}

/* Describes NAME if it is ordinary; true with *RET_FOLDER if it is a folder. */
static bool describe(struct text *text, const struct folder *folder, const char *name, bool *ret_folder) {
    struct stat info;
    if (!is_simple(name) || fstatat(folder->fd, name, &info, AT_SYMLINK_NOFOLLOW))
        return false;
    *ret_folder = S_ISDIR(info.st_mode);
    if (!(S_ISREG(info.st_mode) || S_ISLNK(info.st_mode) || S_ISDIR(info.st_mode)) || has_attributes(folder->fd, name))
        return false;
    size_t before = text->used;
    if (put_row(text, folder, name, &info))
        return true;
    text->used = before;
    return false;
}

int list_folder(int folder, const char *path, uint32_t uid, uint32_t gid, char *text, size_t room, char *left,
                struct listing *ret_listing) {
    /* An entry takes 20 bytes besides its name, so that LEFT can take the names of all. */
    _Alignas(struct dirent64) char entries[LISTING_ROOM];
    struct text rows = {.data = text, .room = room}, names = {.data = left, .room = LISTING_ROOM};
    struct folder where = {.fd = folder, .path = path, .uid = uid, .gid = gid};
    long length = syscall(SYS_getdents64, folder, entries, sizeof(entries));
    for (long at = 0; at < length;) {
        const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
        const char *name = entry->d_name;
        at += entry->d_reclen;
        if (!strcmp(name, ".") || !strcmp(name, ".."))
            continue;
        bool is_folder = false, described = describe(&rows, &where, name, &is_folder);
        if ((!described || is_folder)
            && !(put_string(&names, described ? "/" : "?") && put(&names, name, strlen(name) + 1)))
            return -EOVERFLOW;
    }
    *ret_listing = (struct listing){.text = rows.used, .left = names.used};
    return length < 0 ? -errno : length > 0;
}
