/* run.c: carries out a plan that has been checked, one operation after the other, and judges their results.
 *
 *     receive_plan -> run_plan -> carry_out(operation) -> op_NAME
 *                              -> tolerated(result)?   -> next
 *                              -> send_failure         -> exit
 */
#include "launcher.h"

#include <string.h>

/* Why the operation at hand fails; sent with its errno. */
static struct {
    uint32_t detail, number;
    size_t length;
    char text[MAX_TEXT];
} reason;

int because_number(int error, enum detail detail, uint32_t number, const char *text, size_t length) {
    reason.detail = detail;
    reason.number = number;
    reason.length = length < sizeof reason.text ? length : sizeof reason.text;
    memcpy(reason.text, text, reason.length);
    return error;
}

int because(int error, enum detail detail, const char *text) {
    return because_number(error, detail, 0, text, strlen(text));
}

int refused(enum detail detail, const char *text) { return because(-REFUSED, detail, text); }

void send_failure(uint32_t index, int error) {
    struct message message = {
        .type = MESSAGE_FAIL,
        .index = index,
        .a = error == -REFUSED ? 0 : -error,
        .b = (int64_t)((uint64_t)reason.number << 32 | reason.detail),
    };
    send_message(&message, reason.text, reason.length, -1);
}

static int carry_out(const struct operation *operation) {
    switch ((enum operation_code)operation->code) {
    case OPERATION_UNDUMPABLE: return op_undumpable(operation);
    case OPERATION_DUMPABLE: return op_dumpable(operation);
    case OPERATION_RAISE_RLIMIT: return op_raise_rlimit(operation);
    case OPERATION_ATTACH_DEVICES: return op_attach_devices(operation);
    case OPERATION_JOIN: return op_join(operation);
    case OPERATION_JOIN_LATE: return op_join_late(operation);
    case OPERATION_OPENER: return op_opener(operation);
    case OPERATION_SPAWN: return op_spawn(operation);
    case OPERATION_SYNC: return op_sync(operation);
    case OPERATION_CPU_AFFINITY: return op_cpu_affinity(operation);
    case OPERATION_TIME_NAMESPACE: return op_time_namespace(operation);
    case OPERATION_BECOME_ROOT: return op_become_root(operation);
    case OPERATION_NEW_SESSION: return op_new_session(operation);
    case OPERATION_UNSHARE_CGROUP: return op_unshare_cgroup(operation);
    case OPERATION_SECURITY_ATTRIBUTE: return op_security_attribute(operation);
    case OPERATION_SESSION_KEYRING: return op_session_keyring(operation);
    case OPERATION_LOOPBACK_UP: return op_loopback_up(operation);
    case OPERATION_HOSTNAME: return op_hostname(operation);
    case OPERATION_DOMAINNAME: return op_domainname(operation);
    case OPERATION_HOOK_OUTPUT: return op_hook_output(operation);
    case OPERATION_OPEN_NULL: return op_open_null(operation);
    case OPERATION_PROPAGATE_ROOT: return op_propagate_root(operation);
    case OPERATION_OPEN_ROOT: return op_open_root(operation);
    case OPERATION_STACK_ROOT: return op_stack_root(operation);
    case OPERATION_MOUNT: return op_mount(operation);
    case OPERATION_MOUNT_LEGACY: return op_mount_legacy(operation);
    case OPERATION_BIND: return op_bind(operation);
    case OPERATION_REMOUNT: return op_remount(operation);
    case OPERATION_SET_ATTR: return op_set_attr(operation);
    case OPERATION_MKDIR: return op_mkdir(operation);
    case OPERATION_MKNOD: return op_mknod(operation);
    case OPERATION_BIND_DEVICE: return op_bind_device(operation);
    case OPERATION_SYMLINK: return op_symlink(operation);
    case OPERATION_HOOK: return op_hook(operation);
    case OPERATION_PIVOT_ROOT: return op_pivot_root(operation);
    case OPERATION_MOVE_ROOT: return op_move_root(operation);
    case OPERATION_CHROOT: return op_chroot(operation);
    case OPERATION_OPEN_CONSOLE: return op_open_console(operation);
    case OPERATION_USE_CONSOLE: return op_use_console(operation);
    case OPERATION_FRESH_NULL: return op_fresh_null(operation);
    case OPERATION_SYSCTL: return op_sysctl(operation);
    case OPERATION_EMPTY_FOLDER: return op_empty_folder(operation);
    case OPERATION_MASK: return op_mask(operation);
    case OPERATION_READONLY: return op_readonly(operation);
    case OPERATION_ROOT_ATTR: return op_root_attr(operation);
    case OPERATION_OOM_SCORE_ADJ: return op_oom_score_adj(operation);
    case OPERATION_RLIMIT: return op_rlimit(operation);
    case OPERATION_UMASK: return op_umask(operation);
    case OPERATION_CHOWN_STDIO: return op_chown_stdio(operation);
    case OPERATION_CHDIR: return op_chdir(operation);
    case OPERATION_SCHEDULER: return op_scheduler(operation);
    case OPERATION_IO_PRIORITY: return op_io_priority(operation);
    case OPERATION_PERSONALITY: return op_personality(operation);
    case OPERATION_MEMORY_POLICY: return op_memory_policy(operation);
    case OPERATION_BOUNDING: return op_bounding(operation);
    case OPERATION_USER: return op_user(operation);
    case OPERATION_CAPABILITIES: return op_capabilities(operation);
    case OPERATION_AMBIENT: return op_ambient(operation);
    case OPERATION_NO_NEW_PRIVILEGES: return op_no_new_privileges(operation);
    case OPERATION_HOME: return op_home(operation);
    case OPERATION_FIND_PROGRAM: return op_find_program(operation);
    case OPERATION_WAIT_START: return op_wait_start(operation);
    case OPERATION_SECCOMP: return op_seccomp(operation);
    case OPERATION_KEEP_FDS: return op_keep_fds(operation);
    case OPERATION_PLACE_FD: return op_place_fd(operation);
    case OPERATION_EXEC: return op_exec(operation);
    case OPERATION_OPEN_FOLDER: return op_open_folder(operation);
    case OPERATION_COPY_UP: return op_copy_up(operation);
    case OPERATION_LABEL_MOUNT: return op_label_mount(operation);
    case OPERATION_DISMISS_OPENER: return op_dismiss_opener(operation);
    case OPERATION_REBIND_ROOT: return op_rebind_root(operation);
    }
    return refused(DETAIL_MALFORMED_PLAN, "");
}

/* What the plan lets pass. The meaning of tolerances that are no verdict on a result stands with their operations. */
static bool tolerated(const struct operation *operation, int error) {
    if (tolerates(operation, MISSING_OK) && (error == -ENOENT || error == -ENOTDIR))
        return true;
    if (tolerates(operation, UNSUPPORTED_OK) && (error == -ENOSYS || error == -EINVAL || error == -EOPNOTSUPP))
        return true;
    return tolerates(operation, DENIED_OK) && (error == -EPERM || error == -EACCES);
}

/* Closes what no operation from OFFSET on reads. init may wait for days, and processes of its container look at it: a handle
 * of the host's cgroup or of a mount must not lie about (CVE-2024-21626). */
static void close_finished(size_t offset) {
    bool read[MAX_SLOTS] = {false};
    plan_reads(&launcher.plan, offset, read);
    for (int slot = 0; slot < MAX_SLOTS; slot++) {
        int fd = launcher.fds[FD_SLOTS + slot];
        if (fd >= 0 && !read[slot] && fd != launcher.hook_output[0] && fd != launcher.hook_output[1])
            close_fd(FD_SLOTS + (enum fd_name)slot);
    }
    close_fd(FD_EMPTY_FOLDER);
}

int run_plan(void) {
    struct operation operation = {0};
    size_t offset = 0;
    for (uint32_t index = 0; index < launcher.plan.operations; index++) {
        size_t here = offset;
        if (!plan_next(&launcher.plan, &offset, &operation))
            return -1;
        operation.index = index;
        if (tolerates(&operation, IF_DENIED) && !launcher.denied[operation.code])
            continue;
        reason.detail = reason.number = 0;
        reason.length = 0;
        if (operation.code == OPERATION_WAIT_START)
            close_finished(here);
        int error = carry_out(&operation);
        launcher.denied[operation.code] = error == -EPERM || error == -EACCES;
        if (error && !tolerated(&operation, error)) {
            send_failure(index, error);
            return error;
        }
    }
    return 0;
}
