/* main.c: the launcher's first steps. It is started with the control socket as fd 3, and ends in the container's program, or
 * with status 1 after a FAIL, or with status 1 and no word when the host has gone. */
#include "launcher.h"

#include <signal.h>
#include <sys/stat.h>

#define LAST_SIGNAL 64

static void end_by_signal(int number) { _exit(128 + number); }

/* Engines ignore and block signals for themselves; the process shall not inherit that. SIGPIPE alone waits for the exec: a
 * host that has gone is noticed by the failed write. */
static void default_signals(void) {
    uint64_t none = 0;
    for (int number = 1; number <= LAST_SIGNAL; number++)
        sys_signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL); /* SIGKILL and SIGSTOP refuse, rightly */
    /* The first process of a PID namespace is not reached by signals that it has no handler for: a container that waits for
     * its start could not be ended by them. exec takes the handlers away. */
    static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    for (unsigned index = 0; index < sizeof ending / sizeof ending[0]; index++)
        sys_signal(ending[index], end_by_signal);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* A stream that the caller has closed becomes /dev/null, or the next fd that is opened would be taken for it. */
static void open_streams(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", O_RDWR); /* the lowest free number, which is this one */
}

int main(void) {
    for (int name = 0; name < FD_COUNT; name++)
        launcher.fds[name] = -1;
    launcher.listener = launcher.hook_output[0] = launcher.hook_output[1] = -1;
    open_streams();
    /* What the caller has open besides is nobody's business here: what the process gets comes with the plan. Closed before
     * anything of the container is looked at (CVE-2024-21626), and so that the caller's pipes see their end. */
    int error = sys_close_range(CONTROL_FD + 1, ~0U, 0);
    if (error) {
        launcher.fds[FD_CONTROL] = CONTROL_FD;
        send_failure(0, error);
        return 1;
    }
    /* Out of the low numbers, where the process's own fds will be. */
    launcher.fds[FD_CONTROL] = fcntl(CONTROL_FD, F_DUPFD_CLOEXEC, 32);
    if (launcher.fds[FD_CONTROL] < 0 && errno == EINVAL) /* a limit below that: just not where it is */
        launcher.fds[FD_CONTROL] = fcntl(CONTROL_FD, F_DUPFD_CLOEXEC, CONTROL_FD + 1);
    if (launcher.fds[FD_CONTROL] < 0)
        return 1;
    close(CONTROL_FD);
    default_signals();
    launcher.umask = umask(0);
    if (receive_plan())
        return 1;
    error = run_plan();
    wait_for_opener(); /* nobody else would, after a failure before `spawn` */
    return error ? 1 : 0;
}
