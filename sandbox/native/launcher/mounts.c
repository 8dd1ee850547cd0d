/* mounts.c: the operations that mount: new file systems by fsopen(2), existing ones by open_tree(2). What the options of a
 * document mean was decided before. */
#include "launcher.h"

#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>

/* Notes what the file system has to say about a failure, when it says anything. */
static int because_context(int context, int error, enum detail detail, uint32_t number, const char *option) {
    char text[MAX_TEXT];
    size_t length = strnlen(option, 512);
    memcpy(text, option, length);
    while (length < sizeof text - 2) { /* the log: one message a read, "e text" with a newline; ENODATA after the last */
        char line[512];
        ssize_t got = read(context, line, sizeof line);
        if (got <= 2)
            break;
        if (length && length < sizeof text - 2) {
            text[length++] = ':';
            text[length++] = ' ';
        }
        size_t part = (size_t)got - 2;
        part -= line[got - 1] == '\n';
        if (part > sizeof text - length)
            part = sizeof text - length;
        memcpy(text + length, line + 2, part);
        length += part;
    }
    return length ? because_number(error, detail, number, text, length) : error;
}

/* Sets every option of LIST: "key" or "key=value". */
static int set_options(int context, const struct text *list) {
    const char *option = list->bytes;
    for (uint32_t index = 0; index < list->count; index++) {
        char key[256];
        const char *value = strchr(option, '=');
        size_t length = value ? (size_t)(value - option) : strlen(option);
        if (length >= sizeof key)
            return because_number(-EINVAL, DETAIL_OPTION, index, option, strnlen(option, 512));
        memcpy(key, option, length);
        key[length] = '\0';
        int error = value ? sys_fsconfig(context, FSCONFIG_SET_STRING, key, value + 1)
                          : sys_fsconfig(context, FSCONFIG_SET_FLAG, key, NULL);
        if (error)
            return because_context(context, error, DETAIL_OPTION, index, option);
        option += strlen(option) + 1;
    }
    return 0;
}

/* A tmpfs looks like the folder that it covers. */
static int set_mode(int context, unsigned mode) {
    char text[5] = {(char)('0' + (mode >> 9 & 7)), (char)('0' + (mode >> 6 & 7)), (char)('0' + (mode >> 3 & 7)),
                    (char)('0' + (mode & 7)), '\0'};
    return sys_fsconfig(context, FSCONFIG_SET_STRING, "mode", text);
}

/* Makes the file system that CONTEXT is for, once OPTIONS are set, and mounts it nowhere. */
static int create(int context, const char *source, const struct text *options, unsigned attributes) {
    int error = *source ? sys_fsconfig(context, FSCONFIG_SET_STRING, "source", source) : 0;
    if (error)
        return because_context(context, error, DETAIL_FILE_SYSTEM, 0, "");
    if (options)
        error = set_options(context, options);
    if (error)
        return error;
    error = sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL);
    if (error)
        return because_context(context, error, DETAIL_FILE_SYSTEM, 0, "");
    int mount = sys_fsmount(context, attributes);
    return mount < 0 ? because_context(context, mount, DETAIL_FILE_SYSTEM, 0, "") : mount;
}

int new_file_system(const char *type, const char *source, const char *options, unsigned attributes) {
    struct text list = {options, 0, 0};
    for (const char *at = options; *at; at += strlen(at) + 1)
        list.count++;
    int context = sys_fsopen(type);
    if (context < 0)
        return context;
    int mount = create(context, source, &list, attributes);
    close(context);
    return mount;
}

/* The mode of the folder at PATH, or -1: a folder that we are about to make has none worth inheriting. */
static int mode_of_target(const struct operation *operation, const char *path) {
    struct stat found;
    if (!tolerates(operation, INHERIT_MODE))
        return -1;
    int folder = path_open(root_fd(), path, O_PATH | O_DIRECTORY);
    if (folder < 0)
        return -1;
    int mode = fstat(folder, &found) ? -1 : (int)(found.st_mode & 07777);
    close(folder);
    return mode;
}

/* Attaches MOUNT and hands it on to its slot, or closes it. */
static int place(const struct operation *operation, int mount, int target, const char *path, uint64_t propagation,
                 uint64_t slot) {
    int error = attach(mount, target, path, operation);
    if (!error)
        error = change_propagation(mount, propagation);
    if (error)
        close(mount);
    else
        fill_slot(slot, mount);
    return error;
}

int op_mount(const struct operation *operation) {
    const char *path = operation->texts[MOUNT_TARGET].bytes;
    int mode = mode_of_target(operation, path);
    int target = open_target(operation, path, true);
    if (target < 0)
        return target;
    int context = sys_fsopen(operation->texts[MOUNT_TYPE].bytes);
    int mount = context;
    if (context >= 0) {
        int error = mode < 0 ? 0 : set_mode(context, (unsigned)mode);
        mount = error ? error
                      : create(context, operation->texts[MOUNT_SOURCE].bytes, &operation->texts[MOUNT_OPTIONS],
                               (unsigned)operation->numbers[MOUNT_ATTR]);
        close(context);
    }
    if (mount < 0) {
        close(target);
        return mount;
    }
    return place(operation, mount, target, path, operation->numbers[MOUNT_PROPAGATION], operation->numbers[MOUNT_MOUNT]);
}

/* mount(2) takes paths only: the target's handle becomes one by way of the private procfs, which is the working directory
 * for this moment. */
static int mount_on_handle(const struct operation *operation, int target) {
    char path[32] = "self/fd/";
    int proc = proc_fd();
    if (proc < 0)
        return proc;
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (before < 0)
        return -errno;
    write_decimal(path + strlen(path), target);
    int error = answer(fchdir(proc));
    if (!error)
        error = sys_mount(operation->texts[MOUNT_LEGACY_SOURCE].bytes, path, operation->texts[MOUNT_LEGACY_TYPE].bytes,
                          operation->numbers[MOUNT_LEGACY_FLAGS], operation->texts[MOUNT_LEGACY_DATA].bytes);
    int back = answer(fchdir(before));
    close(before);
    return error ? error : back;
}

int op_mount_legacy(const struct operation *operation) {
    const char *path = operation->texts[MOUNT_LEGACY_TARGET].bytes;
    struct status covered, found;
    int target = open_target(operation, path, true);
    if (target < 0)
        return target;
    int error = sys_statx(target, &covered);
    if (!error)
        error = mount_on_handle(operation, target);
    close(target);
    if (error)
        return error;
    int mount = path_open(root_fd(), path, O_PATH);
    if (mount < 0)
        return because(mount, DETAIL_TARGET_CHANGED, path);
    error = sys_statx(mount, &found);
    if (!error && (found.mount == covered.mount || !(found.attributes & STATX_ATTRIBUTE_MOUNT_ROOT)))
        error = refused(DETAIL_TARGET_CHANGED, path);
    if (!error)
        error = change_propagation(mount, operation->numbers[MOUNT_LEGACY_PROPAGATION]);
    close(mount);
    return error;
}

int open_source(const struct operation *bind) {
    const char *source = bind->texts[BIND_SOURCE].bytes;
    uint64_t slot = bind->numbers[BIND_ID_MAP];
    unsigned flags = (bind->numbers[BIND_RECURSIVE] ? AT_RECURSIVE : 0) | (tolerates(bind, SOURCE_LINK) ? AT_SYMLINK_NOFOLLOW : 0);
    int tree = sys_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | flags);
    if (tree < 0)
        return because(tree, DETAIL_SOURCE, source);
    /* While it is mounted nowhere yet: the kernel maps no mount that somebody may already have seen. */
    int error = slot == UINT64_MAX ? 0 : map_ids(tree, slot_fd(slot), bind->numbers[BIND_MAP_ALL]);
    if (error) {
        close(tree);
        return because(error, DETAIL_ID_MAP, source);
    }
    return tree;
}

/* The flags of the bind's own mount. Those that are dropped without being named stay where the kernel has locked them. */
static int set_flags(int tree, const uint64_t *numbers) {
    uint64_t set = numbers[BIND_SET], clear = numbers[BIND_CLEAR], drop = numbers[BIND_DROP];
    int error = change_attributes(tree, set, clear | drop, false);
    if (error == -EPERM && drop) /* the one flag that nobody can lock goes */
        error = change_attributes(tree, set, clear | (drop & MOUNT_ATTR_NOSYMFOLLOW), false);
    return error;
}

/* Makes the link that the source is anew at the target; -EINVAL when the source is none. */
static int copy_source_link(const struct operation *operation) {
    char text[PATH_MAX];
    const char *source = operation->texts[BIND_SOURCE].bytes;
    ssize_t length = readlinkat(AT_FDCWD, source, text, sizeof text - 1);
    if (length < 0)
        return errno == EINVAL ? -EINVAL : because(-errno, DETAIL_SOURCE, source);
    text[length] = '\0';
    return make_link(operation->texts[BIND_TARGET].bytes, text, true);
}

int op_bind(const struct operation *operation) {
    const char *path = operation->texts[BIND_TARGET].bytes;
    const uint64_t *numbers = operation->numbers;
    struct stat source;
    if (tolerates(operation, COPY_LINK)) {
        int error = copy_source_link(operation);
        if (error != -EINVAL) /* it is no link: bound as any other source */
            return error;
    }
    int tree = launcher.fds[FD_OPENER] >= 0 ? ask_opener(operation->index) : open_source(operation);
    if (tree < 0)
        return tree;
    /* Before the tree is attached nobody can see it without its flags. */
    int error = answer(fstat(tree, &source));
    if (!error && tolerates(operation, PROCFS_ONLY) && !is_procfs_root(tree))
        error = refused(DETAIL_NOT_PROCFS, operation->texts[BIND_SOURCE].bytes);
    if (!error)
        error = set_flags(tree, numbers);
    if (!error)
        error = change_attributes(tree, numbers[BIND_REC_SET], numbers[BIND_REC_CLEAR], true);
    int target = error ? error : open_target(operation, path, S_ISDIR(source.st_mode));
    if (target < 0) {
        close(tree);
        return target;
    }
    return place(operation, tree, target, path, numbers[BIND_PROPAGATION], numbers[BIND_MOUNT]);
}

static int reconfigure(int mount, const struct text *options) {
    int context = sys_fspick(mount);
    if (context < 0)
        return context;
    int error = set_options(context, options);
    if (!error) {
        error = sys_fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL);
        if (error)
            because_context(context, error, DETAIL_FILE_SYSTEM, 0, "");
    }
    close(context);
    return error;
}

int op_remount(const struct operation *operation) {
    const char *path = operation->texts[REMOUNT_TARGET].bytes;
    int mount = path_open(root_fd(), path, O_PATH);
    if (mount < 0)
        return because(mount, DETAIL_TARGET, path);
    int error = operation->texts[REMOUNT_OPTIONS].count ? reconfigure(mount, &operation->texts[REMOUNT_OPTIONS]) : 0;
    if (!error)
        error = change_attributes(mount, operation->numbers[REMOUNT_SET], operation->numbers[REMOUNT_CLEAR], false);
    if (!error)
        error = change_propagation(mount, operation->numbers[REMOUNT_PROPAGATION]);
    close(mount);
    return error;
}

int op_set_attr(const struct operation *operation) {
    int mount = slot_fd(operation->numbers[SET_ATTR_MOUNT]);
    if (mount < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    return change_attributes(mount, operation->numbers[SET_ATTR_SET], operation->numbers[SET_ATTR_CLEAR],
                             operation->numbers[SET_ATTR_RECURSIVE]);
}

/* The slot's fd is a mere handle, of which no attribute can be set. */
int op_label_mount(const struct operation *operation) {
    const struct text *label = &operation->texts[LABEL_MOUNT_LABEL];
    int mount = slot_fd(operation->numbers[LABEL_MOUNT_MOUNT]);
    if (mount < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    int folder = answer(openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder < 0)
        return folder;
    int error = answer(syscall(SYS_fsetxattr, folder, "security.selinux", label->bytes, (size_t)label->length - 1, 0));
    close(folder);
    return error;
}
