// What becomes of heddle's calls in code that is compiled with -fno-exceptions.
//
// No exception may enter such code: its frames have nothing to catch it with, and would be left
// without their destructors. So the forms that throw cannot be called there, which the compiler
// says at the call; the forms with a std::error_code remain. The few calls that report an error of
// the program's by throwing and have no such form (spawning outside of run(), say) call
// std::terminate instead.
#pragma once

#ifdef __cpp_exceptions
#define HEDDLE_THROWS
#else
/// In front of a form that throws where another reports in a std::error_code.
#define HEDDLE_THROWS                                                                              \
    __attribute__((unavailable("it throws, and exceptions are switched off here: "                 \
                               "use the form with a std::error_code&")))
#endif

#pragma GCC visibility push(default)

namespace heddle::detail {

/// Whether the code that includes this may be thrown at. Not inline: its value differs between
/// the files of a program. What is compiled from it is inlined always, or has it as a template
/// parameter, so that the linker never takes one file's version for another's.
#ifdef __cpp_exceptions
constexpr bool code_may_throw = true;
#else
constexpr bool code_may_throw = false;
#endif

}  // namespace heddle::detail

#pragma GCC visibility pop
