/* early.c: see early.h. */
#define _GNU_SOURCE
#include "early.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U /* since Linux 6.3; older kernels know no other kind */
#endif

enum { CONTROL = 3, ABOVE_CALLERS = 200 }; /* fds that the caller wants to be passed on start at 3 */

static int sealed_copy(const char *path)
{
    struct stat found;
    int source = open(path, O_RDONLY | O_CLOEXEC);
    if (source < 0)
        return -1;
    int copy = memfd_create("pyrunc-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (copy < 0 && errno == EINVAL)
        copy = memfd_create("pyrunc-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool whole = copy >= 0 && fstat(source, &found) == 0;
    for (off_t at = 0; whole && at < found.st_size;)
        whole = sendfile(copy, source, &at, (size_t)(found.st_size - at)) > 0;
    close(source);
    if (whole && fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
        return copy;
    if (copy >= 0)
        close(copy);
    return -1;
}

/* fork, because the parent goes on at once: posix_spawn and vfork would hold it until the child has executed, which takes as
 * long as copying the few pages that we have. */
static pid_t spawn(int copy, int control)
{
    char path[32];
    char *const argv[] = {"pyrunc-init", NULL}, *const environment[] = {NULL};
    snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(control, CONTROL) == CONTROL)
            execve(path, argv, environment);
        _exit(127);
    }
    return pid;
}

void start_launcher(const char *folder, char *ret_text, size_t size)
{
    char path[PATH_MAX];
    int pair[2];
    *ret_text = '\0';
    int length = snprintf(path, sizeof path, "%s/pyrunc/sandbox/native/bin/launcher", folder);
    if (length >= (int)sizeof path || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    int copy = sealed_copy(path);
    /* Neither end may stand where the child's control socket goes, nor where Python looks for the caller's fds. */
    int ours = fcntl(pair[0], F_DUPFD, ABOVE_CALLERS), theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, ABOVE_CALLERS);
    int above = copy < 0 ? -1 : fcntl(copy, F_DUPFD_CLOEXEC, ABOVE_CALLERS);
    pid_t pid = -1;
    if (ours >= 0 && theirs >= 0 && above >= 0) {
        fcntl(ours, F_SETFD, FD_CLOEXEC); /* not for the launcher, or it would never see end of file */
        pid = spawn(above, theirs);
    }
    close(pair[0]);
    close(pair[1]);
    if (copy >= 0)
        close(copy);
    if (above >= 0)
        close(above);
    if (theirs >= 0)
        close(theirs);
    if (pid > 0) {
        fcntl(ours, F_SETFD, 0);
        snprintf(ret_text, size, "%d:%d", ours, (int)pid);
    } else if (ours >= 0)
        close(ours);
}
