"""Pulling from and pushing to Debian's docker-registry, with skopeo on the other side."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrunc import images
from pyrunc.image.access import Access
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.images import LOWER, NAMES, UPPER, Layout, tree
from tests.pyrunc.image.registries import basic, certificate, need, passwords, registry


@pytest.fixture(autouse=True)
def nobodys_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's users have configured has no say here."""
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    with registry(tmp_path / "registry") as started:
        yield started


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, name="box")
    return f"oci:{made.write()}:box"


def skopeo(*arguments: str) -> str:
    need("skopeo")
    done = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_and_back(host: str, source: str, store: str) -> None:
    """What is pushed is pulled, byte for byte, by tag and by digest."""
    pushed = images.copy(source, f"docker://{host}/a/box:1")
    name, pulled = images.pull(f"{host}/a/box:1", store=store)
    images.pull(f"{host}/a/box@{pushed.digest}", name="same", store=store)

    assert (name, pulled.digest) == (f"{host}/a/box:1", pushed.digest)
    assert len({one["digest"] for one in images.listing(store=store)}) == 1


def test_skopeo_pulls_what_we_push(host: str, source: str, tmp_path: Path) -> None:
    """skopeo copies the whole image out of the registry."""
    pushed = images.copy(source, f"docker://{host}/box:1")
    skopeo("copy", "--src-tls-verify=false", f"docker://{host}/box:1", f"oci:{tmp_path / 'out'}:box")

    assert images.inspect(f"oci:{tmp_path / 'out'}:box")["digest"] == pushed.digest


def test_we_unpack_what_skopeo_pushes(host: str, source: str, tmp_path: Path, root: None) -> None:
    """Docker's formats too, straight into a bundle."""
    skopeo("copy", "--format=v2s2", "--dest-tls-verify=false", source, f"docker://{host}/box:1")
    images.unpack(f"docker://{host}/box:1", str(tmp_path / "bundle"))

    assert tree(tmp_path / "bundle") == NAMES


def test_a_name_of_the_store_is_unpacked(host: str, source: str, store: str, tmp_path: Path, root: None) -> None:
    """Pulled, then unpacked by its name."""
    images.pull(source, store=store)
    images.unpack("box", str(tmp_path / "bundle"), store=store)

    assert tree(tmp_path / "bundle") == NAMES


def test_large_blobs(host: str, store: str, tmp_path: Path) -> None:
    """A blob of several parts arrives as it was."""
    made = Layout(tmp_path / "big")
    blob = made.blob(os.urandom(20_000_000), "application/octet-stream")
    made.image(LOWER, UPPER, blobs=[blob, blob], name="box")
    images.copy(f"oci:{made.write()}:box", f"docker://{host}/big")
    images.pull(f"{host}/big", store=store)

    path = Path(store) / "blobs/sha256" / blob["digest"][7:]
    assert path.read_bytes() == (made.path / "blobs/sha256" / blob["digest"][7:]).read_bytes()


def test_indexes(host: str, tmp_path: Path, store: str) -> None:
    """All platforms go there and back, and one of them is found by name."""
    made = Layout(tmp_path / "source")
    entries = [
        made.image(LOWER, UPPER[: 512 * n], listed=False, platform={"os": "linux", "architecture": arch})
        for n, arch in enumerate(("amd64", "arm64"))
    ]
    made.manifests.append(index := made.index(*entries))
    images.copy(f"oci:{made.write()}", f"docker://{host}/box", all=True)

    assert images.pull(f"{host}/box", all=True, store=store)[1].digest == index["digest"]
    assert images.pull(f"{host}/box", platform="arm64", store=store)[1].digest == entries[1]["digest"]


def test_blobs_of_another_repository_are_mounted(host: str, source: str) -> None:
    """Within one registry no blob is sent twice."""
    images.copy(source, f"docker://{host}/a/box")
    states: list[str] = []
    images.copy(f"docker://{host}/a/box", f"docker://{host}/b/box", report=lambda state, *_: states.append(state))
    images.copy(source, f"docker://{host}/b/box", report=lambda state, *_: states.append(state))

    assert [state for state in states if state != "begins"] == ["copied"] * 4 + ["there"] * 3 + ["copied"]


def test_what_is_not_there(host: str, store: str) -> None:
    """One clear error, and no store is made for it."""
    with pytest.raises(PyruncError, match=f"cannot find the image {host}/no/such:1|cannot find {host}/no/such:1"):
        images.pull(f"{host}/no/such:1", store=store)

    assert not os.path.exists(store)


def test_referrers_by_tag(host: str, source: str, tmp_path: Path) -> None:
    """A registry that does not know referrers gets an index of them under the subject's digest."""
    pushed = images.copy(source, f"docker://{host}/box:1")
    made = Layout(tmp_path / "signature")
    subject = {"mediaType": pushed.media_type, "digest": pushed.digest, "size": pushed.size}
    empty = made.blob(b"{}", "application/vnd.oci.empty.v1+json")
    value = {
        "schemaVersion": 2, "mediaType": pushed.media_type, "artifactType": "text/x", "config": empty,
        "layers": [empty], "subject": subject,
    }  # fmt: skip
    made.manifests.append(made.document(value, pushed.media_type))
    for _ in range(2):
        images.copy(f"oci:{made.write()}", f"docker://{host}/box:signature")
    tag = pushed.digest.replace(":", "-")
    found = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{host}/box:{tag}"))

    assert [(entry["digest"], entry["artifactType"]) for entry in found["manifests"]] == [
        (made.manifests[0]["digest"], "text/x")
    ]


def test_tls(source: str, tmp_path: Path) -> None:
    """A certificate counts when its authority is in certs.d; otherwise only when the caller says so."""
    pair = certificate(tmp_path / "tls")
    with registry(tmp_path / "registry", tls={"certificate": str(pair[0]), "key": str(pair[1])}) as host:
        with pytest.raises(PyruncError, match="certificate verify failed") as caught:
            images.copy(source, f"docker://{host}/box")
        assert f"certs.d/{host}/" in str(caught.value.hint)
        images.copy(source, f"docker://{host}/box", target_access=Access(verify=False))
        images.copy(source, f"docker://{host}/box", target_access=Access(certificates=str(tmp_path / "tls")))
        folder = tmp_path / "config/containers/certs.d" / host
        folder.mkdir(parents=True)
        (folder / "mine.crt").write_bytes(pair[0].read_bytes())

        assert images.inspect(f"docker://{host}/box")["digest"].startswith("sha256:")


def test_passwords(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Basic authentication: by --creds, by the auth file, by a helper; a wrong or missing password is said."""
    file = passwords(tmp_path / "passwords", "me", "a:b")
    with registry(tmp_path / "registry", auth={"htpasswd": {"realm": "x", "path": str(file)}}) as host:
        target = f"docker://{host}/a/box"
        with pytest.raises(PyruncError, match="asks for a password"):
            images.copy(source, target)
        with pytest.raises(PyruncError, match="answers 401"):
            images.copy(source, target, target_access=Access(credentials="me:wrong"))
        images.copy(source, target, target_access=Access(credentials="me:a:b"))

        auths = {host: {"auth": basic("x", "y")}, f"{host}/a": {"auth": basic("me", "a:b")}}
        (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))
        images.inspect(target)

        helper = tmp_path / "bin/docker-credential-test"
        helper.parent.mkdir()
        helper.write_text('#!/bin/sh\ncat > /dev/null\necho \'{"Username": "me", "Secret": "a:b"}\'\n')
        helper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
        (tmp_path / "auth.json").write_text(json.dumps({"credHelpers": {host: "test"}}))
        images.inspect(target)


def test_mirrors(host: str, source: str, tmp_path: Path, store: str) -> None:
    """registries.conf: a mirror is asked first, one that is not there is passed over, a blocked name is refused."""
    images.copy(source, f"docker://{host}/mirrored/a/box:1")
    (tmp_path / "registries.conf").write_text(
        f'[[registry]]\nprefix = "example.invalid/x"\nlocation = "example.invalid/x"\n'
        f'[[registry.mirror]]\nlocation = "localhost:1/none"\n'
        f'[[registry.mirror]]\nlocation = "{host}/mirrored"\n'
        f'[[registry]]\nprefix = "example.invalid/x/blocked"\nblocked = true\n'
    )

    assert images.pull("example.invalid/x/a/box:1", store=store)[0] == "example.invalid/x/a/box:1"
    with pytest.raises(PyruncError, match="blocks"):
        images.pull("example.invalid/x/blocked/box", store=store)
