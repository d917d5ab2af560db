// ppc64le, ELFv2 ABI: the numbers that ppc64le-elfv2.S and C++ share, and the control bits.
//
// Source: 64-Bit ELF V2 ABI Specification for the Power Architecture (OpenPOWER), revision 1.5,
// sections 2.2.1 (registers), 2.2.2 (the stack frame) and 2.4 (DWARF).
#pragma once

// Offsets into heddle_context. Its frame pointer stays zero: in this ABI the back chain takes its
// place.
#define HEDDLE_CONTEXT_SP 0
#define HEDDLE_CONTEXT_PC 8

// Offsets from the saved stack pointer. The frame's header has the back chain and the slot for r2;
// its other words are for functions that would be called from here, and there are none.
#define HEDDLE_BACK_CHAIN 0
#define HEDDLE_SAVE_FPSCR 8
#define HEDDLE_SAVE_VSCR 16
#define HEDDLE_SAVE_R2 24
#define HEDDLE_SAVE_V20 32
#define HEDDLE_SAVE_V21 48
#define HEDDLE_SAVE_V22 64
#define HEDDLE_SAVE_V23 80
#define HEDDLE_SAVE_V24 96
#define HEDDLE_SAVE_V25 112
#define HEDDLE_SAVE_V26 128
#define HEDDLE_SAVE_V27 144
#define HEDDLE_SAVE_V28 160
#define HEDDLE_SAVE_V29 176
#define HEDDLE_SAVE_V30 192
#define HEDDLE_SAVE_V31 208
#define HEDDLE_SAVE_F14 224
#define HEDDLE_SAVE_F15 232
#define HEDDLE_SAVE_F16 240
#define HEDDLE_SAVE_F17 248
#define HEDDLE_SAVE_F18 256
#define HEDDLE_SAVE_F19 264
#define HEDDLE_SAVE_F20 272
#define HEDDLE_SAVE_F21 280
#define HEDDLE_SAVE_F22 288
#define HEDDLE_SAVE_F23 296
#define HEDDLE_SAVE_F24 304
#define HEDDLE_SAVE_F25 312
#define HEDDLE_SAVE_F26 320
#define HEDDLE_SAVE_F27 328
#define HEDDLE_SAVE_F28 336
#define HEDDLE_SAVE_F29 344
#define HEDDLE_SAVE_F30 352
#define HEDDLE_SAVE_F31 360
#define HEDDLE_SAVE_R14 368
#define HEDDLE_SAVE_R15 376
#define HEDDLE_SAVE_R16 384
#define HEDDLE_SAVE_R17 392
#define HEDDLE_SAVE_R18 400
#define HEDDLE_SAVE_R19 408
#define HEDDLE_SAVE_R20 416
#define HEDDLE_SAVE_R21 424
#define HEDDLE_SAVE_R22 432
#define HEDDLE_SAVE_R23 440
#define HEDDLE_SAVE_R24 448
#define HEDDLE_SAVE_R25 456
#define HEDDLE_SAVE_R26 464
#define HEDDLE_SAVE_R27 472
#define HEDDLE_SAVE_R28 480
#define HEDDLE_SAVE_R29 488
#define HEDDLE_SAVE_R30 496
#define HEDDLE_SAVE_R31 504

// The size of that frame: from here on offsets belong to the caller's.
#define HEDDLE_SAVES_BYTES 512

// In the header of the caller's frame: the slot for the condition register. An offset from the CFA.
#define HEDDLE_CALLER_CR 8

// A frame's header: back chain, CR, LR, r2.
#define HEDDLE_HEADER_BYTES 32

// The bytes at the stack's top that the entry stub steps over: the frame of a switch, and the
// header of the frame of nobody who called it.
#define HEDDLE_FRAME_BYTES (HEDDLE_SAVES_BYTES + HEDDLE_HEADER_BYTES)

// Where in the entry stub a fresh context resumes.
#define HEDDLE_ENTRY_OFFSET 4

#ifndef __ASSEMBLER__

#include <cstddef>
#include <cstdint>

namespace heddle::detail {

/// The saved registers of a suspended context, lowest address first, and behind them the header of
/// its caller's frame.
struct ppc64le_frame {
    std::uint64_t back_chain;  ///< to the caller's frame
    std::uint64_t fpscr;       ///< only with fp_environment=preserved
    std::uint32_t vscr;        ///< only with fp_environment=preserved
    std::uint32_t unused;
    std::uint64_t r2;
    std::uint64_t v[12][2];       ///< v20 to v31
    std::uint64_t f[18];          ///< f14 to f31
    std::uint64_t r14;            ///< in a fresh context: the entry function
    std::uint64_t r15;            ///< in a fresh context: the argument of the entry function
    std::uint64_t r[16];          ///< r16 to r31
    std::uint64_t callers_chain;  ///< zero in a fresh context
    std::uint64_t cr;             ///< of which fields 2, 3 and 4 are preserved
    std::uint64_t callers_unused[2];
};

constexpr std::size_t ppc64le_v_at(std::size_t number) {
    return offsetof(ppc64le_frame, v) + (number - 20) * 16;
}
constexpr std::size_t ppc64le_f_at(std::size_t number) {
    return offsetof(ppc64le_frame, f) + (number - 14) * 8;
}
constexpr std::size_t ppc64le_r_at(std::size_t number) {
    return offsetof(ppc64le_frame, r14) + (number - 14) * 8;
}
static_assert(offsetof(heddle_context, stack_pointer) == HEDDLE_CONTEXT_SP);
static_assert(offsetof(heddle_context, resume_address) == HEDDLE_CONTEXT_PC);
static_assert(offsetof(ppc64le_frame, back_chain) == HEDDLE_BACK_CHAIN);
static_assert(offsetof(ppc64le_frame, fpscr) == HEDDLE_SAVE_FPSCR);
static_assert(offsetof(ppc64le_frame, vscr) == HEDDLE_SAVE_VSCR);
static_assert(offsetof(ppc64le_frame, r2) == HEDDLE_SAVE_R2);
static_assert(ppc64le_v_at(20) == HEDDLE_SAVE_V20);
static_assert(ppc64le_v_at(21) == HEDDLE_SAVE_V21);
static_assert(ppc64le_v_at(22) == HEDDLE_SAVE_V22);
static_assert(ppc64le_v_at(23) == HEDDLE_SAVE_V23);
static_assert(ppc64le_v_at(24) == HEDDLE_SAVE_V24);
static_assert(ppc64le_v_at(25) == HEDDLE_SAVE_V25);
static_assert(ppc64le_v_at(26) == HEDDLE_SAVE_V26);
static_assert(ppc64le_v_at(27) == HEDDLE_SAVE_V27);
static_assert(ppc64le_v_at(28) == HEDDLE_SAVE_V28);
static_assert(ppc64le_v_at(29) == HEDDLE_SAVE_V29);
static_assert(ppc64le_v_at(30) == HEDDLE_SAVE_V30);
static_assert(ppc64le_v_at(31) == HEDDLE_SAVE_V31);
static_assert(ppc64le_f_at(14) == HEDDLE_SAVE_F14);
static_assert(ppc64le_f_at(15) == HEDDLE_SAVE_F15);
static_assert(ppc64le_f_at(16) == HEDDLE_SAVE_F16);
static_assert(ppc64le_f_at(17) == HEDDLE_SAVE_F17);
static_assert(ppc64le_f_at(18) == HEDDLE_SAVE_F18);
static_assert(ppc64le_f_at(19) == HEDDLE_SAVE_F19);
static_assert(ppc64le_f_at(20) == HEDDLE_SAVE_F20);
static_assert(ppc64le_f_at(21) == HEDDLE_SAVE_F21);
static_assert(ppc64le_f_at(22) == HEDDLE_SAVE_F22);
static_assert(ppc64le_f_at(23) == HEDDLE_SAVE_F23);
static_assert(ppc64le_f_at(24) == HEDDLE_SAVE_F24);
static_assert(ppc64le_f_at(25) == HEDDLE_SAVE_F25);
static_assert(ppc64le_f_at(26) == HEDDLE_SAVE_F26);
static_assert(ppc64le_f_at(27) == HEDDLE_SAVE_F27);
static_assert(ppc64le_f_at(28) == HEDDLE_SAVE_F28);
static_assert(ppc64le_f_at(29) == HEDDLE_SAVE_F29);
static_assert(ppc64le_f_at(30) == HEDDLE_SAVE_F30);
static_assert(ppc64le_f_at(31) == HEDDLE_SAVE_F31);
static_assert(offsetof(ppc64le_frame, r15) == HEDDLE_SAVE_R15);
static_assert(offsetof(ppc64le_frame, r) == HEDDLE_SAVE_R16);
static_assert(ppc64le_r_at(14) == HEDDLE_SAVE_R14);
static_assert(ppc64le_r_at(15) == HEDDLE_SAVE_R15);
static_assert(ppc64le_r_at(16) == HEDDLE_SAVE_R16);
static_assert(ppc64le_r_at(17) == HEDDLE_SAVE_R17);
static_assert(ppc64le_r_at(18) == HEDDLE_SAVE_R18);
static_assert(ppc64le_r_at(19) == HEDDLE_SAVE_R19);
static_assert(ppc64le_r_at(20) == HEDDLE_SAVE_R20);
static_assert(ppc64le_r_at(21) == HEDDLE_SAVE_R21);
static_assert(ppc64le_r_at(22) == HEDDLE_SAVE_R22);
static_assert(ppc64le_r_at(23) == HEDDLE_SAVE_R23);
static_assert(ppc64le_r_at(24) == HEDDLE_SAVE_R24);
static_assert(ppc64le_r_at(25) == HEDDLE_SAVE_R25);
static_assert(ppc64le_r_at(26) == HEDDLE_SAVE_R26);
static_assert(ppc64le_r_at(27) == HEDDLE_SAVE_R27);
static_assert(ppc64le_r_at(28) == HEDDLE_SAVE_R28);
static_assert(ppc64le_r_at(29) == HEDDLE_SAVE_R29);
static_assert(ppc64le_r_at(30) == HEDDLE_SAVE_R30);
static_assert(ppc64le_r_at(31) == HEDDLE_SAVE_R31);
static_assert(offsetof(ppc64le_frame, callers_chain) == HEDDLE_SAVES_BYTES);
static_assert(offsetof(ppc64le_frame, cr) == HEDDLE_SAVES_BYTES + HEDDLE_CALLER_CR);
static_assert(sizeof(ppc64le_frame) == HEDDLE_FRAME_BYTES);
static_assert(HEDDLE_SAVE_VSCR % 16 == 0 && HEDDLE_SAVE_V20 % 16 == 0 &&
              HEDDLE_SAVES_BYTES % 16 == 0);

/// What 2.2.1 calls limited-access bits: those of FPSCR that enable exceptions and choose the
/// rounding of binary and decimal arithmetic, and the non-Java bit of VSCR, by which vector
/// arithmetic takes denormal numbers for zero. Eight bytes, since every fiber has them.
struct fp_environment {
    std::uint32_t fpscr = 0;          ///< of its lower half
    std::uint16_t fpscr_decimal = 0;  ///< of its upper half
    std::uint16_t vscr_upper = 0;     ///< of VSCR's upper half
    bool operator==(const fp_environment&) const = default;

    /// FPSCR with these bits and no other.
    std::uint64_t whole_fpscr() const { return std::uint64_t{fpscr_decimal} << 32 | fpscr; }
    /// VSCR likewise.
    std::uint32_t whole_vscr() const { return std::uint32_t{vscr_upper} << 16; }
};

/// Reads the calling thread's control bits. Status flags are volatile and left out.
inline fp_environment context_save_fp_environment() noexcept {
    double fpscr;
    __vector unsigned vscr;
    __asm__ volatile("mffs %0" : "=d"(fpscr));
    __asm__ volatile("mfvscr %0" : "=v"(vscr));
    const auto bits = __builtin_bit_cast(std::uint64_t, fpscr);
    return {.fpscr = static_cast<std::uint32_t>(bits & 0xff),
            .fpscr_decimal = static_cast<std::uint16_t>(bits >> 32 & 7),
            .vscr_upper = static_cast<std::uint16_t>(vscr[0] >> 16 & 1)};
}

/// Sets the calling thread's control bits, and in VSCR clears the flag of saturation beside them.
inline void context_restore_fp_environment(const fp_environment& words) noexcept {
    const auto fpscr = __builtin_bit_cast(double, words.whole_fpscr());
    const __vector unsigned vscr = {words.whole_vscr(), 0, 0, 0};
    // The fields with the binary bits, and the field of the upper half with the decimal ones.
    __asm__ volatile("mtfsf 0x03, %0\n\tmtfsf 0x01, %0, 0, 1" : : "d"(fpscr));
    __asm__ volatile("mtvscr %0" : : "v"(vscr));
}

/// Builds the frame that the first switch to a fresh context restores. `stub` is the port's
/// entry stub; the rest is context_make's contract.
inline heddle_context context_fresh(void* stack_top, context_entry entry, void* argument,
                                    void (*stub)()) noexcept {
    auto* frame = static_cast<ppc64le_frame*>(stack_top) - 1;
    *frame = {};
    frame->back_chain = reinterpret_cast<std::uint64_t>(&frame->callers_chain);
#ifdef HEDDLE_FP_PRESERVED
    const fp_environment words = context_save_fp_environment();
    frame->fpscr = words.whole_fpscr();
    frame->vscr = words.whole_vscr();
#endif
    frame->r14 = reinterpret_cast<std::uint64_t>(entry);
    frame->r15 = reinterpret_cast<std::uint64_t>(argument);
    // The stub has one entry point only, so its address is that of its first instruction.
    const auto resume_address = reinterpret_cast<std::uint64_t>(stub) + HEDDLE_ENTRY_OFFSET;
    return {.stack_pointer = frame,
            .resume_address = reinterpret_cast<void*>(resume_address),
            .frame_pointer = nullptr};
}

}  // namespace heddle::detail

#endif  // __ASSEMBLER__
