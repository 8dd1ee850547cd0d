/* waiter.c: what a foreground `run` or `exec` becomes once the container's process runs. Python executes it in its own
 * place, so that the process stays our child and a megabyte waits instead of an interpreter.
 *
 *     waiter -p PID [-t FD] [-n FD] [-s] [-d ROOT/ID] [-- COMMAND...]
 *
 *     -p PID      the container's process, a child of ours
 *     -t FD       the master side of its terminal: standard input and output are relayed, window sizes passed on
 *     -n FD       where the container says that it is ready, for $NOTIFY_SOCKET
 *     -s          we are a subreaper and reap what becomes our child
 *     -d ROOT/ID  the container is deleted at the end, as the front would do it;
 *     COMMAND     is run for a delete that is not plain (pyrunc delete --force ID, by Python)
 *
 * Exits with the status of the process, or 128 and the signal that ended it; 255 when PID is no child of ours. Before
 * the process was made Python has given SIGCHLD its default, or there would be no status to fetch, and blocked all
 * signals, and exec has kept that: none that came early is lost. All but SIGCHLD, SIGPIPE and SIGURG go on to the
 * process; with none left at its default, only SIGKILL ends the waiter itself, so the caller's terminal is always given
 * back. Every other inherited fd is closed: whoever reads a pipe that the container was given must see its end when the
 * container closes it.
 */
#define _GNU_SOURCE
#include "delete.h"
#include "notify.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct waiter {
    pid_t pid;
    int process, signals; /* a pidfd and a signalfd */
    int notify;           /* or -1 */
    bool told;            /* the service manager has heard that the container is ready */
    bool reaped;
    int status; /* as of waitpid */
    struct terminal terminal;
    char *path;       /* ROOT/ID to delete, or NULL */
    char **command;   /* for what is not plain; may be empty */
    int root, folder; /* of PATH */
};

static bool parse(struct waiter *waiter, int argc, char **argv, int *master)
{
    bool subreaper = false;
    *master = waiter->notify = -1;
    for (int option; (option = getopt(argc, argv, "p:t:n:sd:")) != -1;) {
        if (option == 'p')
            waiter->pid = atoi(optarg);
        else if (option == 't')
            *master = atoi(optarg);
        else if (option == 'n')
            waiter->notify = atoi(optarg);
        else if (option == 's')
            subreaper = true;
        else if (option == 'd')
            waiter->path = optarg;
        else
            return false;
    }
    waiter->command = argv + optind;
    return waiter->pid > 0 && (!subreaper || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
}

/* Keeps 0, 1, 2 and these two, of which each may be -1; closes the rest. */
static void close_others(int one, int other)
{
    const int kept[] = {one < other ? one : other, one < other ? other : one};
    int first = 3;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (kept[i] < first)
            continue;
        if (kept[i] > first)
            syscall(SYS_close_range, first, kept[i] - 1, 0);
        fcntl(kept[i], F_SETFD, FD_CLOEXEC);
        first = kept[i] + 1;
    }
    syscall(SYS_close_range, first, ~0U, 0);
}

/* The folder is opened now and not at the end: by then it may be that of another container with the same name. */
static void open_state(struct waiter *waiter)
{
    waiter->root = waiter->folder = -1;
    char *slash = waiter->path ? strrchr(waiter->path, '/') : NULL;
    if (!slash)
        return;
    *slash = '\0';
    waiter->root = open(waiter->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    waiter->folder = open_folder(waiter->root, slash + 1);
    waiter->path = slash + 1;
}

/* Orphans that came to us as a subreaper, the launcher, and the process itself. */
static void reap(struct waiter *waiter)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0;)
        if (pid == waiter->pid) {
            waiter->status = status;
            waiter->reaped = true;
        }
}

static void forward_signals(struct waiter *waiter)
{
    struct signalfd_siginfo info;
    while (read(waiter->signals, &info, sizeof info) == sizeof info) {
        int number = (int)info.ssi_signo;
        if (number == SIGCHLD)
            reap(waiter);
        else if (number == SIGWINCH)
            terminal_resize(&waiter->terminal);
        else if (number != SIGPIPE && number != SIGURG)
            syscall(SYS_pidfd_send_signal, waiter->process, number, NULL, 0);
    }
}

/* Relays until the process has ended. */
static void serve(struct waiter *waiter)
{
    struct pollfd fds[3 + TERMINAL_FDS];
    while (!waiter->reaped) {
        fds[0] = (struct pollfd){.fd = waiter->signals, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = waiter->process, .events = POLLIN};
        fds[2] = (struct pollfd){.fd = waiter->notify, .events = POLLIN};
        terminal_watch(&waiter->terminal, fds + 3);
        if (poll(fds, sizeof fds / sizeof *fds, terminal_timeout(&waiter->terminal)) < 0)
            continue;
        if (fds[0].revents)
            forward_signals(waiter);
        if (fds[2].revents)
            waiter->told = notify_relay(waiter->notify, waiter->told); /* before the end is looked at: what it said last counts */
        terminal_relay(&waiter->terminal, fds + 3);
        if (fds[1].revents) {
            reap(waiter);
            if (!waiter->reaped) { /* no child of ours; or somebody who traces it has to see its end first */
                int status;
                waiter->status = waitpid(waiter->pid, &status, __WALL) == waiter->pid ? status : W_EXITCODE(255, 0);
                waiter->reaped = true;
            }
        }
    }
}

/* Writes out what the process has left in its terminal. A caller that does not read it can still end us by a signal. */
static void drain(struct waiter *waiter)
{
    struct pollfd fds[1 + TERMINAL_FDS];
    while (terminal_drain(&waiter->terminal)) {
        struct signalfd_siginfo info;
        fds[0] = (struct pollfd){.fd = waiter->signals, .events = POLLIN};
        terminal_watch(&waiter->terminal, fds + 1);
        if (poll(fds, sizeof fds / sizeof *fds, -1) < 0)
            continue;
        if (fds[0].revents && read(waiter->signals, &info, sizeof info) == sizeof info &&
            (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT || info.ssi_signo == SIGHUP))
            return;
        terminal_relay(&waiter->terminal, fds + 1);
    }
}

/* False: Python is needed. */
static bool delete_plainly(struct waiter *waiter)
{
    static struct record record;
    int process;
    if (faccessat(waiter->folder, "state", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return true; /* somebody else has deleted it */
    return read_record(waiter->folder, &record) && read_status(waiter->folder, &record, &process) == STOPPED &&
           is_plain_delete(waiter->folder, &record) &&
           delete_stopped(waiter->root, waiter->folder, waiter->path, &record);
}

static void delete_by_command(struct waiter *waiter)
{
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    if (waiter->command[0] && posix_spawnp(&pid, waiter->command[0], NULL, &attributes, waiter->command, environ) == 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
}

int main(int argc, char **argv)
{
    static struct waiter waiter;
    int master;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (!parse(&waiter, argc, argv, &master))
        return 255;
    close_others(master, waiter.notify);
    open_state(&waiter);
    waiter.process = (int)syscall(SYS_pidfd_open, waiter.pid, 0);
    waiter.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (waiter.process < 0 || waiter.signals < 0)
        return 255;

    terminal_open(&waiter.terminal, master);
    serve(&waiter);
    drain(&waiter);
    terminal_close(&waiter.terminal);

    if (waiter.folder >= 0 && !delete_plainly(&waiter)) {
        close(waiter.folder); /* and with it the lock that our own try may have taken */
        delete_by_command(&waiter);
    }
    return WIFSIGNALED(waiter.status) ? 128 + WTERMSIG(waiter.status) : WEXITSTATUS(waiter.status);
}
