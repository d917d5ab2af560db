"""The CPUs that have ports: names of registers, and how numbers look in each one's assembly."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cpu:
    """One CPU, as its assembler spells it."""

    # Names that belong to this CPU and are no English word. A name that two CPUs share is foreign
    # to neither.
    registers: str
    stack_pointer: str
    example: str  # a register that no other CPU has, but for those in SHARED
    pushed: int = 0  # the bytes of a return address, where calls push it; they need no name


X86_32 = r"e?[abcd]x|e[sd]i|e[sb]p|eip|[xyz]mm[0-7]|mm[0-7]|k[0-7]|mxcsr|x87\w*"

CPUS = {
    "x86_64": Cpu(X86_32 + r"|r[abcd]x|r[sd]i|r[sb]p|rip|r(?:[89]|1[0-5])[dwb]?|[xyz]mm\d+",
                  "%rsp", "rbx", 8),
    "i386": Cpu(X86_32, "%esp", "ebx", 4),
    "aarch64": Cpu(r"[xw](?:[0-9]|[12]\d|30)|[vzpbhsdq](?:[0-9]|[12]\d|3[01])|xzr|wzr|fpcr|fpsr"
                   r"|fpmr|lr|nzcv", "sp", "xzr"),
    # bx is an instruction of this one.
    "armv7": Cpu(r"r(?:[0-9]|1[0-5])|[sdq](?:[0-9]|[12]\d|3[01])|fpscr|cpsr|apsr|lr|bx",
                 "sp|r13", "cpsr"),
    "riscv64": Cpu(r"[xf](?:[0-9]|[12]\d|3[01])|f?[ast](?:[0-9]|1[01])|ra|gp|tp|fcsr|frm|fflags",
                   "sp|x2", "frm"),
    "ppc64le": Cpu(r"[rf](?:[0-9]|[12]\d|3[01])|v(?:[0-9]|[12]\d|3[01])|vs\d+|cr[0-7]?|ctr|lr"
                   r"|fpscr|vscr|vrsave|xer", "%?r?1", "vrsave"),
    "s390x": Cpu(r"[rf](?:[0-9]|1[0-5])|v(?:[0-9]|[12]\d|3[01])|a[01]|fpc", "%?r?15", "fpc"),
    "mips64": Cpu(r"[fv](?:[0-9]|[12]\d|3[01])|[ast][0-9]|k[01]|gp|ra|fcsr|fcr31",
                  r"\$(?:sp|29)", "fcr31"),
    "loongarch64": Cpu(r"[rf](?:[0-9]|[12]\d|3[01])|a[0-7]|s[0-9]|t[0-8]|f[at]\d+|fs[0-7]|ra|tp"
                       r"|fcsr[0-3]?|fcc[0-7]|[vx]r(?:[0-9]|[12]\d|3[01])",
                       r"\$(?:sp|r3)", "xr31"),
}

# The lower halves of a 64-bit CPU's registers are the other's registers.
SHARED = {("x86_64", "i386")}


def cpu_of(path):
    """The CPU whose port a file belongs to, by its name <cpu>-<abi>…; None where there is none."""
    return CPUS.get(path.rpartition("/")[2].partition("-")[0])


def foreign_registers(cpu, line):
    """Names in a line, code or comment, that only other CPUs have."""
    words = re.findall(r"(?<![\w.])[%$]?([A-Za-z]\w*)", line)
    return [word for word in words
            if not re.fullmatch(cpu.registers, word, re.I)
            and any(re.fullmatch(other.registers, word) for other in CPUS.values())]


NUMBER = r"-?(?:0x[0-9a-fA-F]+|\d+)"

# A number as the place of something in memory.
OFFSETS = [re.compile(form) for form in (
    rf"(?<![\w$)]){NUMBER}\(\s*[%$]?\w+",  # 8(%rsp), -16(sp), 160(%r15), 8($sp), 16(1)
    rf"\[\s*\w+\s*,\s*#?{NUMBER}\s*\]",  # [sp, #16], [sp, 16]!
    rf"\[\s*\w+\s*\]\s*,\s*#?{NUMBER}",  # [sp], #16
    rf"%[fg]s:{NUMBER}",  # %gs:0x30
    # st.d $s0, $sp, 8 and its kin
    rf"^\s*(?:f?ld|f?st|ldptr|stptr|ll|sc|v?ld|v?st|xvld|xvst)(?:\.\w+)?\s+\$\w+,\s*\$\w+,"
    rf"\s*{NUMBER}",
    # To the unwinder, which is also told of what lies where the stack pointer was: that is no 0.
    rf"\.cfi_(?:rel_|val_)?offset\s+[^,]+,\s*(?!0\s*$){NUMBER}\s*$",
    rf"\.cfi_def_cfa\s+[^,]+,\s*(?!0\s*$){NUMBER}\s*$",
    rf"\.seh_save\w+\s+[^,]+,\s*{NUMBER}\s*$",
    rf"\.seh_setframe\s+[^,]+,\s*(?!0\s*$){NUMBER}\s*$",
    rf"\.setfp\s+\w+,\s*\w+,\s*#?{NUMBER}",
)]

# The size of a frame as a number, to the unwinder and to the processor.
FRAME_TOLD = re.compile(
    rf"\.(?:cfi_adjust_cfa_offset|cfi_def_cfa_offset|seh_stackalloc|pad)\s+#?({NUMBER})\s*$")
ADDITION = re.compile(r"^\s*(?:(?:c\.)?d?(?:add|sub)[\w.]*|(?:al?|sl)g?[hf]ik?)\s+(.*)$")


def numeric_offset(cpu, code):
    """Whether a line of code has a number where something lies, or for the size of a frame."""
    if any(form.search(code) for form in OFFSETS):
        return True
    told = FRAME_TOLD.search(code)
    number = told[1] if told else _added_to_stack_pointer(cpu, code)
    return number is not None and abs(int(number, 0)) not in (0, cpu.pushed)


def _added_to_stack_pointer(cpu, code):
    """The number that an instruction adds to the stack pointer or takes from it; or None."""
    found = ADDITION.match(code)
    if not found:
        return None
    *registers, last = [operand.strip() for operand in found[1].split(",")]
    if cpu.pushed:  # AT&T's order
        registers, last = [last], registers[0] if registers else ""
    number = re.fullmatch(rf"[$#]?({NUMBER})", last)
    involved = any(re.fullmatch(cpu.stack_pointer, register) for register in registers)
    return number[1] if number and involved else None
