# Lifeboat. `make` alone lists what there is to do; every target does the set-up it needs.
#
# Cargo decides what is out of date, so the build targets are all phony and quick when nothing
# changed. What they leave for others lies in build/: kernel.elf, initfs.img, logs/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.SUFFIXES:

## Variables, for any target that starts Lifeboat
SMP     ?= 2#    CPUs
MEM     ?= 512#  MiB of memory
DISK    ?=#      for exec and gdb: a disk image to attach (qemu has build/qemu.disk)
BUS     ?=#      what disks hang on: virtio (the default), nvme or ahci
KVM     ?=#      1: hardware virtualisation instead of emulation
RELEASE ?=#      1: the kernel without its debug checks
STORE   ?=#      1: a disk for the emergency store (qemu has one; 0: none)
NOGRAPHIC ?=#    1: qemu and oom-demo open no window, whatever display is there
APPEND  ?=#      more kernel command line
GDBSERVER ?=#    TCP port for GDB: `gdbserver serial CMD` in the guest answers there
TIMEOUT ?= 60#   seconds until `make exec` gives up
T       ?=#      with test, test-host, test-qemu: only tests whose name has this in it
V       ?=#      1: show what cargo does

BUILD       := build
HOST_TARGET := $(or $(CARGO_TARGET_DIR),target)
# User space is built with RUSTC_BOOTSTRAP=1; in a folder of its own it never makes cargo rebuild
# the host's packages because that variable flips.
USER_TARGET := $(HOST_TARGET)-user
USER_BIN    := $(USER_TARGET)/x86_64-unknown-redox/user
RUNTIME     := $(USER_TARGET)/x86_64-unknown-redox/runtime/libc.a
USER_BUILD  := --target x86_64-unknown-redox --target-dir $(USER_TARGET)
# The paths in panic messages say nothing about the machine that built the programs. (Cargo starts
# rustc in this folder for everything that is linked.)
USER_LINK   := -Clinker-flavor=ld.lld -Lnative=$(BUILD)/lib -Clink-arg=--entry=_start
USER_PATHS  := --remap-path-prefix=$(CURDIR)/$(BUILD)/std/library=/rust/library \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src=/crates
# Cargo builds std from the source this names; the variable is cargo's own for testing that.
USER_ENV    := RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$(CURDIR)/$(BUILD)/std/library \
	CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTFLAGS="$(USER_LINK) $(USER_PATHS)"
USER_PACKAGES := init shell coreutils tools strace gdbserver bench guest-tests runtime-check schemes-check consoled ahcid diskd nvmed virtio-blkd fatd filed pcid logd nulld oomd ptyd ramd randd unixd
# Once `make ports` has built them, strangers' programs are on the disk and in the boot archive of
# `make exec`. Everything else has an archive without them: some machines are small, and so is the
# disk's EFI partition.
PORTS        = $(wildcard $(BUILD)/ports/complete)
DISK_PORTS   = $(if $(PORTS),--extra ports/disk.toml)
CARGO_BIN   := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin
KERNEL      := $(BUILD)/kernel.elf
INITFS      := $(BUILD)/initfs.img
PORTS_INITFS := $(BUILD)/initfs.ports.img
# What the disk's EFI partition holds; the kernel without what only debuggers read.
LOADER      := $(HOST_TARGET)/x86_64-unknown-uefi/loader/loader.efi
DISK_KERNEL := $(BUILD)/kernel.disk.elf
BOOT_FILES   = $(LOADER)=EFI/BOOT/BOOTX64.EFI $(DISK_KERNEL)=lifeboat/kernel.elf \
	$(INITFS)=lifeboat/initfs.img initfs/cmdline.txt=lifeboat/cmdline.txt
PROFILE      = $(if $(filter 1,$(RELEASE)),kernel,checked)

# Cargo is quiet, but for the first build, which takes a minute or two and should show it.
quiet = $(if $(V),--verbose,$(if $(wildcard $(1)),--quiet))
# What every recipe that calls cargo begins with: the toolchain that set-up found.
setup_env = . $(BUILD)/setup.env
XTASK = $(setup_env); cargo run $(call quiet,$(HOST_TARGET)/debug/xtask) --package xtask --
# The disk of `make qemu` is a copy that is kept: what a person wrote is there the next time.
QEMU_DISK   := $(BUILD)/qemu.disk
DISK_IMAGE  := $(BUILD)/disk.img
MACHINE = --smp $(strip $(SMP)) --mem $(strip $(MEM)) $(if $(filter 1,$(KVM)),--kvm) \
	$(if $(strip $(GDBSERVER)),--debug-port $(strip $(GDBSERVER))) \
	$(addprefix --disk ,$(strip $(DISK))) $(addprefix --bus ,$(strip $(BUS))) \
	$(if $(filter 1,$(STORE)),--store) \
	$(if $(strip $(APPEND)),--append '$(strip $(APPEND))')

# The command line for `make exec`, untouched by make: `$?` in it belongs to the guest's shell.
EXEC_CMD := $(value CMD)
export EXEC_CMD NOGRAPHIC
unexport CMD

.PHONY: help
help: # List the targets
	@echo 'Lifeboat: everything has an address.'
	@echo
	@awk -F ': # ' '/^[a-z-]+: # /{printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@awk -F '[?]=|#' '/^[A-Z]+ +[?]=/{gsub(/ /,"",$$1); gsub(/ /,"",$$2); sub(/^ +/,"",$$3); \
		printf "  %-16s %s\n", $$1 "=" $$2, $$3}' $(firstword $(MAKEFILE_LIST))

# --- Run ---

.PHONY: qemu exec gdb
qemu: # Boot the disk to a shell, here and in a window (Ctrl-A X quits)
qemu: kernel image disk
	@[ -e $(QEMU_DISK) ] || cp --sparse=always $(DISK_IMAGE) $(QEMU_DISK)
	@[ ! $(if $(PORTS),$(BUILD)/ports/bin,-) -nt $(QEMU_DISK) ] || echo '$(QEMU_DISK) is older than the' \
		'ports: remove it to have them on it, and with it all that you wrote there' >&2
	@$(setup_env); cargo run --quiet --package initfs-image -- boot \
		$(addprefix --boot ,$(BOOT_FILES)) $(QEMU_DISK)
	@$(XTASK) qemu $(MACHINE) $(if $(strip $(STORE)),,--store) $(if $(strip $(DISK)),,--disk $(QEMU_DISK))

exec: # Run one command line and end with its status: make exec CMD='ls sys:'
exec: run-command
	@$(exit-with $(file <$(EXEC_STATUS)))exit "$$(cat $(EXEC_STATUS))"

# Make ends with 2 for any failure; $(exit-with) is a function of ours that it loads for this goal.
# It is called when the recipe above is expanded, so what it reads is written by another target.
EXEC_STATUS := $(BUILD)/exec.status
ifneq (,$(filter exec,$(MAKECMDGOALS)))
-load $(BUILD)/make-exit.so(make_exit_setup)
$(BUILD)/make-exit.so: tools/make-exit.rs | setup
	@$(setup_env); rustc --edition 2024 -O -C strip=symbols --crate-type cdylib -o $@ $< || true
endif

.PHONY: oom-demo
oom-demo: # A small machine to fill: type `emerg demo`, then end the leak
oom-demo: kernel image
	@$(XTASK) qemu --smp $(strip $(SMP)) --mem 96 --store

.PHONY: run-command
run-command: kernel image
	@test -n "$$EXEC_CMD" || { echo "usage: make exec CMD='ls sys:'" >&2; exit 2; }
	@status=0; $(XTASK) exec $(MACHINE) $(if $(PORTS),--initrd $(PORTS_INITFS)) \
		--timeout $(strip $(TIMEOUT)) -- "$$EXEC_CMD" || status=$$?; echo "$$status" >$(EXEC_STATUS)

gdb: # Boot stopped, with GDB attached and the kernel's symbols loaded
gdb: setup-gdb kernel image
	@$(XTASK) gdb $(MACHINE)

# --- Check ---

.PHONY: test test-host test-runtime test-qemu test-runner bench check soak
test: # Everything that judges: on the host, then in QEMU
test: $(if $(strip $(T)),,test-host) test-qemu $(if $(strip $(T)),,test-runner)

test-host: # The tests that need no QEMU
test-host: setup test-runtime
	@$(setup_env); cargo test $(call quiet,$(HOST_TARGET)/debug/xtask) --no-fail-fast -- $(strip $(T))

test-runtime: # The C library's tests, over Linux's calls
test-runtime: sysroot
	@tools/test-runtime.sh $(strip $(T))

test-qemu: # The stories in tests/qemu, each on its own machine
test-qemu: setup-gdb kernel image disk
	@$(XTASK) test $(if $(filter 1,$(KVM)),--kvm) -- $(strip $(T))

.PHONY: soak soak-power
soak: # What takes long: each part alone as soak-NAME
soak: soak-power

soak-power: # 2,000 power cuts under the file system, on the host
soak-power: setup
	@$(setup_env); LIFEBOAT_CUTS=2000 cargo test --release --package filed --test power

test-runner: # A stranger's crate through `cargo lifeboat`
test-runner: run-parts
	@tools/test-runner.sh

# It takes an hour and more: no part of `make test`. With T='PROGRAM [TEST]' only some of it.
.PHONY: test-std
test-std: # Rust's own tests of core, alloc and std, inside Lifeboat
test-std: run-parts
	@tools/test-std.sh $(T)

# What takes long: host tests that look at LIFEBOAT_SOAK (how often), and the stories in tests/soak.
# For more of it add either, and their names here.
SOAK      ?= 1000#   soak: how many emergencies on the host
SOAK_HOST := emergency_sharing
soak: # The same for hours: a thousand emergencies, and long stories in QEMU
soak: kernel image
	@$(setup_env); LIFEBOAT_SOAK=$(strip $(SOAK)) cargo test --release \
		$(call quiet,$(HOST_TARGET)/debug/xtask) --package host-stories \
		$(addprefix --test ,$(SOAK_HOST)) -- --nocapture
	@$(XTASK) test --stories tests/soak $(if $(filter 1,$(KVM)),--kvm) -- $(strip $(T))

bench: # Exact instruction counts, beside Linux and Redox
bench: RELEASE := 1
bench: kernel image disk
	@$(XTASK) bench

check: # What to run before a commit: format, lints, host tests
check: fmt-check lint test-host

# --- Strangers' programs ---

.PHONY: runner sysroot run-parts ports test-ports
runner: # `cargo lifeboat`: cargo for any package, whose programs run in here
runner: run-parts
	@mkdir -p $(CARGO_BIN); ln -sfn $(CURDIR)/tools/cargo-lifeboat $(CARGO_BIN)/cargo-lifeboat
	@echo 'Now, in the folder of any package: cargo lifeboat test'

ports: # Programs from crates.io (ports/list): on the disk and for exec from then on
ports: setup sysroot
	@$(setup_env); ports/build.sh
	@$(MAKE) image

test-ports: # Their stories
test-ports: ports kernel
	@$(XTASK) test --stories ports/stories --initrd $(PORTS_INITFS) \
		$(if $(filter 1,$(KVM)),--kvm) -- $(strip $(T))

sysroot: # std and a C library to build programs with: build/sysroot
sysroot: setup
	@tools/sysroot/build.sh

# The runner itself is copied, so that cargo may build xtask while another cargo uses it.
run-parts: kernel image sysroot
	@$(setup_env); cargo build $(call quiet,$(HOST_TARGET)/debug/xtask) --package xtask
	@cmp -s $(HOST_TARGET)/debug/xtask $(BUILD)/xtask || install $(HOST_TARGET)/debug/xtask $(BUILD)/xtask

# --- Build ---

.PHONY: kernel user runtime image loader disk setup setup-gdb
kernel: # The kernel: build/kernel.elf
kernel: setup
	@$(setup_env); cargo build $(call quiet,$(KERNEL)) --package kernel \
		--target x86_64-unknown-none --profile $(PROFILE) $$KERNEL_STD
	@$(setup_env); cargo run $(call quiet,$(KERNEL)) --package kernel-symbols -- \
		$(HOST_TARGET)/x86_64-unknown-none/$(PROFILE)/kernel $(KERNEL) $(DISK_KERNEL)

user: # The runtime library and all programs
user: runtime
	@$(setup_env); $(USER_ENV) cargo build $(call quiet,$(USER_BIN)/init) $(USER_BUILD) \
		--profile user -Zbuild-std=std,panic_abort $(addprefix --package ,$(USER_PACKAGES))
	@$(setup_env); $(USER_ENV) cargo rustc $(call quiet,$(USER_BIN)/init) $(USER_BUILD) \
		--profile user -Zbuild-std=std,panic_abort --package debuggee -- \
		-Cdebuginfo=2 -Cstrip=none -Copt-level=0

# Cargo does not know that programs are linked against libc.a: when it changes they are removed,
# and cargo, which misses them, links them again.
runtime: std-source
	@mkdir -p $(BUILD)/lib; printf '!<arch>\n' >$(BUILD)/lib/libgcc_eh.a
	@$(setup_env); $(USER_ENV) cargo build $(call quiet,$(BUILD)/lib/libc.a) $(USER_BUILD) \
		--package runtime --profile runtime -Zbuild-std=core,alloc,compiler_builtins \
		-Zbuild-std-features=compiler-builtins-mem
	@cmp -s $(RUNTIME) $(BUILD)/lib/libc.a || { \
		[ ! -d $(USER_BIN)/deps ] || find $(USER_BIN)/deps -maxdepth 1 -type f -perm /100 -delete; \
		cp $(RUNTIME) $(BUILD)/lib/libc.a; }

.PHONY: std-source
std-source: setup
	@tools/sysroot/source.sh

image: # The boot archive: build/initfs.img
image: user
	@$(call pack-archive,,$(INITFS))
	@$(if $(PORTS),$(call pack-archive,--extra ports/ports.toml,$(PORTS_INITFS)))

pack-archive = $(setup_env); cargo run $(call quiet,$(INITFS)) --package initfs-image -- build \
	--manifest filesystem.toml --extra tests/guest/guest.toml $(1) --programs $(USER_BIN) --output $(2)

loader: # The UEFI loader
loader: setup
	@$(setup_env); $$LOADER_ENV cargo build $(call quiet,$(LOADER)) --package loader \
		--target x86_64-unknown-uefi --profile loader $$LOADER_STD

disk: # The disk image: build/disk.img
disk: kernel image loader
	@$(setup_env); cargo run $(call quiet,$(DISK_IMAGE)) --package initfs-image -- disk \
		--manifest filesystem.toml $(DISK_PORTS) --programs $(USER_BIN) \
		$(addprefix --boot ,$(BOOT_FILES)) --output $(DISK_IMAGE)

setup: # What this machine lacks: Debian packages, toolchain parts
	@tools/setup.sh
setup-gdb:
	@tools/setup.sh gdb

# --- Keep tidy ---

.PHONY: fmt fmt-check lint clean doctor
fmt: # Format all source
fmt: setup
	@$(setup_env); cargo fmt --all

fmt-check: setup
	@$(setup_env); cargo fmt --all --check

lint: # Clippy, warnings are errors
lint: std-source
	@$(setup_env); cargo clippy --quiet --all-targets -- -D warnings
	@$(setup_env); cargo clippy --quiet --package kernel --target x86_64-unknown-none \
		$$KERNEL_STD -- -D warnings
	@$(setup_env); $(USER_ENV) cargo clippy --quiet $(USER_BUILD) \
		--profile user -Zbuild-std=std,panic_abort $(addprefix --package ,$(USER_PACKAGES)) -- -D warnings

clean: # Remove everything that was built
	rm -rf $(BUILD) $(HOST_TARGET) $(USER_TARGET)

doctor: # Say what this machine has, and what it lacks
	@tools/doctor.sh
