class _Run:
    bytes: int
    files: int
    named: int

class _Listing:
    text: int
    left: int

class _Lib:
    def plain_files(
        self, folder: int, path: bytes, data: object, length: int, names: object, room: int, run: _Run
    ) -> None: ...
    def list_folder(
        self, folder: int, path: bytes, uid: int, gid: int, text: object, room: int, left: object, listing: _Listing
    ) -> int: ...

class _FFI:
    def new(self, kind: str) -> object: ...
    def from_buffer(self, value: object) -> object: ...
    def buffer(self, value: object, size: int) -> bytes: ...

lib: _Lib
ffi: _FFI
