# What GDB reads when `make gdb` starts it, before the machine's first instruction.
#
# Breakpoints at kernel addresses must be hardware breakpoints until the kernel's own page tables
# are on: a software breakpoint would write to memory that is not mapped yet. `hbreak` makes one.
set confirm off
set pagination off
set print pretty on
set disassembly-flavor intel
set architecture i386:x86-64

define lifeboat-registers
  info registers rip rsp rbp eflags cr0 cr2 cr3 cr4 efer gs_base k_gs_base
end
document lifeboat-registers
The registers that tell where a processor is and what it runs on.
end

define lifeboat-cpus
  info threads
  thread apply all -q backtrace 8
end
document lifeboat-cpus
What every CPU is doing: each is a thread to GDB.
end

define lifeboat-main
  thbreak kernel_x86_64::boot::main
  continue
end
document lifeboat-main
Runs until the kernel's first Rust function.
end

source tools/gdb/lifeboat.py

echo \n
echo lifeboat-main        run to the first Rust function of the kernel\n
echo lifeboat-cpus        what every CPU is doing\n
echo lifeboat-registers   where this CPU is\n
echo lifeboat-tasks       every thread and what it is doing\n
echo lifeboat-schemes     the schemes and who serves them\n
echo lifeboat-spaces [N]  every address space, or the ranges of one\n
echo \n
