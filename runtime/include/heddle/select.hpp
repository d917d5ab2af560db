// Waiting for whichever of several things comes first.
#pragma once

#include <heddle/channel.hpp>
#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/fiber_access.hpp>
#include <heddle/detail/select_core.hpp>
#include <heddle/event.hpp>
#include <heddle/fiber.hpp>
#include <heddle/socket.hpp>
#include <heddle/time.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {

namespace detail {

/// What a case does that was given nothing to do.
struct do_nothing {
    void operator()() const noexcept {}
};

template <class F>
struct select_case_of : select_case {
    F handler;

    template <class G>
    select_case_of(G&& with, select_kind what, void* with_object, void* at = nullptr,
                   std::int64_t until_ns = 0)
        : select_case(what, with_object, at, until_ns),
          handler(std::forward<G>(with)) {}

    void run() { static_cast<void>(std::invoke(handler)); }
};

template <class T, class F>
struct receive_case : select_case_of<F> {
    std::optional<T> value;

    template <class G>
    receive_case(const heddle::channel<T>& from, G&& with)
        : select_case_of<F>(std::forward<G>(with), select_kind::receive,
                            &channel_access::core(from), &value) {}

    void run() { static_cast<void>(std::invoke(this->handler, std::move(value))); }
};

/// Of a value that the caller has made room for.
template <class F>
struct send_case : select_case_of<F> {
    template <class T, class G>
    send_case(const heddle::channel<T>& to, T& value, G&& with)
        : select_case_of<F>(std::forward<G>(with), select_kind::send, &channel_access::core(to),
                            std::addressof(value)) {}
};
/// Of a copy, which is made first.
template <class T, class F>
struct send_copy_case : select_case_of<F> {
    T copy;

    template <class G>
    send_copy_case(const heddle::channel<T>& to, const T& value, G&& with)
        : select_case_of<F>(std::forward<G>(with), select_kind::send, &channel_access::core(to),
                            std::addressof(copy)),
          copy(value) {}
};

template <class F>
struct descriptor_case : select_case_of<F> {
    select_descriptor descriptor;

    template <class G>
    descriptor_case(select_kind what, socket_ref socket, bool is_stream, G&& with)
        : select_case_of<F>(std::forward<G>(with), what, &descriptor) {
        descriptor.fd = socket.fd;
        descriptor.id = socket.id;
        descriptor.is_stream = is_stream;
    }
};

template <class Case>
constexpr bool is_select_case = std::is_base_of_v<select_case, std::remove_reference_t<Case>>;

template <class F>
constexpr bool is_plain_handler = std::is_invocable_v<std::decay_t<F>&>;

template <class... Cases>
constexpr bool begins_with_error_code = false;
template <class First, class... Rest>
constexpr bool begins_with_error_code<First, Rest...> =
    std::is_same_v<std::remove_cvref_t<First>, std::error_code>;

template <class... Cases>
[[gnu::always_inline]] inline select_result select_among(Cases&... cases) {
    select_case* written[] = {&cases...};
    select_case* shuffled[sizeof...(Cases)];
    select_case* locked[sizeof...(Cases)];
    return select_wait(
        {.count = sizeof...(Cases), .written = written, .shuffled = shuffled, .locked = locked});
}

/// Runs the handler of the case that was taken and returns its index, from `index` on.
template <class First, class... Rest>
std::size_t run_taken(const select_case* taken, bool well, std::size_t index, First& first,
                      Rest&... rest) {
    if (taken == &first) {
        if (well) {
            first.run();
        }
        return index;
    }
    if constexpr (sizeof...(Rest) > 0) {
        return run_taken(taken, well, index + 1, rest...);
    } else {
        return static_cast<std::size_t>(-1);
    }
}

template <class... Cases>
constexpr void check_cases() {
    static_assert(sizeof...(Cases) > 0, "select needs a case to wait for");
    static_assert(
        (is_select_case<Cases> && ...),
        "select takes what on_recv, on_send, on_readable, on_writable, on_join, on_event, "
        "after and otherwise make");
    static_assert((!std::is_lvalue_reference_v<Cases> && ...),
                  "the cases of a select are made in its call: they are used up by it");
}

}  // namespace detail

inline namespace v1 {

/// The index that select gives when it has taken no case.
constexpr std::size_t no_case = static_cast<std::size_t>(-1);

// The cases. The function of a case is called after everything else is over: nothing of the other
// cases is waited for any more, and it may do what it likes, select again included. Where it is
// left out, nothing is done. Cases are written in the call of select, as its arguments.

/// Receives from a channel, and calls f with the value; with an empty optional if the channel is
/// closed and drained, which is ready at once and always.
template <class T, class F>
[[nodiscard]] auto on_recv(const channel<T>& from, F&& f) {
    static_assert(std::is_invocable_v<std::decay_t<F>&, std::optional<T>>,
                  "on_recv calls its function with a std::optional of the channel's type");
    return detail::receive_case<T, std::decay_t<F>>(from, std::forward<F>(f));
}

/// Sends a value, and calls f when it is delivered. An rvalue is moved from only then; of an lvalue
/// a copy is made first. On a closed channel the case is ready, and select throws errc::closed if
/// it chooses it.
template <class T, class F = detail::do_nothing>
[[nodiscard]] auto on_send(const channel<T>& to, std::type_identity_t<T>&& value, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_send calls its function with no argument");
    return detail::send_case<std::decay_t<F>>(to, value, std::forward<F>(f));
}
template <class T, class F = detail::do_nothing>
[[nodiscard]] auto on_send(const channel<T>& to, const std::type_identity_t<T>& value, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_send calls its function with no argument");
    return detail::send_copy_case<T, std::decay_t<F>>(to, value, std::forward<F>(f));
}

/// Waits until a descriptor, a stream or a listener can be read without blocking; see
/// wait_readable. Select throws what the system says if that fails; bad_file_descriptor for one
/// that is closed, operation_canceled for a stream that is closed meanwhile.
template <class F = detail::do_nothing>
[[nodiscard]] auto on_readable(int fd, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_readable calls its function with no argument");
    return detail::descriptor_case<std::decay_t<F>>(detail::select_kind::readable, {.fd = fd},
                                                    false, std::forward<F>(f));
}
template <class F = detail::do_nothing>
[[nodiscard]] auto on_readable(const tcp_stream& stream, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_readable calls its function with no argument");
    return detail::descriptor_case<std::decay_t<F>>(detail::select_kind::readable,
                                                    detail::socket_access::ref(stream), true,
                                                    std::forward<F>(f));
}
template <class F = detail::do_nothing>
[[nodiscard]] auto on_readable(const tcp_listener& listener, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_readable calls its function with no argument");
    return detail::descriptor_case<std::decay_t<F>>(detail::select_kind::readable,
                                                    detail::socket_access::ref(listener), false,
                                                    std::forward<F>(f));
}

/// Waits until a descriptor or a stream can be written without blocking; otherwise as on_readable.
template <class F = detail::do_nothing>
[[nodiscard]] auto on_writable(int fd, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_writable calls its function with no argument");
    return detail::descriptor_case<std::decay_t<F>>(detail::select_kind::writable, {.fd = fd},
                                                    false, std::forward<F>(f));
}
template <class F = detail::do_nothing>
[[nodiscard]] auto on_writable(const tcp_stream& stream, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_writable calls its function with no argument");
    return detail::descriptor_case<std::decay_t<F>>(detail::select_kind::writable,
                                                    detail::socket_access::ref(stream), true,
                                                    std::forward<F>(f));
}

/// Waits until a fiber has ended; its join() then returns at once, with the value or the exception.
/// Select throws invalid_argument for an empty handle, resource_deadlock_would_occur for the
/// fiber's own, as join() does. Nobody else may join the fiber meanwhile, nor another case.
template <class T, class F = detail::do_nothing>
[[nodiscard]] auto on_join(const fiber<T>& of, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_join calls its function with no argument");
    return detail::select_case_of<std::decay_t<F>>(std::forward<F>(f), detail::select_kind::join,
                                                   detail::fiber_handle_access::block(of));
}

/// Waits until an event is set; one that resets itself is reset if this case is taken. The event
/// must last until select has returned.
template <class F = detail::do_nothing>
[[nodiscard]] auto on_event(detail::basic_event& event, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "on_event calls its function with no argument");
    return detail::select_case_of<std::decay_t<F>>(std::forward<F>(f), detail::select_kind::event,
                                                   &detail::event_access::state(event));
}

/// Waits until a deadline, at most: the case that is taken if no other can be by then. One that has
/// passed lets the others be tried once. Of several the earliest counts.
template <class F = detail::do_nothing>
[[nodiscard]] auto after(deadline until, F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "after calls its function with no argument");
    return detail::select_case_of<std::decay_t<F>>(std::forward<F>(f), detail::select_kind::after,
                                                   nullptr, nullptr, until.nanoseconds());
}

/// The case that is taken if no other is ready: then select does not wait.
template <class F = detail::do_nothing>
[[nodiscard]] auto otherwise(F&& f = {}) {
    static_assert(detail::is_plain_handler<F>, "otherwise calls its function with no argument");
    return detail::select_case_of<std::decay_t<F>>(std::forward<F>(f),
                                                   detail::select_kind::otherwise, nullptr);
}

/// Waits until one of the cases can be taken, takes that one, calls its function and returns its
/// index, from 0 in the order of the arguments.
///
/// Exactly one case is taken. Among several that are ready, each is chosen with the same
/// probability. Of the others nothing remains when the function is called: no value has been taken
/// or sent, no event seen, nothing is waited for. Allocates nothing, but for what a channel of
/// values that may throw does.
///
/// Blocks the calling fiber, never its thread (a plain thread blocks itself). It is parked until
/// something happens, however many cases there are. One that never has to wait gives way every so
/// often.
/// Cancellation: throws heddle::cancelled; no case is taken.
/// Errors: throws std::system_error as said at the case that was taken; its function is not called.
/// What moving a value throws: a value is then still where it was, as with the channel's own calls.
/// What the function throws.
/// Threads: any fiber of any worker, and any plain thread, but for cases of descriptors: on a plain
/// thread select refuses those by operation_not_supported.
/// Complexity: linear in the number of cases, and n log n if the process has several threads.
/// Example:
///     heddle::select(heddle::on_recv(jobs, [&](std::optional<job> next) { work(next); }),
///                    heddle::on_event(stop, [&] { running = false; }),
///                    heddle::after(1s, [&] { report(); }));
/// Source: Go's select statement.
template <class... Cases>
HEDDLE_THROWS std::size_t
select(Cases&&... cases) requires(!detail::begins_with_error_code<Cases...>) {
    detail::check_cases<Cases...>();
    const detail::select_result result = detail::select_among(cases...);
    if (result.status != detail::wait_status::event || result.error != 0) [[unlikely]] {
        detail::throw_select_error(result);
    }
    return detail::run_taken(result.taken, true, 0, cases...);
}

/// As above, but errors are reported in `ec`, and cancellation as operation_canceled. Returns the
/// index of the case that failed, and no_case if the fiber was asked to stop.
template <class... Cases>
std::size_t select(std::error_code& ec, Cases&&... cases) {
    detail::check_cases<Cases...>();
    const detail::select_result result = detail::select_among(cases...);
    ec = detail::to_error_code(result);
    return detail::run_taken(result.taken, !ec, 0, cases...);
}

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
