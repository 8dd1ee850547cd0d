/* runtime.c: the little of a C library that the launcher needs, for builds without one (-DFREESTANDING -nostdlib).
 *
 * A static glibc makes the launcher 700 kB, to be copied to a memfd and paged in for every container: 0.45 ms of a start, more
 * than all the rest of the launcher. Functions have their usual prototypes; there are no threads, so errno is one variable.
 * Must hold nothing that is not called. Without FREESTANDING this file is empty and the C library is used.
 */
#ifdef FREESTANDING
#include "launcher.h"

#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns") /* or memcpy would become a call of memcpy */
#endif

int main(void);

/* -- start and system calls ------------------------------------------------------------------------------------------ */

#if defined __x86_64__
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n and $-16, %rsp\n call main\n mov %eax, %edi\n mov $231, %eax\n syscall\n hlt\n");

static long call(long number, const long a[6]) {
    long result;
    register long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined __aarch64__
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x30, #0\n bl main\n mov x8, #94\n svc #0\n");

static long call(long number, const long a[6]) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a[0], x1 __asm__("x1") = a[1], x2 __asm__("x2") = a[2],
                  x3 __asm__("x3") = a[3], x4 __asm__("x4") = a[4], x5 __asm__("x5") = a[5];
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#error "FREESTANDING is for x86_64 and aarch64; build with a C library instead"
#endif

int *__errno_location(void) {
    static int number;
    return &number;
}

static long checked(long result) {
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

long syscall(long number, ...) {
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (unsigned index = 0; index < 6; index++)
        arguments[index] = va_arg(list, long);
    va_end(list);
    return checked(call(number, arguments));
}

#define ARGUMENT(x) ((long)(x))
#define CALL0(name) checked(call(SYS_##name, (long[6]){0}))
#define CALL1(name, a) checked(call(SYS_##name, (long[6]){ARGUMENT(a)}))
#define CALL2(name, a, b) checked(call(SYS_##name, (long[6]){ARGUMENT(a), ARGUMENT(b)}))
#define CALL3(name, a, b, c) checked(call(SYS_##name, (long[6]){ARGUMENT(a), ARGUMENT(b), ARGUMENT(c)}))
#define CALL4(name, a, b, c, d) checked(call(SYS_##name, (long[6]){ARGUMENT(a), ARGUMENT(b), ARGUMENT(c), ARGUMENT(d)}))
#define CALL5(name, a, b, c, d, e) \
    checked(call(SYS_##name, (long[6]){ARGUMENT(a), ARGUMENT(b), ARGUMENT(c), ARGUMENT(d), ARGUMENT(e)}))
#define CALL6(name, a, b, c, d, e, f) \
    checked(call(SYS_##name, (long[6]){ARGUMENT(a), ARGUMENT(b), ARGUMENT(c), ARGUMENT(d), ARGUMENT(e), ARGUMENT(f)}))

/* The one argument behind the named ones of open, fcntl and ioctl. */
#define LAST_ARGUMENT(last, ret) \
    do { \
        va_list list; \
        va_start(list, last); \
        ret = va_arg(list, long); \
        va_end(list); \
    } while (0)

void _exit(int status) {
    for (;;)
        CALL1(exit_group, status);
}

/* -- files ------------------------------------------------------------------------------------------------------------ */

int open(const char *path, int flags, ...) { return (int)CALL4(openat, AT_FDCWD, path, flags, 0); } /* nothing here creates */
int openat(int folder, const char *path, int flags, ...) { return (int)CALL4(openat, folder, path, flags, 0); }
int close(int fd) { return (int)CALL1(close, fd); }
ssize_t read(int fd, void *bytes, size_t size) { return CALL3(read, fd, bytes, size); }
ssize_t write(int fd, const void *bytes, size_t size) { return CALL3(write, fd, bytes, size); }
off_t lseek(int fd, off_t offset, int whence) { return CALL3(lseek, fd, offset, whence); }
int dup3(int fd, int number, int flags) { return (int)CALL3(dup3, fd, number, flags); }
int pipe2(int fds[2], int flags) { return (int)CALL2(pipe2, fds, flags); }
int memfd_create(const char *name, unsigned flags) { return (int)CALL2(memfd_create, name, flags); }
int fstat(int fd, struct stat *ret) { return (int)CALL2(fstat, fd, ret); }
int stat(const char *path, struct stat *ret) { return (int)CALL4(newfstatat, AT_FDCWD, path, ret, 0); }
int fstatat(int folder, const char *path, struct stat *ret, int flags) {
    return (int)CALL4(newfstatat, folder, path, ret, flags);
}
int fstatfs(int fd, struct statfs *ret) { return (int)CALL2(fstatfs, fd, ret); }
int mkdirat(int folder, const char *name, mode_t mode) { return (int)CALL3(mkdirat, folder, name, mode); }
int mknodat(int folder, const char *name, mode_t mode, dev_t device) { return (int)CALL4(mknodat, folder, name, mode, device); }
int symlinkat(const char *text, int folder, const char *name) { return (int)CALL3(symlinkat, text, folder, name); }
ssize_t readlinkat(int folder, const char *name, char *ret, size_t size) { return CALL4(readlinkat, folder, name, ret, size); }
int fchown(int fd, uid_t uid, gid_t gid) { return (int)CALL3(fchown, fd, uid, gid); }
int fchownat(int folder, const char *name, uid_t uid, gid_t gid, int flags) {
    return (int)CALL5(fchownat, folder, name, uid, gid, flags);
}
int chdir(const char *path) { return (int)CALL1(chdir, path); }
int fchdir(int fd) { return (int)CALL1(fchdir, fd); }
int chroot(const char *path) { return (int)CALL1(chroot, path); }
mode_t umask(mode_t mask) { return (mode_t)CALL1(umask, mask); }
int poll(struct pollfd *polled, nfds_t count, int timeout) {
    struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};
    return (int)CALL5(ppoll, polled, count, timeout < 0 ? NULL : &time, NULL, 0);
}
int fcntl(int fd, int command, ...) {
    long argument;
    LAST_ARGUMENT(command, argument);
    return (int)CALL3(fcntl, fd, command, argument);
}
int ioctl(int fd, unsigned long request, ...) {
    long argument;
    LAST_ARGUMENT(request, argument);
    return (int)CALL3(ioctl, fd, request, argument);
}
void *mmap(void *wish, size_t length, int protection, int flags, int fd, off_t offset) {
    return (void *)CALL6(mmap, wish, length, protection, flags, fd, offset);
}

/* The kernel's dev_t of stat(2) and mknod(2). */
unsigned gnu_dev_major(dev_t device) { return (unsigned)(device >> 8 & 0xfff); }
unsigned gnu_dev_minor(dev_t device) { return (unsigned)((device & 0xff) | (device >> 12 & 0xfff00)); }
dev_t gnu_dev_makedev(unsigned major_number, unsigned minor_number) {
    return (dev_t)(minor_number & 0xff) | (dev_t)(major_number & 0xfff) << 8 | (dev_t)(minor_number & 0xfff00) << 12;
}

/* -- sockets ---------------------------------------------------------------------------------------------------------- */

int socket(int family, int type, int protocol) { return (int)CALL3(socket, family, type, protocol); }
int socketpair(int family, int type, int protocol, int ret[2]) { return (int)CALL4(socketpair, family, type, protocol, ret); }
int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    return (int)CALL4(accept4, fd, address, length, flags);
}
ssize_t recvmsg(int fd, struct msghdr *header, int flags) { return CALL3(recvmsg, fd, header, flags); }
ssize_t sendmsg(int fd, const struct msghdr *header, int flags) { return CALL3(sendmsg, fd, header, flags); }

/* -- processes -------------------------------------------------------------------------------------------------------- */

pid_t getpid(void) { return (pid_t)CALL0(getpid); }
pid_t setsid(void) { return (pid_t)CALL0(setsid); }
int kill(pid_t pid, int number) { return (int)CALL2(kill, pid, number); }
pid_t waitpid(pid_t pid, int *status, int flags) { return (pid_t)CALL4(wait4, pid, status, flags, NULL); }
int execve(const char *path, char *const arguments[], char *const environment[]) {
    return (int)CALL3(execve, path, arguments, environment);
}
int setns(int fd, int flags) { return (int)CALL2(setns, fd, flags); }
int unshare(int flags) { return (int)CALL1(unshare, flags); }
int sethostname(const char *name, size_t length) { return (int)CALL2(sethostname, name, length); }
int setdomainname(const char *name, size_t length) { return (int)CALL2(setdomainname, name, length); }
int prctl(int option, ...) {
    long arguments[4];
    va_list list;
    va_start(list, option);
    for (unsigned index = 0; index < 4; index++)
        arguments[index] = va_arg(list, long);
    va_end(list);
    return (int)CALL5(prctl, option, arguments[0], arguments[1], arguments[2], arguments[3]);
}
int getrlimit(__rlimit_resource_t resource, struct rlimit *ret) { return (int)CALL4(prlimit64, 0, resource, NULL, ret); }
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) { return (int)CALL4(prlimit64, 0, resource, limit, NULL); }
int clock_gettime(clockid_t clock, struct timespec *ret) { return (int)CALL2(clock_gettime, clock, ret); }

/* -- strings ---------------------------------------------------------------------------------------------------------- */

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    for (size_t at = 0; at < size; at++)
        ((char *)to)[at] = ((const char *)from)[at];
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);
    while (size--)
        ((char *)to)[size] = ((const char *)from)[size];
    return to;
}

void *memset(void *to, int byte, size_t size) {
    for (size_t at = 0; at < size; at++)
        ((char *)to)[at] = (char)byte;
    return to;
}

int memcmp(const void *one, const void *other, size_t size) {
    const unsigned char *a = one, *b = other;
    for (; size; size--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}

/* Names in parentheses: in glibc's headers, from 2.43 on, they are macros too. */
void *(memchr)(const void *bytes, int wanted, size_t size) {
    for (const unsigned char *at = bytes; size; size--, at++)
        if (*at == (unsigned char)wanted)
            return (void *)at;
    return NULL;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

size_t strnlen(const char *text, size_t size) {
    size_t length = 0;
    while (length < size && text[length])
        length++;
    return length;
}

char *strcpy(char *restrict to, const char *restrict from) { return memcpy(to, from, strlen(from) + 1); }

int strncmp(const char *one, const char *other, size_t size) {
    for (; size; size--, one++, other++)
        if (*one != *other || !*one)
            return (unsigned char)*one - (unsigned char)*other;
    return 0;
}

int strcmp(const char *one, const char *other) { return strncmp(one, other, SIZE_MAX); }

char *(strchr)(const char *text, int wanted) { return (memchr)(text, wanted, strlen(text) + 1); }

char *(strrchr)(const char *text, int wanted) {
    for (size_t length = strlen(text) + 1; length; length--)
        if (text[length - 1] == (char)wanted)
            return (char *)text + length - 1;
    return NULL;
}

size_t strspn(const char *text, const char *accepted) {
    size_t length = 0;
    while (text[length] && strchr(accepted, text[length]))
        length++;
    return length;
}

size_t strcspn(const char *text, const char *refused) {
    size_t length = 0;
    while (text[length] && !strchr(refused, text[length]))
        length++;
    return length;
}

char *(strstr)(const char *text, const char *wanted) {
    for (size_t length = strlen(wanted); *text; text++)
        if (!strncmp(text, wanted, length))
            return (char *)text;
    return NULL;
}
#endif
