"""Stacks of layers for users: unpacked in a user namespace, stacked in the container's own, and shared."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.rootless.test_images import image, owners, place, run
from tests.rootless.test_images import layer as layer_of
from tests.rootless.users import FIRST_SUBID, User
from tests.system.runtime import Result, default_command

__all__ = ["image", "place"]
pytestmark = [pytest.mark.root, pytest.mark.only("pyrunc")]


def pyrunc_image(user: User, *words: str | Path) -> Result:
    return user(default_command(), "image", *map(str, words))


@pytest.fixture(params=["some", "some --rootless", "lone"])
def who(request: pytest.FixtureRequest, users: dict[str, User]) -> tuple[User, list[str]]:
    """With subordinate ids, with the own id although there are others, and with none."""
    name, *flags = request.param.split()
    return users[name], flags


def stack(user: User, image: Path, place: Path, *flags: str, name: str = "root", bundle: str = "box") -> Path:
    done = pyrunc_image(
        user, "unpack", "--layers", "--store", user.home / "images", *flags, f"oci:{image}:{name}", place / bundle
    )
    assert done.ok, done
    return place / bundle


def layers(user: User) -> list[Path]:
    return sorted(user.home.glob("images/layers*/sha256/*"))


@pytest.fixture
def no_layers(users: dict[str, User], place: Path) -> None:
    """Each test begins with an empty store."""
    import shutil

    for user in users.values():
        shutil.rmtree(user.home / "images", ignore_errors=True)


pytestmark.append(pytest.mark.usefixtures("no_layers"))


def test_runs(who: tuple[User, list[str]], image: Path, place: Path) -> None:
    """The container sees the image, changes its own copy of it, and the layers stay as they were."""
    user, flags = who
    box = stack(user, image, place, *flags)
    assert list((box / "rootfs").iterdir()) == []

    inside = run(user, box, "sh", "-c", "cat /srv/page; echo changed >/srv/page; cat /srv/page; stat -c %u:%g /bin")
    assert inside.out.split() == ["hellochanged", "0:0"], inside
    assert run(user, box, "cat", "/srv/page").out == "changed\n"
    (layer,) = layers(user)
    assert (layer / "diff/srv/page").read_text() == "hello"


def test_two_containers_share_and_do_not_see_each_other(who: tuple[User, list[str]], image: Path, place: Path) -> None:
    """One layer on the disk, two bundles, each with its own changes."""
    user, flags = who
    one = stack(user, image, place, *flags)
    other = stack(user, image, place, *flags, name="web", bundle="other")
    assert len(layers(user)) == 1

    assert run(user, one, "sh", "-c", "echo one >/srv/page; touch /new").ok
    assert run(user, other, "sh", "-c", "cat /srv/page; busybox ls /new").out == "hello"
    assert run(user, one, "cat", "/srv/page").out == "one\n"


def test_owners_are_real(some: User, image: Path, place: Path) -> None:
    """With subordinate ids the container sees the owners of the image, and the image's user has its groups."""
    box = stack(some, image, place)
    inside = run(some, box, "sh", "-c", "cd /srv; stat -c %u:%g . page group link pipe")
    assert inside.out.split() == ["33:44", "33:0", "0:44", "33:44", "33:44"]
    (layer,) = layers(some)
    assert owners(layer / "diff")["srv/page"] == (FIRST_SUBID + 32, some.uid)

    web = stack(some, image, place, name="web", bundle="web")
    assert run(some, web).out == "uid=33(web) gid=44(web) groups=55(more)\n"


def test_emptied_folders_stay_emptied(who: tuple[User, list[str]], image: Path, place: Path) -> None:
    """What a container removes is gone, and so it is when the bundle becomes an image again."""
    user, flags = who
    box = stack(user, image, place, *flags)
    script = "cd /; busybox rm -r srv && busybox mkdir srv && echo new >srv/other && busybox rm etc/group"
    assert run(user, box, "sh", "-c", script).ok
    assert run(user, box, "busybox", "ls", "/srv", "/etc").out.split() == ["/etc:", "passwd", "/srv:", "other"]

    rows = pyrunc_image(user, "diff", box).out.splitlines()
    assert {"D /srv/page", "A /srv/other", "D /etc/group"} <= set(rows), rows
    assert pyrunc_image(user, "repack", box, f"oci:{user.home}/out:new").ok
    again = stack(user, user.home / "out", place, *flags, name="new", bundle="again")
    assert run(user, again, "busybox", "ls", "/srv", "/etc").out.split() == ["/etc:", "passwd", "/srv:", "other"]
    assert len(layers(user)) == 2


def test_unchanged_is_the_same_image(who: tuple[User, list[str]], image: Path, place: Path) -> None:
    """A stacked bundle that has not been changed is the image that it was."""
    user, flags = who
    box = stack(user, image, place, *flags)
    done = pyrunc_image(user, "repack", box, f"oci:{user.home}/out:same")
    index = json.loads((image / "index.json").read_text())
    assert done.out.strip() == index["manifests"][0]["digest"], done


def test_gc(who: tuple[User, list[str]], image: Path, place: Path) -> None:
    """Layers go when no bundle uses them, although files in them belong to other ids."""
    user, flags = who
    box = stack(user, image, place, *flags)
    assert pyrunc_image(user, "gc", "--store", user.home / "images").out == "0 files, 0 B\n"
    assert len(layers(user)) == 1
    remove = ["unshare", "--map-auto", "--map-root-user", "rm", "-r", str(box)]
    assert user(*(remove if user.subids else ["rm", "-r", str(box)])).ok
    done = pyrunc_image(user, "gc", "--store", user.home / "images")
    assert (done.ok, done.out.startswith("0 files")) == (True, False), done
    assert layers(user) == []


def test_whiteouts_and_marks(who: tuple[User, list[str]], image: Path, place: Path, busybox: Path) -> None:
    """The marks are those that overlayfs knows in user namespaces; nobody else may look into the layers."""
    from tests.pyrunc.image.images import Layout
    from tests.pyrunc.image.tars import archive, file

    user, flags = who
    made = Layout(image.parent / f"marked-{user.name}-{len(flags)}")
    upper = archive(file(b"etc/.wh.group"), file(b"srv/.wh..wh..opq"), file(b"srv/own", b"x"))
    made.image(layer_of(busybox), upper, name="root")
    box = stack(user, made.write(), place, *flags)

    assert run(user, box, "busybox", "ls", "/srv", "/etc").out.split() == ["/etc:", "passwd", "/srv:", "own"]
    made_of = next(path for path in layers(user) if not (path / "diff/bin").exists())
    assert stat.S_ISCHR((made_of / "diff/etc/group").lstat().st_mode)
    assert "user.overlay.opaque" in os.listxattr(made_of / "diff/srv")
    assert stat.S_IMODE(next(user.home.glob("images/layers*")).stat().st_mode) == 0o700


def test_erofs_takes_root(some: User, image: Path, place: Path) -> None:
    """One error, and nothing is made."""
    done = pyrunc_image(some, "unpack", "--erofs", f"oci:{image}:root", place / "box")
    assert (done.status, "only root mounts them" in done.err) == (1, True)
    assert not (place / "box").exists()
