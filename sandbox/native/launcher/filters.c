/* filters.c: programs for the kernel's own machines: seccomp filters and the cgroup's device filter. They come compiled. */
#include "launcher.h"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#define MAX_ATTACHED 64

int op_seccomp(const struct operation *operation) {
    const struct text *filter = &operation->texts[SECCOMP_FILTER];
    struct sock_fprog program = {
        .len = (unsigned short)(filter->length / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)filter->bytes, /* the kernel only reads it */
    };
    if (filter->length == 0 || filter->length % sizeof(struct sock_filter)
        || filter->length / sizeof(struct sock_filter) > BPF_MAXINSNS)
        return -EINVAL;
    become_process();
    int listener = answer(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, operation->numbers[SECCOMP_FLAGS], &program));
    if (listener < 0)
        return listener;
    launcher.sealed = true;
    if (operation->numbers[SECCOMP_FLAGS] & SECCOMP_FILTER_FLAG_NEW_LISTENER)
        launcher.listener = listener; /* CLOEXEC; the host takes it from outside, the next SYNC tells its number */
    return 0;
}

static int bpf(enum bpf_cmd command, union bpf_attr *attributes) {
    return answer(syscall(SYS_bpf, command, attributes, sizeof *attributes));
}

static int load_program(const void *code, size_t length) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attributes.insns = (uint64_t)(uintptr_t)code;
    attributes.insn_cnt = (uint32_t)(length / sizeof(struct bpf_insn));
    attributes.license = (uint64_t)(uintptr_t)"Apache-2.0";
    if (length == 0 || length % sizeof(struct bpf_insn))
        return -EINVAL;
    return bpf(BPF_PROG_LOAD, &attributes);
}

/* What FD_DEVICES was loaded from. */
static char prepared[MAX_PREPARED];
static size_t prepared_length;

void prepare_devices(const char *program, size_t length) {
    close_fd(FD_DEVICES);
    memcpy(prepared, program, length);
    prepared_length = length;
    int fd = load_program(program, length);
    launcher.fds[FD_DEVICES] = fd < 0 ? -1 : fd;
}

/* The program of the plan, which the kernel takes longest for; loaded already when it is the one that was prepared. */
static int take_program(const struct text *code) {
    int fd = launcher.fds[FD_DEVICES];
    if (fd < 0 || code->length != prepared_length || memcmp(code->bytes, prepared, prepared_length) != 0)
        return load_program(code->bytes, code->length);
    launcher.fds[FD_DEVICES] = -1;
    return fd;
}

/* Ids of the device filters that are on CGROUP itself; -errno, or how many. */
static int attached_programs(int cgroup, uint32_t ret[MAX_ATTACHED]) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.query.target_fd = (uint32_t)cgroup;
    attributes.query.attach_type = BPF_CGROUP_DEVICE;
    attributes.query.prog_ids = (uint64_t)(uintptr_t)ret;
    attributes.query.prog_cnt = MAX_ATTACHED;
    int error = bpf(BPF_PROG_QUERY, &attributes);
    return error ? error : (int)attributes.query.prog_cnt;
}

static int open_program(uint32_t id) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_id = id;
    return bpf(BPF_PROG_GET_FD_BY_ID, &attributes);
}

static int attach_or_detach(enum bpf_cmd command, int cgroup, int program, int replaced) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.target_fd = (uint32_t)cgroup;
    attributes.attach_bpf_fd = (uint32_t)program;
    attributes.attach_type = BPF_CGROUP_DEVICE;
    attributes.attach_flags = command == BPF_PROG_ATTACH ? BPF_F_ALLOW_MULTI : 0;
    if (replaced >= 0) {
        attributes.attach_flags |= BPF_F_REPLACE;
        attributes.replace_bpf_fd = (uint32_t)replaced;
    }
    return bpf(command, &attributes);
}

/* Takes the filters that were there before ours off: with several, a device has to be allowed by all. */
static int detach_others(int cgroup, const uint32_t *ids, int count) {
    int error = 0;
    for (int index = 0; index < count && !error; index++) {
        int program = open_program(ids[index]);
        error = program < 0 ? program : attach_or_detach(BPF_PROG_DETACH, cgroup, program, -1);
        if (program >= 0)
            close(program);
    }
    return error;
}

int op_attach_devices(const struct operation *operation) {
    uint32_t ids[MAX_ATTACHED];
    int cgroup = slot_fd(operation->numbers[ATTACH_DEVICES_CGROUP]);
    if (cgroup < 0)
        return refused(DETAIL_EMPTY_SLOT, "");
    int count = attached_programs(cgroup, ids);
    int program = count < 0 ? count : take_program(&operation->texts[ATTACH_DEVICES_PROGRAM]);
    if (program < 0)
        return program;
    /* A single one is exchanged in one step, so that there is no moment without a filter nor with two. */
    int replaced = count == 1 ? open_program(ids[0]) : -1;
    int error = attach_or_detach(BPF_PROG_ATTACH, cgroup, program, replaced);
    if (replaced >= 0)
        close(replaced);
    else if (!error)
        error = detach_others(cgroup, ids, count);
    close(program);
    return error;
}
