// What differs between object formats, and nothing else: included by every .S of this folder.
//
// HEDDLE_FUNCTION(name) and HEDDLE_FUNCTION_END(name) enclose a hidden function with its CFI.
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

// The property note: a name "GNU", type NT_GNU_PROPERTY_TYPE_0 (5), and one property of 4 bytes
// padded to 8, as 64-bit objects have it. Source: Linux Extensions to gABI, section "Program
// Property".
#define HEDDLE_PROPERTY(type, features)                                                            \
    .section .note.gnu.property, "a", %note;                                                       \
    .p2align 3;                                                                                    \
    .long 4;                                                                                       \
    .long 16;                                                                                      \
    .long 5;                                                                                       \
    .asciz "GNU";                                                                                  \
    .long type;                                                                                    \
    .long 4;                                                                                       \
    .long features;                                                                                \
    .long 0

#define HEDDLE_END                                                                                 \
    .section .note.GNU-stack, "", %progbits

#else
#error "heddle's assembly knows only ELF so far: add this object format to arch/asm.h"
#endif
