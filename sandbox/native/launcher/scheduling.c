/* scheduling.c: how the kernel treats the process: which CPUs, which turn, whose memory, which personality. */
#include "launcher.h"

#include <string.h>

#define IOPRIO_WHO_PROCESS 1
#define MAX_CPUS 8192 /* the most that a kernel is built for */

struct scheduling { /* struct sched_attr, with the clamps of the second version */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t lowest_use, highest_use;
};
_Static_assert(sizeof(struct scheduling) == 56, "SCHED_ATTR_SIZE_VER1 of the kernel");

int op_scheduler(const struct operation *operation) {
    const uint64_t *numbers = operation->numbers;
    struct scheduling wanted = {
        .size = sizeof wanted,
        .policy = (uint32_t)numbers[SCHEDULER_POLICY],
        .flags = numbers[SCHEDULER_FLAGS],
        .nice = (int32_t)numbers[SCHEDULER_NICE],
        .priority = (uint32_t)numbers[SCHEDULER_PRIORITY],
        .runtime = numbers[SCHEDULER_RUNTIME],
        .deadline = numbers[SCHEDULER_DEADLINE],
        .period = numbers[SCHEDULER_PERIOD],
    };
    return answer(syscall(SYS_sched_setattr, 0, &wanted, 0));
}

int op_io_priority(const struct operation *operation) {
    return answer(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, (int)operation->numbers[IO_PRIORITY_VALUE]));
}

/* "All" has more bits than there are CPUs: one that is plugged in later counts too, if the cpuset has it. */
int op_cpu_affinity(const struct operation *operation) {
    static unsigned char all[MAX_CPUS / 8];
    const struct text *mask = &operation->texts[CPU_AFFINITY_MASK];
    memset(all, 0xff, sizeof all);
    const void *bits = mask->length ? (const void *)mask->bytes : all;
    return answer(syscall(SYS_sched_setaffinity, 0, mask->length ? mask->length : sizeof all, bits));
}

int op_personality(const struct operation *operation) {
    int before = answer(syscall(SYS_personality, (unsigned long)operation->numbers[PERSONALITY_VALUE]));
    return before < 0 ? before : 0;
}

/* The kernel takes one from the number of bits that it is told. */
int op_memory_policy(const struct operation *operation) {
    const struct text *nodes = &operation->texts[MEMORY_POLICY_NODES];
    unsigned long bits = nodes->length ? nodes->length * 8UL + 1 : 0;
    return answer(syscall(SYS_set_mempolicy, (int)operation->numbers[MEMORY_POLICY_MODE], nodes->length ? nodes->bytes : NULL, bits));
}
