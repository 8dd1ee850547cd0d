/* handover.c: see handover.h.
 *
 * An editable install is built with PYRUNC_SOURCE (the folder that holds the package) and PYRUNC_PYTHON ("python3.11").
 * Every other build has no path of the building machine inside, because pip keeps wheels and installs them elsewhere.
 */
#define _GNU_SOURCE
#include "handover.h"
#include "early.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -I -S: neither the caller's environment nor .pth files have a say, and neither is paid for. What `pyrunc.hot` left behind
 * loads a command's modules in one go; whatever is wrong with it, Python finds them one by one. */
static const char program[] = "import sys,gc\n"
                              "gc.disable()\n"
                              "paths=sys.argv.pop(1).split(':')\n"
                              "launcher=sys.argv.pop(1)\n"
                              "sys.path+=paths\n"
                              "sys.argv[0]='pyrunc'\n"
                              "sys._pyrunc_hot=False\n"
                              "try:\n"
                              " import marshal,posix\n"
                              " mask=posix.umask(18)\n"
                              " posix.umask(mask)\n"
                              " sys.dont_write_bytecode=not mask&2\n" /* caches of root's code are root's alone */
                              " if '--debug'in sys.argv:raise OSError\n"
                              " name=next(word for word in sys.argv if word in('create','run','exec','start','state',"
                              "'kill','delete','list','ps','pause','resume','update','events','features','spec'))\n"
                              " tag=sys.implementation.cache_tag\n"
                              " file=posix.open(f'{paths[0]}/pyrunc/__pycache__/hot.{tag}.{name}',posix.O_CLOEXEC)\n"
                              " hot=marshal.loads(posix.read(file,1<<24))\n"
                              " posix.close(file)\n"
                              " exec(hot[0])\n"
                              "except Exception:pass\n"
                              "from pyrunc.cli import main\n"
                              "main(None,launcher)\n";

enum { PATHS = 8 * PATH_MAX };

struct python {
    char prefix[PATH_MAX]; /* /usr/local when we are /usr/local/bin/pyrunc */
    char name[NAME_MAX + 1]; /* python3.11 */
    char program[PATH_MAX];
    char paths[PATHS]; /* for sys.path, with colons */
};

__attribute__((format(printf, 3, 4))) static bool format(char *text, size_t size, const char *shape, ...)
{
    va_list values;
    va_start(values, shape);
    int length = vsnprintf(text, size, shape, values);
    va_end(values);
    return length >= 0 && (size_t)length < size;
}

/* Folders on sys.path that do not exist cost nothing to name, so that nobody has to ask which of them do. */
__attribute__((format(printf, 2, 3))) static bool add_path(struct python *python, const char *shape, ...)
{
    size_t length = strlen(python->paths);
    if (length > 0 && length < PATHS - 1)
        python->paths[length++] = ':';
    va_list values;
    va_start(values, shape);
    int added = vsnprintf(python->paths + length, PATHS - length, shape, values);
    va_end(values);
    return added >= 0 && (size_t)added < PATHS - length;
}

static bool find_prefix(struct python *python)
{
    ssize_t length = readlink("/proc/self/exe", python->prefix, PATH_MAX - 1);
    if (length <= 0)
        return false;
    python->prefix[length] = '\0';
    for (int up = 0; up < 2; up++) { /* .../bin/pyrunc */
        char *slash = strrchr(python->prefix, '/');
        if (!slash)
            return false;
        *slash = '\0';
    }
    return true;
}

/* Sets FOLDER to PREFIX/LIB/NAME/{site,dist}-packages if our package is installed there. */
static bool holds_package(const char *prefix, const char *lib, const char *name, char folder[PATH_MAX])
{
    static const char *const kinds[] = {"site-packages", "dist-packages"};
    for (size_t i = 0; i < 2; i++) {
        if (!format(folder, PATH_MAX, "%s/%s/%s/%s", prefix, lib, name, kinds[i]))
            return false;
#ifdef PYRUNC_SOURCE
        if (strcmp(name, PYRUNC_PYTHON) == 0 && access(folder, F_OK) == 0)
            return true;
#else
        char package[PATH_MAX];
        if (format(package, sizeof package, "%s/pyrunc/cli", folder) && access(package, F_OK) == 0)
            return true;
#endif
    }
    return false;
}

/* Looks for our package in each Python below PREFIX. NAME gets the interpreter's ("python3.11"; Debian: "python3"). */
static bool find_package(const char *prefix, char name[NAME_MAX + 1], char folder[PATH_MAX])
{
    static const char *const libs[] = {"lib", "lib64"};
    for (size_t i = 0; i < 2; i++) {
        char lib[PATH_MAX];
        DIR *entries = format(lib, sizeof lib, "%s/%s", prefix, libs[i]) ? opendir(lib) : NULL;
        bool found = false;
        for (struct dirent *entry; entries && !found && (entry = readdir(entries));)
            if (strncmp(entry->d_name, "python3", 7) == 0 && holds_package(prefix, libs[i], entry->d_name, folder)) {
                strcpy(name, entry->d_name);
                found = true;
            }
        if (entries)
            closedir(entries);
        if (found)
            return true;
    }
    return false;
}

static bool find_interpreter(struct python *python, const char *name)
{
    const char *const prefixes[] = {python->prefix, "/usr", "/usr/local"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (format(python->program, PATH_MAX, "%s/bin/%s", prefixes[i], name) && access(python->program, X_OK) == 0)
            return true;
    return false;
}

/* A virtual environment: 1 of its own packages only, 2 with the system's as well. Otherwise 0. */
static int read_environment(const char *prefix)
{
    char path[PATH_MAX], text[4096];
    int fd = format(path, sizeof path, "%s/pyvenv.cfg", prefix) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    return strcasestr(text, "include-system-site-packages = true") ? 2 : 1;
}

/* Fills PROGRAM and PATHS. False when only Python itself can tell where everything is. */
static bool find_python(struct python *python)
{
    char *name = python->name, folder[PATH_MAX];
    if (!find_prefix(python) || !find_package(python->prefix, name, folder) || !find_interpreter(python, name))
        return false;
    int environment = read_environment(python->prefix);
    if (environment == 2)
        return false;
#ifdef PYRUNC_SOURCE
    if (!add_path(python, "%s", PYRUNC_SOURCE))
        return false;
#endif
    if (!add_path(python, "%s", folder) || !add_path(python, "%s/lib/%s/site-packages", python->prefix, name))
        return false;
    if (environment == 1)
        return true;
    /* What we depend on may be installed for the interpreter, for this machine, or by Debian. */
    int interpreter_prefix = (int)(strlen(python->program) - strlen(name) - strlen("/bin/"));
    return add_path(python, "%.*s/lib/%s/site-packages", interpreter_prefix, python->program, name) &&
           add_path(python, "/usr/local/lib/%s/dist-packages", name) &&
           add_path(python, "/usr/lib/python3/dist-packages");
}

/* Python linked into a program of our own (../interpreter.c). It has to be of the version that we are installed for, not older
 * than the interpreter on this machine (which may have been updated since), and find that one's library: PREFIX is that of the
 * interpreter behind the links of a virtual environment. */
static bool find_own(const struct python *python, const char *folder, char own[PATH_MAX], char prefix[PATH_MAX])
{
    char library[PATH_MAX];
    struct stat ours, theirs;
    if (!format(own, PATH_MAX, "%s/pyrunc/sandbox/native/bin/%s", folder, python->name) || stat(own, &ours) < 0 ||
        stat(python->program, &theirs) < 0 || theirs.st_ctime > ours.st_ctime || !realpath(python->program, prefix))
        return false;
    for (int up = 0; up < 2; up++) { /* .../bin/python3.11 */
        char *slash = strrchr(prefix, '/');
        if (!slash)
            return false;
        *slash = '\0';
    }
    return format(library, sizeof library, "%s/lib/%s/os.py", prefix, python->name) && access(library, R_OK) == 0;
}

static void execute(const char *file, const char *const *head, char *const *arguments)
{
    size_t heads = 0, rest = 0;
    while (head[heads])
        heads++;
    while (arguments[rest])
        rest++;
    const char **argv = calloc(heads + rest + 1, sizeof *argv);
    if (!argv)
        return;
    memcpy(argv, head, heads * sizeof *argv);
    memcpy(argv + heads, arguments, rest * sizeof *argv);
    execvp(file, (char *const *)argv);
    free(argv);
}

/* Whether a container's process will be started, as far as can be told without knowing every option. */
static bool starts_process(char *const *arguments)
{
    for (; *arguments; arguments++)
        if (strcmp(*arguments, "create") == 0 || strcmp(*arguments, "run") == 0 || strcmp(*arguments, "exec") == 0)
            return true;
    return false;
}

void hand_over(char *const *arguments)
{
    static struct python python;
    /* A caller may ignore it, which exec passes on; then nobody could wait for a container's process. */
    signal(SIGCHLD, SIG_DFL);
    if (find_python(&python)) {
        char launcher[32] = "", folder[PATH_MAX], own[PATH_MAX], prefix[PATH_MAX];
        if (format(folder, sizeof folder, "%.*s", (int)strcspn(python.paths, ":"), python.paths)) {
            if (starts_process(arguments))
                start_launcher(folder, launcher, sizeof launcher);
            const char *const whole[] = {"pyrunc", python.program, prefix, python.name, python.paths, launcher, NULL};
            if (find_own(&python, folder, own, prefix))
                execute(own, whole, arguments);
        }
        const char *const head[] = {python.program, "-I", "-S", "-X", "utf8", "-c", program, python.paths, launcher, NULL};
        execute(python.program, head, arguments);
    }
    /* By its whole path, because from its own name Python tells which environment it belongs to. */
    const char *head[] = {python.program, "-I", "-X", "utf8", "-m", "pyrunc", NULL};
    if (format(python.program, PATH_MAX, "%s/bin/python3", python.prefix))
        execute(python.program, head, arguments);
    head[0] = "python3";
    execute("python3", head, arguments);
}
