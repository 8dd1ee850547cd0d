"""What is in a repository: tags, referrers, and what is deleted from it; Debian's registry, and one that knows more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyrunc import images
from pyrunc.cli.images import referrers as command
from pyrunc.cli.options import parse
from pyrunc.specs.errors import PyruncError
from pyrunc.specs.image import Descriptor
from tests.pyrunc.image.images import INDEX, LOWER, MANIFEST, UPPER, Layout, digest
from tests.pyrunc.image.registries import Faulty, registry, reply

EMPTY = "application/vnd.oci.empty.v1+json"


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
def faulty() -> Iterator[Faulty]:
    server = Faulty()
    yield server
    server.close()


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, name="box")
    return f"oci:{made.write()}:box"


def signature(folder: Path, subject: Descriptor | dict[str, Any], kind: str) -> tuple[str, str]:
    """An artifact that refers to SUBJECT: its place and its digest."""
    made = Layout(folder)
    if isinstance(subject, Descriptor):
        subject = {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
    empty = made.blob(b"{}", EMPTY)
    value = {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": empty, "layers": [empty],
        "subject": subject, "annotations": {"by": folder.name},
    }  # fmt: skip
    made.manifests.append(made.document(value, MANIFEST))
    return f"oci:{made.write()}", made.manifests[0]["digest"]


def kinds(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["artifactType"], one["annotations"]["by"]) for one in found]


def test_referrers_by_tag(host: str, source: str, tmp_path: Path) -> None:
    """A registry that does not know referrers: by the index under the digest's tag; all, of one type, or none."""
    place = f"docker://{host}/box:1"
    pushed = images.copy(source, place)
    assert images.referrers(place) == []
    for name, kind in (("one", "text/x"), ("two", "text/y"), ("three", "text/x")):
        images.copy(signature(tmp_path / name, pushed, kind)[0], f"docker://{host}/box:{name}")

    assert kinds(images.referrers(place)) == [("text/x", "one"), ("text/y", "two"), ("text/x", "three")]
    assert kinds(images.referrers(place, "text/x")) == [("text/x", "one"), ("text/x", "three")]


def test_deleting_a_referrer_takes_it_from_the_list(host: str, source: str, tmp_path: Path) -> None:
    """What is deleted by its digest is not named by the index of referrers any more."""
    place = f"docker://{host}/box:1"
    pushed = images.copy(source, place)
    one, first = signature(tmp_path / "one", pushed, "text/x")
    images.copy(one, f"docker://{host}/box:one")
    images.copy(signature(tmp_path / "two", pushed, "text/x")[0], f"docker://{host}/box:two")
    images.remove(f"docker://{host}/box@{first}")

    assert kinds(images.referrers(place)) == [("text/x", "two")]


def test_an_index_of_referrers_that_cannot_be_read_is_not_written_over(faulty: Faulty, tmp_path: Path) -> None:
    """Where the list is there but refused, the push fails; it is not taken for an empty one."""
    subject = {"mediaType": MANIFEST, "digest": "sha256:" + "1" * 64, "size": 2}
    tag = "/manifests/sha256-" + "1" * 64

    def act(request: Any) -> bool:
        if tag in request.path:
            return reply(request, 403)
        if request.command in ("PUT", "POST"):
            request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if request.command == "HEAD" and "/blobs/" in request.path:
            return reply(request, 200)
        return request.command == "PUT" and reply(request, 201)

    faulty.faults.append(act)
    with pytest.raises(PyruncError, match="answers 403"):
        images.copy(signature(tmp_path / "one", subject, "text/x")[0], f"docker://{faulty.host}/box:one")

    assert not [path for method, path, _ in faulty.requests if method == "PUT" and tag in path]


@pytest.mark.parametrize("filters", [True, False])
def test_referrers_of_a_registry_that_knows_them(faulty: Faulty, filters: bool) -> None:
    """Page after page, and filtered here where the registry has not done it."""
    faulty.manifests["1"] = (INDEX, json.dumps({"schemaVersion": 2, "manifests": []}).encode())
    subject = digest(faulty.manifests["1"][1])
    entries = [
        {"mediaType": MANIFEST, "digest": f"sha256:{n}" + "0" * 63, "size": 5, "artifactType": f"text/{'xy'[n % 2]}",
         "annotations": {"by": str(n)}}
        for n in range(6)
    ]  # fmt: skip

    def act(request: Any) -> bool:
        path, _, query = request.path.partition("?")
        if path != f"/v2/a/box/referrers/{subject}":
            return False
        start = int(query.partition("from=")[2] or 0)
        part = [one for one in entries[start : start + 2] if not filters or one["artifactType"] == "text/y"]
        headers = {"Content-Type": INDEX, **({"OCI-Filters-Applied": "artifactType"} if filters else {})}
        if start < 4:
            headers["Link"] = f'<{path}?from={start + 2}>; rel="next"'
        return reply(request, 200, json.dumps({"schemaVersion": 2, "manifests": part}).encode(), **headers)

    faulty.faults.append(act)
    found = images.referrers(f"docker://{faulty.host}/a/box:1", "text/y")

    assert kinds(found) == [("text/y", "1"), ("text/y", "3"), ("text/y", "5")]
    assert "artifactType=text%2Fy" in faulty.requests[-3][1]


def test_referrers_of_a_layout(source: str, tmp_path: Path) -> None:
    """In the store and in layouts they are found by their subject; an archive of Docker's has none."""
    store = str(tmp_path / "store")
    pushed = images.pull(source, store=store)[1]
    images.pull(signature(tmp_path / "one", pushed, "text/x")[0], name="one", store=store)

    assert kinds(images.referrers("box", store=store)) == [("text/x", "one")]
    assert images.referrers("box", "text/y", store=store) == []
    images.copy(source, f"docker-archive:{tmp_path / 'd.tar'}:box")
    with pytest.raises(PyruncError, match="has no referrers"):
        images.referrers(f"docker-archive:{tmp_path / 'd.tar'}")


def test_copied_with_the_image(host: str, source: str, tmp_path: Path) -> None:
    """--referrers: to another repository, into a layout and out of it again; what refers to a referrer as well."""
    place = f"docker://{host}/box:1"
    pushed = images.copy(source, place)
    one, first = signature(tmp_path / "one", pushed, "text/x")
    size = (tmp_path / "one/blobs/sha256" / first[7:]).stat().st_size
    about = {"mediaType": MANIFEST, "digest": first, "size": size}
    images.copy(one, f"docker://{host}/box:one")
    images.copy(signature(tmp_path / "two", about, "text/y")[0], f"docker://{host}/box:two")
    images.copy(source, f"docker://{host}/box:{pushed.digest.replace(':', '-')}.sig")  # as cosign used to
    images.copy(place, f"docker://{host}/other:1", referrers=True)
    images.copy(f"docker://{host}/other:1", f"oci:{tmp_path / 'layout'}:box", referrers=True)
    images.copy(f"oci:{tmp_path / 'layout'}:box", f"oci-archive:{tmp_path / 'archive'}:box", referrers=True)
    images.copy(f"oci-archive:{tmp_path / 'archive'}:box", f"docker://{host}/third:1", referrers=True)

    for name in ("other", "third"):
        assert kinds(images.referrers(f"docker://{host}/{name}:1")) == [("text/x", "one")]
        assert kinds(images.referrers(f"docker://{host}/{name}@{first}")) == [("text/y", "two")]
    assert f"{pushed.digest.replace(':', '-')}.sig" in images.tags(f"docker://{host}/other")
    assert kinds(images.referrers(f"oci:{tmp_path / 'layout'}:box")) == [("text/x", "one")]


@pytest.mark.parametrize("target", ["dir:{}/out", "docker-archive:{}/out:box", "box"])
def test_no_room_for_referrers(source: str, tmp_path: Path, target: str) -> None:
    """Where they would be lost, that is said before anything is copied."""
    with pytest.raises(PyruncError, match="has no room for referrers"):
        images.copy(source, target.format(tmp_path), referrers=True, store=str(tmp_path / "store"))


def test_the_command(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table for people, JSON for programs; the words of an artifact reach no terminal as they are."""
    store = str(tmp_path / "store")
    pushed = images.pull(source, store=store)[1]
    _, name = signature(tmp_path / "one", pushed, "text/x")
    images.pull(f"oci:{tmp_path / 'one'}", name="one", store=store)
    for flags in ([], ["--json"]):
        assert command.run(None, parse(command.COMMAND.flags, ["--store", store, *flags, "box"])) == 0  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].split() == ["DIGEST", "SIZE", "TYPE"]
    assert lines[1].split()[0] == name and lines[1].endswith("text/x")
    assert json.loads("\n".join(lines[2:]))[0]["annotations"] == {"by": "one"}


def test_tags(host: str, source: str) -> None:
    """All tags of a repository; one that is not there is an error."""
    for tag in ("b", "a", "latest"):
        images.copy(source, f"docker://{host}/a/box:{tag}")

    assert sorted(images.tags(f"docker://{host}/a/box")) == ["a", "b", "latest"]
    with pytest.raises(PyruncError, match="404 NAME_UNKNOWN"):
        images.tags(f"docker://{host}/none")
    with pytest.raises(PyruncError, match="is not a repository"):
        images.tags(source)


@pytest.mark.parametrize(
    ("link", "match"),
    [
        ('</v2/box/tags/list?last={n}>; rel="next"', None),
        ('<tags/list?last={n}>; rel=next, </x>; rel="last"', None),
        ('</v2/box/tags/list?n=1000>; rel="next"', "pages do not end"),
        ('<http://localhost:1/v2/box/tags/list>; rel="next"', "another server"),
    ],
)
def test_tags_come_in_pages(faulty: Faulty, link: str, match: str | None) -> None:
    """Links are followed, relative ones too, but neither in circles nor to other servers."""
    pages = 0

    def act(request: Any) -> bool:
        nonlocal pages
        pages += 1
        # Relative to the page: /v2/box/tags/list.
        headers = {"Link": link.replace("<tags/", "<../tags/").format(n=pages)} if pages < 3 or match else {}
        return reply(request, 200, json.dumps({"name": "box", "tags": [f"t{pages}"]}).encode(), **headers)

    faulty.faults.append(lambda request: "/tags/" in request.path and act(request))
    if match:
        with pytest.raises(PyruncError, match=match):
            images.tags(f"docker://{faulty.host}/box")
    else:
        assert images.tags(f"docker://{faulty.host}/box") == ["t1", "t2", "t3"]


def test_deleting(host: str, source: str) -> None:
    """By digest the image goes with all of its tags; Debian's registry deletes no tag alone, and that is explained."""
    pushed = images.copy(source, f"docker://{host}/box:1")
    with pytest.raises(PyruncError, match=f"cannot delete {host}/box:1") as caught:
        images.remove(f"docker://{host}/box:1")
    assert f"pyrunc image rm docker://{host}/box@{pushed.digest}" in str(caught.value.hint)
    images.remove(f"docker://{host}/box@{pushed.digest}")

    for again in (f"docker://{host}/box@{pushed.digest}", f"docker://{host}/box:1"):
        with pytest.raises(PyruncError, match="404 MANIFEST_UNKNOWN"):
            images.remove(again)


def test_deleting_is_not_always_allowed(tmp_path: Path, source: str) -> None:
    """A registry that is not configured for it says so, and so do we."""
    with registry(tmp_path / "registry", delete=False) as host:
        pushed = images.copy(source, f"docker://{host}/box:1")
        with pytest.raises(PyruncError, match="answers 405 UNSUPPORTED") as caught:
            images.remove(f"docker://{host}/box@{pushed.digest}")

    assert "configured" in str(caught.value.hint)


def test_deleting_a_tag_alone(faulty: Faulty) -> None:
    """Where the registry can, the tag goes and nothing else is asked for."""
    faulty.manifests["1"] = (INDEX, b'{"schemaVersion": 2, "manifests": []}')
    faulty.faults.append(lambda request: request.command == "DELETE" and reply(request, 202))
    images.remove(f"docker://{faulty.host}/box:1")

    assert [path for method, path, _ in faulty.requests if method == "DELETE"] == ["/v2/box/manifests/1"]
