/* namespaces.c: joining, making and furnishing namespaces. The launcher joins and spawns; init does the rest. */
#include "launcher.h"

#include <linux/keyctl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define KEY_USER_SEARCH 0x080000 /* KEY_USR_SEARCH of the kernel */

int op_undumpable(const struct operation *operation) {
    (void)operation;
    return answer(prctl(PR_SET_DUMPABLE, 0));
}

int op_dumpable(const struct operation *operation) {
    (void)operation;
    return answer(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

int op_join(const struct operation *operation) {
    uint64_t slot = operation->numbers[JOIN_NAMESPACE];
    int fd = slot_fd(slot);
    if (fd < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    int error = answer(setns(fd, (int)operation->numbers[JOIN_FLAGS]));
    if (error == -EPERM && tolerates(operation, LATER_OK)) {
        launcher.put_off[slot] = true;
        return 0;
    }
    return error;
}

int op_join_late(const struct operation *operation) {
    uint64_t slot = operation->numbers[JOIN_LATE_NAMESPACE];
    if (slot == UINT64_MAX || !launcher.put_off[slot])
        return 0;
    return answer(setns(slot_fd(slot), (int)operation->numbers[JOIN_LATE_FLAGS]));
}

/* Offsets are fixed as soon as a process is in the namespace. unshare(2) only puts later children there, so it is entered
 * once they are written. */
int op_time_namespace(const struct operation *operation) {
    const struct text *offsets = &operation->texts[TIME_NAMESPACE_OFFSETS];
    int error = answer(unshare(CLONE_NEWTIME));
    if (!error && offsets->length > 1)
        error = write_proc("self/timens_offsets", true, offsets->bytes, offsets->length - 1);
    int folder = error ? error : open_proc("self/ns", O_PATH | O_DIRECTORY, true);
    if (folder < 0)
        return folder;
    int namespace = answer(openat(folder, "time_for_children", O_RDONLY | O_CLOEXEC));
    close(folder);
    if (namespace < 0)
        return namespace;
    error = answer(setns(namespace, CLONE_NEWTIME));
    close(namespace);
    return error;
}

/* Waits until the launcher has said SPAWNED: the host has to hear it before it hears anything from init. */
static void wait_for_launcher(int said) {
    char byte;
    ssize_t length;
    do
        length = read(said, &byte, 1);
    while (length < 0 && errno == EINTR);
    if (length != 1)
        _exit(1);
    close(said);
}

int op_spawn(const struct operation *operation) {
    int said[2];
    /* What was made while there was no plan yet is inherited; but a user namespace owns what is made with it. */
    uint64_t flags = operation->numbers[SPAWN_FLAGS];
    if (!(flags & CLONE_NEWUSER))
        flags &= ~launcher.prepared;
    uint64_t cgroup = operation->numbers[SPAWN_CGROUP];
    /* CLONE_PARENT makes init a child of whoever started the launcher, since only a parent can wait for it; it takes over the
     * launcher's exit signal. */
    int process = -1;
    bool opener = launcher.fds[FD_OPENER] >= 0;
    struct clone_arguments arguments = {
        .flags = flags | CLONE_PARENT | (opener ? CLONE_PIDFD : 0),
        .pidfd = (uint64_t)(uintptr_t)&process,
    };
    if (cgroup != UINT64_MAX) {
        int fd = slot_fd(cgroup);
        if (fd < 0)
            return refused(DETAIL_EMPTY_SLOT, "");
        arguments.flags |= CLONE_INTO_CGROUP_FLAG;
        arguments.cgroup = (uint64_t)fd;
    }
    if (pipe2(said, O_CLOEXEC))
        return -errno;
    int pid = sys_clone3(&arguments);
    if (pid < 0)
        return pid;
    if (pid == 0) {
        close(said[1]);
        wait_for_launcher(said[0]);
        launcher.own_mounts = operation->numbers[SPAWN_FLAGS] & CLONE_NEWNS;
        return 0;
    }
    struct message message = {.type = MESSAGE_SPAWNED, .index = operation->index, .a = pid};
    send_message(&message, NULL, 0, -1);
    if (opener) /* before init can ask it for anything */
        tell_opener(process);
    int told = write(said[1], "", 1) == 1;
    wait_for_opener();
    _exit(!told);
}

int op_become_root(const struct operation *operation) {
    (void)operation;
    open_oom_score_adj();
    int error = answer(syscall(SYS_setresgid, 0, 0, 0));
    return error ? error : answer(syscall(SYS_setresuid, 0, 0, 0));
}

int op_new_session(const struct operation *operation) {
    (void)operation;
    int session = answer(setsid());
    return session < 0 ? session : 0;
}

int op_unshare_cgroup(const struct operation *operation) {
    (void)operation;
    return answer(unshare(CLONE_NEWCGROUP));
}

/* Permissions of KEY from its description, "type;uid;gid;permissions;name" with permissions in base 16. */
static int key_permissions(int key, uint32_t *ret) {
    char text[512];
    long length = syscall(SYS_keyctl, KEYCTL_DESCRIBE, key, text, sizeof text - 1);
    if (length < 0)
        return -errno;
    text[(size_t)length < sizeof text ? (size_t)length : sizeof text - 1] = '\0';
    const char *field = text;
    for (unsigned skipped = 0; skipped < 3; skipped++) {
        field = strchr(field, ';');
        if (!field)
            return -EINVAL;
        field++;
    }
    for (*ret = 0; *field && *field != ';'; field++)
        *ret = *ret << 4 | (uint32_t)(*field <= '9' ? *field - '0' : *field - 'a' + 10);
    return 0;
}

/* A keyring of the container's own, else it would hold the caller's keys. Searchable for its user, so that `exec` can join
 * the ring by name. */
int op_session_keyring(const struct operation *operation) {
    uint32_t permissions;
    int key = answer(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, operation->texts[SESSION_KEYRING_NAME].bytes));
    if (key < 0)
        return key;
    int error = key_permissions(key, &permissions);
    return error ? error : answer(syscall(SYS_keyctl, KEYCTL_SETPERM, key, permissions | KEY_USER_SEARCH));
}

int op_loopback_up(const struct operation *operation) {
    (void)operation;
    struct ifreq request = {.ifr_name = "lo"};
    int any = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* every socket answers for network devices */
    if (any < 0)
        return -errno;
    int error = answer(ioctl(any, SIOCGIFFLAGS, &request));
    if (!error && !(request.ifr_flags & IFF_UP)) {
        request.ifr_flags |= IFF_UP;
        error = answer(ioctl(any, SIOCSIFFLAGS, &request));
    }
    close(any);
    return error;
}

int op_hostname(const struct operation *operation) {
    const struct text *name = &operation->texts[HOSTNAME_NAME];
    return answer(sethostname(name->bytes, name->length - 1));
}

int op_domainname(const struct operation *operation) {
    const struct text *name = &operation->texts[DOMAINNAME_NAME];
    return answer(setdomainname(name->bytes, name->length - 1));
}

int op_sync(const struct operation *operation) {
    uint64_t slot = operation->numbers[SYNC_SEND];
    struct message message = {
        .type = MESSAGE_SYNC,
        .index = operation->index,
        .a = (int64_t)operation->numbers[SYNC_RENDEZVOUS],
        .b = launcher.listener,
    };
    int fd = slot_fd(slot);
    if (slot != UINT64_MAX && fd < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    send_message(&message, NULL, 0, fd);
    if (fd >= 0)
        close_fd(FD_SLOTS + (enum fd_name)slot); /* it is the host's now: a terminal hangs up when its last master closes */
    wait_for_go(operation->index);
    if (launcher.listener >= 0) { /* the host has it: were ours still open, calls would wait for an agent that has died */
        close(launcher.listener);
        launcher.listener = -1;
    }
    return 0;
}
