"""What layers take away from the layers below, and what takes the place of what."""

from __future__ import annotations

import os
import stat

import pytest

from pyrunc.image import notes
from pyrunc.specs.errors import Invalid
from tests.pyrunc.image.conftest import Rootfs
from tests.pyrunc.image.tars import archive, file, folder, hardlink, header, symlink


@pytest.fixture(params=[0, notes.KEPT], ids=["in a file", "in memory"], autouse=True)
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is noted what the layer itself has put there."""
    monkeypatch.setattr(notes, "KEPT", request.param)


# -- whiteouts -------------------------------------------------------------------------------------------------------

LOWER = archive(
    folder(b"d", mode=0o700), file(b"d/a", b"low"), file(b"d/b", b"low"), folder(b"d/e"), file(b"d/e/x"), file(b"f")
)


def test_whiteouts_remove_what_is_below(rootfs: Rootfs) -> None:
    """Files and whole folders go; what is not there need not be."""
    rootfs.apply(
        LOWER,
        archive(file(b"d/.wh.a"), file(b"d/.wh.e"), file(b".wh.f"), file(b"./.wh.missing"), file(b"no/where/.wh.x")),
    )

    assert rootfs.tree() == {"d", "d/b"}


def test_whiteouts_where_nothing_is_below(rootfs: Rootfs) -> None:
    """In the first layer, and in a folder that the layer itself has made, there is nothing to remove."""
    layer = archive(folder(b"d"), file(b"d/b"), file(b".wh.e"), file(b"d/.wh.e"), file(b"d/.wh.b"), file(b".wh.d"))
    rootfs.apply(layer)
    assert rootfs.tree() == {"d", "d/b"}

    rootfs.apply(archive(folder(b"e"), file(b"e/.wh.x"), file(b"e/.wh..wh..opq")))
    assert rootfs.tree() == {"d", "d/b", "e"}


def test_whiteouts_do_not_concern_their_own_layer(rootfs: Rootfs) -> None:
    """Whether the sibling comes before the whiteout or after it."""
    rootfs.apply(LOWER, archive(file(b"d/a", b"new"), file(b"d/.wh.a"), file(b"d/.wh.b"), file(b"d/b", b"new")))

    assert (rootfs.read("d/a"), rootfs.read("d/b")) == (b"new", b"new")


@pytest.mark.parametrize("first", [True, False])
def test_a_folder_removed_and_made_again(rootfs: Rootfs, first: bool) -> None:
    """Only what the same layer put into it is left, and the folder is as this layer describes it."""
    whiteout, rest = [file(b".wh.d")], [folder(b"d", mode=0o711), file(b"d/new"), file(b"d/e/new")]
    rootfs.apply(LOWER, archive(*(whiteout + rest if first else rest + whiteout)))

    assert rootfs.tree() == {"d", "d/new", "d/e", "d/e/new", "f"}
    assert rootfs.mode("d") == 0o711


@pytest.mark.parametrize("first", [True, False])
def test_a_folder_removed_of_which_only_a_child_is_new(rootfs: Rootfs, first: bool) -> None:
    """The parent is made anew in both orders: nothing of the one below shines through."""
    whiteout, rest = [file(b".wh.d")], [file(b"d/new")]
    rootfs.apply(LOWER, archive(*(whiteout + rest if first else rest + whiteout)))

    assert rootfs.tree() == {"d", "d/new", "f"}
    assert rootfs.mode("d") == 0o755


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_opaque_folders_in_any_order(rootfs: Rootfs, position: int) -> None:
    """The mark may stand before, between or after the layer's own children."""
    entries = [folder(b"d", mode=0o750), file(b"d/new"), file(b"d/e/new")]
    entries.insert(position, file(b"d/.wh..wh..opq"))
    rootfs.apply(LOWER, archive(*entries))

    assert rootfs.tree() == {"d", "d/new", "d/e", "d/e/new", "f"}
    assert rootfs.mode("d") == 0o750


def test_what_stays_keeps_its_times(rootfs: Rootfs) -> None:
    """Folders that lose what lower layers had in them have the times of their entries in the end."""
    entries = [folder(b"d", mtime=1), folder(b"d/e", mtime=2), file(b"d/e/new"), file(b"d/.wh..wh..opq")]
    rootfs.apply(LOWER, archive(*entries))

    assert rootfs.tree() == {"d", "d/e", "d/e/new", "f"}
    assert (rootfs.stat("d").st_mtime, rootfs.stat("d/e").st_mtime) == (1, 2)


def test_folders_made_anew_without_privileges(rootfs: Rootfs) -> None:
    """What a lower layer said of a folder's mode has gone with the folder."""
    rootfs.apply(archive(folder(b"d", mode=0o511)), archive(file(b"d/new"), file(b".wh.d")), rootless=True)

    assert rootfs.mode("d") == 0o755


def test_an_opaque_root(rootfs: Rootfs) -> None:
    """The whole root file system can be hidden."""
    rootfs.apply(LOWER, archive(file(b"new"), file(b".wh..wh..opq"), folder(b"d")))

    assert rootfs.tree() == {"new", "d"}


def test_opaque_twice_in_two_layers(rootfs: Rootfs) -> None:
    """What one layer kept, the next one removes."""
    layer = archive(file(b"d/.wh..wh..opq"), file(b"d/x"))
    rootfs.apply(LOWER, layer, archive(file(b"d/.wh..wh..opq"), file(b"d/y")))

    assert rootfs.tree() == {"d", "d/y", "f"}


def test_an_opaque_folder_that_is_not_there(rootfs: Rootfs) -> None:
    """Nothing is made and nothing is removed."""
    rootfs.apply(LOWER, archive(file(b"gone/.wh..wh..opq"), file(b"f/.wh..wh..opq")))

    assert "gone" not in rootfs.tree()
    assert "f" in rootfs.tree()


def test_the_plumbing_of_aufs_is_passed_over(rootfs: Rootfs) -> None:
    """Its names, and all below them, leave nothing."""
    rootfs.apply(
        archive(folder(b".wh..wh.plnk"), file(b".wh..wh.plnk/12.34"), file(b".wh..wh.aufs"), file(b"d/.wh..wh.orph"))
    )

    assert rootfs.tree() == set()


@pytest.mark.parametrize("name", [b".wh.", b"d/.wh.", b".wh..", b"d/.wh...", b".wh.d/x"])
def test_whiteouts_that_name_nothing_are_refused(rootfs: Rootfs, name: bytes) -> None:
    """`.wh..` and `.wh...` would remove the folder itself, or the one above."""
    with pytest.raises(Invalid, match="whiteout"):
        rootfs.apply(LOWER, archive(file(name)))

    assert "d/a" in rootfs.tree()


def test_names_that_only_contain_the_mark_are_names(rootfs: Rootfs) -> None:
    """Only the start of a name makes a whiteout."""
    rootfs.apply(archive(file(b"a.wh.b"), file(b".whx")))

    assert rootfs.tree() == {"a.wh.b", ".whx"}


def test_a_whiteout_removes_a_link_not_its_target(rootfs: Rootfs) -> None:
    """Whether the target is inside or would be outside."""
    rootfs.apply(
        archive(folder(b"d"), file(b"d/f"), symlink(b"l", b"d"), symlink(b"o", b"/../../outside")),
        archive(file(b".wh.l"), file(b".wh.o")),
    )

    assert rootfs.tree() == {"d", "d/f"}


def test_a_whiteout_through_a_link_stays_inside(rootfs: Rootfs) -> None:
    """The link leads to the same names inside the root, where there is nothing, or something."""
    target = os.fsencode(rootfs.outside)
    rootfs.apply(
        archive(symlink(b"l", target), symlink(b"m", b"../../d"), file(b"d/x")),
        archive(file(b"l/.wh.secret"), file(b"l/.wh..wh..opq"), file(b"m/.wh.x")),
    )

    assert rootfs.tree() == {"l", "m", "d"}


def test_deep_trees_can_be_removed(rootfs: Rootfs) -> None:
    """No deeper than the interpreter can recurse or than there are handles, whatever links made of the paths."""
    part = b"/".join([b"x"] * 250)
    links = [b"l%d" % i for i in range(8)]
    paths = [part, *(link + b"/" + part for link in links)]
    layers = [archive(folder(path), symlink(link, path)) for path, link in zip(paths, links, strict=False)]
    rootfs.apply(*layers, archive(file(b".wh.x")))

    assert "x" not in os.listdir(rootfs.path)


# -- one thing in the place of another -------------------------------------------------------------------------------

KINDS = {
    "file": file(b"t", b"new", mode=0o600),
    "folder": folder(b"t", mode=0o700),
    "symlink": symlink(b"t", b"../outside"),
    "fifo": header(b"t", b"6", mode=0o600),
    "device": header(b"t", b"3", mode=0o600, major=1, minor=3),
}


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
def test_replacing(rootfs: Rootfs, old: str, new: str) -> None:
    """Anything takes the place of anything and of all below it; only a folder over a folder keeps its children."""
    before = KINDS[old] + (file(b"t/child") if old == "folder" else b"")
    rootfs.apply(archive(before), archive(KINDS[new]))
    alone = Rootfs(rootfs.outside.parent.parent / (rootfs.outside.parent.name + "-alone")).apply(archive(KINDS[new]))

    assert stat.S_IFMT(rootfs.stat("t").st_mode) == stat.S_IFMT(alone.stat("t").st_mode)
    assert rootfs.mode("t") == alone.mode("t")
    assert rootfs.tree() == {"t"} | ({"t/child"} if old == new == "folder" else set())


def test_a_link_to_a_folder_is_replaced_by_a_folder(rootfs: Rootfs) -> None:
    """What was behind the link stays as it was."""
    rootfs.apply(archive(folder(b"d"), file(b"d/x"), symlink(b"l", b"d")), archive(folder(b"l"), file(b"l/y")))

    assert rootfs.tree() == {"d", "d/x", "l", "l/y"}
    assert not (rootfs.path / "l").is_symlink()


def test_a_file_over_a_link_does_not_write_through_it(rootfs: Rootfs) -> None:
    """The link goes, its target stays."""
    rootfs.apply(archive(file(b"t", b"kept"), symlink(b"l", b"t")), archive(file(b"l", b"new")))

    assert (rootfs.read("t"), rootfs.read("l")) == (b"kept", b"new")


def test_a_file_over_a_hard_link_does_not_change_its_other_name(rootfs: Rootfs) -> None:
    """A new file is made, the old one is not written to."""
    rootfs.apply(archive(file(b"a", b"old"), hardlink(b"b", b"a")), archive(file(b"a", b"new")))

    assert (rootfs.read("a"), rootfs.read("b")) == (b"new", b"old")
