"""What the kernel knows, for `make gdb`: tasks, schemes, address spaces.

The kernel is one value under one lock (kernel/x86_64/src/port.rs). While another CPU holds the
lock a list may be in the middle of a change; nothing here writes.
"""
import os
import re
import subprocess
import sys

import gdb

KERNEL = "kernel_x86_64::port::KERNEL"


def load_printers():
    """Rust's own printers know how its collections lie in memory."""
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True)
    sys.path.append(os.path.join(root.stdout.strip(), "lib/rustlib/etc"))
    import gdb_lookup
    gdb_lookup.register_printers(gdb.current_progspace())


def kernel():
    """The one value, once it has been made."""
    symbol = gdb.lookup_global_symbol(KERNEL)
    if symbol is None:
        raise gdb.GdbError(f"{KERNEL} is not in this program")
    lock = find(symbol.value(), lambda value: has(value, "lock") and has(value, "data"))
    value = find(lock["data"], lambda value: has(value, "tasks"))
    if int(value["next_pid"]) == 0:
        raise gdb.GdbError("there is no kernel yet: `lifeboat-main`, then `continue` and Ctrl-C")
    return value


def has(value, name):
    return any(field.name == name for field in value.type.fields())


def find(value, wanted, depth=6):
    """The first part of a value, looked for inside wrappers, that is wanted."""
    if value.type.strip_typedefs().code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return None
    if wanted(value):
        return value
    if depth == 0:
        return None
    for field in value.type.fields():
        found = find(value[field], wanted, depth - 1)
        if found is not None:
            return found
    return None


def items(collection):
    """The elements of a Vec, or the keys and values of a map in turn."""
    printer = gdb.default_visualizer(collection)
    return [child for _, child in printer.children()]


def text(string):
    """A String's characters. Its printer tells where they are."""
    lazy = gdb.default_visualizer(string).to_string()
    if lazy.length == 0:
        return ""
    return gdb.selected_inferior().read_memory(lazy.address, lazy.length).tobytes().decode()


def things(table):
    """Number and thing of each taken place of a kernel_core::table::Table."""
    number = 0
    for piece in items(table["pieces"]):
        places = find_pointer(piece).dereference()
        low, high = places.type.range()
        for place in range(low, high + 1):
            variant = places[place]
            names = [field.name for field in variant.type.fields()]
            if "Taken" in names:
                yield number, variant["Taken"][variant["Taken"].type.fields()[0]]
            number += 1


def pairs(table):
    """Keys and values of a hashbrown map: entries lie below the control bytes."""
    raw = table["table"]
    control = find_pointer(raw["table"]["ctrl"])
    entries = control.cast(raw.type.template_argument(0).pointer())
    for number in range(int(raw["table"]["bucket_mask"]) + 1):
        is_free = int((control + number).dereference()) & 0x80
        if not is_free:
            entry = (entries - number - 1).dereference()
            yield entry[entry.type.fields()[0]], entry[entry.type.fields()[1]]


def variant(value):
    """The name of an enum's value, as GDB prints it: path::Enum::Name, and its fields."""
    return re.match(r"(?:\w+::)*(\w+)", str(value)).group(1)


def find_pointer(value):
    """The pointer inside a Box."""
    while value.type.strip_typedefs().code != gdb.TYPE_CODE_PTR:
        value = value[value.type.fields()[0]]
    return value


def inner(value):
    """The number inside a newtype."""
    return int(value[value.type.fields()[0]])


class Command(gdb.Command):
    """One command, its help taken from the class."""

    name = ""

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_DATA)


class Tasks(Command):
    """lifeboat-tasks: every thread: its number, its process, what it is doing, its program."""

    name = "lifeboat-tasks"

    def invoke(self, argument, from_tty):
        now = kernel()
        processes = dict(things(now["processes"]))
        print("TID     PID     SPACE  STATE            PROGRAM")
        for _, task in things(now["tasks"]):
            process = processes[inner(task["process"])]
            state = variant(task["state"])
            space = inner(task["space"])
            tid, pid, exe = int(task["tid"]), int(process["pid"]), text(process["exe"])
            print(f"{tid:<7} {pid:<7} {space:<6} {state:<16} {exe}")


class Schemes(Command):
    """lifeboat-schemes: the schemes' names and who serves them."""

    name = "lifeboat-schemes"

    def invoke(self, argument, from_tty):
        schemes = kernel()["namespace"]["schemes"]
        names = [(text(name), variant(root)) for name, root in pairs(schemes)]
        for name, root in sorted(names):
            print(f"{name:<12} {root.lower()}")


class Spaces(Command):
    """lifeboat-spaces [N]: every address space, or the ranges of one."""

    name = "lifeboat-spaces"

    def invoke(self, argument, from_tty):
        spaces = dict(things(kernel()["spaces"]))
        if argument:
            self.show(spaces, argument)
            return
        print("SPACE  THREADS  RESIDENT")
        for number, space in spaces.items():
            print(f"{number:<6} {int(space['users']):<8} {int(space['resident']) * 4} KiB")

    def show(self, spaces, argument):
        number = int(argument)
        if number not in spaces:
            raise gdb.GdbError(f"{number}: no such space")
        for region in items(spaces[number]["regions"])[1::2]:
            pages = region["pages"]
            start, end = inner(pages["start"]) << 12, inner(pages["end"]) << 12
            kind = variant(region["kind"])
            print(f"{start:012x}-{end:012x} {kind}")


load_printers()
for command in (Tasks, Schemes, Spaces):
    command()
