/* notify.c: see notify.h. */
#define _GNU_SOURCE
#include "notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST = 1024 }; /* datagrams at a time, more than a queue holds */

static bool says_ready(char *text)
{
    for (char *rest, *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strcmp(line, "READY=1") == 0)
            return true;
    return false;
}

/* Nothing can be done, and nobody told, when the service manager is not there. */
static void tell(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    char main_pid[32];
    if (length >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, name, length + 1);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/'));
    int link = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (link < 0)
        return;
    int count = snprintf(main_pid, sizeof main_pid, "MAINPID=%d\n", (int)getpid());
    if (sendto(link, "READY=1\n", 8, MSG_NOSIGNAL, (struct sockaddr *)&address, size) == 8)
        sendto(link, main_pid, (size_t)count, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    close(link);
}

bool notify_relay(int listener, bool told)
{
    char text[4097];
    ssize_t length;
    /* A container that never ends talking must not keep us from signals and from its end. */
    for (int read = 0; read < MOST && (length = recv(listener, text, sizeof text - 1, MSG_DONTWAIT)) >= 0; read++) {
        const char *name = getenv("NOTIFY_SOCKET");
        text[length] = '\0';
        if (!told && says_ready(text)) {
            told = true;
            if (name)
                tell(name);
        }
    }
    return told;
}
