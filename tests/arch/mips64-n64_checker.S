// The checker of the MIPS64 n64 port: see checker.h.

#include "arch/asm.h"

// The frame of heddle_test_switch: what it must give back itself, and where the registers go.
#define FRAME_BYTES 176
#define REGISTERS 168
#define RETURN_ADDRESS 160
#define GP 152
#define S(n) (n * 8)
#define FP 64
#define F(n) (72 + (n - 24) * 8)

    .set noreorder

// intptr_t heddle_test_switch(from ($4), to ($5), value ($6), uint64_t* registers ($7))
HEDDLE_FUNCTION(heddle_test_switch)
    daddiu  $sp, $sp, -FRAME_BYTES
    .cfi_adjust_cfa_offset FRAME_BYTES
    sd      $31, RETURN_ADDRESS($sp)
    .cfi_rel_offset $31, RETURN_ADDRESS
    // Saves $28, and makes it this module's, to find heddle_switch with.
    .cpsetup $25, GP, heddle_test_switch
    .cfi_rel_offset $28, GP
    sd      $7, REGISTERS($sp)
    sd      $16, S(0)($sp)
    .cfi_rel_offset $16, S(0)
    sd      $17, S(1)($sp)
    .cfi_rel_offset $17, S(1)
    sd      $18, S(2)($sp)
    .cfi_rel_offset $18, S(2)
    sd      $19, S(3)($sp)
    .cfi_rel_offset $19, S(3)
    sd      $20, S(4)($sp)
    .cfi_rel_offset $20, S(4)
    sd      $21, S(5)($sp)
    .cfi_rel_offset $21, S(5)
    sd      $22, S(6)($sp)
    .cfi_rel_offset $22, S(6)
    sd      $23, S(7)($sp)
    .cfi_rel_offset $23, S(7)
    sd      $30, FP($sp)
    .cfi_rel_offset $30, FP
    sdc1    $f24, F(24)($sp)
    .cfi_rel_offset 56, F(24)
    sdc1    $f25, F(25)($sp)
    .cfi_rel_offset 57, F(25)
    sdc1    $f26, F(26)($sp)
    .cfi_rel_offset 58, F(26)
    sdc1    $f27, F(27)($sp)
    .cfi_rel_offset 59, F(27)
    sdc1    $f28, F(28)($sp)
    .cfi_rel_offset 60, F(28)
    sdc1    $f29, F(29)($sp)
    .cfi_rel_offset 61, F(29)
    sdc1    $f30, F(30)($sp)
    .cfi_rel_offset 62, F(30)
    sdc1    $f31, F(31)($sp)
    .cfi_rel_offset 63, F(31)

    ld      $25, %got_disp(heddle_switch)($28)
    ld      $16, 0($7)
    ld      $17, 8($7)
    ld      $18, 16($7)
    ld      $19, 24($7)
    ld      $20, 32($7)
    ld      $21, 40($7)
    ld      $22, 48($7)
    ld      $23, 56($7)
    ld      $28, 64($7)
    ld      $30, 72($7)
    ldc1    $f24, 80($7)
    ldc1    $f25, 88($7)
    ldc1    $f26, 96($7)
    ldc1    $f27, 104($7)
    ldc1    $f28, 112($7)
    ldc1    $f29, 120($7)
    ldc1    $f30, 128($7)
    ldc1    $f31, 136($7)
    jalr    $25
      nop
    ld      $7, REGISTERS($sp)
    sd      $16, 0($7)
    sd      $17, 8($7)
    sd      $18, 16($7)
    sd      $19, 24($7)
    sd      $20, 32($7)
    sd      $21, 40($7)
    sd      $22, 48($7)
    sd      $23, 56($7)
    sd      $28, 64($7)
    sd      $30, 72($7)
    sdc1    $f24, 80($7)
    sdc1    $f25, 88($7)
    sdc1    $f26, 96($7)
    sdc1    $f27, 104($7)
    sdc1    $f28, 112($7)
    sdc1    $f29, 120($7)
    sdc1    $f30, 128($7)
    sdc1    $f31, 136($7)

    // What was saved stays in the frame until the jump, so the rules hold to the end.
    ld      $16, S(0)($sp)
    ld      $17, S(1)($sp)
    ld      $18, S(2)($sp)
    ld      $19, S(3)($sp)
    ld      $20, S(4)($sp)
    ld      $21, S(5)($sp)
    ld      $22, S(6)($sp)
    ld      $23, S(7)($sp)
    ld      $28, GP($sp)
    ld      $30, FP($sp)
    ldc1    $f24, F(24)($sp)
    ldc1    $f25, F(25)($sp)
    ldc1    $f26, F(26)($sp)
    ldc1    $f27, F(27)($sp)
    ldc1    $f28, F(28)($sp)
    ldc1    $f29, F(29)($sp)
    ldc1    $f30, F(30)($sp)
    ldc1    $f31, F(31)($sp)
    ld      $31, RETURN_ADDRESS($sp)
    jr      $31
      daddiu $sp, $sp, FRAME_BYTES
HEDDLE_FUNCTION_END(heddle_test_switch)

// void heddle_test_entry(entry_facts* ($4)): at a function's first instruction the stack pointer
// is a multiple of 16, and no flag is fixed. What is fixed is $25, the function's own address.
HEDDLE_FUNCTION(heddle_test_entry)
    move    $3, $31
    .cfi_register $31, $3
    bal     .Lhere
      andi  $2, $sp, 15
.Lhere:
    sd      $2, 0($4)
    dsubu   $2, $31, $25
    daddiu  $2, $2, heddle_test_entry - .Lhere
    sd      $2, 8($4)
    move    $31, $3
    .cfi_restore $31
    sd      $30, 16($4)
    ld      $25, 24($4)
    jr      $25
      nop
HEDDLE_FUNCTION_END(heddle_test_entry)

    .section .rodata
    .globl  heddle_test_register_names
    .hidden heddle_test_register_names
    .type   heddle_test_register_names, %object
heddle_test_register_names:
    .asciz  "s0 s1 s2 s3 s4 s5 s6 s7 gp fp f24 f25 f26 f27 f28 f29 f30 f31"
    .size   heddle_test_register_names, . - heddle_test_register_names

HEDDLE_END
