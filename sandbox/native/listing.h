/* listing.h: what is in a folder, as rows of JSON: the inner loop of an inventory (pyrunc/image/inventory.py).
 *
 * It knows no rule of its own. Files, symbolic links and folders without extended attributes, with names of printable
 * ASCII, become rows; the names of all others are handed back. No link is followed, nothing is opened.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { LISTING_ROOM = 32768 };

struct listing {
    size_t text; /* bytes of rows, each with a comma behind it */
    size_t left; /* bytes of `left` in use: names, each with a NUL behind it and in front of it '/' for a folder that
                    has a row and is to be entered, or '?' for whatever has none */
};

/* Describes some entries of FOLDER (an fd, whose position says how far this has come). PATH goes before their names: it
 * is escaped, and ends with a slash if it is not empty. UID and GID are written as 0. LEFT must have room for what
 * getdents gives at once: LISTING_ROOM bytes; an entry for which TEXT (ROOM bytes) is too small is left. Returns 1 when
 * there may be more, 0 at the end, or an errno below 0. */
int list_folder(int folder, const char *path, uint32_t uid, uint32_t gid, char *text, size_t room, char *left,
                struct listing *ret_listing);
