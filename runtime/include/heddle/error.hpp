// What heddle's calls throw, beside std::system_error with the codes of std::errc.
#pragma once

#include <heddle/detail/abi.hpp>

#include <stdexcept>
#include <system_error>
#include <type_traits>

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

/// Thrown by a cancellation point of a fiber that was asked to stop, or in the body of a scope that
/// has been cancelled.
///
/// It does not derive from std::exception, so that code which handles failures does not take the
/// end of its fiber for one. Let it pass, or rethrow it: the request is sticky, and the next
/// cancellation point throws again. A fiber that ends by it has ended in the regular way, and
/// join() says so with std::errc::operation_canceled.
class cancelled {};

/// The outcomes that no code of std::errc describes.
enum class errc {
    closed = 1,     ///< the channel was closed, by whomever: nothing can be sent any more
    end_of_stream,  ///< the peer ended the stream before all bytes had come
};

/// The category of heddle::errc, named "heddle".
const std::error_category& heddle_category() noexcept;

inline std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), heddle_category()};
}

/// Thrown by run() when nothing could ever run again; what() lists the fibers and their waits.
class deadlock_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace v1
}  // namespace heddle

template <>
struct std::is_error_code_enum<heddle::errc> : std::true_type {};

#pragma GCC visibility pop
