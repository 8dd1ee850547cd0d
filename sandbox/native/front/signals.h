/* signals.h: the names of signals. */
#pragma once

/* "9", "KILL", "SIGKILL", in any case. 0 for what is none of these (real-time names, misspellings): Python decides. */
int parse_signal(const char *name);
