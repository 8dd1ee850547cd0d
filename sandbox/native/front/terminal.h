/* terminal.h: bytes and window sizes between the caller's standard streams and the master side of a container's pty.
 *
 * Nothing here blocks: the loop in waiter.c polls what terminal_watch() names and calls terminal_relay(). The caller's
 * files are shared with whoever else holds them, so they are never made non-blocking; a write of at most PIPE_BUF bytes
 * behind POLLOUT does not wait.
 */
#pragma once
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct stream {
    char bytes[4096];
    size_t begin, end; /* what has been read and not yet written */
};

struct terminal {
    int master; /* -1: the container has no terminal */
    int input, output; /* 0 and 1, or -1 once they are of no more use */
    bool hung_up;      /* nobody holds the container's side open any more */
    char last;         /* the last byte sent, for the end of file */
    bool ended, told;  /* the caller's input is at its end; a program that reads keys, not lines, has been told so */
    struct stream to_container, to_caller;
    bool raw; /* the caller's terminal is in raw mode; SAVED is how it was */
    struct termios saved;
};

enum { TERMINAL_FDS = 4 };

void terminal_open(struct terminal *terminal, int master);

/* The container's window gets the size of the caller's. */
void terminal_resize(const struct terminal *terminal);

void terminal_watch(const struct terminal *terminal, struct pollfd fds[TERMINAL_FDS]);
/* How many ms poll(2) may wait for what terminal_watch() has named; -1: for ever. */
int terminal_timeout(const struct terminal *terminal);

void terminal_relay(struct terminal *terminal, const struct pollfd fds[TERMINAL_FDS]);

/* For when the process has ended: fetches what is left of its output. False: nothing is left to be written. */
bool terminal_drain(struct terminal *terminal);

/* The caller's terminal is as it was. */
void terminal_close(struct terminal *terminal);
