/* terminal.c: see terminal.h. */
#define _GNU_SOURCE
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Raw as for ssh, but output processing stays on: the container's side has ONLCR off (Python saw to it before the program
 * started), so that a newline becomes a carriage return and a newline once, here. */
static void enter_raw(struct terminal *terminal)
{
    struct termios raw = terminal->saved;
    cfmakeraw(&raw);
    raw.c_oflag |= terminal->saved.c_oflag & OPOST;
    terminal->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void terminal_open(struct terminal *terminal, int master)
{
    terminal->master = master;
    terminal->input = master < 0 ? -1 : STDIN_FILENO;
    terminal->output = STDOUT_FILENO;
    if (master < 0)
        return;
    fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK);
    terminal_resize(terminal);
    if (tcgetattr(STDIN_FILENO, &terminal->saved) < 0)
        return;
    /* In the background the terminal belongs to somebody else (-1: to no session of ours, so nobody else is asking). */
    pid_t foreground = tcgetpgrp(STDIN_FILENO);
    if (foreground < 0 || foreground == getpgrp())
        enter_raw(terminal);
    else
        terminal->input = -1;
}

void terminal_close(struct terminal *terminal)
{
    if (terminal->raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->saved);
    terminal->raw = false;
}

void terminal_resize(const struct terminal *terminal)
{
    struct winsize size;
    for (int fd = STDIN_FILENO; terminal->master >= 0 && fd <= STDERR_FILENO; fd++)
        if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
            ioctl(terminal->master, TIOCSWINSZ, &size);
            return;
        }
}

static bool is_empty(const struct stream *stream)
{
    return stream->begin == stream->end;
}

/* 1: something was read; 0: nothing at the moment; -1: nothing ever again. */
static int fill(struct stream *stream, int fd)
{
    ssize_t n = read(fd, stream->bytes, sizeof stream->bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    stream->begin = 0;
    stream->end = (size_t)n;
    return 1;
}

/* False: what takes the bytes is gone. */
static bool flush(struct stream *stream, int fd)
{
    ssize_t n = write(fd, stream->bytes + stream->begin, stream->end - stream->begin);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    stream->begin += (size_t)n;
    return true;
}

static void type_end(struct terminal *terminal, const struct termios *termios, size_t times)
{
    if (termios->c_cc[VEOF] == _POSIX_VDISABLE)
        return;
    memset(terminal->to_container.bytes, termios->c_cc[VEOF], times);
    terminal->to_container.begin = 0;
    terminal->to_container.end = times;
}

/* The end of a file or pipe is told as a person would: by the end-of-file character, which ends a line that is under
 * way when typed once, and the input when typed at the beginning of a line. */
static void end_input(struct terminal *terminal)
{
    struct termios termios;
    terminal->input = -1;
    if (isatty(STDIN_FILENO) || tcgetattr(terminal->master, &termios) < 0)
        return;
    bool begins_line = terminal->last == '\n' || terminal->last == '\0';
    terminal->ended = true;
    terminal->told = !(termios.c_lflag & ICANON);
    type_end(terminal, &termios, begins_line ? 1 : 2);
}

/* A shell that edits lines takes the terminal out of the mode in which the character means the end, perhaps before it has read it
 * (it reads a zero then), and does so again after each program that it runs: it is typed again each time. */
static void repeat_end(struct terminal *terminal)
{
    struct termios termios;
    if (!terminal->ended || !is_empty(&terminal->to_container) || tcgetattr(terminal->master, &termios) < 0)
        return;
    bool keys = !(termios.c_lflag & ICANON);
    if (keys && !terminal->told)
        type_end(terminal, &termios, 1);
    terminal->told = keys;
}

/* A stream is read into only when it is empty, and written from only when it is not. A caller that has closed its end
 * of the output does not stop the container: the rest is read and dropped. */
void terminal_watch(const struct terminal *terminal, struct pollfd fds[TERMINAL_FDS])
{
    bool sending = !is_empty(&terminal->to_container), showing = !is_empty(&terminal->to_caller);
    fds[0] = (struct pollfd){.fd = sending ? -1 : terminal->input, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = sending ? terminal->master : -1, .events = POLLOUT};
    fds[2] = (struct pollfd){.fd = showing || terminal->hung_up ? -1 : terminal->master, .events = POLLIN};
    fds[3] = (struct pollfd){.fd = showing ? terminal->output : -1, .events = POLLOUT};
}

int terminal_timeout(const struct terminal *terminal)
{
    return terminal->ended && !terminal->hung_up ? 100 : -1; /* nothing tells of a terminal that changes its mode */
}

static void send_to_container(struct terminal *terminal)
{
    terminal->last = terminal->to_container.bytes[terminal->to_container.end - 1];
    if (!flush(&terminal->to_container, terminal->master)) {
        terminal->to_container.begin = terminal->to_container.end;
        terminal->input = -1;
    }
}

static void show_to_caller(struct terminal *terminal)
{
    if (terminal->output >= 0 && !flush(&terminal->to_caller, terminal->output))
        terminal->output = -1;
    if (terminal->output < 0)
        terminal->to_caller.begin = terminal->to_caller.end;
}

void terminal_relay(struct terminal *terminal, const struct pollfd fds[TERMINAL_FDS])
{
    if (fds[0].revents && fill(&terminal->to_container, terminal->input) < 0)
        end_input(terminal);
    else
        repeat_end(terminal);
    if (fds[1].revents)
        send_to_container(terminal);
    if (fds[2].revents && fill(&terminal->to_caller, terminal->master) < 0)
        terminal->hung_up = true;
    if (fds[3].revents || terminal->output < 0)
        show_to_caller(terminal);
}

bool terminal_drain(struct terminal *terminal)
{
    terminal->input = -1;
    terminal->to_container.begin = terminal->to_container.end;
    if (terminal->master < 0)
        return false;
    /* Asking a terminal makes the kernel move over what a process wrote just before it ended, so "nothing at the
     * moment" is the truth; others that still hold the terminal open are not waited for. */
    if (is_empty(&terminal->to_caller) && fill(&terminal->to_caller, terminal->master) <= 0)
        return false;
    return terminal->output >= 0;
}
