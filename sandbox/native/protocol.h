/* protocol.h: what host and launcher say to each other; the conversation is drawn in docs/architecture.md. The same numbers
 * stand in sandbox/protocol.py, and a test compares them.
 *
 * A message is one packet: `struct message`, then text where there is one. In a FAIL `a` is an errno, or 0 where the launcher
 * itself refused; `b` holds the detail code in its lower 32 bits and that code's own number, if it has one, in the upper 32.
 * PREPARE, before the plan: `a` holds flags of namespaces that `spawn` is going to make, the text is a program that
 * `attach_devices` is going to attach; nobody answers.
 * SYNC: `a` is the rendezvous; `b` is the fd of the seccomp listener in init once a filter with one is loaded, else -1.
 */
#pragma once
#include <stdint.h>

#define CONTROL_FD 3
#define MAX_TEXT 2048
#define MAX_PREPARED 4096

struct message {
    uint32_t type, index;
    int64_t a, b;
};
_Static_assert(sizeof(struct message) == 24, "one packet is 24 bytes and text");

enum message_type {
    MESSAGE_PLAN = 1,
    MESSAGE_SPAWNED = 2,
    MESSAGE_SYNC = 3,
    MESSAGE_GO = 4,
    MESSAGE_FAIL = 5,
    MESSAGE_OPEN = 6,
    MESSAGE_OPENED = 7,
    MESSAGE_PREPARE = 8,
};

enum detail {
    DETAIL_NONE = 0,
    /* the plan and the conversation */
    DETAIL_MALFORMED_PLAN = 1,      /* index: of the operation that is malformed, or of operations when all are counted */
    DETAIL_UNSEALED_PLAN = 2,       /* the plan can still be written to */
    DETAIL_EMPTY_SLOT = 3,          /* an operation needs an fd and its slot has none */
    DETAIL_MEMORY = 4,              /* no memory for the lists of the plan */
    /* files and mounts; text: the path */
    DETAIL_TARGET_IS_ROOT = 10,     /* nothing is mounted on the root file system itself */
    DETAIL_TARGET_CHANGED = 11,     /* what is at the target after mounting is not our mount: somebody is at work */
    DETAIL_NOT_ORDINARY_FOLDER = 12, /* /proc or /sys is a link or no folder */
    DETAIL_LOCKED_FLAGS = 13,       /* the mount's owner has locked flags that were to be cleared */
    DETAIL_OPTION = 14,             /* number: index of the option; text: the option, what the file system says */
    DETAIL_FILE_SYSTEM = 15,        /* text: what the file system says */
    DETAIL_NOT_NULL = 16,           /* /dev/null is something else */
    DETAIL_OTHER_DEVICE = 17,       /* the host's node is another device than the document says */
    DETAIL_EXISTS_DIFFERENT = 18,   /* there is something else in its place */
    DETAIL_NOT_PROCFS = 19,         /* no trustworthy procfs */
    DETAIL_NOT_DEVPTS = 20,         /* /dev/pts of the container is no devpts */
    DETAIL_SOURCE = 21,             /* the source cannot be opened, the target is not in question; text: the source */
    DETAIL_ID_MAP = 23,             /* the ids of the source cannot be mapped; text: the source */
    DETAIL_TARGET = 22,             /* the target can neither be opened nor made; text: the target */
    /* process */
    DETAIL_CWD_OUTSIDE = 30,        /* the working directory is not below the container's root */
    DETAIL_NOT_IN_PATH = 31,
    DETAIL_NO_SUCH_PROGRAM = 32,
    DETAIL_NOT_EXECUTABLE = 33,
    DETAIL_IS_FOLDER = 34,
    DETAIL_BAD_GROUP = 35,          /* a supplementary group is no number; text: the group */
    /* hooks; text: what the hook wrote */
    DETAIL_HOOK_START = 40,         /* it could not be started, errno tells why */
    DETAIL_HOOK_EXITED = 41,        /* number: exit status */
    DETAIL_HOOK_KILLED = 42,        /* number: signal */
    DETAIL_HOOK_TIMEOUT = 43,       /* number: milliseconds that it had */
};
