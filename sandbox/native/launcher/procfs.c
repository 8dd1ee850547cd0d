/* procfs.c: writes to procfs, through a procfs that is ours alone.
 *
 * /proc of a container may be anything: a mount race or a shared tree can put a fake in its place and turn a write of ours into
 * one that does nothing, or hits another file (CVE-2019-19921, CVE-2025-52881). So a detached procfs is made while the host's
 * is still in view (the kernel gives a user namespace only what it can see anyway), and every file is checked to be on it.
 */
#include "launcher.h"

#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

void write_decimal(char *ret, int64_t value) {
    char digits[24];
    unsigned count = 0;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        digits[count++] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *ret++ = '-';
    while (count)
        *ret++ = digits[--count];
    *ret = '\0';
}

static bool is_on_procfs(int fd) {
    struct statfs file_system;
    return !fstatfs(fd, &file_system) && file_system.f_type == PROC_MAGIC;
}

bool is_procfs_root(int fd) {
    struct stat found;
    return is_on_procfs(fd) && !fstat(fd, &found) && found.st_ino == PROC_ROOT_INODE;
}

int proc_fd(void) {
    int fd = launcher.fds[FD_PROC];
    if (fd >= 0)
        return fd;
    fd = new_file_system("proc", "proc", "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (fd < 0) /* a user namespace whose own procfs is partly covered: the one in view, without what is mounted on it */
        fd = clone_tree(AT_FDCWD, "/proc", false);
    if (fd < 0) /* what covers it is locked: as it is; open_proc does not cross mounts */
        fd = answer(open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0)
        return because(fd, DETAIL_NOT_PROCFS, "");
    if (!is_procfs_root(fd)) {
        close(fd);
        return refused(DETAIL_NOT_PROCFS, "");
    }
    return launcher.fds[FD_PROC] = fd;
}

int open_proc(const char *path, int flags, bool links) {
    struct resolution how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | (links ? 0 : RESOLVE_NO_SYMLINKS),
    };
    int proc = proc_fd();
    if (proc < 0)
        return proc;
    int fd = answer(syscall(SYS_openat2, proc, path, &how, sizeof how));
    if (fd >= 0 && !is_on_procfs(fd)) {
        close(fd);
        return refused(DETAIL_NOT_PROCFS, path);
    }
    return fd;
}

static int write_once(int fd, const char *value, size_t length) {
    ssize_t written = write(fd, value, length);
    int error = written < 0 ? -errno : (size_t)written < length ? -EIO : 0;
    close(fd);
    return error;
}

int write_proc(const char *path, bool links, const char *value, size_t length) {
    int fd = open_proc(path, O_WRONLY, links);
    return fd < 0 ? fd : write_once(fd, value, length);
}

int op_sysctl(const struct operation *operation) {
    char path[PATH_MAX] = "sys/";
    const struct text *key = &operation->texts[SYSCTL_KEY];
    if (key->length > sizeof path - strlen(path))
        return -ENAMETOOLONG;
    memcpy(path + strlen(path), key->bytes, key->length);
    const struct text *value = &operation->texts[SYSCTL_VALUE];
    return write_proc(path, false, value->bytes, value->length - 1);
}

/* What AppArmor and SELinux shall do at the next exec, or with the next key. Everyone may write these files, of himself. */
int op_security_attribute(const struct operation *operation) {
    const struct text *value = &operation->texts[SECURITY_ATTRIBUTE_VALUE];
    char **files = plan_list(&launcher.plan, &operation->texts[SECURITY_ATTRIBUTE_FILES], 0);
    int error = -ENOENT;
    for (; *files && error == -ENOENT; files++) {
        char path[64] = "self/attr/";
        if (strlen(*files) >= sizeof path - strlen(path))
            return -ENAMETOOLONG;
        strcpy(path + strlen(path), *files);
        int fd = open_proc(path, O_WRONLY, true);
        /* ENOENT of the write is AppArmor's, which lacks the profile: no reason to try the other file. */
        if (fd >= 0)
            return write_once(fd, value->bytes, value->length - 1);
        error = fd;
    }
    return error;
}

/* A change of ids makes a process undumpable, and its files below /proc the host's root's. So this one is opened while the ids
 * are still the host's; becoming dumpable instead would show us to every process in a namespace that we join. */
void open_oom_score_adj(void) {
    int fd = launcher.plan.sets_oom_score_adj ? open_proc("self/oom_score_adj", O_WRONLY, true) : -1;
    launcher.fds[FD_OOM_SCORE_ADJ] = fd < 0 ? -1 : fd; /* the operation itself will meet the same error, and tell it */
}

int op_oom_score_adj(const struct operation *operation) {
    char value[24];
    int fd = launcher.fds[FD_OOM_SCORE_ADJ];
    launcher.fds[FD_OOM_SCORE_ADJ] = -1;
    write_decimal(value, (int64_t)operation->numbers[OOM_SCORE_ADJ_VALUE]);
    if (fd < 0)
        fd = open_proc("self/oom_score_adj", O_WRONLY, true);
    return fd < 0 ? fd : write_once(fd, value, strlen(value));
}
