/* delete.h: what a stopped container has left is taken away, in the plain case. Shared by the front and the waiter. */
#pragma once
#include "state.h"

/* Whether this delete is ours: nobody else at work in the folder (it is locked from here on), only files that we know
 * in it, and no needs beyond removing them. Asked before anything is done, so that Python can do the whole of what is
 * not plain. */
bool is_plain_delete(int folder, const struct record *record);

/* Removes the cgroups, the files and the folder ID below ROOT. False: something is left (a cgroup is busy, a file came
 * in between); a delete by Python can go on from there, because the `state` file is the last file to go. */
bool delete_stopped(int root, int folder, const char *id, const struct record *record);
