"""Making missing folders and files by the handle of the folder that holds them: they are made by their path."""

TAKEN_OUT = (
    (
        "sandbox/native/path.c",
        "        int made = make == FILE_LAST && is_last(walk) ? mknodat(walk->here, name, S_IFREG | mode, 0)\n"
        f"{54 * ' '}: mkdirat(walk->here, name, make == FOLDERS ? mode : 0755);\n",
        """        char whole[8192] = {0};
        char link[32] = "/proc/self/fd/";
        int digits = 14;
        if (walk->root >= 100)
            link[digits++] = (char)('0' + walk->root / 100);
        if (walk->root >= 10)
            link[digits++] = (char)('0' + walk->root / 10 % 10);
        link[digits] = (char)('0' + walk->root % 10);
        long length = readlinkat(AT_FDCWD, link, whole, 4096);
        whole[length++] = '/';
        strcpy(whole + length, walk->done);
        length += (long)strlen(walk->done);
        whole[length++] = '/';
        strcpy(whole + length, name);
        int made = make == FILE_LAST && is_last(walk) ? mknodat(AT_FDCWD, whole, S_IFREG | mode, 0)
                                                      : mkdirat(AT_FDCWD, whole, make == FOLDERS ? mode : 0755);
""",
    ),
)
