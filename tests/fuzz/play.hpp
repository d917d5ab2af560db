// Plays a program of operations inside run(), and compares what the runtime does with what it may.
//
// The main fiber plays the first routine; spawn starts another fiber with one of them. Whatever a
// program says, it comes to its end: waits that nothing else can end are ended by a declared
// deadlock or by the end of run(), mutexes are locked in one order, what cannot be cancelled has a
// deadline, and nobody drops the handle of an older fiber.
//
// What must hold: a mutex has one owner; permits, passes and values are neither lost nor doubled,
// and come in order; joins give what the fiber ended with; an operation is cancelled, or times out,
// only if it may, and it is cancelled if it must; a deadlock is declared only when all fibers wait
// and for nothing that is there; at the end no fiber is left. A violation prints the program and
// aborts.
#pragma once

#include <cstdint>
#include <span>

namespace heddle::fuzz {

void play(std::span<const std::uint8_t> bytes);

/// The bytes of the program that is being played, for reports of a crash. Threads: any, and any
/// signal handler.
std::span<const std::uint8_t> playing();

}  // namespace heddle::fuzz
