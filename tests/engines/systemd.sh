#!/bin/sh
# systemd.sh RUNTIME USER: whole lives of containers whose cgroups systemd makes. Runs as root where systemd is process 1
# and cgroups are v2 alone; prints TAP. USER is one whose own systemd is started too.
RUNTIME=$1 SOMEBODY=$2
count=0
bundle=/run/systemd-test
mkdir -p $bundle/rootfs/bin
busybox=$(command -v /run/busybox || command -v busybox)
cp "$busybox" $bundle/rootfs/bin/busybox
for name in sh cat sleep grep true; do ln -sf busybox $bundle/rootfs/bin/$name; done
chmod -R a+rX $bundle
cd $bundle || exit 1

# config 'PYTHON STATEMENTS' [spec options]: writes config.json; c is the document, l its linux, r its resources.
config() {
  statements=$1; shift
  rm -f config.json; $RUNTIME spec "$@"
  python3 - "$statements" <<'PYTHON'
import json, sys
c = json.load(open("config.json"))
l = c["linux"]; r = l.setdefault("resources", {})
c["process"].update(terminal=False, args=["sleep", "100"])
l["cgroupsPath"] = "machine-pod.slice:test:box"
exec(sys.argv[1])
json.dump(c, open("config.json", "w"))
PYTHON
}

# is NAME WANTED GOT
is() {
  count=$((count + 1))
  if [ "$2" = "$3" ]; then echo "ok $count - $1"; else echo "not ok $count - $1"; echo "# wanted: $2"; echo "# got: $3"; fi
}

show() { systemctl show test-box.scope -p "$1" --value; }
limit() { cat /sys/fs/cgroup/machine.slice/machine-pod.slice/test-box.scope/"$1"; }
run() { $RUNTIME --systemd-cgroup run -d box </dev/null >/dev/null 2>log || cat log; }
gone() { systemctl show test-box.scope -p LoadState --value; }

config '
r["memory"] = {"limit": 67108864}; r["pids"] = {"limit": 20}
r["cpu"] = {"shares": 100, "quota": 500000, "period": 1000000, "cpus": "0"}
c["annotations"] = {"org.systemd.property.TimeoutStopUSec": "10000000", "org.systemd.property.KillSignal": "2"}'
run
is 'the slice' machine-pod.slice "$(show Slice)"
is 'init is in the unit' "$($RUNTIME state box | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')" "$(limit cgroup.procs)"
is 'memory' '67108864 67108864' "$(show MemoryMax) $(limit memory.max)"
is 'processes' '20 20' "$(show TasksMax) $(limit pids.max)"
is 'weight' '17 17' "$(show CPUWeight) $(limit cpu.weight)"
is 'quota' '500ms 500000 1000000' "$(show CPUQuotaPerSecUSec) $(limit cpu.max)"
is 'processors' '0 0' "$(show AllowedCPUs) $(limit cpuset.cpus)"
is 'annotations' '10s 2' "$(show TimeoutStopUSec) $(show KillSignal)"
is 'no reload is due' no "$(show NeedDaemonReload)"
is 'exec is in the unit' 0::/ "$($RUNTIME exec box cat /proc/self/cgroup)"
systemctl daemon-reload
is 'devices after a reload' done "$($RUNTIME exec box sh -c 'echo x >/dev/null && cat /dev/null && echo done')"
is 'limits after a reload' '67108864 20 17' "$(limit memory.max) $(limit pids.max) $(limit cpu.weight)"
$RUNTIME update --memory 33554432 --pids-limit 0 --cpu-quota 123456 box
is 'update' '33554432 33554432' "$(show MemoryMax) $(limit memory.max)"
is 'update to no process' '1 1' "$(show TasksMax) $(limit pids.max)"
is 'update, rounded' '130ms 130000 1000000' "$(show CPUQuotaPerSecUSec) $(limit cpu.max)"
is 'another container of that unit is refused' 1 "$($RUNTIME --systemd-cgroup run other </dev/null >/dev/null 2>&1; echo $?)"
is 'the first one goes on' running "$($RUNTIME state box | sed -n 's/.*"status": "\(.*\)".*/\1/p')"
$RUNTIME pause box
is 'pause' 1 "$(limit cgroup.freeze)"
$RUNTIME delete --force box
is 'deleted' not-found "$(gone)"

config 'r["pids"] = {"limit": 1}; c["process"]["args"] = ["cat", "/proc/self/cgroup"]'
is 'one process is enough' 0::/ "$($RUNTIME --systemd-cgroup run box </dev/null 2>&1)"
is 'nothing is left of it' not-found "$(gone)"

config 'c["process"]["args"] = ["nothing"]'
is 'a failed start' 1 "$($RUNTIME --systemd-cgroup run box </dev/null >/dev/null 2>&1; echo $?)"
is 'leaves nothing' not-found "$(gone)"

config 'c["annotations"] = {"org.systemd.property.RuntimeMaxSec": "1", "org.systemd.property.TimeoutStopSec": "1"}'
run
sleep 5
is 'a unit that failed' 'failed stopped' "$(show ActiveState) $($RUNTIME state box | sed -n 's/.*"status": "\(.*\)".*/\1/p')"
$RUNTIME delete box
is 'is forgotten' not-found "$(gone)"

config 'c["annotations"] = {"org.systemd.property.NoSuchThing": "1"}'
is 'an unknown property' 1 "$($RUNTIME --systemd-cgroup run box </dev/null >/dev/null 2>log; echo $?)"
is 'is told' 1 "$(grep -c NoSuchThing log)"
config 'c["annotations"] = {"org.systemd.property.KillSignal": "[(1, true)]"}'
is 'a property of another type' 1 "$($RUNTIME --systemd-cgroup run box </dev/null >/dev/null 2>log; echo $?)"
is 'is refused' 1 "$(grep -c 'cannot start unit test-box.scope' log)"
is 'and leaves nothing' not-found "$(gone)"

config 'c["annotations"] = {"run.oci.systemd.subgroup": "inner"}'
run
is 'a cgroup below the unit' /machine.slice/machine-pod.slice/test-box.scope/inner \
  "$(sed 's/^0:://' /proc/"$($RUNTIME state box | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')"/cgroup)"
$RUNTIME delete -f box
is 'is gone with it' not-found "$(gone)"

config 'c["annotations"] = {"run.oci.delegate-cgroup": "payload"}; r["pids"] = {"limit": 20}'
run
is 'a cgroup handed over' '0::/payload 20' "$($RUNTIME exec box cat /proc/self/cgroup) $(limit pids.max)"
is 'with controllers' 1 "$(limit payload/cgroup.controllers | grep -c pids)"
$RUNTIME delete -f box
is 'is gone as well' not-found "$(gone)"

# -- a user's own systemd ------------------------------------------------------------------------------------------
uid=$(id -u "$SOMEBODY")
install -d -m 700 -o "$SOMEBODY" "/run/user/$uid"
systemctl start "user@$uid.service"
config 'r["memory"] = {"limit": 67108864}; r["pids"] = {"limit": 20}' --rootless
as_user() { /usr/bin/setpriv --reuid "$SOMEBODY" --regid "$(id -g "$SOMEBODY")" --clear-groups env XDG_RUNTIME_DIR="/run/user/$uid" "$@"; }
user_show() { as_user systemctl --user show test-box.scope -p "$1" --value; }
sed -i "s/\"hostID\": 0/\"hostID\": $uid/g" config.json
as_user $RUNTIME --systemd-cgroup run -d box </dev/null >/dev/null 2>log || cat log
is 'user: memory' 67108864 "$(user_show MemoryMax)"
is 'user: the kernel says so too' 67108864 "$(cat /sys/fs/cgroup"$(user_show ControlGroup)"/memory.max)"
is 'user: exec from outside' 0::/ "$(as_user $RUNTIME exec box cat /proc/self/cgroup 2>&1)" # else 0::/../..
as_user $RUNTIME update --pids-limit 7 box
is 'user: update' 7 "$(user_show TasksMax)"
as_user $RUNTIME delete -f box
is 'user: deleted' not-found "$(user_show LoadState)"
echo "1..$count"
