/* plan_fuzz.c: any bytes as a plan. What plan_check refuses is fine; what it accepts must be readable to the last byte.
 *
 * The launcher's decoder is included as it is. The sanitizers judge every access; the rest is asserted here. */
#include "launcher/plan.c"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef __clang__
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t limit);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t limit, unsigned seed);

/* As libFuzzer does it, but the header goes on to say the right length: nothing else gets past the first check. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t limit, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, limit);
    uint32_t length = (uint32_t)size;
    if (seed % 8 && size >= sizeof(struct header))
        memcpy(data + offsetof(struct header, length), &length, sizeof length);
    return size;
}
#endif

static void read_text(const struct plan *plan, char kind, const struct text *text, int room) {
    assert(text->bytes >= plan->bytes && text->bytes + text->length <= plan->bytes + plan->length);
    for (uint32_t at = 0; at < text->length; at++)
        *(volatile const char *)(text->bytes + at); /* every byte can be read */
    if (kind == 's')
        assert(strlen(text->bytes) + 1 == text->length);
    if (kind != 'l')
        return;
    size_t length = 0;
    char **list = plan_list(plan, text, room);
    for (; *list; list++)
        length += strlen(*list) + 1;
    assert(length == text->length && list[1] == NULL);
}

static void read_plan(const uint8_t *data, size_t size, uint32_t filled) {
    struct plan plan = {.bytes = (const char *)data, .length = size};
    struct operation operation;
    uint32_t index, count = 0;
    size_t offset = 0, longest = 0;

    if (plan_check(&plan, filled, &index) != 0)
        return;
    while (plan_next(&plan, &offset, &operation)) {
        const struct shape *shape = &shapes[operation.code];
        count++;
        assert(operation.phase < PHASE_COUNT);
        for (unsigned field = 0; shape->numbers[field]; field++)
            assert(shape->numbers[field] == 'u' || operation.numbers[field] == UINT64_MAX
                   || operation.numbers[field] < plan.slots);
        for (unsigned text = 0; shape->texts[text]; text++) {
            read_text(&plan, shape->texts[text], &operation.texts[text], (int)(text & 1));
            longest = operation.texts[text].count > longest ? operation.texts[text].count : longest;
        }
    }
    assert(count == plan.operations && offset == plan.length && index == count);
    munmap(plan.pointers[0], 2 * (longest + 2) * sizeof(char *));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct header header = {0};
    memcpy(&header, data, size < sizeof header ? size : sizeof header);
    read_plan(data, size, 0);
    read_plan(data, size, header.slots); /* all of them filled by the host */
    return 0;
}
