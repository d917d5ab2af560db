// What differs between object formats, and nothing else: included by every .S of this folder.
//
// HEDDLE_FUNCTION(name) and HEDDLE_FUNCTION_END(name) enclose a hidden function with its CFI;
// HEDDLE_END(features), last in the file, adds the notes that linkers read: one that the stack
// need not be executable and, where the CPU has them, the control-flow features that the code of
// this file honours, as the number that the ABI assigns (0 for none).
#pragma once

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
// padded to 8. Source: Linux Extensions to gABI, section "Program Property".
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
