/* program.c: which program runs, with which environment; and the exec itself. */
#include "launcher.h"

#include <linux/limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PASSWD (1 << 20)

char **process_environment(void) {
    char **environment = plan_list(&launcher.plan, &launcher.plan.exec.texts[EXEC_ENV], 1);
    size_t kept = 0;
    if (!launcher.home)
        return environment;
    for (size_t index = 0; environment[index]; index++)
        if (strcmp(environment[index], "HOME=")) /* an empty one is as good as none, and ours replaces it */
            environment[kept++] = environment[index];
    environment[kept] = (char *)launcher.home;
    environment[kept + 1] = NULL;
    return environment;
}

static bool has_home(void) {
    char **environment = plan_list(&launcher.plan, &launcher.plan.exec.texts[EXEC_ENV], 1);
    for (; *environment; environment++)
        if (!strncmp(*environment, "HOME=", 5) && (*environment)[5])
            return true;
    return false;
}

/* Reads the container's passwd: a regular file, opened without waiting for anybody, and no more of it than MAX_PASSWD
 * (CVE-2024-9676, CVE-2026-47262). Returns its length; 0 when there is nothing to be read. */
static size_t read_passwd(char *ret) {
    struct stat found;
    size_t length = 0;
    int fd = path_open(root_fd(), "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return 0;
    ssize_t got = !fstat(fd, &found) && S_ISREG(found.st_mode) ? 1 : 0;
    while (got > 0 && length < MAX_PASSWD) {
        got = read(fd, ret + length, MAX_PASSWD - length);
        length += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (length == MAX_PASSWD) /* a line that was cut off says nothing */
        while (length && ret[length - 1] != '\n')
            length--;
    return length;
}

/* The home folder in LINE, `name:password:uid:gid:gecos:home:shell`, if it is that of the user with the id UID. */
static const char *home_in(const char *line, const char *end, const char *uid, size_t *ret_length) {
    const char *fields[6] = {line};
    for (unsigned field = 1; field < 6; field++) {
        const char *colon = memchr(fields[field - 1], ':', (size_t)(end - fields[field - 1]));
        if (!colon)
            return NULL;
        fields[field] = colon + 1;
    }
    size_t length = (size_t)(fields[3] - 1 - fields[2]);
    if (length != strlen(uid) || memcmp(fields[2], uid, length))
        return NULL;
    const char *colon = memchr(fields[5], ':', (size_t)(end - fields[5]));
    *ret_length = (size_t)((colon ? colon : end) - fields[5]);
    return fields[5];
}

int op_home(const struct operation *operation) {
    static char passwd[MAX_PASSWD], home[5 + PATH_MAX] = "HOME=/";
    char uid[24];
    if (has_home())
        return 0;
    write_decimal(uid, (int64_t)operation->numbers[HOME_UID]);
    launcher.home = home;
    const char *end = passwd + read_passwd(passwd);
    for (const char *line = passwd; line < end;) {
        size_t length;
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *line_end = newline ? newline : end;
        const char *found = home_in(line, line_end, uid, &length);
        if (found && length && length < PATH_MAX && !memchr(found, '\0', length)) {
            memcpy(home + 5, found, length);
            home[5 + length] = '\0';
        }
        if (found)
            break;
        line = line_end + 1;
    }
    return 0;
}

/* 0 when PATH can be run, otherwise why not. */
static int judge(const char *path) {
    struct stat found;
    if (stat(path, &found))
        return -errno;
    if (S_ISDIR(found.st_mode))
        return -EISDIR;
    return sys_faccess(AT_FDCWD, path, X_OK);
}

static int explain(int error, const char *name) {
    if (error == -EISDIR)
        return because(error, DETAIL_IS_FOLDER, name);
    if (error == -EACCES || error == -EPERM)
        return because(error, DETAIL_NOT_EXECUTABLE, name);
    return because(error, DETAIL_NO_SUCH_PROGRAM, name);
}

int op_find_program(const struct operation *operation) {
    static char program[PATH_MAX];
    const char *name = operation->texts[FIND_PROGRAM_NAME].bytes, *folder = operation->texts[FIND_PROGRAM_PATH].bytes;
    size_t name_length = strlen(name);
    if (strchr(name, '/')) {
        int error = judge(name);
        launcher.program = name;
        return error ? explain(error, name) : 0;
    }
    for (bool more = name_length && *folder; more; folder++) {
        size_t length = strcspn(folder, ":");
        const char *from = length ? folder : "."; /* an empty element is the working directory */
        size_t from_length = length ? length : 1;
        if (from_length + 1 + name_length < sizeof program) {
            memcpy(program, from, from_length);
            program[from_length] = '/';
            memcpy(program + from_length + 1, name, name_length + 1);
            if (!judge(program)) {
                launcher.program = program;
                return 0;
            }
        }
        folder += length;
        more = *folder == ':';
    }
    return because(-ENOENT, DETAIL_NOT_IN_PATH, name);
}

void become_process(void) {
    sys_signal(SIGPIPE, SIG_DFL);
    umask(launcher.umask);
}

int op_exec(const struct operation *operation) {
    char **arguments = plan_list(&launcher.plan, &operation->texts[EXEC_ARGS], 0);
    const char *program = launcher.program ? launcher.program : arguments[0];
    if (!program)
        return refused(DETAIL_MALFORMED_PLAN, "");
    if (!launcher.sealed)
        become_process();
    execve(program, arguments, process_environment());
    return because(-errno, DETAIL_NONE, program);
}
