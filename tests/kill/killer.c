/* killer.c: runs a command and kills one of its processes, or all of them, as it is about to make its N-th system call.
 *
 *     killer -o REPORT -s PREFIX [-u UID] [-p PID] [-k ROLE -n N [-t]] -- COMMAND...
 *
 *     -o REPORT   gets "COUNT COUNT COUNT NUMBER": the system calls of each role, and the one at which was killed, or -1
 *     -s PREFIX   a Python counts from where it opens a file below this prefix, any program below it from its start
 *     -u UID      the command runs as this user, without groups
 *     -p PID      this process counts as INIT, although the command does not start it
 *     -k ROLE     who is killed: 0 the command itself, 1 the first process that it starts, 2 the second
 *     -n N        before its N-th system call, which it does not make any more
 *     -t          with all others that the command has started
 *
 * A call that follows one without any effect does not count: death before both would be the same. The second one counts until it executes its program. Exits as the command does. When it ends, all that the command has left
 * runs on without it. Knows nothing of containers.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMAND, FIRST, INIT, ROLES, OTHER = ROLES, MAX_PROCESSES = 64 };

struct process {
    pid_t pid; /* 0 when it has ended, or is not traced any more */
    int role;
    bool foreign;      /* the command did not start it */
    bool counts, ours; /* whether its calls count; whether it is executing a program below the prefix */
    bool quiet;        /* its last call has changed nothing */
    int programs;
};

static struct process processes[MAX_PROCESSES];
static size_t known;
static int next_role = FIRST;
static unsigned long counts[ROLES], number;
static int target = -1;
static long killed_at = -1;
static bool everybody;
static const char *prefix = "/", *report_path;

static struct process *find(pid_t pid)
{
    for (size_t i = 0; i < known; i++)
        if (processes[i].pid == pid)
            return &processes[i];
    return NULL;
}

static struct process *add(pid_t pid, int role)
{
    if (known == MAX_PROCESSES)
        errx(125, "too many processes");
    processes[known] = (struct process){.pid = pid, .role = role, .counts = role == FIRST || role == INIT};
    return &processes[known++];
}

static bool starts_with_prefix(pid_t pid, uint64_t address)
{
    char text[4096];
    size_t length = strlen(prefix);
    struct iovec here = {text, length}, there = {(void *)(uintptr_t)address, length};
    return length < sizeof text && process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)length &&
           memcmp(text, prefix, length) == 0;
}

/* Calls that change nothing outside the process. Read does on sockets; the command itself reads those by recvmsg. */
static bool is_quiet(const struct process *process, const struct __ptrace_syscall_info *info)
{
    switch (info->entry.nr) {
#ifdef SYS_stat
    case SYS_stat:
    case SYS_lstat:
    case SYS_access:
    case SYS_readlink:
#endif
    case SYS_brk:
    case SYS_fstat:
    case SYS_getcwd:
    case SYS_getdents64:
    case SYS_lseek:
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_munmap:
    case SYS_newfstatat:
    case SYS_pread64:
    case SYS_readlinkat:
    case SYS_rt_sigaction:
        return true;
    case SYS_openat:
        return !(info->entry.args[2] & (O_CREAT | O_TMPFILE));
    case SYS_read:
        return process->role == COMMAND;
    default:
        return false;
    }
}

static void kill_now(const struct process *process, long call)
{
    killed_at = call;
    for (size_t i = 0; i < known; i++)
        if (processes[i].pid > 0 && (everybody ? !processes[i].foreign : &processes[i] == process))
            kill(processes[i].pid, SIGKILL);
}

static void at_call(struct process *process)
{
    struct __ptrace_syscall_info info = {0};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof info, &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    if (info.entry.nr == SYS_openat && starts_with_prefix(process->pid, info.entry.args[1]))
        process->counts = process->role < ROLES;
    if (info.entry.nr == SYS_execve)
        process->ours = process->programs == 0 || process->role == FIRST ||
                        starts_with_prefix(process->pid, info.entry.args[0]);
    bool same = process->quiet;
    process->quiet = is_quiet(process, &info);
    if (process->counts && !same && ++counts[process->role] == number && process->role == target && killed_at < 0)
        kill_now(process, (long)info.entry.nr);
}

static void go_on(pid_t pid, int signal)
{
    int how = killed_at < 0 ? PTRACE_SYSCALL : PTRACE_CONT;
    ptrace(how, pid, 0, signal); /* fails where the process has just been killed: its end is reported next */
}

/* A stop of a traced process: a system call, a new process, a new program or a signal. */
static void stopped(struct process *process, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    if (signal == (SIGTRAP | 0x80)) {
        at_call(process);
        signal = 0;
    } else if (event) {
        if (event == PTRACE_EVENT_EXEC) {
            process->programs++;
            process->counts = process->ours;
            if (process->role == INIT) { /* the container's own program is none of our business */
                ptrace(PTRACE_DETACH, process->pid, 0, 0);
                process->pid = 0;
                return;
            }
        }
        signal = 0;
    }
    go_on(process->pid, signal);
}

/* Until the command has ended; returns its exit code. */
static int trace(pid_t command)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
        struct process *process = find(pid);
        if (WIFSTOPPED(status))
            stopped(process ? process : add(pid, next_role < ROLES ? next_role++ : OTHER), status);
        else if (pid == command)
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        else if (process)
            process->pid = 0;
    }
    err(125, "waitpid");
}

static void seize(pid_t pid)
{
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SEIZE, pid, 0, options) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
        err(125, "ptrace %d", pid);
}

static void become(uid_t uid)
{
    if (uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
        err(125, "setresuid");
}

static pid_t start(char **arguments, uid_t uid)
{
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) < 0)
        err(125, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        err(125, "fork");
    if (pid == 0) {
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 0) /* end of file: we are being traced */
            _exit(125);
        become(uid);
        execvp(arguments[0], arguments);
        err(125, "%s", arguments[0]);
    }
    add(pid, COMMAND);
    seize(pid);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

int main(int argc, char **argv)
{
    uid_t uid = 0;
    pid_t init = 0;
    for (int option; (option = getopt(argc, argv, "+o:s:u:p:k:n:t")) != -1;)
        switch (option) {
        case 'o': report_path = optarg; break;
        case 's': prefix = optarg; break;
        case 'u': uid = (uid_t)atoi(optarg); break;
        case 'p': init = atoi(optarg); break;
        case 'k': target = atoi(optarg); break;
        case 'n': number = strtoul(optarg, NULL, 10); break;
        case 't': everybody = true; break;
        default: return 125;
        }
    FILE *report = report_path ? fopen(report_path, "we") : NULL;
    if (!report || !argv[optind])
        errx(125, "usage: killer -o REPORT -s PREFIX [-u UID] [-p PID] [-k ROLE -n N [-t]] -- COMMAND...");
    if (init) {
        add(init, INIT)->foreign = true;
        seize(init);
    }
    int code = trace(start(argv + optind, uid));
    fprintf(report, "%lu %lu %lu %ld\n", counts[COMMAND], counts[FIRST], counts[INIT], killed_at);
    return fclose(report) == 0 ? code : 125;
}
