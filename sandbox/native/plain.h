/* plain.h: the inner loop of unpacking a layer: runs of ordinary entries of one folder, straight from a tar archive.
 *
 * It knows no rule of its own. Whatever is not plain to the last byte (another folder, a whiteout, something in the
 * way, an extended header, a number in another notation, an error) is left untouched for pyrunc/image/apply.py, which
 * has all the rules and all the messages. So what it makes must be exactly what those rules would have made.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct plain_run {
    size_t bytes;     /* of the archive that have been dealt with: whole entries with their padding */
    size_t entries;   /* that these were */
    size_t named;     /* bytes of `names` in use: their names in the folder, each with a NUL */
    int folder;       /* what was made last is a folder: its fd, now the caller's; otherwise -1 */
    int64_t mtime;    /* the time that the caller gives this folder once it is full */
    int elsewhere;    /* whether the entry that comes next might be ordinary in another folder */
};

/* Makes the files and symbolic links with which DATA (LENGTH bytes, at an entry's header) begins, as long as they are of
 * the folder PATH (without a slash at its ends; "" is the root) whose fd FOLDER is, up to the first folder, which is
 * made too if its mode has all bits of NEEDED. NAMES has ROOM bytes. An entry whose data go beyond LENGTH is not
 * touched. */
void plain_files(int folder, const char *path, uint32_t needed, const uint8_t *data, size_t length, char *names,
                 size_t room, struct plain_run *ret_run);
