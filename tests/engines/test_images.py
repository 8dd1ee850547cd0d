"""Images between pyrunc, podman and skopeo's kin: by way of Debian's registry and of archives, and run by either."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .engines import Engines
from .image import NAME

pytestmark = pytest.mark.timeout(900)  # the first test may have to make the system

HOST = "localhost:5000"
NONE = "--network=none"


@pytest.fixture(scope="module")
def registry(engines: Engines) -> Iterator[str]:
    """The machine's docker-registry, which the place has no package of, in the place."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    files = Path(engines.archive).parent
    shutil.copy(program, files / "docker-registry")
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": "/run/registry"}},
        "http": {"addr": "127.0.0.1:5000", "secret": "x"},
    }
    (files / "registry.yml").write_text(json.dumps(config))  # which is YAML too
    command = [str(files / "docker-registry"), "serve", str(files / "registry.yml")]
    with engines.daemon(command, ["bash", "-c", "</dev/tcp/127.0.0.1/5000"], files / "registry.log"):
        yield HOST


def pyrunc(engines: Engines, *arguments: str) -> str:
    return engines.ends(0, engines.runtime, "image", *arguments)


def test_podman_runs_what_pyrunc_pushes(engines: Engines, registry: str) -> None:
    """Pushed to a registry, pulled by podman, run by podman on the same runtime."""
    pyrunc(engines, "copy", f"docker-archive:{engines.archive}", f"docker://{registry}/ours:1")
    run = ["podman", "--runtime", engines.runtime, "run", "--rm", "--tls-verify=false", NONE, f"{registry}/ours:1"]

    engines.ends(5, *run, "sh", "-c", "test -u /bin/su || exit 5")


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_pyrunc_runs_what_podman_pushes(engines: Engines, registry: str, form: str) -> None:
    """Pushed by podman in OCI's and in Docker's format, unpacked from the registry and run."""
    place, bundle = f"{registry}/theirs:{form}", f"/tmp/{form}"
    engines.ends(0, "podman", "load", "--quiet", "--input", engines.archive)
    engines.ends(0, "podman", "push", "--quiet", f"--format={form}", "--tls-verify=false", NAME, f"docker://{place}")
    pyrunc(engines, "unpack", f"docker://{place}", bundle)
    pyrunc(engines, "repack", bundle, f"docker://{registry}/again:{form}")
    document = "import json, sys; d = json.load(open(sys.argv[1])); d['process'] |= {'terminal': False, "
    document += "'args': ['cat', '/etc/passwd']}; json.dump(d, open(sys.argv[1], 'w'))"
    engines.ends(0, "python3", "-c", document, f"{bundle}/config.json")

    engines.prints("^person:x:1000", engines.runtime, "run", "--bundle", bundle, f"box-{form}")
    digests = [
        json.loads(pyrunc(engines, "inspect", "--json", f"docker://{registry}/{name}:{form}"))["digest"]
        for name in ("theirs", "again")
    ]
    assert digests[0] == digests[1]


def test_podman_loads_archives_of_pyrunc(engines: Engines, registry: str) -> None:
    """Both kinds of archives, of an image that pyrunc has changed."""
    change = ["--store=/tmp/store", "--config.env=WORD=said", "--tag=changed"]
    pyrunc(engines, "config", *change, f"docker-archive:{engines.archive}")
    for kind in ("oci-archive", "docker-archive"):
        pyrunc(engines, "push", "--store=/tmp/store", "changed", f"{kind}:/tmp/{kind}.tar:localhost/{kind}:1")
        engines.ends(0, "podman", "load", "--quiet", "--input", f"/tmp/{kind}.tar")
        run = ["podman", "--runtime", engines.runtime, "run", "--rm", NONE, f"localhost/{kind}:1"]
        engines.prints("^said$", *run, "sh", "-c", 'echo "$WORD"')


def test_pyrunc_reads_archives_of_podman(engines: Engines) -> None:
    """What `podman save` writes, in each of its forms."""
    engines.ends(0, "podman", "load", "--quiet", "--input", engines.archive)
    for form, kind in (("oci-archive", "oci-archive"), ("docker-archive", "docker-archive"), ("oci-dir", "oci")):
        engines.ends(0, "podman", "save", "--quiet", f"--format={form}", "--output", f"/tmp/saved-{form}", NAME)
        pyrunc(engines, "unpack", f"{kind}:/tmp/saved-{form}", f"/tmp/box-{form}")
        engines.prints("^person:", "cat", f"/tmp/box-{form}/rootfs/etc/passwd")
