/* launcher.h: what the files of the launcher share.
 *
 * The launcher carries out one plan and holds no policy: what is done, to what and in which order stands in the plan. It has
 * no threads, no locale and no heap, and looks up no names of users. It trusts the host, who made the plan; it trusts nothing
 * below the container's root, where every path becomes a handle (path.h) before anything is done to it.
 *
 * Each operation is one function op_NAME that returns 0, or -errno, or refused(). What the operation tolerates is judged in
 * one place, run.c, by that result.
 */
#pragma once
#include "kernel.h"

#include <stdbool.h>
#include <sys/types.h>

#include "../operations.h"
#include "../path.h"
#include "../protocol.h"
#include "plan.h"

/* How often something is done again that somebody else keeps exchanging meanwhile. */
enum { MAX_RACES = 200 };

/* Every fd that the launcher owns, in one table, so that all can be moved out of the way of the process's fds. */
enum fd_name {
    FD_CONTROL, FD_ROOT, FD_PROC, FD_CONSOLE, FD_EMPTY_FOLDER, FD_OOM_SCORE_ADJ, FD_OPENER, FD_DEVICES,
    FD_SLOTS, FD_COUNT = FD_SLOTS + MAX_SLOTS
};

struct launcher {
    struct plan plan;
    int fds[FD_COUNT];
    bool own_mounts;         /* init was spawned with a mount namespace of its own */
    uint64_t prepared;       /* CLONE_NEW* flags of namespaces that were made before the plan came, for `spawn` */
    bool put_off[MAX_SLOTS]; /* a `join` that waits for its `join_late` */
    bool denied[OPERATION_COUNT];
    bool sealed;             /* a seccomp filter is loaded: every further system call may be one too many */
    int opener;              /* pid of the opener, or 0; the launcher's child alone */
    int listener;            /* fd of the seccomp listener, or -1 */
    mode_t umask;            /* the process's; the launcher itself works with 0 until `umask` */
    int hook_output[2];      /* fds of what hooks write, or -1: kept for an error's text */
    const char *home;        /* "HOME=..." for the environment, or NULL */
    const char *program;     /* what `find_program` found, or NULL */
};
extern struct launcher launcher;

/* The host's or container's answer to an operation is -errno. This one is the launcher's own "no": errno 0 in the message. */
enum { REFUSED = 4095 };

/* Notes why an operation is going to fail, and returns ERROR (or -REFUSED) to be handed on. The text is copied. */
int because(int error, enum detail detail, const char *text);
int refused(enum detail detail, const char *text);
/* The same with the detail's own number, and with LENGTH bytes of text. */
int because_number(int error, enum detail detail, uint32_t number, const char *text, size_t length);

/* messages.c: every wait for the other side ends the process silently when the other side has gone. */
int receive_plan(void);
void send_message(const struct message *message, const char *text, size_t length, int fd);
void send_failure(uint32_t index, int error);
void wait_for_go(uint32_t index);
int accept_starter(int listener);

/* run.c */
int run_plan(void);

/* The fd in slot NUMBER (-1: an empty or missing one); and putting one there. */
int slot_fd(uint64_t number);
void fill_slot(uint64_t number, int fd);
void close_fd(enum fd_name name);

/* root.c: the container's root; "/" where the plan opened none. */
int root_fd(void);

/* procfs.c: a procfs that nobody can mount over, opened when first asked for; a file of it; a number as text. */
int proc_fd(void);
int open_proc(const char *path, int flags, bool links);
int write_proc(const char *path, bool links, const char *value, size_t length);
bool is_procfs_root(int fd);
void write_decimal(char *ret, int64_t value);
void open_oom_score_adj(void);

/* opener.c. Init's process handle for the opener; waiting until it has ended; the tree that the bind at INDEX is to bind. */
void tell_opener(int process);
void wait_for_opener(void);
int ask_opener(uint32_t index);

/* mounts.c: the tree that a bind is to bind, cloned and with its ids mapped. */
int open_source(const struct operation *bind);

/* mounts.c: a new file system that is mounted nowhere yet. OPTIONS: texts one after the other, an empty one at the end. */
int new_file_system(const char *type, const char *source, const char *options, unsigned attributes);

/* attach.c */
int open_target(const struct operation *operation, const char *path, bool folder);
int attach(int mount, int target, const char *path, const struct operation *operation);
int attach_once(int mount, int target, const char *path);
int change_attributes(int mount, uint64_t set, uint64_t clear, bool recursive);
int change_propagation(int mount, uint64_t flags);
int map_ids(int mount, int namespace, bool recursive);
int clone_tree(int folder, const char *path, bool recursive);

/* filters.c: loads a device filter before there is a plan, into FD_DEVICES. */
void prepare_devices(const char *program, size_t length);

/* nodes.c */
int check_null(int handle);
int open_parent(const char *path, char last[256]);
int make_link(const char *path, const char *text, bool exists_ok);

/* program.c: the environment of the process, with HOME where `home` has found one. */
char **process_environment(void);
/* Gives the process what the launcher had changed for itself. */
void become_process(void);

#define OPERATION(name) int op_##name(const struct operation *operation)
OPERATION(undumpable);
OPERATION(dumpable);
OPERATION(raise_rlimit);
OPERATION(attach_devices);
OPERATION(join);
OPERATION(join_late);
OPERATION(opener);
OPERATION(spawn);
OPERATION(sync);
OPERATION(cpu_affinity);
OPERATION(time_namespace);
OPERATION(become_root);
OPERATION(new_session);
OPERATION(unshare_cgroup);
OPERATION(security_attribute);
OPERATION(session_keyring);
OPERATION(loopback_up);
OPERATION(hostname);
OPERATION(domainname);
OPERATION(open_null);
OPERATION(propagate_root);
OPERATION(open_root);
OPERATION(stack_root);
OPERATION(mount);
OPERATION(mount_legacy);
OPERATION(bind);
OPERATION(remount);
OPERATION(set_attr);
OPERATION(mkdir);
OPERATION(mknod);
OPERATION(bind_device);
OPERATION(symlink);
OPERATION(hook);
OPERATION(hook_output);
OPERATION(rebind_root);
OPERATION(pivot_root);
OPERATION(move_root);
OPERATION(chroot);
OPERATION(open_console);
OPERATION(use_console);
OPERATION(fresh_null);
OPERATION(sysctl);
OPERATION(empty_folder);
OPERATION(mask);
OPERATION(readonly);
OPERATION(root_attr);
OPERATION(oom_score_adj);
OPERATION(rlimit);
OPERATION(umask);
OPERATION(chown_stdio);
OPERATION(chdir);
OPERATION(scheduler);
OPERATION(io_priority);
OPERATION(personality);
OPERATION(memory_policy);
OPERATION(bounding);
OPERATION(user);
OPERATION(capabilities);
OPERATION(ambient);
OPERATION(no_new_privileges);
OPERATION(home);
OPERATION(find_program);
OPERATION(wait_start);
OPERATION(seccomp);
OPERATION(keep_fds);
OPERATION(place_fd);
OPERATION(exec);
OPERATION(open_folder);
OPERATION(copy_up);
OPERATION(label_mount);
OPERATION(dismiss_opener);
