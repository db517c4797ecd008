//! The first instructions.
//!
//! Two doors. The PVH door is 32-bit, paging off, `ebx` = physical address of the start
//! information (Xen `docs/misc/pvh.pandoc`; the door's address is in an ELF note, type 18). It
//! builds throw-away tables and goes through the second door, [`kernel_entry`], which is also the
//! ELF entry for 64-bit loaders. A loader promises: `rdi` = physical address of the start
//! information; paging on; the image mapped at its link address, in any frames; the lowest 4 GiB
//! at least mapped to themselves by the first entry of a writable top-level table.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_entry

    .section .boot, "awx", @progbits
    .code32
pvh_entry:
    rdtsc
    mov [boot_entered], eax
    mov [boot_entered + 4], edx
    cld
    mov ebp, ebx
    mov esp, offset boot_stack_end

    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb no_long_mode
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 29
    jz no_long_mode

    # 4 GiB in pages of 2 MiB, mapped to themselves.
    mov edi, offset boot_directories
    mov eax, 0x83
    mov ecx, 2048
1:  mov [edi], eax
    add edi, 8
    add eax, 0x200000
    dec ecx
    jnz 1b

    mov edi, offset boot_low
    mov eax, offset boot_directories + 3
    mov [edi], eax
    add eax, 0x1000
    mov [edi + 8], eax
    add eax, 0x1000
    mov [edi + 16], eax
    add eax, 0x1000
    mov [edi + 24], eax
    # The last 2 GiB show the first GiB.
    mov eax, offset boot_directories + 3
    mov edi, offset boot_high
    mov [edi + 510 * 8], eax
    mov edi, offset boot_top
    mov eax, offset boot_low + 3
    mov [edi], eax
    mov eax, offset boot_high + 3
    mov [edi + 511 * 8], eax

    mov cr3, edi
    mov eax, cr4
    or eax, 1 << 5              # PAE
    mov cr4, eax
    mov ecx, 0xC0000080         # EFER
    rdmsr
    or eax, 1 << 8              # LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000001          # PG, PE
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    .byte 0xEA                  # far jump, to 8:long_mode
    .long long_mode
    .word 8

no_long_mode:
    mov esi, offset no_long_mode_text
    mov dx, 0x3F8
2:  lodsb
    test al, al
    jz 3f
    out dx, al
    jmp 2b
3:  cli
    hlt
    jmp 3b
no_long_mode_text:
    .asciz "Lifeboat needs a 64-bit x86 processor.\r\n"

    .code64
long_mode:
    mov edi, ebp
    mov rsi, [boot_entered]
    movabs rax, offset timed_entry
    jmp rax

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF    # 64-bit code
boot_gdt_pointer:
    .word 15
    .long boot_gdt

    .section .boot_bss, "aw", @nobits
    .balign 4096
boot_top:
    .skip 4096
boot_low:
    .skip 4096
boot_high:
    .skip 4096
boot_directories:
    .skip 4 * 4096
boot_stack:
    .skip 64
boot_stack_end:
boot_entered:
    .skip 8

    .text
    .global kernel_entry, early_stack, early_stack_end
kernel_entry:
    rdtsc
    shl rdx, 32
    lea rsi, [rax + rdx]
timed_entry:                            # rsi = when the kernel was entered
    cli
    cld
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    lea rsp, [rip + early_stack_end]
    xor ebp, ebp
    call {early}
    ud2

    .section .bss.early_stack, "aw", @nobits
    .balign 16
early_stack:
    .skip 65536
early_stack_end:
    .text
"#,
    early = sym super::early,
);
