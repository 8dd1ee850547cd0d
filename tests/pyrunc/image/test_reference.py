"""What people write, as values: the grammar of distribution and Docker's defaults."""

from __future__ import annotations

import pytest

from pyrunc.image.reference import parse_place
from pyrunc.specs.errors import Invalid

D = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("me/box:1", "docker.io/me/box:1"),
        ("index.docker.io/debian", "docker.io/library/debian:latest"),
        ("localhost/box", "localhost/box:latest"),
        ("localhost:5000/a/b-c__d:T.1", "localhost:5000/a/b-c__d:T.1"),
        ("[::1]:5000/box", "[::1]:5000/box:latest"),
        (f"quay.io/a/b@{D}", f"quay.io/a/b@{D}"),
        (f"quay.io:443/a/b:1@{D}", f"quay.io:443/a/b:1@{D}"),
    ],
)
def test_registry_names(text: str, meant: str) -> None:
    """A name without host is Docker's, without tag `latest`; with a digest no tag is made up."""
    assert str(parse_place(f"docker://{text}")) == f"docker://{meant}"


def test_the_digest_wins() -> None:
    """Of tag and digest, the digest is what is asked for."""
    image = parse_place(f"docker://quay.io/a:1@{D}").image

    assert image is not None
    assert (image.tag, image.target) == ("1", D)


@pytest.mark.parametrize(
    "text",
    [
        "docker://", "docker://a/B", "docker://a..b", "docker://a:", "docker://a:-x", "docker://a/b:x/y",
        "docker://a@sha256:12", "docker://a b", "docker://" + "a" * 256, "docker://-h.x/a", "docker://a:" + "x" * 129,
        "docker://a/../b", "docker://h.x:999999/a", "oci:", "dir:", "", "-a", "a//b", "http://x/y",
    ],
)  # fmt: skip
def test_wrong_names_are_refused(text: str) -> None:
    """What the grammar does not know is one error, not a request to somebody."""
    with pytest.raises(Invalid):
        parse_place(text)


def test_files() -> None:
    """A path ends at the first colon, the name in it does not."""
    place = parse_place("oci:/a/b:quay.io/c:1")

    assert (place.transport, place.path, place.reference) == ("oci", "/a/b", "quay.io/c:1")


def test_other_peoples_stores() -> None:
    """What cannot be read says how to get it out."""
    with pytest.raises(Invalid) as caught:
        parse_place("containers-storage:box")

    assert "podman save" in str(caught.value.hint)
