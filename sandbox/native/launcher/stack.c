/* stack.c: layers stacked by overlayfs on the root that the plan has opened, where they are the root from then on. Only paths of the
 * host are met here: nothing of the container exists yet. */
#include "launcher.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_LAYERS 500 /* more overlayfs does not take */
#define MAX_VALUE 255  /* bytes that fsconfig(2) takes of a text */

struct stack {
    int handles[MAX_LAYERS + 2]; /* of the layers, the uppermost first, then of what is above them */
    unsigned count;
    size_t length;
    char options[16384]; /* texts one after the other, an empty one at the end */
};

static void append(struct stack *stack, const char *text) {
    size_t length = strlen(text);
    memcpy(stack->options + stack->length, text, length + 1);
    stack->length += length;
}

static void append_handle(struct stack *stack, const char *before, int handle) {
    char number[24];
    write_decimal(number, handle);
    append(stack, before);
    append(stack, number);
}

/* Mounts the EROFS image HANDLE below everything, since before Linux 6.15 a layer had to be mounted somewhere to be one. */
static int mount_image(int handle) {
    char number[24];
    write_decimal(number, handle);
    int mount = new_file_system("erofs", number, "ro\0", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    int error = mount < 0 ? mount : sys_move_mount(mount, root_fd());
    if (error && mount >= 0)
        close(mount);
    return error ? error : mount;
}

static int open_handle(struct stack *stack, const char *path) {
    struct stat found;
    int handle = answer(open(path, O_PATH | O_CLOEXEC));
    if (handle < 0 || fstat(handle, &found))
        return because(-errno, DETAIL_SOURCE, path);
    if (S_ISREG(found.st_mode)) {
        int image = mount_image(handle);
        close(handle);
        if (image < 0)
            return because(image, DETAIL_SOURCE, path);
        handle = image;
    }
    stack->handles[stack->count++] = handle;
    return handle;
}

/* One option of some eighty numbers is for every kernel, an option for each for Linux 6.7 and later. */
static void add_layers(struct stack *stack) {
    const char *before = "lowerdir=";
    size_t start = stack->length;
    for (unsigned index = 0; index < stack->count; index++) {
        append_handle(stack, before, stack->handles[index]);
        before = ":";
    }
    if (stack->length - start > MAX_VALUE + strlen("lowerdir=")) {
        stack->length = start;
        for (unsigned index = 0; index < stack->count; index++) {
            append_handle(stack, "lowerdir+=", stack->handles[index]);
            stack->length++;
        }
    } else {
        stack->length++;
    }
}

/* Opens all and says so in options. They are named by their numbers in /proc/self/fd, the working directory meanwhile: paths may be
 * too long for the kernel or have commas in them, and the container, which can read the options, learns nothing of the host. */
static int describe(struct stack *stack, const struct operation *operation) {
    const struct text *layers = &operation->texts[STACK_ROOT_LAYERS], *more = &operation->texts[STACK_ROOT_OPTIONS];
    if (!layers->count || layers->count > MAX_LAYERS || more->length > 4096)
        return -E2BIG;
    const char *path = layers->bytes;
    for (uint32_t index = 0; index < layers->count; index++, path += strlen(path) + 1) {
        int handle = open_handle(stack, path);
        if (handle < 0)
            return handle;
    }
    add_layers(stack);
    const char *const keys[] = {"upperdir=", "workdir="};
    for (unsigned index = 0; index < 2; index++) {
        int handle = open_handle(stack, operation->texts[index ? STACK_ROOT_WORK : STACK_ROOT_UPPER].bytes);
        if (handle < 0)
            return handle;
        append_handle(stack, keys[index], handle);
        stack->length++;
    }
    memcpy(stack->options + stack->length, more->bytes, more->length);
    stack->options[stack->length + more->length] = '\0';
    return 0;
}

static int make(struct stack *stack, const struct operation *operation) {
    int folder = open_proc("self/fd", O_PATH | O_DIRECTORY, true);
    if (folder < 0)
        return folder;
    int error = answer(fchdir(folder));
    close(folder);
    if (!error)
        error = describe(stack, operation);
    return error ? error
                 : new_file_system("overlay", "overlay", stack->options, (unsigned)operation->numbers[STACK_ROOT_ATTR]);
}

int op_stack_root(const struct operation *operation) {
    static struct stack stack;
    if (!launcher.own_mounts)
        return -EINVAL; /* it would stay on the host */
    int before = answer(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (before < 0)
        return before;
    int mount = make(&stack, operation);
    for (unsigned index = 0; index < stack.count; index++)
        close(stack.handles[index]);
    int error = answer(fchdir(before));
    close(before);
    if (mount < 0)
        return mount;
    if (!error)
        error = sys_move_mount(mount, root_fd());
    if (error) {
        close(mount);
        return error;
    }
    close_fd(FD_ROOT);
    launcher.fds[FD_ROOT] = mount;
    return 0;
}
