#!/bin/bash
# A real Debian image, made, unpacked, run and changed by pyrunc: apt-get, perl and bash in a container. Needs root.
# Everything is kept in .demo; a second run makes a new bundle of the same image.
set -euo pipefail
cd "$(dirname "$0")/.."
pyrunc=${PYRUNC:-.venv/bin/pyrunc}
python=${PYTHON:-.venv/bin/python}
work=.demo

show() { # prints a command as one could type it, and runs it
  printf '\n$'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

# The machine's own mirror and release, from apt's sources in whatever form they are written.
mirror() {
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(SUITE) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
    awk -v name="$codename" '$1 ~ /debian\/?$/ && ($2 == name || $3 == name || $4 == name) { print name, $1; exit }'
}

# Without a mirror: the files of the host's own packages, down to the last thing that they depend on.
host_files() {
  local packages
  packages=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-enhances --no-conflicts \
    --no-breaks --no-replaces apt bash perl-base coreutils libc-bin base-files base-passwd | grep '^[a-z]' | sort -u)
  # shellcheck disable=SC2086 # one word a package; some of them are names that others provide
  { dpkg -L $packages 2>/dev/null || true; printf '%s\n' /bin /sbin /lib /lib64 /etc/passwd /etc/group; } |
    grep '^/' | sort -u |
    while read -r path; do if [ -e "$path" ] || [ -L "$path" ]; then echo "${path#/}"; fi; done |
    tar -C / --create --no-recursion --files-from=- --file="$1" 2>/dev/null
}

mkdir -p "$work"
if [ ! -e "$work/debian.tar" ]; then
  read -r suite uri < <(mirror) || true
  if [ -z "${uri:-}" ] || ! command -v mmdebstrap >/dev/null ||
    ! show mmdebstrap --quiet --variant=apt "$suite" "$work/new.tar" "$uri"; then
    echo "no mirror within reach: the image is made of this machine's own files"
    host_files "$work/new.tar"
  fi
  mv "$work/new.tar" "$work/debian.tar"
fi

if [ ! -e "$work/image/index.json" ]; then
  rm -rf "$work/image"
  show "$pyrunc" image import --compress zstd "$work/debian.tar" "oci:$work/image:debian"
  show "$pyrunc" image config --config.cmd /bin/bash "oci:$work/image:debian"
fi

rm -rf "$work/bundle"
show "$pyrunc" image unpack "oci:$work/image:debian" "$work/bundle"

run() { # run NAME COMMAND...: one container
  local name=$1
  shift
  "$python" - "$work/bundle/config.json" "$@" <<'END'
import json
import sys

path, *arguments = sys.argv[1:]
with open(path) as file:
    config = json.load(file)
config["process"].update(args=arguments, terminal=False)
with open(path, "w") as file:
    json.dump(config, file, indent=2)
END
  printf '\n# process.args is now %s' "$*"
  show "$pyrunc" run --bundle "$work/bundle" "$name"
}

run "demo-apt-$$" apt-get --version
run "demo-perl-$$" perl -e 'print "perl $^V runs as process $$ of its container\n"'
# shellcheck disable=SC2016 # for the shell in the container
run "demo-bash-$$" bash -c '. /etc/os-release; echo "bash $BASH_VERSION on $PRETTY_NAME: $(id -un) at $(uname -n)"; date > /srv/visited'

# What the container has changed becomes one more layer.
show "$pyrunc" image diff "$work/bundle"
show "$pyrunc" image repack "$work/bundle" "oci:$work/image:changed"
show "$pyrunc" image history "oci:$work/image:changed"
