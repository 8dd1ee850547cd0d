/* handover.h: Python takes over, in this process.
 *
 * The interpreter and the folder of the package are found from where this program lies, so that one binary serves a
 * virtual environment that has been moved, a prefix and a system's own Python. The environment is passed on untouched.
 */
#pragma once

/* Executes Python with ARGUMENTS (what follows the program's name; NULL at the end). Returns only on failure. */
void hand_over(char *const *arguments);
