# SPDX-License-Identifier: MIT
# A thin front over Meson: `make help` says what there is.
BUILD  ?= build
PREFIX := /usr/local
# Meson asks dpkg-architecture for Debian's directory, and where there is none takes lib64,
# in which no program looks.
LIBDIR := $(shell test ! -e /etc/debian_version || command -v dpkg-architecture >/dev/null || \
	echo --libdir lib)
TRACE  := tests/data/ftrace-iommu-nvme-e1000e.txt.xz

.DELETE_ON_ERROR:
.PHONY: all deps demo check tests fresh fuzz conformance oracle bench bench-peers bench-creep install deb sanitize \
	examples format format-check clean help

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) $(if $(V),-v,$$(test -t 1 || echo --quiet))

$(BUILD)/build.ninja:
	@tools/install-deps.sh --check build
	@meson setup $(BUILD) --prefix $(PREFIX) $(LIBDIR) $(MESON_FLAGS) >$(BUILD).log 2>&1 || \
		{ cat $(BUILD).log; rm -rf $(BUILD) $(BUILD).log; exit 1; }
	@mv $(BUILD).log $(BUILD)/setup.log

deps:
	@tools/install-deps.sh build

GUEST = $(BUILD)/examples/map-guest --device /dev/vfio/devices/vfio0

# What is missing is installed first; where all is there this needs no network.
demo:
	@echo '[1/5] packages'
	@tools/install-deps.sh demo
	@printf '[2/5] build: a minute or two if there is none\n'
	@$(MAKE) --no-print-directory all
	@printf '[3/5] a program that knows only the kernel finds /dev/iommu, with 1 MiB for its tables\n\n'
	$(BUILD)/uiommu run --devices 1 --memlock unlimited --phys scattered --memory-max 1M -- $(GUEST)
	@printf '\n[4/5] the same with 400 KiB, which is too little: its last mapping fails, and only that\n\n'
	! $(BUILD)/uiommu run --devices 1 --memlock unlimited --phys scattered --memory-max 400K -- $(GUEST)
	@printf '\n[5/5] what seven seconds of a real kernel cost, and what a VM of 64 GiB would\n\n'
	$(BUILD)/uiommu replay --plot $(BUILD)/replay.svg $(TRACE) >$(BUILD)/replay.txt
	@cat $(BUILD)/replay.txt && echo
	@$(BUILD)/uiommu replay --plot $(BUILD)/replay.png $(TRACE) >/dev/null
	$(BUILD)/uiommu size --iommu vtd --guest 64G
	@echo "The picture is in $(BUILD)/replay.svg and $(BUILD)/replay.png; $(BUILD)/replay.txt has its summary."

# Each way of building has a directory of its own beside $(BUILD); STEPS="gcc tsan": only these.
check:
	@tools/install-deps.sh check
	@tools/run-tests.py --build $(BUILD) $(STEPS)

sanitize:
	@$(MAKE) --no-print-directory check STEPS='asan-ubsan tsan'

# The tests as gcc builds them, for `meson test -C $(BUILD)-gcc NAME`.
tests:
	@tools/install-deps.sh oracle
	@tools/run-tests.py --build $(BUILD) --target all gcc

# The demo on bare Debian 12 and 13, then the tests on 13; as root. The roots are kept.
fresh:
	@tools/install-deps.sh fresh
	@tools/fresh.py --tests trixie=gcc

# Hostile ioctls and tables, for SECONDS each target; what is found is kept in $(BUILD)/fuzz-corpus.
SECONDS ?= 3600
fuzz:
	@tools/install-deps.sh check
	@tools/run-tests.py --build $(BUILD) --fuzz $(SECONDS) fuzz

# The kernel's own tests of iommufd; the first time fetches a package of 150 MB.
conformance:
	@tools/install-deps.sh conformance
	@$(MAKE) --no-print-directory all
	@tools/conformance.sh $(BUILD) docs/conformance.md

# QEMU's IOMMUs and CPUs walk the tables of every format; COUNT translations of each
# width, then every bit of some items flipped.
COUNT ?= 100000
oracle:
	@tools/install-deps.sh oracle
	@tools/run-tests.py --build $(BUILD) --target tests/oracle/oracle gcc
	$(BUILD)-gcc/tests/oracle/oracle --count $(COUNT) --mutate --jobs $(shell nproc)

bench:
	@tools/install-deps.sh bench
	@$(MAKE) --no-print-directory all
	@ninja -C $(BUILD) --quiet bench/bench bench/calls bench/notify bench/instructions
	$(BUILD)/bench/bench --json $(BUILD)/bench.json; status=$$?; \
	bench/instructions.py $(BUILD)/bench/instructions $(BUILD)/bench.json && exit $$status

# The kernel's own table code beside ours; the first time fetches two packages of 150 MB.
# ROUNDS=N, FILTER=TEXT: fewer rounds, or only what has TEXT in its name or build.
PEERS_FLAGS = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(FILTER),--filter '$(FILTER)')
bench-peers:
	@tools/install-deps.sh bench-peers
	@$(MAKE) --no-print-directory all
	@ninja -C $(BUILD) --quiet bench/libbench-peers.a
	@bench/peers/fetch.sh $(BUILD)
	@bench/peers/build.py $(BUILD)
	$(BUILD)/bench-peers/peers $(PEERS_FLAGS) --json $(BUILD)/bench-peers.json
	@bench/peers/plot.py $(BUILD)/bench-peers.json $(BUILD)/bench-peers.svg
	@echo "All builds are in $(BUILD)/bench-peers.json, a picture in $(BUILD)/bench-peers.svg."

# A day of random load on the IOVA allocator; the picture in docs/ is one of these.
bench-creep:
	@tools/install-deps.sh demo
	@$(MAKE) --no-print-directory all
	@ninja -C $(BUILD) --quiet bench/creep
	$(BUILD)/bench/creep >$(BUILD)/iova-creep.csv
	@gnuplot -e "csv='$(BUILD)/iova-creep.csv'; svg='$(BUILD)/iova-creep.svg'" bench/creep.gp

# What PREFIX says is where it goes, whatever an earlier call has said. Meson's own answer to
# a place that it may not write is a traceback.
INSTALL_DIR = $(if $(DESTDIR),$(abspath $(DESTDIR)))$(PREFIX)
install:
	@dir='$(INSTALL_DIR)'; until [ -e "$$dir" ]; do dir=$$(dirname "$$dir"); done; \
	[ -d "$$dir" ] && [ -w "$$dir" ] || { echo "cannot write $(INSTALL_DIR): run it as root, or give PREFIX=\$$HOME/.local"; exit 1; } >&2
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@grep -qsx 'prefix=$(PREFIX)' $(BUILD)/meson-private/uiommu.pc || \
	meson setup --reconfigure $(BUILD) --prefix $(PREFIX) >$(BUILD)/setup.log 2>&1 || \
		{ cat $(BUILD)/setup.log; exit 1; }
	@$(MAKE) --no-print-directory all
	@$(if $(DESTDIR),DESTDIR=$(abspath $(DESTDIR))) meson install -C $(BUILD) --no-rebuild --quiet
	@$(if $(DESTDIR),,test "$$(id -u)" != 0 || ldconfig)
	@echo "uiommu, its library and man pages are installed in $(if $(DESTDIR),$(DESTDIR): )$(PREFIX)"

# Debian packages into $(BUILD)/deb.
deb:
	@tools/install-deps.sh deb
	@tools/deb.sh $(BUILD)/deb

# Put the real output under every example of README.md and the man pages, and all options
# into the shells' completions.
examples: all
	@tools/completions.py $(BUILD)/uiommu
	@tools/examples.py --fix --build $(BUILD) README.md man/*.[17]

format:
	@tools/style.py --fix

format-check:
	@tools/style.py

clean:
	rm -rf $(BUILD) $(BUILD)-gcc $(BUILD)-clang $(BUILD)-asan-ubsan $(BUILD)-tsan $(BUILD)-fuzz $(BUILD)-big-endian

help:
	@echo 'make              build $(BUILD)/uiommu, libuiommu.so, libuiommu.a and the man pages'
	@echo 'make deps         install the Debian packages that this takes'
	@echo 'make demo         a program with a /dev/iommu and a budget; a real kernel trace'
	@echo 'make check        every test: gcc, clang, sanitizers, big-endian, style; STEPS="gcc tsan"'
	@echo 'make tests        build the tests: meson test -C $(BUILD)-gcc NAME runs one'
	@echo 'make fresh        the demo on bare Debian 12 and 13, the tests on 13; as root'
	@echo 'make sanitize     only the tests under ASan, UBSan and TSan'
	@echo 'make fuzz         hostile ioctls and tables for hours, SECONDS=3600 of each target'
	@echo "make conformance  the kernel's own tests of iommufd, under uiommu run"
	@echo "make oracle       QEMU's IOMMUs and CPUs walk the tables of every format"
	@echo 'make bench        nanoseconds and instructions per call, beside the bare memory fill'
	@echo "make bench-peers  the same of the kernel's table code beside ours: ROUNDS=N, FILTER=TEXT"
	@echo 'make bench-creep  a day of random load on the IOVA allocator, and a picture'
	@echo 'make install      DESTDIR=DIR stages, PREFIX=DIR chooses the place ($(PREFIX))'
	@echo 'make deb          Debian packages in $(BUILD)/deb, checked by lintian'
	@echo 'make format       clang-format the tree; make format-check only looks'
	@echo 'make examples     put real output in the examples of README.md and man/, options in completions/'
	@echo 'make clean        remove what was built'
	@echo 'All but make and make install first install missing Debian packages (as root or with sudo).'
