"""Times commands that take turns: A B, A B. Runs in the engines' place with that system's own Python, so it needs
nothing but the standard library.

    turns.py ROUNDS < {"name": ["command", ...], ...}    prints {"name": [seconds, ...], ...}; one round warms up
"""

from __future__ import annotations

import json
import os
import sys
import time


def timed(command: list[str]) -> float:
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=null)
    _, status = os.waitpid(pid, 0)
    taken = time.perf_counter() - begin
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
    return taken


commands = json.load(sys.stdin)
rounds = [{name: timed(command) for name, command in commands.items()} for _ in range(int(sys.argv[1]) + 1)]
print(json.dumps({name: [times[name] for times in rounds[1:]] for name in commands}))
