/* no_pivot.c: move_root, for hosts whose root cannot be pivoted (an initramfs).
 *
 * The host's mounts stay below the moved root, out of reach but alive. A full procfs or sysfs among them would let a user
 * namespace in the container mount its own, without the masks: so they go, or are covered, first.
 */
#include "launcher.h"

#include <string.h>
#include <sys/mman.h>

#define MAX_MOUNTINFO (16 << 20)
#define FIELDS 5 /* mount id, parent id, device, root, mount point */

struct entry {
    char *fields[FIELDS];
    char *type;
};

/* Reads all mounts; the memory is not given back: this is done once. */
static int read_mounts(char **ret, size_t *ret_length) {
    int fd = open_proc("self/mountinfo", O_RDONLY, true);
    if (fd < 0)
        return fd;
    char *text = mmap(NULL, MAX_MOUNTINFO, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ssize_t got = text == MAP_FAILED ? -1 : 1;
    size_t length = 0;
    while (got > 0 && length < MAX_MOUNTINFO - 1) {
        got = read(fd, text + length, MAX_MOUNTINFO - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    int error = got < 0 ? -errno : got > 0 ? -E2BIG : 0;
    close(fd);
    *ret = text;
    *ret_length = length;
    return error;
}

/* Splits LINE (`id parent device root point options [optional] - type source options`), which ends in NUL. */
static bool split(char *line, struct entry *ret) {
    char *rest = strstr(line, " - ");
    if (!rest)
        return false;
    ret->type = rest + 3;
    for (unsigned field = 0; field < FIELDS; field++) {
        ret->fields[field] = line;
        line = strchr(line, ' ');
        if (!line)
            return false;
        *line++ = '\0';
    }
    ret->type[strcspn(ret->type, " ")] = '\0';
    return true;
}

/* Takes the kernel's \ooo for space, tab, newline and backslash back, in place. */
static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from;) {
        if (from[0] == '\\' && from[1] && from[2] && from[3]) {
            *to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

static int hide(const char *point) {
    int error = sys_mount(NULL, point, NULL, MS_SLAVE | MS_REC, NULL);
    if (!error)
        error = sys_umount(point, MNT_DETACH);
    if (error == -EINVAL || error == -EPERM) /* locked, in a user namespace */
        error = sys_mount("tmpfs", point, "tmpfs", 0, NULL);
    return error;
}

static bool is_below(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && (path[length] == '\0' || path[length] == '/');
}

/* Where the root's own mount stands, as the list of mounts writes it. */
static const char *find_root(char *const lines[], size_t count, uint64_t mount, struct entry *entries) {
    const char *found = NULL;
    char id[24];
    write_decimal(id, (int64_t)mount);
    for (size_t index = 0; index < count; index++) {
        if (!split(lines[index], &entries[index]))
            return NULL;
        if (!strcmp(entries[index].fields[0], id))
            found = entries[index].fields[4];
    }
    return found;
}

static int hide_all(char *text, size_t length, uint64_t root_mount) {
    size_t count = 0;
    for (size_t at = 0; at < length; at++)
        count += text[at] == '\n';
    size_t size = count * (sizeof(struct entry) + sizeof(char *)) + 1;
    struct entry *entries = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (entries == MAP_FAILED)
        return -errno;
    char **lines = (char **)(entries + count);
    for (size_t index = 0; index < count; index++) {
        lines[index] = text;
        text += strcspn(text, "\n");
        *text++ = '\0';
    }
    const char *root = find_root(lines, count, root_mount, entries);
    if (!root)
        return -EINVAL;
    /* Last mounted first, so that what lies on another is gone before it. */
    for (size_t index = count; index-- > 0;) {
        struct entry *entry = &entries[index];
        bool full = !strcmp(entry->fields[3], "/") && (!strcmp(entry->type, "proc") || !strcmp(entry->type, "sysfs"));
        if (!full || is_below(entry->fields[4], root))
            continue;
        unescape(entry->fields[4]);
        int error = hide(entry->fields[4]);
        if (error && error != -ENOENT) /* it went with one that it lay on */
            return because(error, DETAIL_TARGET, entry->fields[4]);
    }
    return 0;
}

int op_move_root(const struct operation *operation) {
    struct status root;
    char *text;
    size_t length;
    if (!launcher.own_mounts)
        return -EINVAL; /* it would be the host's mounts that go */
    int error = sys_statx(root_fd(), &root);
    if (!error)
        error = read_mounts(&text, &length);
    if (!error)
        error = hide_all(text, length, root.mount);
    if (!error)
        error = answer(fchdir(root_fd()));
    if (!error)
        error = sys_mount(".", "/", NULL, MS_MOVE, NULL);
    return error ? error : op_chroot(operation);
}
