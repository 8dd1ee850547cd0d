/* streams.h: the three standard streams, which belong to the caller. */
#pragma once
#include "report.h"

/* What the caller has closed becomes /dev/null, or a file of ours would be taken for a standard stream. */
void open_streams(void);

/* The exit code after everything has been printed: 0, or 1 when it could not be written, which is reported. */
int shown(const struct log *log);
