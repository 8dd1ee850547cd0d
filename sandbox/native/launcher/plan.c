/* plan.c: from bytes to operations, and the proof that a plan is well formed before any of it is carried out. Must not know
 * what an operation does. */
#include "launcher.h"

#include <string.h>
#include <sys/mman.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "plans are little endian and read in place");

#define MAGIC "PYRUNCPL"
#define VERSION 1

struct header {
    char magic[8];
    uint32_t version, operations, slots, length;
    uint64_t zero;
};
struct operation_header {
    uint16_t code;
    uint8_t phase, numbers, texts, zero;
    uint16_t tolerances;
};
struct text_header {
    uint32_t length, count;
};

/* Copies SIZE bytes at *OFFSET and moves it on; false when the plan ends before. */
static bool take(const struct plan *plan, size_t *offset, void *ret, size_t size) {
    if (size > plan->length - *offset)
        return false;
    memcpy(ret, plan->bytes + *offset, size);
    *offset += size;
    return true;
}

/* A text that lies inside the plan; what is in it is judged by text_is_sound. */
static bool take_text(const struct plan *plan, size_t *offset, struct text *ret) {
    struct text_header head;
    if (!take(plan, offset, &head, sizeof head))
        return false;
    size_t padded = ((size_t)head.length + 7) & ~(size_t)7;
    if (padded > plan->length - *offset)
        return false;
    *ret = (struct text){plan->bytes + *offset, head.length, head.count};
    *offset += padded;
    return true;
}

bool plan_next(const struct plan *plan, size_t *offset, struct operation *ret) {
    struct operation_header head;
    if (*offset == 0)
        *offset = sizeof(struct header);
    if (!take(plan, offset, &head, sizeof head))
        return false;
    if (head.code >= OPERATION_COUNT || !shapes[head.code].known || head.zero != 0)
        return false;
    const struct shape *shape = &shapes[head.code];
    if (head.numbers != strlen(shape->numbers) || head.texts != strlen(shape->texts))
        return false;
    ret->code = head.code;
    ret->phase = head.phase;
    ret->tolerances = head.tolerances;
    if (!take(plan, offset, ret->numbers, head.numbers * sizeof ret->numbers[0]))
        return false;
    for (unsigned text = 0; text < head.texts; text++)
        if (!take_text(plan, offset, &ret->texts[text]))
            return false;
    return true;
}

static uint32_t count_nuls(const struct text *text) {
    uint32_t count = 0;
    const char *end = text->bytes + text->length;
    for (const char *at = text->bytes; at < end && (at = memchr(at, '\0', (size_t)(end - at))); at++)
        count++;
    return count;
}

static bool text_is_sound(char kind, const struct text *text) {
    if (kind == 'b')
        return text->count == 0;
    if (kind == 's' && text->count != 1)
        return false;
    if (text->count > text->length)
        return false;
    return count_nuls(text) == text->count && (text->length == 0 || text->bytes[text->length - 1] == '\0');
}

/* Slots are written before they are read, and each is one of the plan's or none. */
static bool slots_are_sound(const struct plan *plan, const struct operation *operation, bool written[MAX_SLOTS]) {
    const char *kinds = shapes[operation->code].numbers;
    for (unsigned field = 0; kinds[field]; field++) {
        uint64_t slot = operation->numbers[field];
        if (kinds[field] == 'u' || slot == UINT64_MAX)
            continue;
        if (slot >= plan->slots || (kinds[field] == 'i' && !written[slot]))
            return false;
    }
    for (unsigned field = 0; kinds[field]; field++)
        if (kinds[field] == 'o' && operation->numbers[field] != UINT64_MAX)
            written[operation->numbers[field]] = true;
    return true;
}

static bool is_sound(const struct plan *plan, const struct operation *operation, uint8_t phase, bool written[MAX_SLOTS]) {
    const struct shape *shape = &shapes[operation->code];
    if (operation->phase < phase || operation->phase >= PHASE_COUNT || operation->tolerances & ~ALL_TOLERANCES)
        return false;
    if (shape->phase != PHASE_ANY && shape->phase != operation->phase)
        return false;
    for (unsigned text = 0; shape->texts[text]; text++)
        if (!text_is_sound(shape->texts[text], &operation->texts[text]))
            return false;
    return slots_are_sound(plan, operation, written);
}

/* Room for the plan's longest list, twice; taken now, because later the container's own limits apply to memory. */
static int reserve_pointers(struct plan *plan, uint32_t longest) {
    size_t entries = (size_t)longest + 2;
    void *room = mmap(NULL, 2 * entries * sizeof(char *), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return -errno;
    plan->pointers[0] = room;
    plan->pointers[1] = plan->pointers[0] + entries;
    return 0;
}

int plan_check(struct plan *plan, uint32_t slots_filled, uint32_t *ret_index) {
    bool written[MAX_SLOTS] = {false};
    struct header header;
    struct operation operation = {0};
    size_t offset = 0;
    uint32_t longest = 0;
    uint8_t phase = 0;
    *ret_index = 0;
    if (!take(plan, &offset, &header, sizeof header) || memcmp(header.magic, MAGIC, sizeof header.magic)
        || header.version != VERSION || header.length != plan->length || header.zero != 0 || header.slots > MAX_SLOTS
        || slots_filled > header.slots)
        return -REFUSED;
    plan->operations = header.operations;
    plan->slots = header.slots;
    memset(written, true, slots_filled);
    for (uint32_t index = 0; index < header.operations; index++) {
        *ret_index = index;
        if (!plan_next(plan, &offset, &operation) || !is_sound(plan, &operation, phase, written))
            return -REFUSED;
        if (plan->exec.code) /* nothing can follow */
            return -REFUSED;
        operation.index = index;
        phase = operation.phase;
        if (operation.code == OPERATION_EXEC)
            plan->exec = operation;
        plan->needs_proc |= operation.code == OPERATION_SYSCTL || operation.code == OPERATION_OOM_SCORE_ADJ
                            || operation.code == OPERATION_MOUNT_LEGACY || operation.code == OPERATION_MOVE_ROOT;
        plan->sets_oom_score_adj |= operation.code == OPERATION_OOM_SCORE_ADJ;
        for (unsigned text = 0; shapes[operation.code].texts[text]; text++)
            if (operation.texts[text].count > longest)
                longest = operation.texts[text].count;
    }
    *ret_index = header.operations;
    if (offset != plan->length)
        return -REFUSED;
    return reserve_pointers(plan, longest);
}

void plan_reads(const struct plan *plan, size_t offset, bool ret[MAX_SLOTS]) {
    struct operation operation = {0};
    while (plan_next(plan, &offset, &operation)) {
        const char *kinds = shapes[operation.code].numbers;
        for (unsigned field = 0; kinds[field]; field++)
            if (kinds[field] == 'i' && operation.numbers[field] != UINT64_MAX)
                ret[operation.numbers[field]] = true;
    }
}

char **plan_list(const struct plan *plan, const struct text *list, int room) {
    char **pointers = plan->pointers[room];
    const char *at = list->bytes;
    for (uint32_t index = 0; index < list->count; index++) {
        pointers[index] = (char *)at; /* execve wants it so, and does not write */
        at += strlen(at) + 1;
    }
    pointers[list->count] = NULL;
    pointers[list->count + 1] = NULL;
    return pointers;
}
