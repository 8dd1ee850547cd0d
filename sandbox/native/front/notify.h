/* notify.h: what a container in the foreground tells systemd by sd_notify(3); pyrunc/notify.py has the whole story. */
#pragma once

/* Reads what LISTENER has, without waiting. READY=1 goes on to $NOTIFY_SOCKET with our own pid as MAINPID: while we
 * wait for the container we are the service's main process. */
void notify_relay(int listener);
