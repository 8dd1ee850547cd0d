/* early.h: the launcher, started while the interpreter still loads.
 *
 * It takes a millisecond to be copied to its sealed memfd, executed and ready for a plan; on the other processor, meanwhile,
 * Python needs five to be ready to make one. A launcher that gets no plan ends when its socket closes. The same is done by
 * sandbox/launch.py (`spawn_launcher`) where there is no front; what is said there of memfd and seals holds here.
 */
#pragma once
#include <stddef.h>

/* Starts the launcher of the package in FOLDER. Fills TEXT with "FD:PID" (its control socket, which stays open over exec, and
 * its pid, a child of ours), or with "" when it could not be started: Python then does it. */
void start_launcher(const char *folder, char *ret_text, size_t size);
