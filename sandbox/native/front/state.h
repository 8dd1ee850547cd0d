/* state.h: the state folder of a container, read. Shared by the front and the waiter.
 *
 * The form is that of "The state folder" in docs/architecture.md. Nothing here changes anything on the host, and
 * nothing guesses: what is not exactly as written down is UNCLEAR, and Python looks at it.
 */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

enum { MAX_STATE = 65536, MAX_CGROUPS = 32 };

/* What a container asks for that C does not do alone (the `needs` line). */
enum need { NEEDS_POSTSTART = 1, NEEDS_POSTSTOP = 2, NEEDS_SHARED_PIDNS = 4, NEEDS_SYSTEMD = 8, NEEDS_UNKNOWN = 16 };

struct record {
    const char *oci_version, *id, *bundle, *rootfs, *created, *owner; /* JSON texts, ready to print */
    const char *annotations;                                          /* a JSON object, or NULL */
    pid_t pid;                                                        /* 0 while the container is being made */
    unsigned long long start;                                         /* of that pid, in clock ticks */
    const char *freezer;                                              /* a file, or NULL */
    bool freezer_v1;
    const char *cgroups[MAX_CGROUPS]; /* folders that we made, deepest first */
    unsigned cgroups_count;
    unsigned needs;
    char text[MAX_STATE + 1]; /* what all the pointers point into */
};

enum status { CREATED, RUNNING, PAUSED, STOPPED, UNCLEAR };

/* The word that `state` prints. */
const char *status_name(enum status status);

/* [A-Za-z0-9_+.-]+, but not "." or "..": safe as the name of a folder and inside any message. */
bool valid_id(const char *id);

/* Opens the folder of a container below ROOT (an fd). Returns an fd or -errno. */
int open_folder(int root, const char *id);

/* Takes the folder's lock, which `create` holds until the container is made. False: somebody has it. */
bool lock_folder(int folder);

/* Reads the `state` file. False: absent, of another version, too large or malformed. */
bool read_record(int folder, struct record *record);

/* Works the status out. PROCESS gets a pidfd of the container's process, or -1 when it has ended or cannot be told. */
enum status read_status(int folder, const struct record *record, int *process);

/* Waits until the process has ended (it may still be a zombie). False after TIMEOUT_MS. */
bool wait_for_end(int process, int timeout_ms);
