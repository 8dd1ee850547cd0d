/* notify.h: what a container in the foreground tells systemd by sd_notify(3); pyrunc/notify.py has the whole story. */
#pragma once

#include <stdbool.h>

/* Reads what LISTENER has, without waiting, and not for ever. The first READY=1 goes on to $NOTIFY_SOCKET with our own pid as
 * MAINPID: while we wait for the container we are the service's main process. TOLD: it has gone on already, and what the
 * container says is only read, so that it need not wait. Returns whether the service manager has been told by now. */
bool notify_relay(int listener, bool told);
