"""What every .S file owes: notes, unwind information, and the registers of its own CPU only.

In a port, offsets also have names. The assembly of tests walks arrays of its own and keeps tables,
so it may count bytes and export data.
"""

import re

import cpus
from tree import Check, Plant

PORTS = "arch/"
LINES_MAX = 200

# Ports whose ABI preserves so much that storing, describing and loading it takes more lines.
LONG_PORTS = {"arch/ppc64le-elfv2.S": 300}

CPU_CONDITION = re.compile(
    r"#\s*(?:if|ifdef|ifndef|elif)\b.*(__x86_64__|__i386__|__aarch64__|__arm__|__riscv|__powerpc"
    r"|__s390|__mips|__loongarch|_M_\w+)")


def find(tree):
    """Reports what a .S file leaves out or does that it should not."""
    problems = []
    for path in tree.each(".S", ".h"):
        lines = tree.lines(path)
        if is_of_a_port(path):
            problems += own_cpu(path, lines)
        if path.endswith(".h"):
            continue
        problems += whole_file(path, lines)
        for number, line in enumerate(lines, 1):
            problems += [f"{path}:{number}: {what}" for what in one_line(path, line)]
    return problems


def is_of_a_port(path):
    """Whether a file is a port's assembly, its header, or its checker."""
    folder, _, name = path.rpartition("/")
    if folder + "/" == PORTS:
        return name.endswith(".S") or "-" in name
    return name.endswith("_checker.S")


def own_cpu(path, lines):
    """Problems with the CPU that a file is for: whether it is known, and its own registers only."""
    cpu = cpus.cpu_of(path)
    if cpu is None:
        return [f"{path}: of no CPU that tests/style/cpus.py knows"]
    return [f"{path}:{number}: {name} is a register of another CPU"
            for number, line in enumerate(lines, 1) for name in cpus.foreign_registers(cpu, line)]


def whole_file(path, lines):
    """Problems of the file: its length, its end, and the unwind information of its functions."""
    is_port = path.startswith(PORTS)
    code = [line.partition("//")[0].strip() for line in lines]
    text = "\n".join(code)
    problems = []
    lines_max = LONG_PORTS.get(path, LINES_MAX)
    if is_port and len(lines) >= lines_max:
        problems.append(f"{path}: {len(lines)} lines; this port stays under {lines_max}")
    last = next((line for line in reversed(code) if line), "")
    if not last.startswith("HEDDLE_END") and ".note.GNU-stack" not in text:
        problems.append(f"{path}: ends without HEDDLE_END: its stack may become executable")
    begun = re.findall(r"^HEDDLE_FUNCTION\((\w+)\)", text, re.M)
    ended = re.findall(r"^HEDDLE_FUNCTION_END\((\w+)\)", text, re.M)
    if begun != ended:
        problems.append(f"{path}: functions begun {begun} and ended {ended}")
    raw = re.findall(r"^\s*\.glob[a]?l\s+(\w+)", text, re.M)
    if is_port and raw:
        problems.append(f"{path}: {raw} declared without HEDDLE_FUNCTION, so without CFI")
    for name in begun:
        body = text.partition(f"HEDDLE_FUNCTION({name})")[2].partition("HEDDLE_FUNCTION_END")[0]
        # Windows has unwind codes of its own.
        if (".seh_" if "-windows" in path else ".cfi_") not in body:
            problems.append(f"{path}: {name} has no unwind information")
    return problems


def one_line(path, line):
    """Problems of one line."""
    code = line.partition("//")[0]
    if CPU_CONDITION.search(code):
        yield "chooses between CPUs: one file per CPU"
    cpu = cpus.cpu_of(path)
    if path.startswith(PORTS) and cpu and cpus.numeric_offset(cpu, code):
        yield "a numeric offset: give it a name in the port's header"


GOOD = """#include "asm.h"
// Comments may speak of 8(%rsp) and of rbx.
HEDDLE_FUNCTION(heddle_planted)
    movq HEDDLE_SAVE_RBX(%rsp), %rbx
    .cfi_restore %rbx
    movq (%rsp), %rcx
HEDDLE_FUNCTION_END(heddle_planted)
HEDDLE_END
"""
PLANTED = "arch/x86_64-planted.S"


def port(cpu, line):
    """The path and text of a port without faults, but for `line` if that is one."""
    return (f"arch/{cpu}-planted.S",
            "HEDDLE_FUNCTION(heddle_planted)\n    .cfi_remember_state\n"
            f"    {line}\nHEDDLE_FUNCTION_END(heddle_planted)\nHEDDLE_END\n")


# Each CPU's ways to say where something lies, and how large a frame is.
NUMERIC = {
    "x86_64": ("movq -8(%rsp), %rbx", "movq 0x10(%rsp,%rax,8), %rbx", "subq $64, %rsp",
               "addq $4, %rsp", "leaq 16(%rsp), %rsp", "movq %gs:0x30, %rax", "jmp *8(%rsi)",
               ".cfi_offset %rbx, -16", ".cfi_rel_offset %rbx, 0x10", ".cfi_def_cfa %rsp, 16",
               ".cfi_def_cfa_offset 64", ".cfi_adjust_cfa_offset -64", ".seh_stackalloc 40",
               ".seh_savereg %rbx, 16", ".seh_savexmm %xmm6, 0", ".seh_setframe %rbp, 32"),
    "i386": ("movl 4(%esp), %eax", "subl $12, %esp", "addl $8, %esp", "movl %fs:0x0, %eax",
             ".cfi_adjust_cfa_offset 8", ".cfi_offset %ebx, -8"),
    "aarch64": ("ldr x0, [sp, #16]", "ldr x0, [sp, 16]", "stp x29, x30, [sp, #-16]!",
                "ldr x30, [sp], #16", "stp d8, d9, [x9, -0x20]", "sub sp, sp, #176",
                "add sp, sp, 176", "sub x9, sp, #176", ".cfi_def_cfa sp, 16",
                ".cfi_val_offset x19, 8"),
    "armv7": ("ldr r0, [sp, #8]", "str lr, [sp, #-4]!", "ldr lr, [sp], #4", "vldr d8, [r1, #16]",
              "sub sp, sp, #8", "sub sp, #8", "add.w sp, sp, #8", "subs r13, r13, #8", ".pad #64",
              ".setfp r11, sp, #8"),
    "riscv64": ("ld s0, 8(sp)", "fsd fs0, -16(t3)", "addi sp, sp, -16", "addi sp,sp,-16",
                "addi x2, x2, 16", "c.addi16sp sp, -64", ".cfi_offset ra, -8"),
    "ppc64le": ("ld r0, 16(r1)", "ld %r0, 16(%r1)", "std 0, 16(1)", "stdu r1, -32(r1)",
                "addi r1, r1, -32", "addi 1, 1, -32", "addi %r1,%r1,-32", ".cfi_offset lr, 16"),
    "s390x": ("lg %r14, 112(%r15)", "la %r15,-160(%r15)", "lay %r15, -160(%r15)",
              "stmg %r6, %r15, 48(%r15)", "std %f8, 0x80(%r1,%r2)", "aghi %r15, -160",
              "agfi %r15,-160", "aghik %r1, %r15, -160", ".cfi_offset %r14, -48"),
    "mips64": ("ld $16, 8($sp)", "sdc1 $f24, -8($29)", "ld $ra, 0($5)", "daddiu $sp, $sp, -144",
               "daddiu $sp,$sp,-144", "daddiu $29, $29, 144", ".cfi_offset 56, -8"),
    "loongarch64": ("st.d $r1, $sp, 8", "st.d $r1,$sp,8", "ld.d $s0, $a1, 16",
                    "fst.d $fs0, $sp, -8", "ldptr.d $t0, $a1, 0", "addi.d $sp, $sp, -16",
                    "addi.d $r3,$r3,-16", ".cfi_offset 1, -8"),
}

# What looks alike, and has its name or needs none.
NAMED = {
    "x86_64": ("movq HEDDLE_SAVE_RBX(%rsp), %rbx", "movq (%rsp), %rcx", "addq $8, %rsp",
               "andq $-16, %rsp", "subq $HEDDLE_FRAME_BYTES, %rsp", "addq $64, %rax",
               "movq %gs:HEDDLE_TIB_STACK_BASE, %rax", "movl $16, %eax",
               ".cfi_offset %rbx, HEDDLE_SAVE_RBX - 8", ".cfi_adjust_cfa_offset -8",
               ".cfi_def_cfa_offset 0", ".cfi_escape 0x10, 6, 2, 0x74, HEDDLE_CONTEXT_FP"),
    "i386": ("addl $4, %esp", ".cfi_adjust_cfa_offset -4", "movl (%esp), %esi"),
    "aarch64": ("ldr x0, [sp, HEDDLE_SAVE_X19]", "ldr x0, [sp, #HEDDLE_SAVE_X19]",
                "add x0, x0, #1", "ldr x0, [x1, x2, lsl #3]", "mov sp, x9"),
    "armv7": ("ldr r0, [sp, #HEDDLE_SAVE_D8]", "add r0, r0, #1", "ldr r0, [r1]", ".pad #HEDDLE_B"),
    "riscv64": ("ld s0, HEDDLE_SAVE_S0(sp)", "addi sp, sp, -HEDDLE_FRAME_BYTES", "addi a0, a0, 1"),
    "ppc64le": ("ld r0, HEDDLE_SAVE_LR(r1)", "addi r4, r4, 1", "addi 4, 4, 1", "mtcrf 0x38, r0"),
    "s390x": ("lg %r14, HEDDLE_SAVE_R14(%r15)", "aghi %r2, 1", "lgr %r15, %r5",
              "mvghi HEDDLE_BACK_CHAIN(%r15), 0"),
    "mips64": ("ld $16, HEDDLE_SAVE_S0($sp)", "daddiu $2, $2, 1", "ctc1 $10, $31",
               ".cfi_offset 56, HEDDLE_SAVE_F24 - HEDDLE_FRAME_BYTES", "move $sp, $9"),
    "loongarch64": ("st.d $r1, $sp, HEDDLE_SAVE_RA", "addi.d $a0, $a0, 1", "ld.d $t0, $a1, TO"),
}

FOREIGN = [Plant(*port(cpu, f"nop  // {other.example}"),
                 cpu != name and (cpu, name) not in cpus.SHARED)
           for cpu in cpus.CPUS for name, other in cpus.CPUS.items()]

CHECK = Check("assembly", find, (
    Plant(PLANTED, GOOD, False),
    Plant(PLANTED, GOOD.replace("HEDDLE_END", "")),
    Plant(PLANTED, GOOD.replace("    .cfi_restore %rbx\n", "")),
    Plant(PLANTED, GOOD.replace("HEDDLE_FUNCTION_END(heddle_planted)\n", "")),
    Plant(PLANTED, GOOD.replace("of rbx", "of x19")),
    Plant(PLANTED, GOOD.replace("%rcx", "%s11")),
    Plant(PLANTED, GOOD.replace("// Comments", "#if defined(__aarch64__)\n// Comments")),
    Plant(PLANTED, ".globl heddle_planted\nheddle_planted:\n    ret\n" + GOOD),
    Plant(PLANTED, GOOD + "\n" * LINES_MAX),
    Plant("tests/planted.S", GOOD.replace("HEDDLE_SAVE_RBX(", "-8("), False),
    Plant("tests/planted.S", GOOD.replace("HEDDLE_END", "")),
    Plant("arch/x86_64-windows.S", GOOD),
    Plant("arch/x86_64-windows.S", GOOD.replace(".cfi_restore %rbx", ".seh_endprologue"), False),
    Plant("arch/alpha-planted.S", GOOD),
    Plant("arch/alpha-planted.h", "#define HEDDLE_FRAME_BYTES 64\n"),
    Plant("arch/mips64-planted.h", "// The frame holds x19.\n"),
    Plant("arch/mips64-planted.h", "// The frame holds $16 and f24.\n", False),
    Plant("tests/arch/s390x-planted_checker.S", GOOD),
    *FOREIGN,
    *[Plant(*port(cpu, line)) for cpu, lines in NUMERIC.items() for line in lines],
    *[Plant(*port(cpu, line), False) for cpu, lines in NAMED.items() for line in lines],
))
