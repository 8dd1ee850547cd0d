"""The mapping of a mount's ids."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/mounts.c",
        "slot == UINT64_MAX ? 0 : map_ids(tree, slot_fd(slot), bind->numbers[BIND_MAP_ALL])",
        "0",
    ),
)
