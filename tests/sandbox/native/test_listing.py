"""The inner loop of an inventory under the sanitizers: however little room it has, it stays within it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.sandbox.native.test_plain import NATIVE

# Lists a folder with every room up to 700 bytes, each in memory of exactly that size; prints how much came at least.
HARNESS = r"""
#define _GNU_SOURCE
#include "listing.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **args) {
    int top = open(args[1], O_RDONLY | O_DIRECTORY);
    if (count != 2 || top < 0) return 2;
    for (size_t room = 0; room < 700; room++) {
        char *text = malloc(room), *left = malloc(LISTING_ROOM);
        size_t rows = 0, others = 0;
        struct listing listing;
        lseek(top, 0, SEEK_SET);
        int more;
        while ((more = list_folder(top, "above/", 0, 0, text, room, left, &listing)) > 0) {
            if (listing.text > room || listing.left > LISTING_ROOM) abort();
            for (size_t at = 0; at < listing.text; at++) rows += text[at] == '[';
            for (size_t at = 0; at < listing.left; at++) others += left[at] == '?';
        }
        if (more || rows + others != 5) abort();
        if (room == 699) printf("%zu %zu\n", rows, others);
        free(text);
        free(left);
    }
}
"""


def test_every_room(tmp_path: Path) -> None:
    """Every entry has a row or is left, and no byte is written beyond the room that there is."""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(found):
        pytest.skip("needs gcc's libasan.so")
    top = tmp_path / "top"
    (top / "folder").mkdir(parents=True)
    (top / "file").touch()
    (top / "link").symlink_to("x" * 90)
    (top / "ü").touch()
    os.mkfifo(top / "fifo")
    source, program = tmp_path / "harness.c", tmp_path / "harness"
    source.write_text(HARNESS)
    flags = ["-std=gnu11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{NATIVE}"]
    subprocess.run(["gcc", *flags, source, NATIVE / "listing.c", "-o", program], check=True)

    done = subprocess.run([program, top], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "3 2\n"
