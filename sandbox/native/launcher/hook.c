/* hook.c: hooks that init runs itself, in the container's namespaces. Before the pivot their files are the host's. */
#include "launcher.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* What the parent knows of a running hook. */
struct running {
    int pid;
    int handle;            /* its pidfd */
    int output;            /* what it writes, both streams */
    size_t length;         /* of the first MAX_TEXT bytes of that */
    char text[MAX_TEXT];
};

static int write_all(int fd, const char *bytes, size_t length) {
    while (length) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0)
            return -errno;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

/* The state of the container as a file to be read: a pipe could fill up before the hook reads it. */
static int state_file(const struct text *head, const struct text *tail) {
    char pid[24];
    int fd = answer(memfd_create("state", MFD_CLOEXEC));
    if (fd < 0)
        return fd;
    write_decimal(pid, getpid());
    int error = write_all(fd, head->bytes, head->length);
    if (!error)
        error = write_all(fd, pid, strlen(pid));
    if (!error)
        error = write_all(fd, tail->bytes, tail->length);
    if (!error && lseek(fd, 0, SEEK_SET) < 0)
        error = -errno;
    if (error)
        close(fd);
    return error ? error : fd;
}

int op_hook_output(const struct operation *operation) {
    launcher.hook_output[0] = slot_fd(operation->numbers[HOOK_OUTPUT_STDOUT]);
    launcher.hook_output[1] = slot_fd(operation->numbers[HOOK_OUTPUT_STDERR]);
    return 0;
}

/* In the child. Everything that is open besides is CLOEXEC. */
static void become_hook(const struct operation *operation, int state, int output, int trouble) {
    char **arguments = plan_list(&launcher.plan, &operation->texts[HOOK_ARGS], 0);
    char **environment = tolerates(operation, KEEP_ENV) ? process_environment()
                                                        : plan_list(&launcher.plan, &operation->texts[HOOK_ENV], 1);
    int error = dup3(state, 0, 0) < 0 ? errno : 0;
    for (int stream = 1; stream <= 2 && !error; stream++) {
        int file = launcher.hook_output[stream - 1];
        if (dup3(file < 0 ? output : file, stream, 0) < 0)
            error = errno;
    }
    if (!error) {
        become_process();
        execve(operation->texts[HOOK_PATH].bytes, arguments, environment);
        error = errno;
    }
    write_all(trouble, (char *)&error, sizeof error);
    _exit(127);
}

/* Starts the hook; returns 0 once its program runs. */
static int start(const struct operation *operation, int state, struct running *ret) {
    int output[2], trouble[2], handle, error = 0;
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK))
        return -errno;
    if (pipe2(trouble, O_CLOEXEC)) {
        error = -errno;
        close(output[0]);
        close(output[1]);
        return error;
    }
    fcntl(output[1], F_SETFL, 0); /* only our end must not wait */
    /* Not clone3: filters refuse it, because they cannot see its flags, and the container's is loaded before startContainer
     * hooks. The old call puts the pidfd where the pid would go. */
    int pid = answer(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &handle, NULL, NULL));
    if (pid == 0)
        become_hook(operation, state, output[1], trouble[1]);
    close(output[1]);
    close(trouble[1]);
    if (pid > 0 && read(trouble[0], &error, sizeof error) == (ssize_t)sizeof error) {
        waitpid(pid, NULL, 0);
        close(handle);
        pid = -error;
    }
    close(trouble[0]);
    if (pid < 0) {
        close(output[0]);
        return because(pid, DETAIL_HOOK_START, "");
    }
    ret->pid = pid;
    ret->handle = handle;
    ret->output = output[0];
    ret->length = 0;
    return 0;
}

/* Takes what the hook has written so far; false when nobody can write any more. */
static bool take_output(struct running *hook) {
    char more[512];
    for (;;) {
        ssize_t got = read(hook->output, more, sizeof more);
        if (got <= 0)
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        size_t part = (size_t)got < sizeof hook->text - hook->length ? (size_t)got : sizeof hook->text - hook->length;
        memcpy(hook->text + hook->length, more, part);
        hook->length += part;
    }
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Waits for the hook's end; false when its time is over before. TIMEOUT in milliseconds, 0: none. */
static bool wait_for_end(struct running *hook, uint64_t timeout) {
    int64_t deadline = now_ms() + (int64_t)(timeout < INT32_MAX ? timeout : INT32_MAX);
    struct pollfd polled[2] = {{.fd = hook->handle, .events = POLLIN}, {.fd = hook->output, .events = POLLIN}};
    for (;;) {
        int64_t left = timeout ? deadline - now_ms() : -1;
        if (timeout && left <= 0)
            return false;
        int ready = poll(polled, 2, (int)left);
        if (ready < 0 && errno != EINTR)
            return true;
        if (ready > 0 && polled[1].revents && !take_output(hook))
            polled[1].fd = -1;
        if (ready > 0 && polled[0].revents)
            return true;
    }
}

static int judge(struct running *hook, bool in_time, uint64_t timeout) {
    int status = 0;
    if (!in_time)
        kill(hook->pid, SIGKILL);
    while (waitpid(hook->pid, &status, 0) < 0 && errno == EINTR)
        ;
    take_output(hook); /* what is left; a background process of the hook's may hold the pipe, we do not wait for it */
    if (!in_time)
        return because_number(-REFUSED, DETAIL_HOOK_TIMEOUT, (uint32_t)timeout, hook->text, hook->length);
    if (WIFSIGNALED(status))
        return because_number(-REFUSED, DETAIL_HOOK_KILLED, (uint32_t)WTERMSIG(status), hook->text, hook->length);
    if (WEXITSTATUS(status) != 0)
        return because_number(-REFUSED, DETAIL_HOOK_EXITED, (uint32_t)WEXITSTATUS(status), hook->text, hook->length);
    return 0;
}

int op_hook(const struct operation *operation) {
    static struct running hook;
    uint64_t timeout = operation->numbers[HOOK_TIMEOUT_MS];
    int state = state_file(&operation->texts[HOOK_STATE_HEAD], &operation->texts[HOOK_STATE_TAIL]);
    if (state < 0)
        return state;
    int error = start(operation, state, &hook);
    close(state);
    if (error)
        return error;
    bool in_time = wait_for_end(&hook, timeout);
    error = judge(&hook, in_time, timeout);
    close(hook.handle);
    close(hook.output);
    return error;
}
