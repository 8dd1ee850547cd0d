/* plan.h: a plan in memory, as it came over the wire (docs/architecture.md, "Wire format of a plan"). The bytes are mapped
 * read-only and sealed; nothing points into them but what plan.c has checked. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../operations.h"

#define MAX_SLOTS 1024

struct text {
    const char *bytes;
    uint32_t length; /* with the final NUL, where there is one */
    uint32_t count;  /* of texts in it; 0 for plain bytes */
};

struct operation {
    uint32_t index;
    uint16_t code;
    uint8_t phase;
    uint16_t tolerances;
    uint64_t numbers[MAX_NUMBERS];
    struct text texts[MAX_TEXTS];
};

struct plan {
    const char *bytes;
    size_t length;
    uint32_t operations, slots;
    struct operation exec; /* the plan's own `exec`, code 0 when it has none; hooks may take its environment */
    bool needs_proc;       /* some operation works through procfs */
    bool sets_oom_score_adj;
    char **pointers[2];    /* room for two of the plan's lists at once */
};

/* Reads the header and checks every operation; SLOTS_FILLED are already written. Returns 0, -REFUSED (with *RET_INDEX set)
 * for a malformed plan, or -ENOMEM. After it plan_next cannot meet anything unexpected. */
int plan_check(struct plan *plan, uint32_t slots_filled, uint32_t *ret_index);

/* Decodes the operation at *OFFSET (0: the first) and moves it on; false at the end, or when it is malformed. */
bool plan_next(const struct plan *plan, size_t *offset, struct operation *ret);

/* Marks the slots that operations from OFFSET on read. */
void plan_reads(const struct plan *plan, size_t offset, bool ret[MAX_SLOTS]);

/* Texts of a list as an array that ends in NULL, with room for one more before it. ROOM is 0 or 1: each holds one list. */
char **plan_list(const struct plan *plan, const struct text *list, int room);

static inline bool tolerates(const struct operation *operation, enum tolerance tolerance) {
    return operation->tolerances & tolerance;
}
