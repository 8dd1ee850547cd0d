# enter.sh SYSTEM WORK CGROUP [PATH...]: the first process of a place (place.py), started in new namespaces. It makes a
# copy of SYSTEM in memory, with a copy of each PATH of the machine, pivots into it and waits to be killed.
# CGROUP is the name of the folder that this process is in, in each hierarchy. Needs nothing of the machine but a shell.
set -eu
umask 022
system=$1 work=$2 cgroup=$3
shift 3
echo begun # and in namespaces: now the cgroup may be another one
read -r _

mount -t tmpfs tmpfs "$work"
root=$work/root
mkdir "$work/upper" "$work/work" "$root"
mount -t overlay -o "lowerdir=$system,upperdir=$work/upper,workdir=$work/work" overlay "$root"

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" # this network namespace's
mount --rbind /dev "$root/dev"
for folder in /dev/shm /tmp; do mount -t tmpfs -o mode=1777 tmpfs "$root$folder"; done
mount -t tmpfs -o mode=755 tmpfs "$root/run"
# Engines put an overlay into these, which has to lie on something else than an overlay.
for folder in containers docker containerd; do
  mkdir -p "$root/var/lib/$folder"
  mount -t tmpfs -o mode=755 tmpfs "$root/var/lib/$folder"
done
mkdir -p "$root/home/engine"
mount -t tmpfs -o uid=4242,gid=4242,mode=700 tmpfs "$root/home/engine"
mkdir -p "$root/run/user"
install -d -m 700 -o 4242 -g 4242 "$root/run/user/4242"

# Our folder is the root of each hierarchy: what engines make goes with it.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  for hierarchy in /sys/fs/cgroup/*; do
    name=${hierarchy##*/}
    if [ -L "$hierarchy" ]; then # such as cpu -> cpu,cpuacct
      cp -P "$hierarchy" "$root/sys/fs/cgroup/"
    elif [ -d "$hierarchy/$cgroup" ]; then
      mkdir "$root/sys/fs/cgroup/$name"
      mount --bind "$hierarchy/$cgroup" "$root/sys/fs/cgroup/$name"
    fi
  done
fi

# What is written into these, such as Python's caches, stays in memory too.
number=0
for path; do
  number=$((number + 1))
  mkdir -p "$root$path" "$work/upper$number" "$work/work$number"
  mount -t overlay -o "lowerdir=$path,upperdir=$work/upper$number,workdir=$work/work$number" overlay "$root$path"
  while path=${path%/*} && [ "$path" ]; do chmod a+rx "$root$path"; done # users get there too
done

mkdir "$root/run/machine"
cd "$root"
pivot_root . run/machine
umount -l /run/machine
rmdir /run/machine
ip link set lo up
mkdir -p /run/lock
echo ready
exec catatonit -- sleep infinity # reaps what daemons and monitors leave
