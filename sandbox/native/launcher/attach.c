/* attach.c: from a path below the root to a mount on it, always by handles. */
#include "launcher.h"

#include <sys/stat.h>

int change_attributes(int mount, uint64_t set, uint64_t clear, bool recursive) {
    struct mount_attributes attributes = {.set = set, .clear = clear};
    if (!set && !clear)
        return 0;
    /* atime is a number among flags: whoever sets it has to clear the whole of it first (mount_setattr(2)). */
    if ((set | clear) & MOUNT_ATTR__ATIME)
        attributes.clear |= MOUNT_ATTR__ATIME;
    int error = sys_mount_setattr(mount, recursive ? AT_RECURSIVE : 0, &attributes);
    return error == -EPERM && clear ? because(error, DETAIL_LOCKED_FLAGS, "") : error;
}

int change_propagation(int mount, uint64_t flags) {
    struct mount_attributes attributes = {.propagation = flags & ~(uint64_t)MS_REC};
    if (!flags)
        return 0;
    return sys_mount_setattr(mount, flags & MS_REC ? AT_RECURSIVE : 0, &attributes);
}

int map_ids(int mount, int namespace, bool recursive) {
    struct mount_attributes attributes = {.set = MOUNT_ATTR_IDMAP, .user_namespace = (uint64_t)namespace};
    return sys_mount_setattr(mount, recursive ? AT_RECURSIVE : 0, &attributes);
}

int clone_tree(int folder, const char *path, bool recursive) {
    unsigned flags = OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0) | (*path ? 0 : AT_EMPTY_PATH);
    return sys_open_tree(folder, path, flags);
}

/* The root itself: everything would disappear below what is mounted there. */
static int refuse_root(int target, const char *path) {
    struct status root, found;
    int error = sys_statx(root_fd(), &root);
    if (!error)
        error = sys_statx(target, &found);
    if (error)
        return error;
    bool same = root.inode == found.inode && root.mount == found.mount;
    return same ? refused(DETAIL_TARGET_IS_ROOT, path) : 0;
}

static int open_ordinary_folder(const char *path) {
    int target = path_open_nolinks(root_fd(), path, O_PATH | O_DIRECTORY);
    if (target == -ENOENT) {
        int made = path_make_folders(root_fd(), path, 0755);
        if (made < 0)
            return made;
        close(made);
        target = path_open_nolinks(root_fd(), path, O_PATH | O_DIRECTORY);
    }
    return target == -ELOOP || target == -ENOTDIR ? refused(DETAIL_NOT_ORDINARY_FOLDER, path) : target;
}

/* What PATH names, be it a link: only the folders above it are followed. */
static int open_link(const char *path) {
    int target = path_open(root_fd(), path, O_PATH | O_NOFOLLOW);
    return target == -ENOENT ? path_make_file(root_fd(), path, 0755) : target;
}

/* The place for a mount, made when it is missing. */
int open_target(const struct operation *operation, const char *path, bool folder) {
    int target;
    if (tolerates(operation, ORDINARY_FOLDER))
        target = open_ordinary_folder(path);
    else if (!folder && tolerates(operation, TARGET_LINK))
        target = open_link(path);
    else if (folder)
        target = path_make_folders(root_fd(), path, 0755);
    else
        target = path_make_file(root_fd(), path, 0755);
    if (target < 0)
        return target == -REFUSED ? target : because(target, DETAIL_TARGET, path);
    int error = refuse_root(target, path);
    if (error) {
        close(target);
        return error;
    }
    return target;
}

/* Whether PATH leads to MOUNT. */
static int check_reached(int mount, const char *path) {
    struct status ours, found;
    int error = sys_statx(mount, &ours);
    if (error)
        return error;
    /* Only who has mounted a link looks for one. */
    int reached = path_open(root_fd(), path, O_PATH | (S_ISLNK(ours.mode) ? O_NOFOLLOW : 0));
    if (reached < 0)
        return because(reached, DETAIL_TARGET_CHANGED, path);
    error = sys_statx(reached, &found);
    close(reached);
    if (error)
        return error;
    return ours.mount == found.mount ? 0 : refused(DETAIL_TARGET_CHANGED, path);
}

/* Attaches MOUNT at TARGET, the handle of PATH, and looks whether PATH now leads to it: with mounts of the container in
 * shared trees, somebody may exchange folders while we work (CVE-2021-30465). Consumes TARGET. */
int attach_once(int mount, int target, const char *path) {
    int error = sys_move_mount(mount, target);
    close(target);
    return error ? error : check_reached(mount, path);
}

/* The place for MOUNT once more: made for OPERATION when it is missing now, or only looked for. */
static int open_again(const struct operation *operation, int mount, const char *path) {
    struct stat found;
    if (!operation)
        return path_open(root_fd(), path, O_PATH);
    int error = answer(fstat(mount, &found));
    return error ? error : open_target(operation, path, S_ISDIR(found.st_mode));
}

/* The same, and on from where the mount is then whenever the folder was exchanged meanwhile: it only has to stand still for the
 * moment between opening and moving. Nobody may keep us at it for ever. OPERATION may be NULL: then nothing is made. */
int attach(int mount, int target, const char *path, const struct operation *operation) {
    int error = sys_move_mount(mount, target);
    close(target);
    if (error) /* what cannot be mounted there cannot be mounted there */
        return error;
    error = check_reached(mount, path);
    for (unsigned race = 0; error && race < MAX_RACES; race++) {
        if (!check_reached(mount, path)) /* exchanged back: on itself nothing can be moved (ELOOP) */
            return 0;
        target = open_again(operation, mount, path);
        error = target < 0 ? target : attach_once(mount, target, path);
    }
    return error;
}
