"""What every .S file owes: notes, unwind information, and the registers of its own CPU only.

In a port, offsets also have names. The assembly of tests walks arrays of its own and keeps tables,
so it may count bytes and export data.
"""

import re

from tree import Check, Plant

PORTS = "arch/"
LINES_MAX = 200

# Names that belong to one family of CPUs and are no English word. A name that two families share
# is foreign to neither.
REGISTERS = {
    "x86": r"[re]?[abcd]x|[re][sd]i|[re][sb]p|[re]ip|r(?:[89]|1[0-5])[dwb]?|[xyz]mm\d+|mxcsr"
           r"|x87\w*",
    "aarch64": r"[xw](?:[0-9]|[12]\d|30)|[vqd](?:[0-9]|[12]\d|3[01])|xzr|wzr|fpcr|fpsr|lr|nzcv",
    "arm": r"r(?:[0-9]|1[0-5])|[sdq](?:[0-9]|[12]\d|3[01])|fpscr|cpsr|apsr|lr",
    "riscv": r"[xf](?:[0-9]|[12]\d|3[01])|f?[ast](?:[0-9]|1[01])|ra|gp|tp|fcsr|frm|fflags",
    "powerpc": r"[rf](?:[0-9]|[12]\d|3[01])|v(?:[0-9]|[12]\d|3[01])|vs\d+|cr[0-7]?|ctr|lr|fpscr"
               r"|vrsave|xer",
    "s390": r"[rf](?:[0-9]|1[0-5])|v(?:[0-9]|[12]\d|3[01])|fpc",
    "mips": r"[fv]\d+|[ast][0-9]|k[01]|gp|ra|fcsr|fcr31",
    "loongarch": r"[raf]\d+|[st]\d|f[ast]\d+|ra|fcsr\d?",
}

# The family of a port, by the <cpu> of its file name <cpu>-<abi>.S.
FAMILIES = {"x86_64": "x86", "i386": "x86", "aarch64": "aarch64", "arm": "arm",
            "riscv64": "riscv", "riscv32": "riscv", "ppc64le": "powerpc", "ppc64": "powerpc",
            "s390x": "s390", "mips64": "mips", "mips64el": "mips", "mipsel": "mips",
            "loongarch64": "loongarch"}

# A displacement in front of a parenthesised base, or behind the base in brackets.
NUMERIC_OFFSET = re.compile(r"(?<![\w$)])-?(?:0x[0-9a-f]+|\d+)\(\s*[%$]?\w+|\[\s*\w+\s*,\s*#-?\d")
NUMERIC_CFI = re.compile(r"\.cfi_(?:rel_)?offset\s+\S+,\s*-?[1-9]\d*\s*$")

# The size of a frame as a number, where the stack pointer moves or the unwinder is told of it. The
# 8, or 4, of a pushed return address needs no name.
NUMERIC_FRAME = re.compile(
    r"\b(?:add|sub|lea)[a-z]*\s+\$-?(?![48]\b)\d\w*,\s*%[re]?sp\b"
    r"|\b(?:add|sub|addi|daddiu)\s+\$?sp,\s*\$?sp,\s*#?-?\d"
    r"|\.cfi_(?:adjust|def)_cfa_offset\s+-?(?!0\b|[48]\b)\d")
CPU_CONDITION = re.compile(
    r"#\s*(?:if|ifdef|ifndef|elif)\b.*(__x86_64__|__i386__|__aarch64__|__arm__|__riscv|__powerpc"
    r"|__s390|__mips|__loongarch|_M_\w+)")


def find(tree):
    """Reports what a .S file leaves out or does that it should not."""
    problems = []
    for path in tree.each(".S"):
        lines = tree.lines(path)
        problems += whole_file(path, lines)
        for number, line in enumerate(lines, 1):
            problems += [f"{path}:{number}: {what}" for what in one_line(path, line)]
    return problems


def whole_file(path, lines):
    """Problems of the file: its length, its end, and the unwind information of its functions."""
    is_port = path.startswith(PORTS)
    code = [line.partition("//")[0].strip() for line in lines]
    text = "\n".join(code)
    problems = []
    if is_port and len(lines) >= LINES_MAX:
        problems.append(f"{path}: {len(lines)} lines; a port stays under {LINES_MAX}")
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
        if ".cfi_" not in body:
            problems.append(f"{path}: {name} has no CFI")
    return problems


def one_line(path, line):
    """Problems of one line."""
    code = line.partition("//")[0]
    if CPU_CONDITION.search(code):
        yield "chooses between CPUs: one file per CPU"
    numeric = (NUMERIC_OFFSET, NUMERIC_CFI, NUMERIC_FRAME)
    if path.startswith(PORTS) and any(form.search(code) for form in numeric):
        yield "a numeric offset: give it a name in the port's header"
    for name in foreign_registers(path, line):
        yield f"{name} is a register of another CPU"


def foreign_registers(path, line):
    """Names in code and comments that only other families of CPUs have."""
    family = FAMILIES.get(path.rpartition("/")[2].partition("-")[0])
    if family is None:
        return []
    words = re.findall(r"(?<![\w.])[%$]?([A-Za-z]\w*)", line)
    return [word for word in words
            if not re.fullmatch(REGISTERS[family], word, re.I)
            and any(re.fullmatch(names, word) for names in REGISTERS.values())]


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

CHECK = Check("assembly", find, (
    Plant(PLANTED, GOOD, False),
    Plant(PLANTED, GOOD.replace("HEDDLE_END", "")),
    Plant(PLANTED, GOOD.replace("    .cfi_restore %rbx\n", "")),
    Plant(PLANTED, GOOD.replace("HEDDLE_FUNCTION_END(heddle_planted)\n", "")),
    Plant(PLANTED, GOOD.replace("HEDDLE_SAVE_RBX(", "-8(")),
    Plant(PLANTED, GOOD.replace(".cfi_restore %rbx", ".cfi_offset %rbx, -16")),
    Plant(PLANTED, GOOD.replace("movq (%rsp), %rcx", "subq $64, %rsp")),
    Plant(PLANTED, GOOD.replace("movq (%rsp), %rcx", "addq $8, %rsp"), False),
    Plant(PLANTED, GOOD.replace(".cfi_restore %rbx", ".cfi_adjust_cfa_offset 64")),
    Plant("arch/aarch64-planted.S",
          GOOD.replace("(%rsp), %rcx", "x0, x1").replace("x0, x1", "x0, x1\n    sub sp, sp, #176")),
    Plant(PLANTED, GOOD.replace("of rbx", "of x19")),
    Plant(PLANTED, GOOD.replace("%rcx", "%s11")),
    Plant(PLANTED, GOOD.replace("// Comments", "#if defined(__aarch64__)\n// Comments")),
    Plant(PLANTED, ".globl heddle_planted\nheddle_planted:\n    ret\n" + GOOD),
    Plant(PLANTED, GOOD + "\n" * LINES_MAX),
    Plant("tests/planted.S", GOOD.replace("HEDDLE_SAVE_RBX(", "-8("), False),
    Plant("tests/planted.S", GOOD.replace("HEDDLE_END", "")),
    Plant("arch/aarch64-planted.S", GOOD.replace("(%rsp), %rcx", "x0, [sp, #16]")),
    Plant("arch/aarch64-planted.S", GOOD.replace("of rbx", "of mxcsr")),
))
