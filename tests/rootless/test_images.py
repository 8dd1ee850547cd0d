"""Unpacking without root: real owners by way of subordinate ids, or noted ones in an attribute; what comes out runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrunc import images
from pyrunc.image.access import Access
from tests.pyrunc.image.images import Layout, config_of
from tests.pyrunc.image.registries import passwords, registry
from tests.pyrunc.image.tars import archive, file, folder, hardlink, header, symlink
from tests.rootless.users import COUNT, FIRST_SUBID, User, own
from tests.system import host
from tests.system.box import eventually
from tests.system.runtime import Result, Runtime, default_command

pytestmark = pytest.mark.root
NOTE = "user.rootlesscontainers"
CHAR, FIFO = b"3", b"6"


def layer(program: Path) -> bytes:
    applets = [symlink(b"bin/" + name, b"busybox") for name in (b"sh", b"id", b"stat", b"echo", b"touch", b"cat")]
    return archive(
        folder(b"bin"), file(b"bin/busybox", program.read_bytes(), mode=0o755), *applets, folder(b"proc"),
        folder(b"dev"), folder(b"sys"), folder(b"etc"),
        file(b"etc/passwd", b"root:x:0:0::/:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n"),
        file(b"etc/group", b"root:x:0:\nweb:x:44:\nmore:x:55:web\n"),
        folder(b"srv", mode=0o750, uid=33, gid=44), file(b"srv/page", b"hello", uid=33, gid=0),
        file(b"srv/group", uid=0, gid=44, mode=0o2755), hardlink(b"srv/same", b"srv/page"),
        symlink(b"srv/link", b"page", uid=33, gid=44), folder(b"locked", mode=0o000, uid=300, gid=70000),
        file(b"locked/in", b"x", uid=65536, gid=65536), header(b"dev/null", CHAR, uid=33, major=1, minor=3, mode=0o666),
        header(b"srv/pipe", FIFO, uid=33, gid=44),
    )  # fmt: skip


@pytest.fixture(scope="module")
def image(request: pytest.FixtureRequest, folder: Path, users: dict[str, User], busybox: Path) -> Path:
    """A layout with `root`, whose process is root, and `web`, whose process is a user with groups."""
    layout = Layout(folder / request.module.__name__)
    data = layer(busybox)
    layout.image(data, name="root", config=config_of(data, config={"Cmd": ["sh", "-c", "id -u"]}))
    layout.image(data, name="web", config=config_of(data, config={"User": "web", "Cmd": ["id"]}))
    return layout.write()


@pytest.fixture
def place(users: dict[str, User], nothing_left: None) -> Iterator[Path]:
    """Where bundles are made, everybody's; root removes them."""
    path = next(iter(users.values())).home.parent / "bundles"
    path.mkdir()
    path.chmod(0o1777)
    yield path
    shutil.rmtree(path)


def unpack(user: User, image: Path, place: Path, *flags: str, name: str = "root") -> Path:
    bundle = place / user.name
    done = user(default_command(), "image", "unpack", *flags, f"oci:{image}:{name}", str(bundle))
    assert done.ok, done
    return bundle


def test_out_of_a_registry_and_back(some: User, image: Path, place: Path, tmp_path: Path) -> None:
    """The password that the command was given is known inside the user namespace, for unpack and for repack."""
    secret = passwords(tmp_path / "passwords", "me", "secret")
    with registry(tmp_path / "registry", auth={"htpasswd": {"realm": "x", "path": str(secret)}}) as host:
        images.copy(f"oci:{image}:root", f"docker://{host}/box:1", target_access=Access(credentials="me:secret"))
        command = (default_command(), "image")
        home = {"HOME": str(some.home)}
        refused = some(*command, "unpack", f"docker://{host}/box:1", str(place / some.name), env=home)
        done = some(*command, "unpack", "--creds=me:secret", f"docker://{host}/box:1", str(place / some.name))
        bundle = place / some.name
        made = some("sh", "-c", f"chmod u+rwx {bundle}/rootfs && echo x > {bundle}/rootfs/new")
        packed = some(*command, "repack", "--creds=me:secret", str(bundle), f"docker://{host}/box:2")
        found = images.history(f"docker://{host}/box:2", access=Access(credentials="me:secret"))

    assert "asks for a password" in refused.err and done.ok and made.ok and packed.ok, (refused, done, made, packed)
    assert found[-1]["created_by"] == "pyrunc image repack"


def run(user: User, bundle: Path, *args: str) -> Result:
    """Runs the bundle as this user, with another program if one is given."""
    path = bundle / "config.json"
    document = json.loads(path.read_text())
    document["process"]["terminal"] = False
    document["process"]["args"] = list(args) or document["process"]["args"]
    path.write_text(json.dumps(document))
    return user(
        default_command(), "--root", str(user.home / "state"), "run", "--bundle", str(bundle), f"image-{os.getpid()}"
    )


def owners(rootfs: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(rootfs)): ((found := path.lstat()).st_uid, found.st_gid)
        for path in sorted(rootfs.rglob("*"))
    }


def notes(rootfs: Path) -> dict[str, str]:
    """Every note, as hexadecimal digits."""
    return {
        str(path.relative_to(rootfs)): os.getxattr(path, NOTE, follow_symlinks=False).hex()
        for path in sorted(rootfs.rglob("*"))
        if NOTE in os.listxattr(path, follow_symlinks=False)
    }


def test_owners_are_real(some: User, image: Path, place: Path) -> None:
    """With subordinate ids every file belongs to the id that stands for its owner, links and pipes as well."""
    bundle = unpack(some, image, place)

    def shifted(uid: int) -> int:
        return some.uid if uid == 0 else FIRST_SUBID + uid - 1

    found = owners(bundle / "rootfs")
    for name, uid, gid in (
        ("etc/passwd", 0, 0), ("srv", 33, 44), ("srv/page", 33, 0), ("srv/group", 0, 44), ("srv/same", 33, 0),
        ("srv/link", 33, 44), ("srv/pipe", 33, 44), ("locked/in", 65536, 65536),
    ):  # fmt: skip
        assert found[name] == (shifted(uid), shifted(gid)), name
    assert (bundle / "rootfs/srv/group").stat().st_mode & 0o7777 == 0o2755
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o700
    assert bundle.stat().st_uid == some.uid
    # Root of the namespace has no id for group 70000: that owner is noted.
    assert notes(bundle / "rootfs") == {"locked": note(300, 70000)}


def note(uid: int, gid: int) -> str:
    def varint(number: int) -> bytes:
        head = bytes([number & 0x7F | (0x80 if number > 0x7F else 0)])
        return head + varint(number >> 7) if number > 0x7F else head

    return (b"\x08" + varint(uid) + b"\x10" + varint(gid)).hex()


def test_bundle_with_many_ids_runs(some: User, image: Path, place: Path) -> None:
    """config.json maps the ids that the files have, so inside owners are what the image says."""
    bundle = unpack(some, image, place)
    maps = json.loads((bundle / "config.json").read_text())["linux"]["uidMappings"]
    assert maps == [
        {"containerID": 0, "hostID": some.uid, "size": 1}, {"containerID": 1, "hostID": FIRST_SUBID, "size": COUNT},
    ]  # fmt: skip

    assert run(some, bundle).out == "0\n"
    inside = run(some, bundle, "sh", "-c", "cd /srv; stat -c %u:%g . page group link pipe; cat page")
    assert inside.out.split() == ["33:44", "33:0", "0:44", "33:44", "33:44", "hello"], inside


def test_image_user_with_many_ids(some: User, image: Path, place: Path) -> None:
    """The image's user has its id and groups, and may enter what belongs to it."""
    bundle = unpack(some, image, place, name="web")

    done = run(some, bundle, "sh", "-c", "id -u; id -G; cat /srv/page")

    assert done.out.split() == ["33", "44", "55", "hello"], done


@pytest.mark.parametrize("how", ["no subordinate ids", "--rootless"])
def test_owners_are_noted(how: str, users: dict[str, User], image: Path, place: Path) -> None:
    """With one id all files are the caller's, owners other than root are in the attribute; a device is an empty file
    that nobody may use."""
    user, flags = (users["some"], ["--rootless"]) if how == "--rootless" else (users["lone"], [])
    bundle = unpack(user, image, place, *flags)
    nobody = (1 << 32) - 1

    assert set(owners(bundle / "rootfs").values()) == {(user.uid, user.uid)}
    assert notes(bundle / "rootfs") == {
        "srv": note(33, 44), "srv/page": note(33, nobody), "srv/group": note(nobody, 44),
        "srv/same": note(33, nobody), "locked": note(300, 70000), "locked/in": note(65536, 65536),
        "dev/null": note(33, nobody),
    }  # fmt: skip
    device = (bundle / "rootfs/dev/null").stat()
    assert (stat.S_IFMT(device.st_mode), stat.S_IMODE(device.st_mode), device.st_size) == (stat.S_IFREG, 0, 0)
    assert stat.S_IMODE((bundle / "rootfs/locked").stat().st_mode) == 0


@pytest.mark.parametrize(("name", "uid"), [("root", "0"), ("web", "33")])
def test_bundle_with_one_id_runs(name: str, uid: str, lone: User, image: Path, place: Path) -> None:
    """The one id is that of the image's user, who is alone in there."""
    bundle = unpack(lone, image, place, name=name)

    done = run(lone, bundle, "sh", "-c", "id -u; cat /proc/self/uid_map; cat /srv/page")

    assert done.out.split() == [uid, uid, str(lone.uid), "1", "hello"], done


def test_notes_are_those_of_umoci(lone: User, image: Path, place: Path) -> None:
    """The other image tool writes the same attributes to the same files."""
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed")
    bundle = unpack(lone, image, place)
    other = place / "umoci"
    done = lone("umoci", "unpack", "--rootless", "--image", f"{image}:root", str(other))
    assert done.ok, done

    theirs = notes(other / "rootfs")
    assert {"srv", "srv/page", "locked/in"} <= set(theirs)
    assert {name: value for name, value in notes(bundle / "rootfs").items() if name in theirs} == theirs


def test_an_images_own_notes_do_not_count(lone: User, folder: Path, place: Path) -> None:
    """A note in a layer is not passed on: it would say something about files that it was not made for."""
    from tests.pyrunc.image.tars import pax

    layout = Layout(place / "layout")
    forged = pax((b"SCHILY.xattr.user.rootlesscontainers", b"\x08\x05\x10\x05"))
    layout.image(archive(forged, file(b"root"), forged, file(b"mine", uid=7, gid=8)))
    layout.write()

    bundle = unpack(lone, layout.path, place, name="@0")

    assert notes(bundle / "rootfs") == {"mine": note(7, 8)}


@pytest.mark.parametrize("name", ["some", "lone"])
def test_errors_come_through(name: str, users: dict[str, User], image: Path, place: Path) -> None:
    """What is wrong with an image is said in the same words with and without the child in between; nothing is left."""
    user = users[name]
    blob = max((image / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    broken = place / "broken"
    shutil.copytree(image, broken)
    data = bytearray(blob.read_bytes())
    data[-20] ^= 1
    (broken / "blobs/sha256" / blob.name).write_bytes(data)

    done = user(default_command(), "image", "unpack", f"oci:{broken}:root", str(place / "box"))

    assert done.status == 1
    assert "layer sha256:" in done.err and "(layers[0])" in done.err and "Traceback" not in done.err, done
    missing = user(default_command(), "image", "unpack", f"oci:{broken}:root", "/proc/box")
    assert "cannot make the bundle /proc/box: " in missing.err
    assert [path.name for path in place.iterdir()] == ["broken"]


def test_ended_in_the_middle(some: User, image: Path, place: Path) -> None:
    """SIGTERM ends both processes and removes the half-made bundle with all its ids."""
    pipe = place / "archive"
    os.mkfifo(pipe)
    own(pipe, some.uid)
    argv = [*some.argv, default_command(), "image", "unpack", f"oci-archive:{pipe}", str(place / "box")]
    running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=some.home)
    assert eventually(lambda: len(host.descendants(running.pid)) == 1)
    time.sleep(0.2)

    running.send_signal(signal.SIGTERM)

    assert running.wait(20) != 0
    assert host.children(os.getpid()) == []
    assert [path.name for path in place.iterdir()] == ["archive"]


def test_killed_in_the_middle(some: User, image: Path, place: Path) -> None:
    """When the command is killed the process in the user namespace ends too, and removes the half-made bundle."""
    pytest.importorskip("prctl", reason="python-prctl is not installed")
    pipe = place / "archive"
    os.mkfifo(pipe)
    own(pipe, some.uid)
    argv = [*some.argv, default_command(), "image", "unpack", f"oci-archive:{pipe}", str(place / "box")]
    running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=some.home)
    assert eventually(lambda: "pyrunc-unpack" in names_of(host.descendants(running.pid)))

    running.kill()
    running.wait(20)

    assert eventually(lambda: "pyrunc-unpack" not in names_of(host.children(os.getpid())))
    assert eventually(lambda: [path.name for path in place.iterdir()] == ["archive"])


def names_of(pids: list[int]) -> list[str]:
    found = []
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:
            pass  # it has ended meanwhile
    return found


def test_root_of_a_user_namespace(some: User, image: Path, place: Path) -> None:
    """Who is root of a user namespace already makes no other one: owners are those of that namespace, and what it has
    no id for is noted."""
    program = f'echo 0 > /proc/sys/user/max_user_namespaces; exec "$0" image unpack oci:{image}:root {place}/box'

    done = some("unshare", "--user", "--map-root-user", "sh", "-c", program, default_command())

    assert done.ok, done
    assert set(owners(place / "box/rootfs").values()) == {(some.uid, some.uid)}
    assert notes(place / "box/rootfs")["srv"] == note(33, 44)


def test_repacked(users: dict[str, User], image: Path, place: Path) -> None:
    """What users repack has the owners that the image means, whichever way theirs are kept; seen by root."""
    from pyrunc.images import diff as differences

    for user in users.values():
        bundle, target = unpack(user, image, place), f"oci:{place}/layout-{user.name}:new"
        done = user(default_command(), "image", "repack", str(bundle), target)
        assert done.ok, done
        assert differences(target, f"oci:{image}:root") == []
        changed = user("sh", "-c", f"cd {bundle}/rootfs && echo new >new && echo >>etc/passwd")
        assert changed.ok, changed
        done = user(default_command(), "image", "repack", str(bundle), target)
        assert done.ok, done
        rows = differences(target, f"oci:{image}:root")
        assert rows == [("M", "/etc/passwd"), ("A", "/new")], rows


@pytest.mark.parametrize("command", ["repack", "diff"])
def test_root_does_not_take_them_for_its_own(command: str, users: dict[str, User], image: Path, place: Path) -> None:
    """Root is told that the owners in a user's bundle are not the container's, in place of an image of wrong ones."""
    for user in users.values():
        bundle = str(unpack(user, image, place))
        done = Runtime(default_command(), place)(
            "image", command, bundle, *([f"oci:{place}/layout:new"] if command == "repack" else [])
        )

        assert done.status == 1
        assert f"the files of {bundle} belong to ids of a user" in done.err
    assert not (place / "layout").exists()
