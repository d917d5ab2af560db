// The kinds of calls that the sweep makes fail, and the errors that their manual pages list.
#pragma once

#include "runtime/base/system.hpp"

#include <string>
#include <vector>

namespace heddle::test {

/// What becomes of a call that fails.
enum class reaction {
    reported,  ///< some caller hears of it, always
    either,    ///< a caller hears of it, or the call was not needed: as `why` says
};

/// One kind of call.
struct call_kind {
    detail::sys::call which;
    const char* name;
    std::vector<int> errors;
    reaction what_becomes = reaction::reported;
    const char* why = "";           ///< of `either`
    std::vector<int> limits = {};   ///< those of the errors that may go on for good
    bool transfers = false;         ///< and so may be cut short
    std::vector<int> unheard = {};  ///< the errors that `either` is about; empty for all
    reaction first = what_becomes;  ///< of the first call, which may serve another purpose
};

const std::vector<call_kind>& call_kinds();

/// Whether `reported` is how a caller may hear of `error` of this kind: the same number, or the
/// documented translation.
bool may_become(const call_kind& kind, int error, int reported);

/// What the text of an error with this number must contain; empty where it names no limit.
std::string limit_named_by(int reported);

std::string name_of_error(int error);

}  // namespace heddle::test
