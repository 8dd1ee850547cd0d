/* signals.c: see signals.h. */
#define _GNU_SOURCE
#include "signals.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

int parse_signal(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    if (digits > 0 && name[digits] == '\0') {
        int number = 0;
        for (; *name != '\0' && number < NSIG; name++)
            number = number * 10 + (*name - '0');
        return number < NSIG ? number : 0;
    }
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int number = 1; number < __SIGRTMIN; number++) {
        const char *abbreviation = sigabbrev_np(number);
        if (abbreviation && strcasecmp(name, abbreviation) == 0)
            return number;
    }
    return 0;
}
