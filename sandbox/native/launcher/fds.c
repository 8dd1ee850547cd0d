/* fds.c: which fds the process gets, and the last step before its program: waiting to be started. */
#include "launcher.h"

#define MAX_KEPT 65536

/* Moves every fd of the launcher that lies in [FIRST, LAST] above it; the numbers are the process's. */
static int clear_range(int first, int last) {
    for (int name = 0; name < FD_COUNT; name++) {
        int fd = launcher.fds[name];
        if (fd < first || fd > last)
            continue;
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, last + 1);
        if (moved < 0)
            return -errno;
        launcher.fds[name] = moved;
        close(fd);
    }
    return 0;
}

int op_place_fd(const struct operation *operation) {
    uint64_t number = operation->numbers[PLACE_FD_NUMBER];
    if (number <= 2 || number > MAX_KEPT)
        return -EBADF;
    int error = clear_range((int)number, (int)number);
    int fd = slot_fd(operation->numbers[PLACE_FD_FD]);
    if (!error && fd < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    return !error && dup3(fd, (int)number, 0) < 0 ? -errno : error;
}

int op_keep_fds(const struct operation *operation) {
    uint64_t count = operation->numbers[KEEP_FDS_COUNT];
    if (count > MAX_KEPT)
        return -EBADF;
    int end = 3 + (int)count;
    int error = count ? clear_range(3, end - 1) : 0;
    for (int fd = 3; fd < end && !error; fd++)
        if (fcntl(fd, F_SETFD, 0) && errno != EBADF)
            error = -errno;
    if (error)
        return error;
    error = sys_close_range((unsigned)end, ~0U, CLOSE_RANGE_CLOEXEC_FLAG);
    /* Everything of ours is CLOEXEC from its first moment, so this only makes sure; the filter of the container, which is
     * loaded by now, may not know the call. */
    return error == -ENOSYS || error == -EPERM || error == -EACCES ? 0 : error;
}

int op_wait_start(const struct operation *operation) {
    int listener = slot_fd(operation->numbers[WAIT_START_LISTENER]);
    if (listener < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    int error = accept_starter(listener);
    close_fd(FD_SLOTS + (enum fd_name)operation->numbers[WAIT_START_LISTENER]);
    return error;
}
