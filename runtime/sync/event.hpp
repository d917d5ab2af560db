// The event behind the class, as far as select has to know it.
#pragma once

#include <heddle/event.hpp>

namespace heddle::detail {

/// Under the lock: whether the event is set; an automatic one no longer is afterwards.
inline bool see(event_state& state) noexcept {
    if (!state.set) {
        return false;
    }
    state.set = !state.automatic;
    return true;
}

}  // namespace heddle::detail
