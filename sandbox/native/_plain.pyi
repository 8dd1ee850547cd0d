class _Run:
    bytes: int
    entries: int
    named: int
    folder: int
    mtime: int
    elsewhere: int

class _Listing:
    text: int
    left: int

class _Lib:
    def plain_files(
        self,
        folder: int,
        path: bytes,
        needed: int,
        data: object,
        length: int,
        names: object,
        room: int,
        run: _Run,
    ) -> None: ...
    def list_folder(
        self, folder: int, path: bytes, uid: int, gid: int, text: object, room: int, left: object, listing: _Listing
    ) -> int: ...

class _FFI:
    def new(self, kind: str, value: object = ...) -> object: ...
    def from_buffer(self, value: object) -> object: ...
    def buffer(self, value: object, size: int) -> bytes: ...

lib: _Lib
ffi: _FFI
