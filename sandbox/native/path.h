/* path.h: the only place that turns a string into a file below a root. Shared by launcher, unpacker and gofer.
 *
 * Every function resolves inside ROOT as if it were "/": ".." and absolute symbolic links cannot leave it, magic links
 * are refused. openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) where there is one, otherwise a component walk that
 * follows links itself. All return a new CLOEXEC fd (>= 0) or -errno; no function changes errno-visible global state
 * (chdir, umask). Nothing here trusts the tree: it may change while we look.
 */
#pragma once
#include <fcntl.h>
#include <stdbool.h>
#include <sys/types.h>

/* Opens PATH (follows links inside the root, also the last). FLAGS as for open(2); O_CLOEXEC is added. */
int path_open(int root, const char *path, int flags);

/* The same without following any symbolic link at all (ELOOP when one is met). */
int path_open_nolinks(int root, const char *path, int flags);

/* Opens the folder that holds the last component of PATH and copies that component (never "", ".", ".." or one with a
 * slash) to LAST, of NAME_MAX + 1 bytes. -EINVAL for a path that names the root itself. */
int path_parent(int root, const char *path, char last[256]);

/* Opens folder PATH (O_PATH | O_DIRECTORY), making what is missing with MODE (dangling links are made inside root). */
int path_make_folders(int root, const char *path, mode_t mode);

/* Opens PATH (O_PATH); when it is missing makes its folders (0755) and an empty file with MODE. */
int path_make_file(int root, const char *path, mode_t mode);
