"""An image configuration becomes a runtime configuration."""

from __future__ import annotations

import json
from typing import Any

from pyrunc.specs.convert import runtime_config
from pyrunc.specs.default import PATH, default_spec
from pyrunc.specs.image import ImageConfig, decode_image_config
from tests.specs.documents import complaints, example


def image(**execution: object) -> ImageConfig:
    document = example("image-config")
    document["config"] = execution
    return decode_image_config(json.dumps(document).encode())


def process(found: dict[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = found["process"]
    return section


def test_the_example_becomes_a_valid_document() -> None:
    """The specification's own image becomes a config.json that breaks no rule."""
    found = runtime_config(decode_image_config(json.dumps(example("image-config")).encode()), uid=1000, gid=1000)

    assert complaints(found) == []
    assert process(found)["user"] == {"uid": 1000, "gid": 1000}
    assert process(found)["cwd"] == "/home/alice"
    assert process(found)["args"] == ["/bin/my-app-binary", "--foreground", "--config", "/etc/my-app.d/default.cfg"]
    assert found["root"] == {"path": "rootfs", "readonly": False}


def test_arguments() -> None:
    """Cmd follows Entrypoint; a caller's arguments replace Cmd only; without any the base document's stay."""
    both = image(Entrypoint=["run"], Cmd=["a", "b"])

    assert process(runtime_config(both))["args"] == ["run", "a", "b"]
    assert process(runtime_config(both, args=["c"]))["args"] == ["run", "c"]
    assert process(runtime_config(image(Cmd=["a"]), args=["c"]))["args"] == ["c"]
    assert process(runtime_config(image()))["args"] == ["sh"]


def test_environment() -> None:
    """The image's variables stand as they are; a default comes only where its name is free, and never HOME."""
    assert process(runtime_config(image(Env=["A=1", "PATH=/x"])))["env"] == ["A=1", "PATH=/x", "TERM=xterm"]
    assert process(runtime_config(image()))["env"] == [PATH, "TERM=xterm"]


def test_working_folder() -> None:
    """The working folder is `/` when the image has none, and absolute in any case."""
    assert process(runtime_config(image()))["cwd"] == "/"
    assert process(runtime_config(image(WorkingDir="app")))["cwd"] == "/app"


def test_groups() -> None:
    """Supplementary groups are written only where there are some."""
    assert process(runtime_config(image(), groups=[5, 6]))["user"] == {"uid": 0, "gid": 0, "additionalGids": [5, 6]}
    assert process(runtime_config(image()))["user"] == {"uid": 0, "gid": 0}


def test_annotations() -> None:
    """What config.json has no member for becomes an annotation, nothing does that is absent, and labels win."""
    found = runtime_config(
        image(
            StopSignal="SIGINT",
            ExposedPorts={"80/tcp": {}, "53/udp": {}},
            Labels={"org.opencontainers.image.os": "plan9", "mine": ""},
        )
    )

    assert found["annotations"] == {
        "org.opencontainers.image.os": "plan9",
        "org.opencontainers.image.architecture": "amd64",
        "org.opencontainers.image.author": "Alyssa P. Hacker <alyspdev@example.com>",
        "org.opencontainers.image.created": "2015-10-31T22:22:56.015925234Z",
        "org.opencontainers.image.stopSignal": "SIGINT",
        "org.opencontainers.image.exposedPorts": "53/udp,80/tcp",
        "mine": "",
    }


def test_volumes() -> None:
    """Volumes become mounts only when asked for, and then never of anything on the host."""
    with_volumes = image(Volumes={"/data": {}, "/cache": {}})
    found = runtime_config(with_volumes, volumes=True)["mounts"][-2:]

    assert [(mount["destination"], mount["type"]) for mount in found] == [("/cache", "tmpfs"), ("/data", "tmpfs")]
    assert runtime_config(with_volumes)["mounts"] == default_spec()["mounts"]


def test_base_document() -> None:
    """Another document to build upon keeps what the image does not speak of."""
    base = default_spec(rootless=True)
    found = runtime_config(image(Cmd=["a"]), base=base)

    assert found["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 0, "size": 1}]
    assert process(found)["args"] == ["a"]
