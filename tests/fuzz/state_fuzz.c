/* state_fuzz.c: any bytes as a container's state file, and as the line of /proc/PID/stat that it is compared with.
 *
 * The front's reader is included as it is. What it accepts must be texts that end, inside the record. */
#include "front/state.c"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int folder = -1;
static char place[] = "/dev/shm/fuzz-state-XXXXXX";

static void remove_place(void)
{
    unlinkat(folder, "state", 0);
    rmdir(place);
}

static void make_place(void)
{
    if (!mkdtemp(place))
        abort();
    folder = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        abort();
    atexit(remove_place);
}

static void write_state(const uint8_t *data, size_t size)
{
    int fd = openat(folder, "state", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

static void read_field(const struct record *record, const char *text, char first, char last)
{
    if (!text)
        return;
    size_t length = strlen(text);
    assert(text >= record->text && text + length < record->text + sizeof record->text);
    assert(length >= 2 - (last == '\0') && text[0] == first && (last == '\0' || text[length - 1] == last));
    assert(!strchr(text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (folder < 0)
        make_place();
    write_state(data, size);

    struct record *record = malloc(sizeof *record);
    assert(record);
    if (read_record(folder, record)) {
        const char *texts[] = {record->oci_version, record->id, record->bundle, record->rootfs, record->created, record->owner};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            assert(texts[i]);
            read_field(record, texts[i], '"', '"');
        }
        read_field(record, record->annotations, '{', '}');
        read_field(record, record->freezer, '/', '\0');
        assert(record->cgroups_count <= MAX_CGROUPS && record->pid >= 0 && record->pid <= 1 << 30);
        for (unsigned i = 0; i < record->cgroups_count; i++)
            read_field(record, record->cgroups[i], '/', '\0');
    }
    free(record);

    char *text = malloc(size + 1);
    assert(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    is_that_process(text, 1);
    valid_id(text);
    free(text);
    return 0;
}
