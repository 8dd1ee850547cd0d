"""What crun has and runc has not: flags and annotations that containers made for crun rely on."""

from __future__ import annotations

import os

import pytest

from .conftest import Bundle

pytestmark = pytest.mark.unlike("runc", "knows nothing of it")


def test_config(bundle: Bundle) -> None:
    """--config takes the document from another file than the bundle's config.json."""
    box = bundle("echo", "other")
    box.write()
    (box.folder / "config.json").rename(box.folder / "other.json")

    result = box.runtime("run", "--bundle", str(box.folder), "--config", str(box.folder / "other.json"), box.id)

    assert (result.status, result.out) == (0, "other\n")


def test_hook_output(bundle: Bundle) -> None:
    """run.oci.hooks.stdout and .stderr name files that get what hooks write, those on the host and those inside."""
    box = bundle("true")
    files = {stream: box.folder / stream for stream in ("stdout", "stderr")}
    box.config["annotations"] = {f"run.oci.hooks.{stream}": str(path) for stream, path in files.items()}
    kinds = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    box.config["hooks"] = {
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind}; echo {kind} >&2"]}] for kind in kinds
    }

    assert box.create().ok, box.errors.read_text()
    assert box.start().ok
    box.wait("stopped")
    assert box.delete().ok

    for path in files.values():
        assert sorted(path.read_text().split()) == sorted(kinds)


@pytest.mark.only("pyrunc")
@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "startContainer"])
def test_hook_output_nobody_reads(bundle: Bundle, kind: str) -> None:
    """A fifo without a reader is an error that names it, nothing to wait for; with one it is a file like others."""
    box = bundle("true")
    fifo = box.folder / "fifo"
    os.mkfifo(fifo)
    box.config["annotations"] = {"run.oci.hooks.stdout": str(fifo)}
    box.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "echo heard"]}]}

    deaf = box.run()
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        heard = box.run()
        words = os.read(reader, 100)
    finally:
        os.close(reader)

    assert (deaf.status, str(fifo) in deaf.err, "no such device or address" in deaf.err) == (1, True, True)
    assert (heard.status, words) == (0, b"heard\n")


def test_keep_original_groups(bundle: Bundle) -> None:
    """run.oci.keep_original_groups leaves the process the caller's groups."""
    box = bundle("grep", "Groups", "/proc/self/status")
    box.config["annotations"] = {"run.oci.keep_original_groups": "1"}
    with box.runtime.below("setpriv", "--groups", "1234,5678"):
        kept = box.run()
        del box.config["annotations"]
        dropped = box.run()

    assert kept.out.split()[1:] == ["1234", "5678"]
    assert dropped.out.split()[1:] == []


@pytest.mark.only("pyrunc")
def test_keep_original_groups_exec(bundle: Bundle) -> None:
    """It holds for processes that come later as well."""
    box = bundle()
    box.config["annotations"] = {"run.oci.keep_original_groups": "1"}
    box.up()
    with box.runtime.below("setpriv", "--groups", "1234,5678"):
        result = box.exec("grep", "Groups", "/proc/self/status")

    assert result.out.split()[1:] == ["1234", "5678"]


@pytest.mark.unlike("crun", "may be built with some")
def test_handler(bundle: Bundle) -> None:
    """run.oci.handler asks for another way to run a program: refused by name, for a wrong one would run it bare."""
    box = bundle("true")
    box.config["annotations"] = {"run.oci.handler": "wasm"}

    result = box.run()

    assert not result.ok
    assert "cannot run wasm" in result.err
