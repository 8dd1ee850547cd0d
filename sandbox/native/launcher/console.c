/* console.c: a terminal of the container's own devpts, made inside and handed out as its master. */
#include "launcher.h"

#include <asm/termbits.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* Opens the master. /dev/pts is looked at first: it has to be a devpts with nothing on its ptmx, or what we hand to the host
 * and bind on /dev/console would be of somebody else's choice (CVE-2025-52565). */
static int open_master(void) {
    struct resolution how = {
        .flags = O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    struct statfs file_system;
    struct stat found;
    int folder = path_open(root_fd(), "/dev/pts", O_PATH | O_DIRECTORY);
    if (folder < 0)
        return because(folder, DETAIL_TARGET, "/dev/pts");
    int error = answer(fstatfs(folder, &file_system));
    if (!error && file_system.f_type != DEVPTS_MAGIC)
        error = refused(DETAIL_NOT_DEVPTS, "/dev/pts");
    int master = error ? error : answer(syscall(SYS_openat2, folder, "ptmx", &how, sizeof how));
    close(folder);
    if (master >= 0 && (fstat(master, &found) || !S_ISCHR(found.st_mode) || found.st_rdev != makedev(5, 2))) {
        close(master);
        return refused(DETAIL_NOT_DEVPTS, "/dev/pts/ptmx");
    }
    return master;
}

/* The slave, by way of the master and no path. Modes stay the kernel's: whoever gets the master decides on them. */
static int open_slave(int master, uint64_t rows, uint64_t columns) {
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    int unlock = 0;
    int error = answer(ioctl(master, TIOCSPTLCK, &unlock));
    if (!error && (rows || columns))
        error = answer(ioctl(master, TIOCSWINSZ, &size));
    return error ? error : answer(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

static int bind_console(const struct operation *operation, int slave) {
    int tree = clone_tree(slave, "", false);
    if (tree < 0)
        return tree;
    int target = open_target(operation, "/dev/console", false);
    int error = target < 0 ? target : attach(tree, target, "/dev/console", NULL);
    close(tree);
    return error;
}

int op_open_console(const struct operation *operation) {
    const uint64_t *numbers = operation->numbers;
    int master = open_master();
    if (master < 0)
        return master;
    int slave = open_slave(master, numbers[OPEN_CONSOLE_ROWS], numbers[OPEN_CONSOLE_COLUMNS]);
    if (slave < 0) {
        close(master);
        return slave;
    }
    launcher.fds[FD_CONSOLE] = slave;
    fill_slot(numbers[OPEN_CONSOLE_MASTER], master);
    int error = answer(fchown(slave, (uid_t)numbers[OPEN_CONSOLE_UID], (gid_t)numbers[OPEN_CONSOLE_GID]));
    if (error && error != -EPERM && error != -EINVAL) /* these two: an id that the user namespace does not map */
        return error;
    return numbers[OPEN_CONSOLE_MOUNT] ? bind_console(operation, slave) : 0;
}

int op_use_console(const struct operation *operation) {
    (void)operation;
    int slave = launcher.fds[FD_CONSOLE];
    if (slave < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    for (int fd = 0; fd < 3; fd++)
        if (dup3(slave, fd, 0) < 0)
            return -errno;
    close_fd(FD_CONSOLE);
    return answer(ioctl(0, TIOCSCTTY, 0));
}
