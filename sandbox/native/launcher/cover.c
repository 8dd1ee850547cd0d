/* cover.c: masked and read-only paths. */
#include "launcher.h"

#include <string.h>
#include <sys/stat.h>

/* Which of our detached mounts are attached by now: the first use moves one, every later one clones it. */
static bool attached[FD_COUNT];

static int cover(enum fd_name name, int target, const char *path) {
    int tree = launcher.fds[name];
    int mount = attached[name] ? clone_tree(tree, "", false) : tree;
    if (mount < 0) {
        close(target);
        return mount;
    }
    int error = attach(mount, target, path, NULL);
    if (mount != tree)
        close(mount);
    attached[name] |= !error;
    return error;
}

/* One empty folder covers all: read-only, and with these options too small for anything to be in it. */
#define NO_ROOM "ro\0nr_blocks=1\0nr_inodes=1\0"

static int make_empty_folder(const char *options) {
    if (launcher.fds[FD_EMPTY_FOLDER] >= 0)
        return 0;
    int mount = new_file_system("tmpfs", "tmpfs", options,
                                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    launcher.fds[FD_EMPTY_FOLDER] = mount < 0 ? -1 : mount;
    return mount < 0 ? mount : 0;
}

/* With more options, such as the label that a folder of the container has. */
int op_empty_folder(const struct operation *operation) {
    static char options[4096];
    const struct text *more = &operation->texts[EMPTY_FOLDER_OPTIONS];
    if (more->length > sizeof options - sizeof NO_ROOM)
        return -E2BIG;
    memcpy(options, NO_ROOM, sizeof NO_ROOM);
    memcpy(options + sizeof NO_ROOM - 1, more->bytes, more->length); /* the rest is zero: an empty text ends the list */
    return make_empty_folder(options);
}

int op_mask(const struct operation *operation) {
    const char *path = operation->texts[MASK_PATH].bytes;
    uint64_t slot = operation->numbers[MASK_NULL];
    struct stat found;
    int target = path_open(root_fd(), path, O_PATH);
    if (target < 0)
        return target;
    int error = answer(fstat(target, &found));
    enum fd_name name = FD_EMPTY_FOLDER;
    if (!error && S_ISDIR(found.st_mode)) {
        error = make_empty_folder(NO_ROOM);
    } else if (!error) {
        name = FD_SLOTS + (enum fd_name)slot;
        /* Again, because a mask over something that can be written to is none (CVE-2025-31133). */
        error = slot_fd(slot) < 0 ? refused(DETAIL_EMPTY_SLOT, "") : check_null(slot_fd(slot));
    }
    if (error) {
        close(target);
        return error;
    }
    return cover(name, target, path);
}

static int make_readonly(const char *path) {
    int target = path_open(root_fd(), path, O_PATH);
    if (target < 0)
        return target;
    int tree = clone_tree(target, "", true);
    int error = tree < 0 ? tree : change_attributes(tree, MOUNT_ATTR_RDONLY, 0, false);
    if (error)
        close(target);
    else
        error = attach_once(tree, target, path);
    if (tree >= 0)
        close(tree);
    return error;
}

/* Anew, and not only attached anew, when the folder was exchanged meanwhile: it is its own content that is shown. */
int op_readonly(const struct operation *operation) {
    int error = -REFUSED;
    for (unsigned race = 0; error == -REFUSED && race < MAX_RACES; race++)
        error = make_readonly(operation->texts[READONLY_PATH].bytes);
    return error;
}
