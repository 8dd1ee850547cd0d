"""The inner loop of unpacking under the sanitizers: whatever the bytes, it stays within them and within its folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.pyrunc.image.tars import archive, file, folder, header, pax, symlink

NATIVE = Path(__file__).resolve().parents[3] / "sandbox/native"
ROUNDS = 20_000

# Changes the archive on its standard input at random, ROUNDS times, each in memory of exactly the size that is said.
HARNESS = r"""
#define _GNU_SOURCE
#include "plain.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void empty(int top) { if (fchdir(top) || system("rm -rf ./*")) abort(); }

int main(int count, char **args) {
    static uint8_t seed[1 << 16];
    size_t size = fread(seed, 1, sizeof seed, stdin), made = 0;
    int top = open(args[1], O_RDONLY | O_DIRECTORY), rounds = atoi(args[2]);
    if (count != 3 || top < 0) return 2;
    srandom(1);
    for (int round = 0; round < rounds; round++) {
        size_t start = (size_t)random() % (size / 512) * 512, length = (size_t)random() % (size - start + 1);
        size_t room = (size_t)random() % 40;
        uint8_t *data = malloc(length);
        char *names = malloc(room);
        memcpy(data, seed + start, length);
        for (int change = (int)(random() % 4); length && change > 0; change--) {
            size_t at = (size_t)random() % length;
            uint64_t sum = 8 * ' ';
            data[at] = random() % 2 ? (uint8_t)random() : (uint8_t)"/.0 7\0w8"[random() % 8];
            uint8_t *block = data + at / 512 * 512;
            if (at / 512 * 512 + 512 > length || random() % 4 == 0) continue;
            for (int i = 0; i < 512; i++) if (i < 148 || i >= 156) sum += block[i];
            snprintf((char *)block + 148, 8, "%06o", (unsigned)sum & 0777777);
        }
        struct plain_run run;
        plain_files(top, random() % 2 ? "d" : "", random() % 2 ? 0700 : 0, data, length, names, room, &run);
        if (run.bytes > length || run.named > room || run.bytes % 512 || (run.entries && !run.bytes)) abort();
        if (run.folder >= 0 && (!run.entries || close(run.folder))) abort();
        made += run.entries;
        free(data);
        free(names);
        if (round % 64 == 0) empty(top);
    }
    empty(top);
    printf("%zu\n", made);
}
"""


@pytest.fixture
def harness(tmp_path: Path) -> Path:
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(found):
        pytest.skip("needs gcc's libasan.so")
    source, program = tmp_path / "harness.c", tmp_path / "harness"
    source.write_text(HARNESS)
    flags = ["-std=gnu11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{NATIVE}"]
    subprocess.run(["gcc", *flags, source, NATIVE / "plain.c", "-o", program], check=True)
    return program


def test_no_byte_beyond(harness: Path, tmp_path: Path, root: None) -> None:
    """Archives changed at random: no bad access, nothing counted that is not there, nothing made elsewhere."""
    top = tmp_path / "box" / "top"
    top.mkdir(parents=True)
    members = [file(b"d/%d" % number, b"x" * (number * 97 % 1500), uid=5) for number in range(24)]
    odd = [header(b"d/x", size=b"77777777777\0"), pax((b"path", b"d/y")), file(b"x", b"x", prefix=b"d"), folder(b"d")]
    odd += [
        folder(b"d/e/"),
        symlink(b"d/l", b"../../l"),
        symlink(b"d/m", b"m" * 100),
        folder(b"d///"),
        symlink(b"n", b""),
    ]
    seed = archive(*members[:12], *odd, *members[12:], file(b"./d/dot"), file(b"d/" + b"n" * 98))

    done = subprocess.run([harness, top, str(ROUNDS)], input=seed, capture_output=True)

    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > ROUNDS / 10
    assert [path.name for path in top.parent.iterdir()] == ["top"]
