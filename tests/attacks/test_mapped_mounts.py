"""What root of a container does with a folder of the host's whose ids are mapped: files of root that others then run,
files of ids that the mapping does not name."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.system.box import Box

from .conftest import Bundle, Unguarded

USER = 500  # the one id of the folder that the container gets, as its root
WHO = "#include <stdio.h>\n#include <unistd.h>\nint main(void) { return !printf(\"%d\", (int)geteuid()); }\n"


@pytest.fixture
def volume(gcc: None, outside: Path) -> Path:
    """A folder of USER's with a secret of somebody else, and a setuid program of root that says who it is."""
    os.chown(outside, USER, USER)
    outside.chmod(0o755)
    secret = outside / "secret"
    secret.write_text("secret")
    os.chown(secret, USER + 1, USER + 1)
    secret.chmod(0o600)
    subprocess.run(["gcc", "-static", "-x", "c", "-o", outside / "who", "-"], input=WHO, text=True, check=True)
    (outside / "who").chmod(0o4755)
    return outside


def attack(box: Box, volume: Path) -> tuple[int, str, str]:
    """The owner of the setuid program that root of the container leaves on the host; whom a setuid program of the
    host's root makes an ordinary user of the container; and what root reads of a file that is not its own."""
    box.mount("/data", "bind", volume, "bind")
    box.config["mounts"][-1] |= {
        name: [{"containerID": USER, "hostID": 0, "size": 1}] for name in ("uidMappings", "gidMappings")
    }
    box.capabilities("CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_CHOWN", "CAP_SETUID", "CAP_SETGID")
    made = "cp /bin/busybox /data/made; chown 0:0 /data/made; chmod 4755 /data/made"
    read = "cat /data/secret; chown 0 /data/secret; chmod 666 /data/secret; cat /data/secret"
    assert box.sh(f"({made}; {read}) 2>/tmp/errors | tee /tmp/read").run().ok
    box.process["noNewPrivileges"] = False
    box.process["user"] = {"uid": 1000, "gid": 1000}
    found = box.sh("/data/who").run()

    left = (volume / "made").stat()
    assert left.st_mode & stat.S_ISUID
    return left.st_uid, found.out, (box.rootfs / "tmp/read").read_text()


def test_attack_fails(bundle: Bundle, volume: Path) -> None:
    """Files that it makes are the mapped user's, other ids are nobody's: neither run as nor read."""
    assert attack(bundle(), volume) == (USER, "1000", "")


def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded, volume: Path) -> None:
    """Without the mapping the container's root is the host's, and all of it works."""
    owner, ran_as, read = attack(unguarded(bundle()), volume)

    assert (owner, ran_as) == (0, "0")
    assert read.startswith("secret")
