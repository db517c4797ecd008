# GDB for programs inside Lifeboat: `gdb -x .gdbinit` in this folder; docs/tracing.md is the guide.
# (`make gdb` debugs the kernel, with tools/gdb/lifeboat.gdb.)
set print pretty on
set pagination off

python
import os
import subprocess
import sys
import tomllib

import gdb

PROGRAMS = "target-user/x86_64-unknown-redox/user"


def sources():
    """Where the sources are whose paths are short in the programs, and how to print std's types."""
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True)
    root = root.stdout.strip()
    cargo = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    gdb.execute(f"set substitute-path /rust {os.getcwd()}/build/std")
    gdb.execute(f"set substitute-path /crates {cargo}/registry/src")
    sys.path.append(f"{root}/lib/rustlib/etc")
    try:
        import gdb_lookup
        gdb_lookup.register_printers(gdb.current_progspace())
    except ImportError:
        print("std's types are printed as they are: no pretty printers in", root)


def file_of(name):
    """The program's file here; one that goes by many names is found in filesystem.toml."""
    path = f"{PROGRAMS}/{name}"
    if os.path.exists(path):
        return path
    with open("filesystem.toml", "rb") as manifest:
        links = tomllib.load(manifest)["link"]
    targets = [link["target"] for link in links if name in link.get("names", [])]
    if not targets:
        raise gdb.GdbError(f"{name}: neither in {PROGRAMS} nor a link in filesystem.toml")
    return f"{PROGRAMS}/{os.path.basename(targets[0])}"


class Lifeboat(gdb.Command):
    """lifeboat PROGRAM [PORT]: connect to `gdbserver serial PROGRAM` at a TCP port (1234).

PROGRAM is its name in /bin; its symbols come from the build here."""

    def __init__(self):
        super().__init__("lifeboat", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if not words:
            raise gdb.GdbError("lifeboat PROGRAM [PORT]")
        port = words[1] if len(words) > 1 else "1234"
        gdb.execute(f"file {file_of(words[0])}")
        gdb.execute(f"target remote {port if '/' in port else ':' + port}")


class CatchCall(gdb.Command):
    """catch-call NAME...: stop when the program makes one of these system calls.

The names are those of `strace` and sys:syscall; GDB itself knows only Linux's."""

    def __init__(self):
        super().__init__("catch-call", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, argument, from_tty):
        numbers = gdb.execute(f"monitor call {argument}", to_string=True).split()
        if not numbers or not all(number.isdigit() for number in numbers):
            raise gdb.GdbError(" ".join(numbers) or "catch-call NAME...")
        gdb.execute("catch syscall " + " ".join(numbers))


sources()
Lifeboat()
CatchCall()
end
