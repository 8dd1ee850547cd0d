"""Checkpoint and restore by CRIU: what it is asked, how it is spoken to. Never loaded on the path of a start.

`options` what callers may ask for; `rpc` the messages as bytes; `worker` one criu process and the talk with it;
`requests` a document and options as a request (pure). The plan in which a criu that restores is started is
`sandbox/compile/restore.py`'s.
"""
