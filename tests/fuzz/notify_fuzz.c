/* notify_fuzz.c: any datagrams from a container to the socket that stands for its service manager.
 *
 * The waiter's relay is included as it is. The first byte of an input says where it is cut into datagrams. What the service
 * manager hears is READY=1 and our pid, once, and nothing of the container's own words. */
#include "front/notify.c"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int manager = -1;

static void listen_as_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int length = snprintf(name, sizeof name, "@pyrunc-fuzz-%d", (int)getpid());
    memcpy(address.sun_path, name, (size_t)length);
    address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager < 0 || setenv("NOTIFY_SOCKET", name, 1) ||
        bind(manager, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char heard[64], expected[32];
    int pair[2], said = 0;
    if (manager < 0)
        listen_as_manager();
    if (size == 0 || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
        return 0;
    size_t step = data[0] ? data[0] * 16u : size;
    for (size_t at = 1, sent = 0; at < size && sent < 8; at += step, sent++)
        send(pair[0], data + at, size - at < step ? size - at : step, MSG_DONTWAIT);
    bool ready = notify_relay(pair[1], false);
    snprintf(expected, sizeof expected, "MAINPID=%d\n", (int)getpid());
    for (ssize_t length; (length = recv(manager, heard, sizeof heard - 1, MSG_DONTWAIT)) >= 0; said++) {
        heard[length] = '\0';
        assert(strcmp(heard, said ? expected : "READY=1\n") == 0);
    }
    assert(said == (ready ? 2 : 0));
    close(pair[0]);
    close(pair[1]);
    return 0;
}
