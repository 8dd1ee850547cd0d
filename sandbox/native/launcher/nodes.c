/* nodes.c: folders, device nodes, links and /dev/null. Nothing is made through a path: the parent's handle and a name. */
#include "launcher.h"

#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Opens the folder that PATH is to be made in, making it too when it is missing. */
int open_parent(const char *path, char last[256]) {
    char folder[PATH_MAX];
    int parent = path_parent(root_fd(), path, last);
    if (parent != -ENOENT)
        return parent < 0 ? because(parent, DETAIL_TARGET, path) : parent;
    const char *slash = strrchr(path, '/'); /* paths of plans do not end in one */
    size_t length = slash ? (size_t)(slash - path) : 0;
    memcpy(folder, path, length);
    folder[length] = '\0';
    parent = path_make_folders(root_fd(), folder, 0755);
    return parent < 0 ? because(parent, DETAIL_TARGET, path) : parent;
}

static int make_folder(const struct operation *operation) {
    char last[256];
    const char *path = operation->texts[MKDIR_PATH].bytes;
    int parent = open_parent(path, last);
    if (parent < 0)
        return parent;
    int error = answer(mkdirat(parent, last, (mode_t)operation->numbers[MKDIR_MODE]));
    close(parent);
    if (error != -EEXIST || !tolerates(operation, EXISTS_OK))
        return error;
    int found = path_open(root_fd(), path, O_PATH | O_DIRECTORY);
    if (found < 0)
        return because(-EEXIST, DETAIL_EXISTS_DIFFERENT, path);
    close(found);
    return 0;
}

/* Again when it was there and then was not: somebody may be exchanging folders meanwhile. */
int op_mkdir(const struct operation *operation) {
    int error = -EEXIST;
    for (unsigned race = 0; error == -EEXIST && race < MAX_RACES; race++)
        error = make_folder(operation);
    return error;
}

static bool is_device(const struct stat *found, uint64_t mode, uint64_t major_number, uint64_t minor_number) {
    if ((found->st_mode & S_IFMT) != (mode & S_IFMT))
        return false;
    return S_ISFIFO(mode) || (major(found->st_rdev) == major_number && minor(found->st_rdev) == minor_number);
}

int op_mknod(const struct operation *operation) {
    char last[256];
    struct stat found;
    const uint64_t *numbers = operation->numbers;
    const char *path = operation->texts[MKNOD_PATH].bytes;
    int parent = open_parent(path, last);
    if (parent < 0)
        return parent;
    mode_t mode = (mode_t)numbers[MKNOD_MODE];
    dev_t device = makedev((unsigned)numbers[MKNOD_MAJOR], (unsigned)numbers[MKNOD_MINOR]);
    int error = answer(mknodat(parent, last, mode, device));
    bool existed = error == -EEXIST && tolerates(operation, EXISTS_OK);
    int node = !error || existed ? answer(openat(parent, last, O_PATH | O_NOFOLLOW | O_CLOEXEC)) : error;
    close(parent);
    if (node < 0)
        return node;
    /* Looked at through the handle, also when it is ours: the folder may be somebody's who puts another in its place. */
    error = answer(fstat(node, &found));
    if (!error && !is_device(&found, mode, numbers[MKNOD_MAJOR], numbers[MKNOD_MINOR]))
        error = because(-EEXIST, DETAIL_EXISTS_DIFFERENT, path);
    if (!error && !existed && (found.st_uid != numbers[MKNOD_UID] || found.st_gid != numbers[MKNOD_GID]))
        error = answer(fchownat(node, "", (uid_t)numbers[MKNOD_UID], (gid_t)numbers[MKNOD_GID], AT_EMPTY_PATH));
    close(node);
    return error;
}

/* Where nodes cannot be made, the host's is bound; what it is, and not its path, has to be what was asked for. */
int op_bind_device(const struct operation *operation) {
    struct stat found;
    const uint64_t *numbers = operation->numbers;
    const char *path = operation->texts[BIND_DEVICE_PATH].bytes, *source = operation->texts[BIND_DEVICE_SOURCE].bytes;
    int tree = clone_tree(AT_FDCWD, source, false);
    if (tree < 0)
        return because(tree, DETAIL_SOURCE, source);
    int error = answer(fstat(tree, &found));
    if (!error && !is_device(&found, numbers[BIND_DEVICE_MODE], numbers[BIND_DEVICE_MAJOR], numbers[BIND_DEVICE_MINOR]))
        error = refused(DETAIL_OTHER_DEVICE, source);
    int target = error ? error : open_target(operation, path, false);
    if (target >= 0)
        error = attach(tree, target, path, operation);
    close(tree);
    return target < 0 ? target : error;
}

int make_link(const char *path, const char *text, bool exists_ok) {
    char last[256];
    struct stat found;
    int parent = open_parent(path, last);
    if (parent < 0)
        return parent;
    int error = answer(symlinkat(text, parent, last));
    if (error == -EEXIST && exists_ok) {
        /* An image may link elsewhere on purpose; anything but a link is not what was asked for. */
        error = answer(fstatat(parent, last, &found, AT_SYMLINK_NOFOLLOW));
        if (!error && !S_ISLNK(found.st_mode))
            error = because(-EEXIST, DETAIL_EXISTS_DIFFERENT, path);
    }
    close(parent);
    return error;
}

int op_symlink(const struct operation *operation) {
    return make_link(operation->texts[SYMLINK_PATH].bytes, operation->texts[SYMLINK_TARGET].bytes, tolerates(operation, EXISTS_OK));
}

/* -- /dev/null ----------------------------------------------------------------------------------------------------- */

static bool is_null(int handle) {
    struct stat found;
    return !fstat(handle, &found) && S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3);
}

int check_null(int handle) { return is_null(handle) ? 0 : refused(DETAIL_NOT_NULL, "/dev/null"); }

int op_open_null(const struct operation *operation) {
    int null = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (null < 0)
        return -errno;
    int error = check_null(null);
    if (!error && launcher.own_mounts) {
        /* A mount of its own now: after the pivot the host's is out of reach. Read-only, because the node is the host's and
         * the container's root could change its mode through a masked path; writing to the device stays possible. */
        int tree = clone_tree(null, "", false);
        close(null);
        if (tree < 0)
            return tree;
        null = tree;
        error = change_attributes(null, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, false);
    }
    if (error)
        close(null);
    else
        fill_slot(operation->numbers[OPEN_NULL_NULL], null);
    return error;
}

/* Opens the container's /dev/null once something has to be replaced by it. */
static int open_own_null(void) {
    char last[256];
    int parent = path_parent(root_fd(), "/dev/null", last);
    if (parent < 0)
        return because(parent, DETAIL_TARGET, "/dev/null");
    /* Looked at before it is opened as well: opening some other device could do something. */
    int null = answer(openat(parent, last, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    int error = null < 0 ? null : check_null(null);
    if (null >= 0)
        close(null);
    null = error ? error : answer(openat(parent, last, O_RDWR | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    close(parent);
    if (null >= 0 && (error = check_null(null))) {
        close(null);
        return error;
    }
    return null;
}

int op_fresh_null(const struct operation *operation) {
    (void)operation;
    int null = -1, error = 0;
    for (int fd = 0; fd < 3 && !error; fd++) {
        if (!is_null(fd))
            continue;
        if (null < 0)
            null = open_own_null();
        if (null < 0)
            return null;
        error = dup3(null, fd, 0) < 0 ? -errno : 0;
    }
    if (null >= 0)
        close(null);
    return error;
}

int op_chown_stdio(const struct operation *operation) {
    uid_t uid = (uid_t)operation->numbers[CHOWN_STDIO_UID];
    gid_t gid = (gid_t)operation->numbers[CHOWN_STDIO_GID]; /* -1: stays */
    for (int fd = 0; fd < 3; fd++) {
        struct stat found;
        if (fstat(fd, &found) || is_null(fd))
            continue; /* a stream may be closed; /dev/null is everybody's */
        if (found.st_uid == uid && (gid == (gid_t)-1 || found.st_gid == gid))
            continue;
        int error = answer(fchown(fd, uid, gid));
        /* Owners outside the user namespace, read-only file systems: the process has to live with what it was given. */
        if (error && error != -EPERM && error != -EINVAL && error != -EROFS)
            return error;
    }
    return 0;
}
