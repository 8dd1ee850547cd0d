/* stopper.c: forces races. Runs a command and stops whichever of its descendants comes to a certain system call, so that a
 * test can change the world between a check and its use.
 *
 *     stopper REPORT GO [NAME entry|exit ARGUMENT TEXT]... -- COMMAND [ARGUMENT]...
 *     stopper without NAME -- COMMAND [ARGUMENT]...
 *
 * Rules are met one after the other: NAME is the system call, ARGUMENT the index of the one that has to be TEXT ("" is any).
 * When one is met, "PID" is written to the fd REPORT and a byte awaited from the fd GO. `without`: the call answers ENOSYS.
 * The exit code is the command's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RULES 4
#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

static const struct {
    const char *name;
    long number;
} calls[] = {
    {"openat2", SYS_openat2}, {"openat", SYS_openat},   {"mkdirat", SYS_mkdirat},       {"move_mount", SYS_move_mount},
    {"execve", SYS_execve},   {"mknodat", SYS_mknodat}, {"pivot_root", SYS_pivot_root}, {"ioctl", SYS_ioctl},
};

struct rule {
    long number;
    bool entry;
    int argument;
    const char *text;
};

static struct rule rules[MAX_RULES];
static int rule_count, current, report, go;
static long entered; /* at an exit the kernel does not say of which call, so the rule's own entry is noted by pid */
static int entered_by;

static long number_of(const char *name)
{
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++)
        if (strcmp(calls[index].name, name) == 0)
            return calls[index].number;
    fprintf(stderr, "stopper does not know the system call %s\n", name);
    exit(2);
}

/* The text at an address of the tracee; whole pages may be missing behind its end, so it is read in small parts. */
static void read_text(int pid, uint64_t address, char *ret, size_t size)
{
    size_t length = 0;
    while (length + 16 < size) {
        struct iovec to = {ret + length, 16}, from = {(void *)(uintptr_t)(address + length), 16};
        ssize_t got = process_vm_readv(pid, &to, 1, &from, 1, 0);
        if (got <= 0)
            break;
        if (memchr(ret + length, '\0', (size_t)got))
            return;
        length += (size_t)got;
    }
    ret[length] = '\0';
}

static bool is_met(const struct rule *rule, int pid, const struct __ptrace_syscall_info *info)
{
    char text[4096];
    if ((long)info->entry.nr != rule->number)
        return false;
    if (!*rule->text)
        return true;
    read_text(pid, info->entry.args[rule->argument], text, sizeof text);
    return strcmp(text, rule->text) == 0;
}

static void stop(int pid)
{
    char byte;
    current++;
    dprintf(report, "%d\n", pid);
    if (read(go, &byte, 1) != 1)
        exit(2);
}

static void at_call(int pid)
{
    struct __ptrace_syscall_info info;
    if (current == rule_count || ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        entered = is_met(&rules[current], pid, &info) ? rules[current].number : entered_by == pid ? -1 : entered;
        if (entered < 0 || !is_met(&rules[current], pid, &info))
            return;
        entered_by = pid;
        if (rules[current].entry)
            stop(pid);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && entered_by == pid && entered >= 0 && !rules[current].entry) {
        entered = -1;
        stop(pid);
    }
}

static int trace(int command)
{
    for (;;) {
        int status, signal = 0;
        int pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            return 2;
        if (!WIFSTOPPED(status)) {
            if (pid == command)
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int event = status >> 16;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80))
            at_call(pid);
        else if (event == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP) {
            ptrace(PTRACE_LISTEN, pid, NULL, NULL);
            continue;
        } else if (event == 0)
            signal = WSTOPSIG(status);
        ptrace(current == rule_count ? PTRACE_CONT : PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal);
    }
}

static int run_without(long number, char **command)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0)
        execvp(command[0], command);
    perror("stopper");
    return 2;
}

static int run_stopped(char **command)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC))
        return 2;
    int pid = fork();
    if (pid == 0) {
        char byte;
        fcntl(report, F_SETFD, FD_CLOEXEC);
        fcntl(go, F_SETFD, FD_CLOEXEC);
        if (read(ready[0], &byte, 1) == 1)
            execvp(command[0], command);
        _exit(127);
    }
    if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(intptr_t)OPTIONS) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
        write(ready[1], "", 1) != 1) {
        perror("stopper");
        return 2;
    }
    return trace(pid);
}

int main(int argc, char **argv)
{
    int at = 3;
    if (argc > 4 && strcmp(argv[1], "without") == 0)
        return run_without(number_of(argv[2]), argv + 4);
    if (argc < 5)
        return 2;
    report = atoi(argv[1]);
    go = atoi(argv[2]);
    for (; at + 4 < argc && strcmp(argv[at], "--") != 0 && rule_count < MAX_RULES; at += 4)
        rules[rule_count++] = (struct rule){number_of(argv[at]), strcmp(argv[at + 1], "entry") == 0, atoi(argv[at + 2]),
                                            argv[at + 3]};
    return strcmp(argv[at], "--") == 0 ? run_stopped(argv + at + 1) : 2;
}
