/* process.c: what a process is allowed and who it is. */
#include "launcher.h"

#include <linux/limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MAX_GROUPS 65536 /* the kernel's NGROUPS_MAX */
#define DROP_GROUPS 2    /* `set_groups`: the caller's go, if this user namespace lets them */
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

static int set_limit(uint64_t resource, const struct rlimit *limit) {
    return answer(setrlimit((__rlimit_resource_t)resource, limit));
}

int op_raise_rlimit(const struct operation *operation) {
    uint64_t resource = operation->numbers[RAISE_RLIMIT_RESOURCE];
    rlim_t soft = operation->numbers[RAISE_RLIMIT_SOFT], hard = operation->numbers[RAISE_RLIMIT_HARD];
    struct rlimit limit;
    int error = answer(getrlimit((__rlimit_resource_t)resource, &limit));
    if (error || (soft <= limit.rlim_cur && hard <= limit.rlim_max))
        return error;
    limit.rlim_max = hard > limit.rlim_max ? hard : limit.rlim_max;
    limit.rlim_cur = soft > limit.rlim_cur ? soft : limit.rlim_cur;
    return set_limit(resource, &limit);
}

int op_rlimit(const struct operation *operation) {
    struct rlimit limit = {operation->numbers[RLIMIT_SOFT], operation->numbers[RLIMIT_HARD]};
    return set_limit(operation->numbers[RLIMIT_RESOURCE], &limit);
}

int op_umask(const struct operation *operation) {
    launcher.umask = (mode_t)operation->numbers[UMASK_MASK] & 0777;
    return 0;
}

/* The kernel's own answer: a folder outside the root is written "(unreachable)/..." (CVE-2024-21626). */
static int check_cwd(void) {
    static char cwd[PATH_MAX + 16];
    if (syscall(SYS_getcwd, cwd, sizeof cwd) < 0)
        return -errno == -ENOENT ? refused(DETAIL_CWD_OUTSIDE, "") : -errno;
    return cwd[0] == '/' ? 0 : refused(DETAIL_CWD_OUTSIDE, cwd);
}

int op_chdir(const struct operation *operation) {
    int folder = path_make_folders(root_fd(), operation->texts[CHDIR_PATH].bytes, 0755);
    if (folder < 0)
        return folder;
    int error = answer(fchdir(folder));
    close(folder);
    return error ? error : check_cwd();
}

/* What is not in the mask goes, up to the last capability that the kernel knows. */
int op_bounding(const struct operation *operation) {
    for (unsigned long number = 0; number < 64; number++) {
        if (operation->numbers[BOUNDING_MASK] >> number & 1)
            continue;
        int error = answer(prctl(PR_CAPBSET_DROP, number, 0, 0, 0));
        if (error == -EINVAL)
            break;
        if (error && prctl(PR_CAPBSET_READ, number, 0, 0, 0) != 0)
            return error; /* we may not, and it is not gone already either */
    }
    return 0;
}

/* Decimal digits and nothing else: "1x" is no group, and certainly not group 1 (CVE-2026-30892). */
static bool parse_id(const char *text, uint32_t *ret) {
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value >= UINT32_MAX)
            return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static int set_groups(const struct operation *operation) {
    static uint32_t groups[MAX_GROUPS];
    const struct text *list = &operation->texts[USER_GROUPS];
    char **texts = plan_list(&launcher.plan, list, 0);
    if (list->count > MAX_GROUPS)
        return -EINVAL;
    for (uint32_t index = 0; index < list->count; index++)
        if (!parse_id(texts[index], &groups[index]))
            return because_number(-EINVAL, DETAIL_BAD_GROUP, index, texts[index], strlen(texts[index]));
    return answer(syscall(SYS_setgroups, list->count, groups));
}

int op_user(const struct operation *operation) {
    uint64_t uid = operation->numbers[USER_UID], gid = operation->numbers[USER_GID];
    if (uid >= UINT32_MAX || gid >= UINT32_MAX)
        return -EINVAL; /* -1 means "unchanged" to the kernel */
    /* Permitted capabilities outlive the change of user; `capabilities` decides which. */
    int error = answer(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    /* Groups before ids, because the new user may not set them. */
    if (!error && operation->numbers[USER_SET_GROUPS])
        error = set_groups(operation);
    if (error == -EPERM && operation->numbers[USER_SET_GROUPS] == DROP_GROUPS)
        error = 0; /* whoever made the user namespace gave up setgroups(2): nobody in it can */
    if (!error)
        error = answer(syscall(SYS_setresgid, (uint32_t)gid, (uint32_t)gid, (uint32_t)gid));
    if (!error)
        error = answer(syscall(SYS_setresuid, (uint32_t)uid, (uint32_t)uid, (uint32_t)uid));
    if (!error)
        error = answer(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
    return error;
}

int op_capabilities(const struct operation *operation) {
    uint64_t effective = operation->numbers[CAPABILITIES_EFFECTIVE], permitted = operation->numbers[CAPABILITIES_PERMITTED];
    uint64_t inheritable = operation->numbers[CAPABILITIES_INHERITABLE];
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (unsigned half = 0; half < 2; half++)
        data[half] = (struct __user_cap_data_struct){
            (uint32_t)(effective >> 32 * half), (uint32_t)(permitted >> 32 * half), (uint32_t)(inheritable >> 32 * half)};
    return answer(syscall(SYS_capset, &header, data));
}

/* All that can be raised, though one cannot: the first refusal is the result. */
int op_ambient(const struct operation *operation) {
    int result = answer(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    for (unsigned long number = 0; number < 64; number++) {
        if (!(operation->numbers[AMBIENT_MASK] >> number & 1))
            continue;
        int error = answer(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0));
        result = result ? result : error;
    }
    return result;
}

int op_no_new_privileges(const struct operation *operation) {
    (void)operation;
    return answer(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}
