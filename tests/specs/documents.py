"""Documents for the tests: a small config.json, one with every section there is, the examples of the specifications."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from pyrunc.specs.errors import Invalid
from pyrunc.specs.rules import problems
from pyrunc.specs.runtime import Spec, decode_spec

DATA = Path(__file__).parent / "data"


def example(name: str) -> Any:
    """A published example: `config` is that of config.md, the others those of image-spec's pages."""
    return json.loads((DATA / f"{name}-example.json").read_text("utf-8"))


def small() -> dict[str, Any]:
    """As little as a container can start with."""
    return {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["sh"], "user": {"uid": 0, "gid": 0}},
        "linux": {"namespaces": [{"type": "mount"}]},
    }


def whole() -> dict[str, Any]:
    """The example of config.md with what later versions added: no member that the decoder knows is missing."""
    document = copy.deepcopy(example("config"))
    document["domainname"] = "magrathea"
    document["process"] |= {
        "consoleSize": {"height": 25, "width": 80},
        "scheduler": {"policy": "SCHED_OTHER", "nice": 5, "priority": 0, "flags": ["SCHED_FLAG_RESET_ON_FORK"],
                      "runtime": 0, "deadline": 0, "period": 0},
        "execCPUAffinity": {"initial": "7", "final": "0-3,7"},
    }  # fmt: skip
    document["process"]["user"]["umask"] = 63
    mapping = [{"containerID": 0, "hostID": 1000, "size": 100}, {"containerID": 100, "hostID": 5000, "size": 100}]
    document["mounts"].append(
        {"destination": "/data", "type": "none", "source": "/srv", "options": ["rbind", "idmap"],
         "uidMappings": mapping, "gidMappings": mapping}
    )  # fmt: skip
    hook = {"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 1}
    document["hooks"] |= {"createRuntime": [hook], "createContainer": [hook], "startContainer": [hook]}
    linux = document["linux"]
    for namespace in linux["namespaces"]:
        if namespace["type"] == "network":
            namespace["path"] = "/run/netns/blue"
    linux["netDevices"] = {"eth0": {"name": "inside"}, "ens4": {}}
    linux["intelRdt"] = {"closID": "gold", "schemata": ["L3:0=7f0"], "l3CacheSchema": "L3:0=7f0;1=1f",
                         "memBwSchema": "MB:0=20;1=70", "enableMonitoring": True}  # fmt: skip
    linux["memoryPolicy"] = {"mode": "MPOL_INTERLEAVE", "nodes": "2-3", "flags": ["MPOL_F_STATIC_NODES"]}
    linux["personality"] = {"domain": "LINUX32", "flags": []}
    linux["resources"] |= {
        "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}},
        "unified": {"io.max": "259:0 rbps=2097152 wiops=120"},
    }
    linux["resources"]["memory"] |= {"useHierarchy": False, "checkBeforeUpdate": True}
    linux["resources"]["cpu"] |= {"burst": 100000, "idle": 0}
    linux["resources"]["blockIO"] |= {
        "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 1}],
        "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 1}],
    }
    linux["seccomp"] |= {"defaultErrnoRet": None, "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/run/agent",
                         "listenerMetadata": "opaque"}  # fmt: skip
    linux["seccomp"]["syscalls"].append(
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
         "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}
    )  # fmt: skip
    document["annotations"] = {"com.example.key": "value"}
    return document


def spec_of(document: object) -> Spec:
    return decode_spec(json.dumps(document).encode())


def complaints(document: object) -> list[tuple[str, str]]:
    """(pointer, message) of every problem, or of the one that decoding stops at."""
    try:
        return [(problem.pointer, problem.message) for problem in problems(spec_of(document))]
    except Invalid as error:
        return [(error.pointer, error.message)]


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with the member at `linux/namespaces/0/type` set; `-` as the last step appends."""
    copied: Any = copy.deepcopy(document)
    *steps, last = path.split("/")
    at = copied
    for step in steps:
        if isinstance(at, list):
            at = at[int(step)]
        else:
            at = at.setdefault(step, {})
    if isinstance(at, list):
        if last == "-":
            at.append(value)
        else:
            at[int(last)] = value
    else:
        at[last] = value
    return copied  # type: ignore[no-any-return]
