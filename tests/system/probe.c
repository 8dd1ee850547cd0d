/* Asks the kernel what a shell cannot: `probe syscall NUMBER [ARGUMENT...]` prints the error number (0: none),
 * `probe fds` prints every open fd with its target, without opening any that would show up itself. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int print_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 1;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char target[4096];
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        if (length < 0 || atoi(entry->d_name) == dirfd(folder))
            continue;
        target[length] = '\0';
        printf("%s %s\n", entry->d_name, target);
    }
    closedir(folder);
    return 0;
}

static int call(int count, char **words)
{
    unsigned long numbers[7] = {0};
    for (int i = 0; i < count && i < 7; i++)
        numbers[i] = strtoul(words[i], NULL, 0);
    errno = 0;
    long result = syscall((long)numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]);
    printf("%d\n", result < 0 ? errno : 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "fds") == 0)
        return print_fds();
    if (argc > 2 && strcmp(argv[1], "syscall") == 0)
        return call(argc - 2, argv + 2);
    return 2;
}
