"""The look at where a mask came to lie: what is at the path by then is not asked."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/attach.c",
        "return ours.mount == found.mount ? 0 : refused(DETAIL_TARGET_CHANGED, path);",
        "return 0;",
    ),
)
