/* copy_up.c: fills a fresh tmpfs with what the image has at its place (the option tmpcopyup).
 *
 * The folder is opened before the mount covers it; then everything in it is made anew, through handles and single names only,
 * so nothing of the image can lead out of either side. Sockets are left out; what is under another mount too.
 */
#include "launcher.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define MAX_DEPTH 64
#define LINK_SIZE 4096

struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

struct copy {
    int from, to;
    dev_t device; /* of the folder that is copied: mounts in it are left alone */
    unsigned depth;
};

static int copy_folder(const struct copy *copy);

int op_open_folder(const struct operation *operation) {
    int folder = path_open(root_fd(), operation->texts[OPEN_FOLDER_PATH].bytes, O_RDONLY | O_DIRECTORY);
    if (folder < 0)
        return folder;
    fill_slot(operation->numbers[OPEN_FOLDER_FOLDER], folder);
    return 0;
}

int op_copy_up(const struct operation *operation) {
    struct stat found;
    struct copy copy = {slot_fd(operation->numbers[COPY_UP_FOLDER]), slot_fd(operation->numbers[COPY_UP_MOUNT]), 0, 0};
    if (copy.from < 0)
        return 0; /* the image has nothing there */
    if (copy.to < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    int error = answer(fstat(copy.from, &found));
    copy.device = found.st_dev;
    return error ? error : copy_folder(&copy);
}

static int copy_bytes(int from, int to) {
    char block[16384];
    for (;;) {
        ssize_t length = read(from, block, sizeof block);
        if (length <= 0)
            return length < 0 ? -errno : 0;
        for (ssize_t at = 0; at < length;) {
            ssize_t written = write(to, block + at, (size_t)(length - at));
            if (written < 0)
                return -errno;
            at += written;
        }
    }
}

static int copy_file(const struct copy *copy, const char *name) {
    int from = answer(openat(copy->from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (from < 0)
        return from;
    int error = answer(mknodat(copy->to, name, S_IFREG | 0600, 0));
    int to = error ? error : answer(openat(copy->to, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
    error = to < 0 ? to : copy_bytes(from, to);
    if (to >= 0)
        close(to);
    close(from);
    return error;
}

static int copy_link(const struct copy *copy, const char *name) {
    char text[LINK_SIZE];
    ssize_t length = readlinkat(copy->from, name, text, sizeof text - 1);
    if (length < 0)
        return -errno;
    text[length] = '\0';
    return answer(symlinkat(text, copy->to, name));
}

static int copy_inner(const struct copy *copy, const char *name) {
    struct copy inner = {.device = copy->device, .depth = copy->depth + 1};
    if (inner.depth > MAX_DEPTH)
        return -ELOOP;
    inner.from = answer(openat(copy->from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (inner.from < 0)
        return inner.from;
    int error = answer(mkdirat(copy->to, name, 0700));
    inner.to = error ? error : answer(openat(copy->to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    error = inner.to < 0 ? inner.to : copy_folder(&inner);
    if (inner.to >= 0)
        close(inner.to);
    close(inner.from);
    return error;
}

/* Owner before mode, because a change of owner takes set-id bits away; times last. */
static int copy_attributes(const struct copy *copy, const char *name, const struct stat *found) {
    const struct timespec times[2] = {found->st_atim, found->st_mtim};
    int error = answer(fchownat(copy->to, name, found->st_uid, found->st_gid, AT_SYMLINK_NOFOLLOW));
    if (!error && !S_ISLNK(found->st_mode))
        error = answer((int)syscall(SYS_fchmodat, copy->to, name, found->st_mode & 07777));
    return error ? error : answer((int)syscall(SYS_utimensat, copy->to, name, times, AT_SYMLINK_NOFOLLOW));
}

static int copy_entry(const struct copy *copy, const char *name) {
    struct stat found;
    int error = answer(fstatat(copy->from, name, &found, AT_SYMLINK_NOFOLLOW));
    if (error)
        return error;
    if (S_ISDIR(found.st_mode)) {
        if (found.st_dev != copy->device)
            return 0;
        error = copy_inner(copy, name);
    } else if (S_ISREG(found.st_mode))
        error = copy_file(copy, name);
    else if (S_ISLNK(found.st_mode))
        error = copy_link(copy, name);
    else if (S_ISSOCK(found.st_mode))
        return 0;
    else
        error = answer(mknodat(copy->to, name, found.st_mode & (S_IFMT | 0777), found.st_rdev));
    return error ? because(error, DETAIL_SOURCE, name) : copy_attributes(copy, name, &found);
}

static int copy_folder(const struct copy *copy) {
    char block[4096] __attribute__((aligned(8)));
    for (;;) {
        long length = syscall(SYS_getdents64, copy->from, block, sizeof block);
        if (length <= 0)
            return length < 0 ? -errno : 0;
        for (long at = 0; at < length;) {
            const struct entry *entry = (const struct entry *)(block + at);
            at += entry->length;
            if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
                continue;
            int error = copy_entry(copy, entry->name);
            if (error)
                return error;
        }
    }
}
