/* storm.c: exchanges each folder NAME of ROOTFS/storm with ROOTFS/links/NAME, a symbolic link, over and over; and takes each away
 * for a moment. Ends by a signal. What a container's owner can do to its root file system while it is being started.
 *
 *     storm ROOTFS NAME...
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

static int folder(const char *rootfs, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", rootfs, name);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

/* What is in the way for the moment (a mount, a folder that was made meanwhile) is passed over; a storm that moves nothing any
 * more is an error. */
static void change(int from, const char *old, int to, const char *new, unsigned flags)
{
    static unsigned failed;
    if (syscall(SYS_renameat2, from, old, to, new, flags) == 0)
        failed = 0;
    else if (++failed > 10000) {
        perror(old);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 1;
    int storm = folder(argv[1], "storm"), links = folder(argv[1], "links");
    puts("blowing");
    fflush(stdout);
    for (unsigned round = 0;; round++)
        for (int i = 2; i < argc; i++) {
            change(storm, argv[i], links, argv[i], RENAME_EXCHANGE);
            if (round % 16 == 0) {
                change(storm, argv[i], links, "away", 0);
                change(links, "away", storm, argv[i], 0);
            }
        }
}
