/* root.c: the container's root: opened, and made "/". Until then everything is done below the handle FD_ROOT, after it as well:
 * the handle stays the same. */
#include "launcher.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_DEPTH 256

int root_fd(void) {
    if (launcher.fds[FD_ROOT] < 0)
        launcher.fds[FD_ROOT] = answer(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return launcher.fds[FD_ROOT];
}

int op_propagate_root(const struct operation *operation) {
    return sys_mount(NULL, "/", NULL, operation->numbers[PROPAGATE_ROOT_FLAGS], NULL);
}

/* Makes the mount that FOLDER lies on private: only the root of a mount can be asked, so we climb until it answers. */
static int make_private(int folder) {
    int here = answer(fcntl(folder, F_DUPFD_CLOEXEC, 0));
    int error = here < 0 ? here : -EINVAL;
    for (unsigned depth = 0; error == -EINVAL && depth < MAX_DEPTH; depth++) {
        error = change_propagation(here, MS_PRIVATE);
        if (error != -EINVAL)
            break;
        int above = openat(here, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(here);
        if (above < 0)
            return -errno;
        here = above;
    }
    if (here >= 0)
        close(here);
    return error;
}

int op_open_root(const struct operation *operation) {
    const char *path = operation->texts[OPEN_ROOT_PATH].bytes;
    int folder = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return because(-errno, DETAIL_SOURCE, path);
    close_fd(FD_ROOT);
    if (!operation->numbers[OPEN_ROOT_MOUNT]) {
        launcher.fds[FD_ROOT] = folder;
        return 0;
    }
    if (launcher.plan.needs_proc) {
        int proc = proc_fd(); /* before the pivot, because the host's procfs has to be in view */
        if (proc < 0) {
            close(folder);
            return proc;
        }
    }
    /* pivot_root needs a mount for a root, and none of its neighbours may be shared. Where the mounts are somebody else's there
     * will be no pivot, and what is there stays as it is. */
    int error = launcher.own_mounts ? make_private(folder) : 0;
    int tree = error ? error : clone_tree(folder, "", true);
    if (tree >= 0 && !launcher.own_mounts)
        error = change_propagation(tree, MS_PRIVATE | MS_REC);
    if (tree >= 0 && !error)
        error = sys_move_mount(tree, folder);
    close(folder);
    if (tree >= 0 && !error)
        launcher.fds[FD_ROOT] = tree;
    return tree < 0 ? tree : error;
}

/* For CRIU, which wants a mount of the root file system with nothing in it, in a folder that nothing else is mounted on. */
int op_rebind_root(const struct operation *operation) {
    const char *source = operation->texts[REBIND_ROOT_SOURCE].bytes, *target = operation->texts[REBIND_ROOT_TARGET].bytes;
    if (!launcher.own_mounts)
        return -EINVAL; /* they would be the host's */
    int error = answer(fchdir(root_fd()));
    if (!error)
        error = sys_umount(".", MNT_DETACH);
    if (!error)
        error = answer(chdir("/"));
    if (error)
        return error;
    close_fd(FD_ROOT);
    int folder = open(target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return because(-errno, DETAIL_TARGET, target);
    int root = open(source, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int tree = root < 0 ? -errno : clone_tree(root, "", true);
    error = tree < 0 ? because(tree, DETAIL_SOURCE, source) : sys_move_mount(tree, folder);
    close(folder);
    if (root >= 0)
        close(root);
    if (tree >= 0)
        close(tree);
    return error;
}

int op_pivot_root(const struct operation *operation) {
    (void)operation;
    if (!launcher.own_mounts)
        return -EINVAL; /* it would be the host's root that goes */
    int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0)
        return -errno;
    int error = answer(fchdir(root_fd()));
    if (!error) /* the old root ends on top of the new one, so no folder is needed for it */
        error = answer(syscall(SYS_pivot_root, ".", "."));
    if (!error) /* slave before unmounting, because with shared mounts the host would lose them too */
        error = change_propagation(old, MS_SLAVE | MS_REC);
    if (!error)
        error = answer(fchdir(old));
    if (!error)
        error = sys_umount(".", MNT_DETACH);
    close(old);
    return error ? error : answer(chdir("/"));
}

int op_chroot(const struct operation *operation) {
    (void)operation;
    int error = answer(fchdir(root_fd()));
    if (!error)
        error = answer(chroot("."));
    return error ? error : answer(chdir("/"));
}

int op_root_attr(const struct operation *operation) {
    int error = change_attributes(root_fd(), operation->numbers[ROOT_ATTR_SET], 0, false);
    return error ? error : change_propagation(root_fd(), operation->numbers[ROOT_ATTR_PROPAGATION]);
}
