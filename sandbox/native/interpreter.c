/* interpreter.c: Python, linked into a program of our own that starts in half the time.
 *
 * The same libpython as the interpreter that pyrunc was built with, but the start stops before the search for modules in files,
 * codecs and streams, which boot.py finishes when they are needed, and memory that is going to be written is asked for in
 * one piece instead of a page fault at a time. It runs nothing but pyrunc, and takes no part in what pyrunc does.
 *
 *     interpreter EXECUTABLE PREFIX NAME PATHS LAUNCHER ARGUMENTS...
 *
 * EXECUTABLE is the ordinary interpreter (sys.executable), PREFIX/lib/NAME the folder of its standard library, PATHS what goes on
 * sys.path, with colons, LAUNCHER the front's (early.h). The front sees to it that they exist. */
#define _GNU_SOURCE
#include <Python.h>
#include <marshal.h>

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h" /* pyrunc/boot.py and what Python needs for its first codec, compiled by the Python that built us */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since Linux 5.14 */
#endif

enum { EXECUTABLE = 1, PREFIX, NAME, PATHS, LAUNCHER, ARGUMENTS };

static char library[4096];

extern char __data_start, _end;
extern int _PySignal_Init(int); /* of libpython; a part of the other half that has to come early */

/* Nearly every page of types and of the modules compiled in is written by the start. What an older kernel cannot do, it does
 * later. */
static void populate_data(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)&__data_start & ~(page - 1), end = ((uintptr_t)&_end + page - 1) & ~(page - 1);
    madvise((void *)begin, end - begin, MADV_POPULATE_WRITE);
}

static void *allocate_arena(void *context, size_t size)
{
    (void)context;
    void *arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return arena == MAP_FAILED ? NULL : arena;
}

static void free_arena(void *context, void *arena, size_t size)
{
    (void)context;
    munmap(arena, size);
}

static void stop_on(PyStatus status)
{
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
}

static void set(PyConfig *config, wchar_t **field, const char *text)
{
    stop_on(PyConfig_SetBytesString(config, field, text));
}

/* The folder of the standard library: PREFIX/lib/NAME. */
static void find_library(char **argv)
{
    if ((size_t)snprintf(library, sizeof library, "%s/lib/%s", argv[PREFIX], argv[NAME]) >= sizeof library)
        _exit(1);
}

static void add_search_path(PyConfig *config, const char *rest)
{
    char path[sizeof library + 16];
    snprintf(path, sizeof path, "%s%s", library, rest);
    wchar_t *wide = Py_DecodeLocale(path, NULL);
    if (!wide)
        _exit(1);
    stop_on(PyWideStringList_Append(&config->module_search_paths, wide));
    PyMem_RawFree(wide);
}

/* What root's Python caches as code must be root's alone: under such a umask it leaves no caches. */
static int others_may_write(void)
{
    mode_t mask = umask(022);
    umask(mask);
    return !(mask & S_IWOTH);
}

/* Isolated, without `site`, UTF-8: what -I -S -X utf8 say. */
static void start_half(char **argv)
{
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    stop_on(Py_PreInitialize(&before));
    PyObjectArenaAllocator arenas = {NULL, allocate_arena, free_arena};
    PyObject_SetArenaAllocator(&arenas);

    /* A codec may be asked for while only half of the start is done: bytes that are no UTF-8 are enough. */
    static struct _frozen codecs[] = {
        {.name = "encodings", .code = encodings_code, .size = sizeof encodings_code, .is_package = 1},
        {.name = "encodings.aliases", .code = aliases_code, .size = sizeof aliases_code},
        {.name = "encodings.utf_8", .code = utf_8_code, .size = sizeof utf_8_code},
        {0},
    };
    PyImport_FrozenModules = codecs;

    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.pathconfig_warnings = 0;
    config.install_signal_handlers = 1;
    config.write_bytecode = !others_may_write();
    config._init_main = 0;
    config.module_search_paths_set = 1;
    add_search_path(&config, "");
    add_search_path(&config, "/lib-dynload");
    set(&config, &config.executable, argv[EXECUTABLE]);
    set(&config, &config.base_executable, argv[EXECUTABLE]);
    set(&config, &config.prefix, argv[PREFIX]);
    set(&config, &config.base_prefix, argv[PREFIX]);
    set(&config, &config.exec_prefix, argv[PREFIX]);
    set(&config, &config.base_exec_prefix, argv[PREFIX]);
    set(&config, &config.stdlib_dir, library);
    stop_on(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
}

/* Ctrl-C is an exception, as in any Python; unless whoever started us wants it ignored. */
static int handle_interrupt(void)
{
    struct sigaction interrupt;
    if (sigaction(SIGINT, NULL, &interrupt) < 0 || interrupt.sa_handler == SIG_IGN)
        return 0;
    PyObject *module = PyImport_ImportModule("_signal");
    PyObject *handler = module ? PyObject_GetAttrString(module, "default_int_handler") : NULL;
    PyObject *result = handler ? PyObject_CallMethod(module, "signal", "iO", SIGINT, handler) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(handler);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *finish(PyObject *self, PyObject *ignored)
{
    (void)self, (void)ignored;
    stop_on(_Py_InitializeMain());
    if (handle_interrupt() < 0) /* the rest of the start has forgotten it */
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *texts(char **items, const char *separated)
{
    PyObject *list = PyList_New(0);
    for (; list && separated && *separated; separated += *separated == ':') {
        size_t length = strcspn(separated, ":");
        PyObject *item = PyUnicode_DecodeUTF8(separated, (Py_ssize_t)length, "surrogateescape");
        if (!item || PyList_Append(list, item) < 0)
            return NULL;
        Py_DECREF(item);
        separated += length;
    }
    for (; list && items && *items; items++) {
        PyObject *item = PyUnicode_DecodeUTF8(*items, (Py_ssize_t)strlen(*items), "surrogateescape");
        if (!item || PyList_Append(list, item) < 0)
            return NULL;
        Py_DECREF(item);
    }
    return list;
}

/* Takes VALUE, also when it is NULL because making it has failed. */
static int give(PyObject *globals, const char *name, PyObject *value)
{
    int result = value ? PyDict_SetItemString(globals, name, value) : -1;
    Py_XDECREF(value);
    return result;
}

static int boot(char **argv)
{
    static PyMethodDef definition = {"finish", finish, METH_NOARGS, NULL};
    PyObject *globals = PyDict_New(), *code = PyMarshal_ReadObjectFromString((const char *)boot_code, sizeof boot_code);
    if (!globals || !code || _PySignal_Init(1) < 0 ||
        PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) < 0 ||
        give(globals, "__name__", PyUnicode_FromString("pyrunc.boot")) < 0 ||
        give(globals, "finish", PyCFunction_New(&definition, NULL)) < 0 ||
        give(globals, "arguments", texts(argv + ARGUMENTS, NULL)) < 0 ||
        give(globals, "paths", texts(NULL, argv[PATHS])) < 0 ||
        give(globals, "launcher", PyUnicode_FromString(argv[LAUNCHER])) < 0 ||
        give(globals, "executable", PyUnicode_DecodeFSDefault(argv[EXECUTABLE])) < 0 ||
        give(globals, "library", PyUnicode_DecodeFSDefault(library)) < 0)
        return -1;
    return PyEval_EvalCode(code, globals, globals) ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc < ARGUMENTS)
        return 1;
    populate_data();
    find_library(argv);
    start_half(argv);
    if (boot(argv) < 0) {
        _Py_InitializeMain();
        PyErr_Print();
    }
    return 1; /* boot.py ends in _exit */
}
