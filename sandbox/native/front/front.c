/* front.c: the installed `pyrunc`. Answers the plain cases of --version, state, start, kill and delete in about a
 * millisecond and hands everything else to Python.
 *
 * It has no policy of its own: whatever it does not fully understand (an option, a file, a status, a need) goes to
 * Python *before* anything is done, with the arguments as they came. There are two exceptions:
 *   - a delete that finds something busy half way: the arguments go to Python unchanged, which goes on from there;
 *   - a start to which init answered FAIL. init has ended and start.sock is gone, so the arguments become
 *         GLOBAL-OPTIONS... --report-start ID INDEX ERRNO DETAIL TEXT
 *     with the fields of FAIL (docs/architecture.md, "Messages") in decimal and its text: Python finds the operation of
 *     INDEX in the container's `steps` file, says what it means and exits with 1.
 * Error texts are runc's, because engines read them.
 */
#define _GNU_SOURCE
#include "delete.h"
#include "handover.h"
#include "report.h"
#include "signals.h"
#include "state.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef PYRUNC_VERSION
#error "PYRUNC_VERSION and PYRUNC_SPEC are given by the build, as strings"
#endif

#ifdef PYRUNC_COMMIT
static const char version[] = "pyrunc version " PYRUNC_VERSION "\ncommit: " PYRUNC_COMMIT "\nspec: " PYRUNC_SPEC;
#else
static const char version[] = "pyrunc version " PYRUNC_VERSION "\nspec: " PYRUNC_SPEC;
#endif

enum { HAND_OVER = -1, END_TIMEOUT_MS = 10000 };

struct request {
    char **arguments; /* all of them, the program's name included */
    int globals;      /* how many of them stand before the command */
    const char *root_path, *log_path;
    const char *command, *id, *signal;
    bool force, version;
    struct log log;
    int root, folder; /* fds */
    struct record record;
};

/* -- arguments: Go's flags, as far as engines use them ------------------------------------------------------------- */

/* The name of the flag behind one or two dashes, or NULL; VALUE gets what follows "=", or NULL. NAME is cut there. */
static bool split_flag(const char *argument, char name[32], const char **value)
{
    if (argument[0] != '-' || argument[1] == '\0')
        return false;
    argument += argument[1] == '-' ? 2 : 1;
    size_t length = strcspn(argument, "=");
    if (length == 0 || length >= 32)
        return false;
    memcpy(name, argument, length);
    name[length] = '\0';
    *value = argument[length] == '=' ? argument + length + 1 : NULL;
    return true;
}

/* Reads the flags before the command; false for one that we do not know in every detail. */
static bool parse_globals(struct request *request)
{
    char **argument = request->arguments + 1;
    for (; *argument && **argument == '-'; argument++) {
        char name[32];
        const char *value;
        if (!split_flag(*argument, name, &value))
            return false;
        if (strcmp(name, "debug") == 0 || strcmp(name, "systemd-cgroup") == 0) {
            if (value)
                return false;
            continue;
        }
        if (strcmp(name, "version") == 0 || strcmp(name, "v") == 0) {
            request->version = true;
            return !value && !argument[1];
        }
        if (!value && !(value = *++argument))
            return false;
        if (strcmp(name, "root") == 0)
            request->root_path = value;
        else if (strcmp(name, "log") == 0 && strncmp(value, "file:", 5) != 0 && strncmp(value, "journald:", 9) != 0 &&
                 strncmp(value, "syslog:", 7) != 0)
            request->log_path = value;
        else if (strcmp(name, "log-format") == 0 && strcmp(value, "json") == 0)
            request->log.json = true;
        else if (strcmp(name, "log-format") == 0 && strcmp(value, "text") == 0)
            request->log.json = false;
        else if (strcmp(name, "rootless") != 0)
            return false;
    }
    request->globals = (int)(argument - request->arguments);
    request->command = *argument;
    return request->command != NULL;
}

/* ID, and the command's own arguments. */
static bool parse_command(struct request *request)
{
    for (char **argument = request->arguments + request->globals + 1; *argument; argument++) {
        char name[32];
        const char *value;
        if (**argument == '-') {
            if (strcmp(request->command, "delete") != 0 || !split_flag(*argument, name, &value) || value)
                return false;
            if (strcmp(name, "force") != 0 && strcmp(name, "f") != 0)
                return false;
            request->force = true;
        } else if (!request->id)
            request->id = *argument;
        else if (!request->signal && strcmp(request->command, "kill") == 0)
            request->signal = *argument;
        else
            return false;
    }
    return request->id && valid_id(request->id);
}

/* -- where containers are ------------------------------------------------------------------------------------------ */

static bool in_initial_user_namespace(void)
{
    char map[64] = "";
    int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* a kernel without user namespaces */
    ssize_t length = read(fd, map, sizeof map - 1);
    close(fd);
    unsigned inside, outside, count;
    bool whole = length > 0 && sscanf(map, "%u %u %u", &inside, &outside, &count) == 3;
    return whole && inside == 0 && outside == 0 && count == UINT32_MAX;
}

/* $XDG_RUNTIME_DIR counts for everybody but the machine's root, and but for who says by $USER to be root. */
static bool default_root(char path[PATH_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *user = getenv("USER");
    bool root = geteuid() == 0 && ((user && strcmp(user, "root") == 0) || in_initial_user_namespace());
    int length = snprintf(path, PATH_MAX, "%s/pyrunc", runtime && *runtime && !root ? runtime : "/run");
    return length < PATH_MAX;
}

/* Opens the container's folder: 0, HAND_OVER, or -ENOENT when there is no such container. */
static int open_container(struct request *request)
{
    char path[PATH_MAX];
    if (!request->root_path && !default_root(path))
        return HAND_OVER;
    request->root = open(request->root_path ? request->root_path : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (request->root < 0 && request->root_path && *request->root_path == '\0')
        return HAND_OVER;
    if (request->root < 0)
        return errno == ENOENT ? -ENOENT : HAND_OVER;
    request->folder = open_folder(request->root, request->id);
    if (request->folder < 0)
        return request->folder == -ENOENT ? -ENOENT : HAND_OVER;
    return read_record(request->folder, &request->record) ? 0 : HAND_OVER;
}

/* -- state --------------------------------------------------------------------------------------------------------- */

/* Prints a flat JSON object of texts with one member a line. Only white space outside of strings is changed. */
static void print_object(const char *object)
{
    bool in_string = false;
    for (const char *c = object; *c; c++) {
        if (in_string) {
            putchar_unlocked(*c);
            if (*c == '\\' && c[1] != '\0')
                putchar_unlocked(*++c);
            else if (*c == '"')
                in_string = false;
        } else if (*c == '"') {
            putchar_unlocked(*c);
            in_string = true;
        } else if (*c == '{')
            fputs("{\n    ", stdout);
        else if (*c == ',')
            fputs(",\n    ", stdout);
        else if (*c == ':')
            fputs(": ", stdout);
        else if (*c == '}')
            fputs("\n  }", stdout);
    }
}

static int state(struct request *request)
{
    const struct record *record = &request->record;
    int process;
    enum status status = read_status(request->folder, record, &process);
    if (status == UNCLEAR)
        return HAND_OVER;
    printf("{\n  \"ociVersion\": %s,\n  \"id\": %s,\n", record->oci_version, record->id);
    printf("  \"pid\": %d,\n  \"status\": \"%s\",\n", status == STOPPED ? 0 : record->pid, status_name(status));
    printf("  \"bundle\": %s,\n  \"rootfs\": %s,\n", record->bundle, record->rootfs);
    printf("  \"created\": %s,\n", record->created);
    if (record->annotations && record->annotations[1] == '"') {
        fputs("  \"annotations\": ", stdout);
        print_object(record->annotations);
        fputs(",\n", stdout);
    }
    printf("  \"owner\": %s\n}", record->owner);
    return shown(&request->log);
}

/* -- kill ---------------------------------------------------------------------------------------------------------- */

static int kill_container(struct request *request)
{
    int signal = request->signal ? parse_signal(request->signal) : SIGTERM;
    /* Without a PID namespace of its own SIGKILL is for every process in the cgroup. */
    if (signal == 0 || (signal == SIGKILL && request->record.needs & (NEEDS_SHARED_PIDNS | NEEDS_UNKNOWN)))
        return HAND_OVER;
    int process;
    enum status status = read_status(request->folder, &request->record, &process);
    if (status == UNCLEAR)
        return HAND_OVER;
    if (status == STOPPED)
        return report(&request->log, "container not running");
    /* A process frozen by cgroup v1 dies only when it has been thawed. */
    if (status == PAUSED && signal == SIGKILL && request->record.freezer_v1)
        return HAND_OVER;
    if (syscall(SYS_pidfd_send_signal, process, signal, NULL, 0) == 0)
        return 0;
    return errno == ESRCH ? report(&request->log, "container not running") : HAND_OVER;
}

/* -- delete -------------------------------------------------------------------------------------------------------- */

static int delete_container(struct request *request)
{
    const struct record *record = &request->record;
    int process;
    enum status status = read_status(request->folder, record, &process);
    if (status == UNCLEAR || (status == PAUSED && request->force))
        return HAND_OVER;
    if (status == PAUSED || (status == RUNNING && !request->force)) {
        char message[400];
        snprintf(message, sizeof message, "cannot delete container %s that is not stopped: %s", request->id,
                 status_name(status));
        return report(&request->log, message);
    }
    if (!is_plain_delete(request->folder, record))
        return HAND_OVER;
    if (status != STOPPED) {
        if (record->needs & NEEDS_SHARED_PIDNS)
            return HAND_OVER;
        if (syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
            return HAND_OVER;
        if (!wait_for_end(process, END_TIMEOUT_MS))
            return report(&request->log, "container init still running");
    }
    return delete_stopped(request->root, request->folder, request->id, record) ? 0 : HAND_OVER;
}

/* -- start --------------------------------------------------------------------------------------------------------- */

enum { MESSAGE_GO = 4, MESSAGE_FAIL = 5, MAX_TEXT = 2048 };

struct message {
    uint32_t type, index;
    int64_t a, b;
    char text[MAX_TEXT + 1];
};

enum { MESSAGE_HEAD = offsetof(struct message, text) };
_Static_assert(MESSAGE_HEAD == 24, "the head of a message on the wire");

/* Connects to start.sock in FOLDER; the detour because a socket's path may have 107 bytes only. */
static int connect_start(int folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/start.sock", folder);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Lets Python say what went wrong. */
static int report_start(const struct request *request, const struct message *fail)
{
    char numbers[3][24];
    snprintf(numbers[0], sizeof numbers[0], "%u", fail->index);
    snprintf(numbers[1], sizeof numbers[1], "%lld", (long long)fail->a);
    snprintf(numbers[2], sizeof numbers[2], "%lld", (long long)fail->b);
    const char *tail[] = {"--report-start", request->id, numbers[0], numbers[1], numbers[2], fail->text, NULL};

    size_t globals = (size_t)request->globals - 1;
    const char **arguments = calloc(globals + sizeof tail / sizeof *tail, sizeof *arguments);
    if (arguments) {
        memcpy(arguments, request->arguments + 1, globals * sizeof *arguments);
        memcpy(arguments + globals, tail, sizeof tail);
        hand_over((char *const *)arguments);
    }
    return report(&request->log, "unable to start container process");
}

static int start(struct request *request)
{
    int process;
    if (request->record.needs & (NEEDS_POSTSTART | NEEDS_UNKNOWN))
        return HAND_OVER;
    switch (read_status(request->folder, &request->record, &process)) {
    case CREATED:
        break;
    case RUNNING:
        return report(&request->log, "cannot start an already running container");
    case PAUSED:
        return report(&request->log, "cannot start a container in the paused state");
    case STOPPED:
        return report(&request->log, "cannot start a container that has stopped");
    case UNCLEAR:
        return HAND_OVER;
    }
    /* The lock is for `create`, which may still be at work; it is let go as soon as nobody else can start any more. */
    int init = lock_folder(request->folder) ? connect_start(request->folder) : -1;
    if (init < 0)
        return HAND_OVER;
    /* Connected before unlinked, because a start that fails to reach init must leave the container `created`; unlinked
     * before GO, because whoever unlinks is the one that starts: a second start comes too late here. */
    if (unlinkat(request->folder, "start.sock", 0) < 0)
        return errno == ENOENT ? report(&request->log, "cannot start an already running container") : HAND_OVER;
    flock(request->folder, LOCK_UN);

    struct message go = {.type = MESSAGE_GO}, fail;
    if (send(init, &go, MESSAGE_HEAD, MSG_NOSIGNAL) != MESSAGE_HEAD)
        return HAND_OVER;
    ssize_t length;
    do
        length = recv(init, &fail, sizeof fail - 1, 0);
    while (length < 0 && errno == EINTR);
    if (length == 0)
        return 0; /* the socket closed by exec: the container's program runs */
    if (length < MESSAGE_HEAD || fail.type != MESSAGE_FAIL)
        return HAND_OVER; /* init was killed before it had read GO: Python finds it stopped */
    ((char *)&fail)[length] = '\0';
    return report_start(request, &fail);
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static int answer(struct request *request)
{
    int (*command)(struct request *) = NULL;
    if (!parse_globals(request))
        return HAND_OVER;
    if (request->version)
        return puts(version) < 0 ? 1 : shown(&request->log);
    if (strcmp(request->command, "state") == 0)
        command = state;
    else if (strcmp(request->command, "start") == 0)
        command = start;
    else if (strcmp(request->command, "kill") == 0)
        command = kill_container;
    else if (strcmp(request->command, "delete") == 0)
        command = delete_container;
    if (!command || !parse_command(request))
        return HAND_OVER;

    /* The log before anything is done, because a log that cannot be written is an error of its own. */
    if (request->log_path && (request->log.fd = open_log(request->log_path)) < 0)
        return HAND_OVER;
    int opened = open_container(request);
    if (opened == -ENOENT)
        return request->force ? 0 : report(&request->log, "container does not exist");
    return opened == 0 ? command(request) : HAND_OVER;
}

int main(int argc, char **argv)
{
    static struct request request = {.log.fd = -1};
    if (argc < 1)
        return 1;
    request.arguments = argv;
    open_streams();
    int code = answer(&request);
    if (code != HAND_OVER)
        return code;
    hand_over(argv + 1);
    return report(&request.log, "cannot find Python: is it still installed where pyrunc was");
}
