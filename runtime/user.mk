# User space: the C library, and the programs that link against it.
#
# `std` for the target asks the linker for `-lc` and `-lgcc_eh` only. The first is built from
# runtime/; the second, which holds an unwinder elsewhere, is an empty archive, because programs
# abort on panic. What the target adds to rustc's flags is in .cargo/config.toml; only the
# library's folder, which depends on where the repository lies, is added here.

USER_TRIPLE := x86_64-unknown-redox
USER_LIB    := $(abspath $(BUILD))/lib
# Where the built programs are.
USER_PROGRAMS := $(USER_TARGET)/$(USER_TRIPLE)/user

# Cargo takes `-Z` from a stable compiler only when this is exactly 1 in its own environment.
user_cargo = $(setup_env); RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(USER_TARGET) \
	CARGO_TARGET_X86_64_UNKNOWN_REDOX_RUSTFLAGS='-Lnative=$(USER_LIB)' \
	cargo build $(call quiet,$(1)) --target $(USER_TRIPLE)

# The packages whose programs go into the boot archive.
USER_PACKAGES := init shell coreutils tools bench guest-tests runtime-check \
	consoled logd nulld ramd randd

USER_RUNTIME := $(USER_TARGET)/$(USER_TRIPLE)/runtime/libc.a
# Cargo does not see that a library outside it has changed. It links a program anew whose file is
# gone.
forget-programs = test ! -d $(USER_PROGRAMS)/deps \
	|| find $(USER_PROGRAMS)/deps -maxdepth 1 -type f -executable -delete

.PHONY: runtime programs
runtime: # The C library: build/lib/libc.a
runtime: setup
	@$(call user_cargo,$(USER_LIB)/libc.a) --package runtime --profile runtime \
		-Zbuild-std=core,alloc,compiler_builtins -Zbuild-std-features=compiler-builtins-mem
	@mkdir -p $(USER_LIB)
	@cmp -s $(USER_RUNTIME) $(USER_LIB)/libc.a || { $(forget-programs); \
		cp $(USER_RUNTIME) $(USER_LIB)/libc.a; }
	@test -e $(USER_LIB)/libgcc_eh.a || printf '!<arch>\n' >$(USER_LIB)/libgcc_eh.a

programs: # The programs that link against it
programs: runtime
	@$(call user_cargo,$(USER_PROGRAMS)/init) --profile user \
		-Zbuild-std=std,panic_abort $(USER_PACKAGES:%=--package %)

user: programs
