// What differs between object formats, and nothing else: included by every .S of this folder.
//
// HEDDLE_FUNCTION(name) and HEDDLE_FUNCTION_END(name) enclose a hidden function with its CFI, or
// with its SEH unwind codes on Windows, where nothing is visible outside unless it is exported.
// HEDDLE_PROPERTY(type, features) tells the linker which control-flow protections the code of this
// file honours, in the CPU's own property type and bits; a CPU without any has no such line.
// HEDDLE_END, last in the file, tells it that the stack need not be executable.
#pragma once

// clang-format off
#if defined(__ELF__)

#define HEDDLE_FUNCTION(name)                                                                      \
    .text;                                                                                         \
    .p2align 6;                                                                                    \
    .globl name;                                                                                   \
    .hidden name;                                                                                  \
    .type name, %function;                                                                         \
    name:                                                                                          \
    .cfi_startproc

#define HEDDLE_FUNCTION_END(name)                                                                  \
    .cfi_endproc;                                                                                  \
    .size name, . - name

// The property note: a name "GNU", type NT_GNU_PROPERTY_TYPE_0 (5), and one property of 4 bytes,
// which fills the note up to a multiple of the word. Source: Linux Extensions to gABI, section
// "Program Property".
#if __SIZEOF_POINTER__ == 8
#define HEDDLE_PROPERTY(type, features)                                                            \
    HEDDLE_PROPERTY_BEGIN(3, 16, type, features);                                                  \
    .long 0
#else
#define HEDDLE_PROPERTY(type, features) HEDDLE_PROPERTY_BEGIN(2, 12, type, features)
#endif

#define HEDDLE_PROPERTY_BEGIN(log2_word, bytes, type, features)                                    \
    .section .note.gnu.property, "a", %note;                                                       \
    .p2align log2_word;                                                                            \
    .long 4;                                                                                       \
    .long bytes;                                                                                   \
    .long 5;                                                                                       \
    .asciz "GNU";                                                                                  \
    .long type;                                                                                    \
    .long 4;                                                                                       \
    .long features

#define HEDDLE_END                                                                                 \
    .section .note.GNU-stack, "", %progbits

#elif defined(__MACH__)

// Statements that a preprocessor's macro puts on one line are separated differently for each CPU
// here, so these are the assembler's own. Names of C begin with an underscore.
.macro heddle_function name
    .text
    .p2align 6
    .globl \name
    .private_extern \name
\name:
    .cfi_startproc
.endm
#define HEDDLE_FUNCTION(name) heddle_function _##name

#define HEDDLE_FUNCTION_END(name) .cfi_endproc

// There are no property notes, and stacks are never executable.
#define HEDDLE_PROPERTY(type, features)
#define HEDDLE_END .subsections_via_symbols

#elif defined(_WIN64)

// Symbols of COFF: storage class 2 (external), and type 32 (0x20), a function.
#define HEDDLE_FUNCTION(name)                                                                      \
    .text;                                                                                         \
    .p2align 6;                                                                                    \
    .globl name;                                                                                   \
    .def name;                                                                                     \
    .scl 2;                                                                                        \
    .type 32;                                                                                      \
    .endef;                                                                                        \
    .seh_proc name;                                                                                \
    name:

#define HEDDLE_FUNCTION_END(name) .seh_endproc

// Stacks are never executable.
#define HEDDLE_END

#else
#error "heddle's assembly knows ELF, Mach-O and COFF: add this object format to arch/asm.h"
#endif
