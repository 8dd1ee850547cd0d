/* messages.c: the control socket. Plain write(2) and read(2) wherever no fd goes along: a seccomp filter of the container's
 * may already be loaded, and its author thinks of those two. */
#include "launcher.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define MAX_PASSED 253 /* the kernel's SCM_MAX_FD */

struct launcher launcher;

/* The other side has gone: nobody is left to tell. */
static void end(void) { _exit(1); }

void fill_slot(uint64_t number, int fd) {
    if (number == UINT64_MAX) {
        if (fd >= 0)
            close(fd);
        return;
    }
    close_fd(FD_SLOTS + (enum fd_name)number);
    launcher.fds[FD_SLOTS + number] = fd;
}

int slot_fd(uint64_t number) { return number == UINT64_MAX ? -1 : launcher.fds[FD_SLOTS + number]; }

void close_fd(enum fd_name name) {
    if (launcher.fds[name] >= 0)
        close(launcher.fds[name]);
    launcher.fds[name] = -1;
}

/* Takes the fds of a message: the plan's memfd, returned, then those of the slots. */
static int take_fds(struct msghdr *header, uint32_t *ret_slots) {
    struct cmsghdr *item = CMSG_FIRSTHDR(header);
    int fd, plan = -1;
    *ret_slots = 0;
    if (!item || item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
        return -1;
    size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof fd;
    for (size_t index = 0; index < count; index++) {
        memcpy(&fd, CMSG_DATA(item) + index * sizeof fd, sizeof fd);
        if (index == 0)
            plan = fd;
        else
            fill_slot(index - 1, fd);
    }
    *ret_slots = (uint32_t)count - 1;
    return plan;
}

/* Maps the plan that MEMFD holds. It must be sealed: what has been checked may not change afterwards. */
static int map_plan(int memfd, size_t length) {
    struct stat found;
    int seals = fcntl(memfd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_WRITE) || !(seals & F_SEAL_SHRINK))
        return refused(DETAIL_UNSEALED_PLAN, "");
    if (fstat(memfd, &found))
        return -errno;
    if (length == 0 || (uint64_t)found.st_size < length)
        return refused(DETAIL_MALFORMED_PLAN, "");
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, memfd, 0);
    if (bytes == MAP_FAILED)
        return because(-errno, DETAIL_MEMORY, "");
    launcher.plan.bytes = bytes;
    launcher.plan.length = length;
    return 0;
}

/* Does not answer: what cannot be done here, the plan's operations try again and report. */
static void prepare(int64_t namespaces, const char *program, size_t length) {
    if (!(namespaces & ~(int64_t)(CLONE_NEWNET | CLONE_NEWIPC)) && unshare((int)namespaces) == 0)
        launcher.prepared |= namespaces;
    if (length)
        prepare_devices(program, length);
}

int receive_plan(void) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MAX_PASSED * sizeof(int))];
    } control;
    struct message message;
    char program[MAX_PREPARED];
    struct iovec parts[] = {{&message, sizeof message}, {program, sizeof program}};
    struct msghdr header = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    uint32_t slots, index = 0;
    ssize_t length;
    for (;;) {
        length = recvmsg(launcher.fds[FD_CONTROL], &header, MSG_CMSG_CLOEXEC);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < (ssize_t)sizeof message || message.type != MESSAGE_PREPARE)
            break;
        prepare(message.a, program, (size_t)length - sizeof message);
        header.msg_controllen = sizeof control.bytes;
    }
    if (length != (ssize_t)sizeof message || message.type != MESSAGE_PLAN)
        end();
    int memfd = take_fds(&header, &slots);
    int error = message.index != slots || message.a < 0 || header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)
                    ? refused(DETAIL_MALFORMED_PLAN, "")
                    : map_plan(memfd, (size_t)message.a);
    if (memfd >= 0)
        close(memfd);
    if (!error) {
        error = plan_check(&launcher.plan, slots, &index);
        if (error)
            because(error, error == -REFUSED ? DETAIL_MALFORMED_PLAN : DETAIL_MEMORY, "");
    }
    if (error)
        send_failure(index, error);
    return error;
}

void send_message(const struct message *message, const char *text, size_t length, int fd) {
    static char packet[sizeof *message + MAX_TEXT]; /* in one piece: the filter may let anything but write(2) wait for its agent */
    length = length < MAX_TEXT ? length : MAX_TEXT;
    struct iovec part = {packet, sizeof *message + length};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;
    memcpy(packet, message, sizeof *message);
    if (length)
        memcpy(packet + sizeof *message, text, length);
    if (fd >= 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof control.bytes;
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(item), &fd, sizeof fd);
    }
    do
        if (fd >= 0)
            sent = sendmsg(launcher.fds[FD_CONTROL], &header, MSG_NOSIGNAL);
        else
            sent = write(launcher.fds[FD_CONTROL], packet, part.iov_len);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        end();
}

void wait_for_go(uint32_t index) {
    struct message message;
    ssize_t length;
    do
        length = read(launcher.fds[FD_CONTROL], &message, sizeof message);
    while (length < 0 && errno == EINTR);
    if (length != (ssize_t)sizeof message || message.type != MESSAGE_GO || message.index != index)
        end();
}

int accept_starter(int listener) {
    /* Whoever was listened to until now must not keep the container: the host may be gone, and that is no error any more. */
    close_fd(FD_CONTROL);
    for (;;) {
        struct message message;
        ssize_t length;
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (peer < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (peer < 0)
            return -errno;
        do
            length = read(peer, &message, sizeof message);
        while (length < 0 && errno == EINTR);
        /* Only one may connect, and it may have unlinked the socket before it was killed: nobody else would come. */
        if (length != (ssize_t)sizeof message || message.type != MESSAGE_GO)
            end();
        launcher.fds[FD_CONTROL] = peer;
        return 0;
    }
}
