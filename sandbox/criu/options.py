"""What a caller may ask of `checkpoint` and `restore`: plain data, in the words of runc's flags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class CriuOptions:
    """Paths as the caller gave them. `images` has to exist by the time that CRIU is asked."""

    images: str = "checkpoint"
    work: str = ""  # "": the images' folder
    parent: str = ""  # images of an earlier pre-dump, relative to `images`
    leave_running: bool = False
    pre_dump: bool = False
    tcp_established: bool = False
    tcp_skip_in_flight: bool = False
    link_remap: bool = False
    ext_unix_sk: bool = False
    shell_job: bool = False
    file_locks: bool = False
    auto_dedup: bool = False
    lazy_pages: bool = False
    page_server: tuple[str, int] | None = None
    status_fd: int = -1
    cgroups_mode: str = ""  # soft, full, strict, ignore; "": CRIU's own choice, which is soft
    lsm_profile: str = ""
    lsm_mount_context: str = ""
