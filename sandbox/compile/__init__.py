"""Compilers: documents and facts in, plans out. Pure: nothing here touches the system.

`create.py` makes a container, `execute.py` joins one; `namespaces.py`, `filesystem.py`, `mounts.py` and `process.py`
hold the steps.
"""
