/* path.c: paths below a root become handles; the interface and its promises stand in path.h.
 *
 * Two ways give the same answers. openat2(2) is asked first. The walk takes one component at a time, never follows a link
 * that it has not read itself, and is used where openat2 is missing and wherever something has to be made on the way. A
 * component that somebody swaps while we walk is met as what it is then, through a handle: it cannot lead out.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "path.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define NO_MAGICLINKS 0x02
#define NO_SYMLINKS 0x04
#define IN_ROOT 0x10
#define PROC_MAGIC 0x9fa0
#define PROC_ROOT_INODE 1
#define MAX_LINKS 40 /* as the kernel's MAXSYMLINKS */
#define MAX_RACES 64
#define HANDLE (O_PATH | O_NOFOLLOW | O_CLOEXEC)

/* What the walk makes when a component is missing. FILE_LAST: folders, and a file for the last component. */
enum make { NOTHING, FOLDERS, FILE_LAST };

struct walk {
    int root;
    int here;             /* handle of the folder that `done` names */
    char done[PATH_MAX];  /* components passed so far, none of them a link; for ".." */
    char rest[PATH_MAX];  /* components to come */
    unsigned links;
};

static int walk_path(int root, const char *path, int flags, bool follow, enum make make, mode_t mode);

static int in_root(int root, const char *path, int flags, uint64_t resolve) {
    struct {
        uint64_t flags, mode, resolve;
    } how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = IN_ROOT | NO_MAGICLINKS | resolve};
    if (flags & O_PATH)
        how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC; /* openat2 refuses others beside O_PATH */
    if (path[0] == '\0')
        path = "/";
    /* EAGAIN: something was renamed while the kernel followed a "..", and it could not tell that we are still inside. */
    for (unsigned race = 0; race < MAX_RACES; race++) {
        int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd >= 0)
            return fd;
        if (errno != EAGAIN)
            break;
    }
    return -errno;
}

/* No such call, or a filter around us that does not know it. */
static bool must_walk(int result) { return result == -ENOSYS || result == -EPERM || result == -EAGAIN; }

int path_open(int root, const char *path, int flags) {
    int fd = in_root(root, path, flags, 0);
    return must_walk(fd) ? walk_path(root, path, flags, true, NOTHING, 0) : fd;
}

int path_open_nolinks(int root, const char *path, int flags) {
    int fd = in_root(root, path, flags, NO_SYMLINKS);
    return must_walk(fd) ? walk_path(root, path, flags, false, NOTHING, 0) : fd;
}

int path_parent(int root, const char *path, char last[256]) {
    char folder[PATH_MAX];
    size_t end = strlen(path);
    if (end >= sizeof folder)
        return -ENAMETOOLONG;
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    size_t length = end - start;
    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(last, path + start, length);
    last[length] = '\0';
    if (length == 0 || !strcmp(last, ".") || !strcmp(last, ".."))
        return -EINVAL;
    memcpy(folder, path, start);
    folder[start] = '\0';
    return path_open(root, folder, O_PATH | O_DIRECTORY);
}

int path_make_folders(int root, const char *path, mode_t mode) {
    int fd = path_open(root, path, O_PATH | O_DIRECTORY);
    return fd == -ENOENT ? walk_path(root, path, O_PATH | O_DIRECTORY, true, FOLDERS, mode) : fd;
}

int path_make_file(int root, const char *path, mode_t mode) {
    int fd = path_open(root, path, O_PATH);
    return fd == -ENOENT ? walk_path(root, path, O_PATH, true, FILE_LAST, mode) : fd;
}

/* -- the walk ---------------------------------------------------------------------------------------------------------- */

static int step_to(struct walk *walk, int fd) {
    if (walk->here != walk->root)
        close(walk->here);
    walk->here = fd;
    return 0;
}

/* Moves the next component of `rest` to NAME; false when none is left. */
static bool next_name(struct walk *walk, char name[NAME_MAX + 1], int *ret_error) {
    const char *start = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(start, "/");
    *ret_error = length > NAME_MAX ? -ENAMETOOLONG : 0;
    if (length == 0 || *ret_error)
        return false;
    memcpy(name, start, length);
    name[length] = '\0';
    memmove(walk->rest, start + length, strlen(start + length) + 1);
    return true;
}

static bool is_last(const struct walk *walk) { return walk->rest[strspn(walk->rest, "/")] == '\0'; }

/* "..": the folder above is found again from the root by the names that were passed. Asking the file system for ".." could
 * lead out when the folder has been moved meanwhile. */
static int step_up(struct walk *walk) {
    char *slash = strrchr(walk->done, '/');
    *(slash ? slash : walk->done) = '\0';
    int fd = walk->root;
    char *name = walk->done;
    while (*name) {
        size_t length = strcspn(name, "/");
        char after = name[length];
        name[length] = '\0';
        int next = openat(fd, name, HANDLE | O_DIRECTORY);
        name[length] = after;
        if (fd != walk->root)
            close(fd);
        if (next < 0)
            return -errno;
        fd = next;
        name += length + (after == '/');
    }
    return step_to(walk, fd);
}

static int step_down(struct walk *walk, const char *name, int fd) {
    size_t length = strlen(walk->done);
    if (length + 1 + strlen(name) >= sizeof walk->done) {
        close(fd);
        return -ENAMETOOLONG;
    }
    if (length)
        walk->done[length++] = '/';
    strcpy(walk->done + length, name);
    return step_to(walk, fd);
}

/* Links of procfs other than those in its root are magic: they lead to where no path leads. */
static bool is_magic(const struct walk *walk, int link) {
    struct statfs file_system;
    struct stat folder;
    return fstatfs(link, &file_system) || fstat(walk->here, &folder)
           || (file_system.f_type == PROC_MAGIC && folder.st_ino != PROC_ROOT_INODE);
}

/* Puts the text of the link LINK in front of `rest`, which is empty or begins with a slash. Consumes LINK. */
static int enter_link(struct walk *walk, int link) {
    char text[PATH_MAX];
    ssize_t length = -1;
    int error = -ELOOP;
    if (++walk->links <= MAX_LINKS && !is_magic(walk, link)) {
        length = readlinkat(link, "", text, sizeof text);
        error = -errno;
    }
    close(link);
    if (length < 0)
        return error;
    size_t rest = strlen(walk->rest);
    if ((size_t)length + rest >= sizeof walk->rest)
        return -ENAMETOOLONG;
    memmove(walk->rest + length, walk->rest, rest + 1);
    memcpy(walk->rest, text, (size_t)length);
    if (length && text[0] == '/') {
        walk->done[0] = '\0';
        step_to(walk, walk->root);
    }
    return 0;
}

/* Opens NAME in the folder where the walk stands, making it when it is missing and something is to be made. */
static int open_or_make(struct walk *walk, const char *name, enum make make, mode_t mode) {
    for (unsigned race = 0; race < MAX_RACES; race++) {
        int fd = openat(walk->here, name, HANDLE);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT || make == NOTHING)
            return -errno;
        int made = make == FILE_LAST && is_last(walk) ? mknodat(walk->here, name, S_IFREG | mode, 0)
                                                      : mkdirat(walk->here, name, make == FOLDERS ? mode : 0755);
        if (made && errno != EEXIST)
            return -errno;
    }
    return -EAGAIN;
}

/* What the caller gets of the component NAME, that HANDLE_FD refers to and that is the last. Consumes HANDLE_FD. */
static int open_last(struct walk *walk, const char *name, int handle, int flags) {
    int fd = handle;
    if (!(flags & O_PATH)) {
        fd = openat(walk->here, name, flags | O_NOFOLLOW | O_CLOEXEC);
    } else if (flags & O_DIRECTORY) {
        struct stat found;
        errno = ENOTDIR;
        fd = !fstat(handle, &found) && S_ISDIR(found.st_mode) ? handle : -1;
    }
    int error = -errno;
    if (fd != handle)
        close(handle);
    return fd < 0 ? error : fd;
}

static int take_step(struct walk *walk, const char *name, int flags, bool follow, enum make make, mode_t mode) {
    struct stat found;
    int fd = open_or_make(walk, name, make, mode);
    if (fd < 0)
        return fd;
    if (fstat(fd, &found)) {
        int error = -errno;
        close(fd);
        return error;
    }
    if (S_ISLNK(found.st_mode)) {
        if (is_last(walk) && (flags & O_NOFOLLOW))
            return open_last(walk, name, fd, flags);
        if (follow)
            return enter_link(walk, fd) ?: -EINPROGRESS;
        close(fd);
        return -ELOOP;
    }
    /* A name with a slash behind it has to be a folder, also when it is the last. */
    bool slash = walk->rest[0] == '/';
    if (is_last(walk))
        return open_last(walk, name, fd, slash && make != FILE_LAST ? flags | O_DIRECTORY : flags);
    if (!S_ISDIR(found.st_mode)) {
        close(fd);
        return -ENOTDIR;
    }
    return step_down(walk, name, fd) ?: -EINPROGRESS;
}

/* The path is the folder that the walk stands in. */
static int open_here(const struct walk *walk, int flags) {
    int fd = openat(walk->here, ".", flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int walk_path(int root, const char *path, int flags, bool follow, enum make make, mode_t mode) {
    struct walk walk = {.root = root, .here = root};
    char name[NAME_MAX + 1];
    if (strlen(path) >= sizeof walk.rest)
        return -ENAMETOOLONG;
    strcpy(walk.rest, path);
    int result = -EINPROGRESS;
    while (result == -EINPROGRESS) {
        int error;
        if (!next_name(&walk, name, &error))
            result = error ?: open_here(&walk, flags);
        else if (!strcmp(name, ".."))
            result = step_up(&walk) ?: -EINPROGRESS;
        else if (strcmp(name, "."))
            result = take_step(&walk, name, flags, follow, make, mode);
    }
    step_to(&walk, root);
    return result;
}
