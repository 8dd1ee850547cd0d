/* opener.c: opens the sources of binds for an init that is root of a user namespace only.
 *
 * The opener is the launcher's child from before it joins anything, so it has the launcher's user and rights: it reaches what
 * the container's root may not, and may map the ids of file systems that are the host's. It works in init's mount namespace:
 * there it sees what init has mounted already, and the flags that the kernel has locked on the host's mounts stay locked. It
 * trusts init with nothing but the number of an operation; what that binds stands in its own copy of the plan.
 *
 *     launcher                opener                  init
 *       clone3 --------------> exists
 *       joins, spawn ------------------------------->  exists
 *       GO + pidfd of init --> joins its mounts
 *       waits for its end     <--------------- OPEN -  bind
 *                              ------- OPENED + tree->
 *                              or FAIL
 *                              ends <--------- close -  dismiss_opener
 *       ends
 */
#include "launcher.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

struct answer {
    struct message message;
    char text[MAX_TEXT];
};

/* Receives into RET; returns the length, 0 when the other side has gone. *RET_FD is the fd that came along, or -1. */
static size_t receive(int from, struct answer *ret, int *ret_fd) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {ret, sizeof *ret};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t length;
    do
        length = recvmsg(from, &header, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    *ret_fd = -1;
    if (length < (ssize_t)sizeof ret->message)
        return 0;
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);
    if (item && item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(item), sizeof *ret_fd);
    return (size_t)length;
}

static bool find_operation(uint32_t index, struct operation *ret) {
    size_t offset = 0;
    for (uint32_t at = 0; at <= index; at++)
        if (!plan_next(&launcher.plan, &offset, ret))
            return false;
    ret->index = index;
    return ret->code == OPERATION_BIND;
}

/* The opener's life. Whom it answers is init, as the host is answered elsewhere. */
static _Noreturn void serve(void) {
    struct answer request;
    struct operation operation = {0};
    int process;
    if (!receive(launcher.fds[FD_CONTROL], &request, &process) || process < 0)
        _exit(1); /* there will be no init */
    int error = answer(setns(process, CLONE_NEWNS));
    close(process);
    while (receive(launcher.fds[FD_CONTROL], &request, &process)) {
        const struct message opened = {.type = MESSAGE_OPENED, .index = request.message.index};
        bool found = find_operation(request.message.index, &operation);
        int tree = error ? error : found ? open_source(&operation) : refused(DETAIL_MALFORMED_PLAN, "");
        if (tree < 0) {
            send_failure(opened.index, tree);
            continue;
        }
        send_message(&opened, NULL, 0, tree);
        close(tree);
    }
    _exit(0);
}

int op_opener(const struct operation *operation) {
    (void)operation;
    int pair[2];
    struct clone_arguments arguments = {.exit_signal = SIGCHLD};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -errno;
    int pid = sys_clone3(&arguments);
    if (pid == 0) {
        close(pair[0]);
        close_fd(FD_CONTROL); /* the host waits for the end of its last holder */
        launcher.fds[FD_CONTROL] = pair[1];
        serve();
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return pid;
    }
    launcher.fds[FD_OPENER] = pair[0];
    launcher.opener = pid;
    return 0;
}

void tell_opener(int process) {
    int control = launcher.fds[FD_CONTROL];
    const struct message go = {.type = MESSAGE_GO};
    launcher.fds[FD_CONTROL] = launcher.fds[FD_OPENER];
    send_message(&go, NULL, 0, process);
    launcher.fds[FD_CONTROL] = control;
}

void wait_for_opener(void) {
    close_fd(FD_OPENER);
    close_fd(FD_CONTROL);
    if (launcher.opener)
        while (waitpid(launcher.opener, NULL, 0) < 0 && errno == EINTR)
            continue;
}

int ask_opener(uint32_t index) {
    static struct answer answer;
    const struct message request = {.type = MESSAGE_OPEN, .index = index};
    int opener = launcher.fds[FD_OPENER], tree;
    if (write(opener, &request, sizeof request) != (ssize_t)sizeof request)
        return -errno;
    size_t length = receive(opener, &answer, &tree);
    if (!length)
        return -EPIPE;
    if (answer.message.type == MESSAGE_OPENED && tree >= 0)
        return tree;
    return because_number(answer.message.a ? (int)-answer.message.a : -REFUSED, (enum detail)(answer.message.b & 0xffffffff),
                          (uint32_t)(answer.message.b >> 32), answer.text, length - sizeof answer.message);
}

int op_dismiss_opener(const struct operation *operation) {
    (void)operation;
    close_fd(FD_OPENER);
    return 0;
}
