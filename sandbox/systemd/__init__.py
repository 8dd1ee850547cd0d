"""systemd as the one who makes a container's cgroup: names, properties, and the conversation over D-Bus.

`compile` decides, purely, what the unit is to be; `manager` asks systemd for it. Loaded only with --systemd-cgroup and
for containers that were made so. No module here may know the state folder.
"""
