# make setup   what is missing on this machine, .venv, and an editable install with everything compiled
# make demo    a Debian image, made, run and changed by pyrunc: apt-get, perl and bash
# make test    all tests and linters          make lint   the linters alone
# make sanitize   the C parts under the address and undefined behaviour sanitizers
# make bench   pyrunc beside runc and crun    make soak   what takes longer than `make test` may
# make bench-image   unpacking beside umoci, containerd and tar
# make storm   50,000 starts while somebody exchanges folders of the root file system for links
# make clean   what builds and tests have left

SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: setup demo test lint bench bench-image soak sanitize storm clean packages

# The first Python from 3.11 on. The system's own before what PATH says, because PATH may hold a slow wrapper.
PYTHON ?= $(shell for p in /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$p" && break; done)
BIN := .venv/bin

# Without the first line nothing can be built; without the second some tests are skipped.
NEEDED := gcc libc6-dev make python3-dev python3-venv libcap-dev libseccomp-dev
WISHED := umoci skopeo docker-registry openssl attr mmdebstrap busybox-static strace uidmap apparmor erofs-utils qemu-system-common

NATIVE := $(wildcard sandbox/native/*.[ch] sandbox/native/*/*.[ch] sandbox/native/build.py)
# The interpreter is checked where it is compiled, because it needs Python's headers.
CHECKED := $(filter-out sandbox/native/_% sandbox/native/interpreter.c,$(wildcard sandbox/native/*.c sandbox/native/*/*.c))
CFLAGS_CHECK := -std=gnu11 -O2 -Wall -Wextra -Wswitch-enum -Werror -Isandbox/native \
	-DPYRUNC_VERSION='""' -DPYRUNC_SPEC='""'

setup: packages .venv/installed

packages:
	@status() { dpkg-query -W -f='$${db:Status-Status}' "$$1" 2>/dev/null; }; \
	missing() { for p in "$$@"; do [ "$$(status $$p)" = installed ] || echo $$p; done; }; \
	try() { apt-get install -y --no-install-recommends "$$@"; }; \
	install() { try "$$@" || { apt-get update && try "$$@"; }; }; \
	export DEBIAN_FRONTEND=noninteractive; \
	needed=$$(missing $(NEEDED)) wished=$$(missing $(WISHED)); \
	if [ -z "$$needed$$wished" ] || ! command -v apt-get >/dev/null; then exit 0; fi; \
	if [ $$(id -u) != 0 ]; then echo "not root, so not installed:" $$needed $$wished; exit 0; fi; \
	if [ -n "$$needed" ]; then install $$needed; fi; \
	for p in $$wished; do install $$p || echo "warning: $$p is not to be had; tests that need it are skipped"; done

.venv/bin/pip:
	@[ -n "$(PYTHON)" ] || { echo "pyrunc needs Python 3.11 or later"; exit 1; }
	$(PYTHON) -m venv .venv

# python-prctl has to be compiled; where it cannot be, its tests are skipped.
.venv/installed: .venv/bin/pip pyproject.toml setup.py pyrunc/version.py pyrunc/boot.py $(NATIVE)
	$(BIN)/pip install --quiet -e '.[test,prctl]' || $(BIN)/pip install --quiet -e '.[test]'
	touch $@

demo: setup
	examples/demo.sh

test: setup
	$(BIN)/python -m pytest -m 'not soak' tests
	$(MAKE) --no-print-directory lint

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	for file in $(CHECKED); do gcc $(CFLAGS_CHECK) -fsyntax-only $$file || exit 1; done

bench: setup
	$(BIN)/python -m tests.bench

bench-image: setup
	$(BIN)/python -m tests.bench.images

ROUNDS ?= 3
soak: setup
	$(BIN)/python -m pytest -m soak tests
	for round in $$(seq $(ROUNDS)); do $(BIN)/python -m pytest -q -x tests/system || exit 1; done

STARTS ?= 50000
storm: setup
	PYRUNC_STORM_STARTS=$(STARTS) $(BIN)/python -m pytest -s tests/storm

sanitize: setup
	$(BIN)/python -m pytest tests/native/test_sanitized.py

clean:
	rm -rf build dist .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info .venv/installed
	rm -rf sandbox/native/bin sandbox/native/_*.so sandbox/native/_*.c sandbox/native/*.o
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
