/* kernel.h: system calls that C libraries lack or differ in, and the kernel's numbers for them. Every wrapper returns what
 * the kernel did, or -errno. Numbers are the kernel's own names from include/uapi; <linux/mount.h> and <sys/mount.h> are
 * not used, because each lacks some on the systems that we build on and they cannot be included together. */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#define SYS_fspick 433
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

#define MS_REMOUNT 0x20
#define MS_MOVE 0x2000
#define MS_REC 0x4000
#define MS_PRIVATE 0x40000
#define MS_SLAVE 0x80000

#define MOUNT_ATTR_RDONLY 0x1
#define MOUNT_ATTR_NOSUID 0x2
#define MOUNT_ATTR_NODEV 0x4
#define MOUNT_ATTR_NOEXEC 0x8
#define MOUNT_ATTR__ATIME 0x70
#define MOUNT_ATTR_NOSYMFOLLOW 0x200000
#define MOUNT_ATTR_IDMAP 0x100000

#define OPEN_TREE_CLONE 1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#define MOVE_MOUNT_F_EMPTY_PATH 0x4
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#define FSPICK_CLOEXEC 1
#define FSPICK_EMPTY_PATH 8
#define FSCONFIG_SET_FLAG 0
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_CMD_CREATE 6
#define FSCONFIG_CMD_RECONFIGURE 7
#define MNT_DETACH 2

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EACCESS
#define AT_EACCESS 0x200
#endif
#define STATX_BASIC 0x7ff
#define STATX_MOUNT_ID 0x1000
#define STATX_ATTRIBUTE_MOUNT_ROOT 0x2000

#define RESOLVE_NO_XDEV 0x01
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08

#define CLOSE_RANGE_CLOEXEC_FLAG 4
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x2000000
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#define CLONE_INTO_CGROUP_FLAG 0x200000000ULL

#define PROC_MAGIC 0x9fa0
#define DEVPTS_MAGIC 0x1cd1
#define PROC_ROOT_INODE 1

struct clone_arguments { /* struct clone_args */
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

struct mount_attributes { /* struct mount_attr */
    uint64_t set, clear, propagation, user_namespace;
};

struct resolution { /* struct open_how, for openat2 */
    uint64_t flags, mode, resolve;
};

struct status { /* struct statx */
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, unused;
    uint64_t inode, size, blocks, attributes_mask, times[8];
    uint32_t device_major, device_minor, file_system_major, file_system_minor;
    uint64_t mount, spare[13];
};
_Static_assert(sizeof(struct status) == 256 && offsetof(struct status, mount) == 144, "struct statx of the kernel");

/* The kernel's answer, or -errno. */
static inline int answer(long value) { return value < 0 ? -errno : (int)value; }

static inline int sys_open_tree(int folder, const char *path, unsigned flags) {
    return answer(syscall(SYS_open_tree, folder, path, flags | OPEN_TREE_CLOEXEC));
}

/* Attaches what FROM refers to at what TO refers to; both are handles, no path is looked up. */
static inline int sys_move_mount(int from, int to) {
    return answer(syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

static inline int sys_fsopen(const char *type) { return answer(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC)); }

static inline int sys_fspick(int mount) {
    return answer(syscall(SYS_fspick, mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH));
}

static inline int sys_fsconfig(int context, unsigned command, const char *key, const char *value) {
    return answer(syscall(SYS_fsconfig, context, command, key, value, 0));
}

static inline int sys_fsmount(int context, unsigned attributes) {
    return answer(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes));
}

/* FLAGS: AT_RECURSIVE or 0. The mount is the one whose root MOUNT refers to. */
static inline int sys_mount_setattr(int mount, unsigned flags, const struct mount_attributes *attributes) {
    return answer(syscall(SYS_mount_setattr, mount, "", flags | AT_EMPTY_PATH, attributes, sizeof *attributes));
}

static inline int sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
    return answer(syscall(SYS_mount, source, target, type, flags, data));
}

static inline int sys_umount(const char *target, int flags) { return answer(syscall(SYS_umount2, target, flags)); }

static inline int sys_statx(int handle, struct status *ret) {
    return answer(syscall(SYS_statx, handle, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC | STATX_MOUNT_ID, ret));
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags) {
    return answer(syscall(SYS_close_range, first, last, flags));
}

static inline int sys_faccess(int folder, const char *path, int mode) {
    return answer(syscall(SYS_faccessat2, folder, path, mode, AT_EACCESS));
}

/* Like fork: returns 0 in the child. */
static inline int sys_clone3(struct clone_arguments *arguments) {
    return answer(syscall(SYS_clone3, arguments, sizeof *arguments));
}

#define SA_RESTORER_FLAG 0x04000000

/* HOW: SIG_DFL, SIG_IGN or a handler that does not return: the kernel wants a place to return to, and never uses it. */
static inline int sys_signal(int number, void (*how)(int)) {
    struct {
        void (*handler)(int);
        unsigned long flags, restorer, mask;
    } action = {.handler = how, .flags = SA_RESTORER_FLAG, .restorer = (unsigned long)how};
    return answer(syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask));
}
