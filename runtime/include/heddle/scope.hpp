// Scopes: fibers that end where the block ends that began them.
//
// A fiber that outlives the function which spawned it is hard to reason about, and so is an
// exception in it. A scope joins its children at the end of its block, whatever happens; if one of
// them fails, the others are cancelled, and the block fails.
#pragma once

#include <heddle/cancel.hpp>
#include <heddle/detail/abi.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/fiber_access.hpp>
#include <heddle/detail/scope.hpp>
#include <heddle/fiber.hpp>
#include <heddle/fwd.hpp>
#include <heddle/time.hpp>

#include <array>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

/// A handle of a fiber that was spawned in a scope: it gives the fiber's value. Move-only.
///
/// The scope joins the fiber whether or not the handle is kept, so it may be dropped at once. It
/// may outlive the scope, and then gives the value at once. Threads: one handle is used by one at a
/// time, in any fiber or plain thread.
template <class T = void>
class child {
public:
    /// An empty handle.
    child() noexcept = default;
    child(child&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    child& operator=(child&& other) noexcept {
        child(std::move(other)).swap(*this);
        return *this;
    }
    /// Lets go of the value. The fiber goes on.
    ~child() {
        if (state_ != nullptr) {
            detail::drop_child(*state_);
        }
    }

    /// Waits until the child's function is over, and gives its value or rethrows its exception.
    /// The handle is empty then.
    ///
    /// An exception that is thrown here counts as taken; the scope's join() throws it all the same.
    /// Blocks the calling fiber, never its thread (a plain thread blocks itself).
    /// Cancellation: throws heddle::cancelled; the handle stays.
    /// Errors: throws std::system_error with timed_out once `until` has passed (the handle stays),
    /// operation_canceled if the child ended by heddle::cancelled, invalid_argument for an empty
    /// handle, resource_deadlock_would_occur in the child itself.
    HEDDLE_THROWS T get(deadline until = deadline::never()) {
        if (state_ == nullptr) [[unlikely]] {
            detail::throw_fiber_error(std::errc::invalid_argument,
                                      "heddle::child::get: the handle is empty");
        }
        const detail::wait_status status = detail::child_wait(*state_, until.nanoseconds());
        if (status != detail::wait_status::event && !detail::child_give_up(*state_)) [[unlikely]] {
            detail::throw_child_status(status);
        }
        const letter at_end{std::exchange(state_, nullptr)};
        if (at_end.state->exception != nullptr) [[unlikely]] {
            detail::rethrow_from_child(*at_end.state);
        }
        return at_end.take();
    }

    /// As get(until), but its errors, the end by heddle::cancelled, and the code of a
    /// std::system_error are reported in `ec`: the optional is then empty. Another exception of the
    /// child's is rethrown; where exceptions are switched off, std::terminate is called.
    [[gnu::always_inline]] std::optional<T>
    get(deadline until,
        std::error_code& ec) requires(!std::is_void_v<T> && !std::is_reference_v<T>) {
        const letter at_end{wait(until, ec)};
        if (at_end.state == nullptr || ec) {
            return std::nullopt;
        }
        return at_end.take();
    }
    [[gnu::always_inline]] std::optional<T>
    get(std::error_code& ec) requires(!std::is_void_v<T> && !std::is_reference_v<T>) {
        return get(deadline::never(), ec);
    }
    /// The same for a child without a value: whether it ended well.
    [[gnu::always_inline]] bool get(deadline until,
                                    std::error_code& ec) requires std::is_void_v<T> {
        const letter at_end{wait(until, ec)};
        return !ec;
    }
    [[gnu::always_inline]] bool get(std::error_code& ec) requires std::is_void_v<T> {
        return get(deadline::never(), ec);
    }

    /// Whether the handle has a child.
    bool valid() const noexcept { return state_ != nullptr; }

    /// Asks this child to stop, and not its siblings; see fiber::request_stop.
    bool request_stop() noexcept {
        return state_ != nullptr && detail::request_fiber_stop(state_->block);
    }

    /// The id of the child's fiber; that of no fiber for an empty handle.
    fiber_id get_id() const noexcept {
        return state_ == nullptr ? fiber_id() : fiber_id(detail::fiber_number(state_->block));
    }

    void swap(child& other) noexcept { std::swap(state_, other.state_); }
    friend void swap(child& a, child& b) noexcept { a.swap(b); }

private:
    friend class scope;

    explicit child(detail::child_value<T>* state) noexcept : state_(state) {}

    // Gives the value of a child whose function is over, and lets go.
    struct letter {
        detail::child_value<T>* state;
        ~letter() {
            if (state != nullptr) {
                detail::drop_child(*state);
            }
        }
        T take() const {
            if constexpr (std::is_reference_v<T>) {
                return static_cast<T>(**state->value);
            } else if constexpr (!std::is_void_v<T>) {
                return std::move(*state->value);
            }
        }
    };

    // The state, to be let go of, of a child that is over; null if it is not.
    [[gnu::always_inline]] detail::child_value<T>* wait(deadline until, std::error_code& ec) {
        ec.clear();
        if (state_ == nullptr) {
            ec = std::make_error_code(std::errc::invalid_argument);
            return nullptr;
        }
        const detail::wait_status status = detail::child_wait(*state_, until.nanoseconds());
        if (status != detail::wait_status::event && !detail::child_give_up(*state_)) {
            ec = status == detail::wait_status::refused
                     ? std::make_error_code(std::errc::resource_deadlock_would_occur)
                     : detail::to_error_code(status);
            return nullptr;
        }
        letter over{std::exchange(state_, nullptr)};
        if (over.state->exception != nullptr) {
            ec = detail::child_error(*over.state, detail::code_may_throw);
        }
        return std::exchange(over.state, nullptr);
    }

    detail::child_value<T>* state_ = nullptr;
};

/// Owns the fibers that are spawned in it: they have ended when it does.
///
/// The first exception that leaves a child cancels the scope: the other children are asked to stop,
/// join() waits for them and rethrows it. So does cancel(), and the deadline when it passes. A
/// child that ends by heddle::cancelled has not failed, nor has one that was asked to stop and ends
/// by std::system_error(operation_canceled).
///
/// A scope opened by with_scope() or with_deadline() has a body: when the scope is cancelled, the
/// cancellation points of the body fail like those of a child, until the body is over. A scope that
/// is a variable has none: only its children are cancelled, and join() notices. What asks the fiber
/// itself to stop that waits in join() cancels the scope as well; so cancellation reaches all
/// descendants. To stop a scope by a token of somebody else's, let a std::stop_callback call
/// cancel(). (Stop callbacks must not wait or give way. For those of heddle's own tokens that is
/// checked; whoever calls std::stop_source::request_stop in a fiber has to see to it himself.)
///
/// Threads: made in a fiber; used by the fibers of the same run(), and destroyed by one of them.
/// cancel() and get_stop_token() may be called by any thread.
/// Example:
///     heddle::scope both(2s);
///     auto a = both.spawn([&] { return ask(first); });
///     auto b = both.spawn([&] { return ask(second); });
///     both.join();                        // throws what either threw, or timed_out
///     return a.get() + b.get();
class [[nodiscard]] scope {
public:
    /// Opens a scope. With a deadline that has passed it is cancelled at once.
    /// `file` and `line` name it in messages.
    /// Errors: std::logic_error outside a fiber; std::bad_alloc.
    [[gnu::always_inline]] explicit scope(deadline until = deadline::never(),
                                          const char* file = __builtin_FILE(),
                                          int line = __builtin_LINE())
        : scope("heddle::scope", until, file, line) {}
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;

    /// Cancels and joins. Not a cancellation point. If a child has failed by an exception that
    /// neither join(), exceptions() nor child::get() has given to anybody, the process terminates
    /// and names the child; one that got no stack has done nothing, and is dropped. A deadline that
    /// has passed is not reported.
    ~scope() { detail::close_scope(state_); }

    /// Spawns a child that runs f(args...) on copies of both; see heddle::fiber.
    ///
    /// Any fiber of the same run() may do so, children included, and join() waits for those too. In
    /// a scope that is cancelled the child runs as well, and its first cancellation point throws;
    /// in one that has been joined it is as in a fresh one.
    /// Errors: throws std::logic_error outside a fiber or in another run(); std::bad_alloc; what
    /// copying f or args throws. A child that gets no stack fails, naming the limit.
    template <class F, class... Args>
    requires detail::fiber_function<F>
    [[gnu::always_inline]] auto spawn(F&& f, Args&&... args)
        -> child<detail::spawn_result_t<F, Args...>> {
        prepare();
        auto record = detail::make_child<detail::spawn_result_t<F, Args...>>(
            std::forward<F>(f), std::forward<Args>(args)...);
        return launch<F, Args...>(record, detail::reserve());
    }
    /// The same with a name, a stack size or another wish.
    /// Errors: as above; std::invalid_argument for a stack size or worker out of range, naming
    /// value and limit.
    template <class F, class... Args>
    requires detail::fiber_function<F>
    [[gnu::always_inline]] auto spawn(fiber_options with, F&& f, Args&&... args)
        -> child<detail::spawn_result_t<F, Args...>> {
        prepare();
        auto record = detail::make_child<detail::spawn_result_t<F, Args...>>(
            std::forward<F>(f), std::forward<Args>(args)...);
        return launch<F, Args...>(record, detail::reserve(detail::to_request(with, false)));
    }

    /// Waits until all children have ended. May be called again, and more may be spawned then.
    ///
    /// Blocks the calling fiber, never its thread. Cancellation: cancels the scope, waits for the
    /// children, and throws heddle::cancelled (in a body, only for requests from outside of it).
    /// Errors: rethrows the first exception that left a child, each time. Else throws
    /// std::system_error(timed_out), naming the scope, if the deadline has cancelled a child;
    /// std::system_error(resource_deadlock_would_occur) in a child of the scope.
    HEDDLE_THROWS void join() { detail::join_scope(state_); }

    /// As above, but errors and the code of a std::system_error are reported in `ec`, cancellation
    /// as operation_canceled; another exception is rethrown, and where exceptions are switched off,
    /// std::terminate is called. Whether all went well.
    [[gnu::always_inline]] bool join(std::error_code& ec) {
        ec = detail::join_scope_quietly(state_, detail::code_may_throw);
        return !ec;
    }

    /// Asks all children to stop, and those that are spawned later; false if the scope had been
    /// cancelled before. Sticky. Does not wait. Callbacks of stop tokens run in the caller.
    /// Threads: any; the scope must not end before this returns.
    bool cancel() noexcept { return detail::cancel_scope(state_, detail::scope_end::asked); }

    /// A token that tells when the scope is cancelled, for whatever reason. Made at the first call.
    /// (this_fiber::get_stop_token() is about the fiber itself: in the body of a scope it does not
    /// tell of the scope's end.)
    /// Errors: std::bad_alloc. Threads: any.
    std::stop_token get_stop_token() { return detail::scope_stop_token(state_); }

    /// The exceptions by which children have failed so far, in their order: join() throws the
    /// first. Errors: std::bad_alloc.
    std::vector<std::exception_ptr> exceptions() { return detail::scope_exceptions(state_); }

private:
    friend struct detail::scope_access;

    [[gnu::always_inline]] scope(const char* what, deadline until, const char* file, int line) {
        state_.what = what;
        state_.file = file;
        state_.line = line;
        constexpr auto open =
            detail::code_may_throw ? detail::open_scope : detail::open_scope_or_terminate;
        open(state_, until.nanoseconds());
    }

    [[gnu::always_inline]] void prepare() {
        constexpr auto prepare_it =
            detail::code_may_throw ? detail::prepare_scope : detail::prepare_scope_or_terminate;
        prepare_it(state_);
    }

    template <class F, class... Args, class Record>
    auto launch(Record& record, detail::reserved_block reserved) noexcept {
        using result = detail::spawn_result_t<F, Args...>;
        using call = detail::closure<std::decay_t<F>, std::decay_t<Args>...>;
        detail::launch_child(state_, *record, reserved, detail::child_body<result, call>);
        return child<result>(record.release());
    }

    // A body, and room for its value.
    template <class Call, class Result = std::invoke_result_t<Call&>>
    struct with_room {
        Call& call;
        std::optional<detail::stored_result<Result>> value;

        static void run(void* it) {
            auto& own = *static_cast<with_room*>(it);
            if constexpr (std::is_reference_v<Result>) {
                auto&& target = own.call();
                own.value.emplace(std::addressof(target));
            } else {
                own.value.emplace(own.call());
            }
        }
    };
    template <class Call>
    static void run_without_value(void* body) {
        (*static_cast<Call*>(body))();
    }

    // Runs a body in the scope and gives its value.
    template <class Call>
    auto run(Call call) -> std::invoke_result_t<Call&> {
        using result = std::invoke_result_t<Call&>;
        if constexpr (std::is_void_v<result>) {
            detail::run_body(state_, run_without_value<Call>, std::addressof(call));
        } else {
            with_room<Call> body{call, std::nullopt};
            detail::run_body(state_, with_room<Call>::run, std::addressof(body));
            if (!body.value) {
                detail::throw_cut_short(state_);
            }
            if constexpr (std::is_reference_v<result>) {
                return static_cast<result>(**body.value);
            } else {
                return std::move(*body.value);
            }
        }
    }

    // The same with errors in `ec`: whether there were none, or the value.
    template <class Call>
    [[gnu::always_inline]] auto run(Call call, std::error_code& ec) {
        using result = std::invoke_result_t<Call&>;
        if constexpr (std::is_void_v<result>) {
            ec = detail::run_body_quietly(state_, run_without_value<Call>, std::addressof(call),
                                          detail::code_may_throw);
            return !ec;
        } else {
            static_assert(!std::is_reference_v<result>, "give a pointer: an optional holds it");
            with_room<Call> body{call, std::nullopt};
            ec = detail::run_body_quietly(state_, with_room<Call>::run, std::addressof(body),
                                          detail::code_may_throw);
            if (ec) {
                body.value.reset();
            }
            return std::move(body.value);
        }
    }

    detail::scope_state state_;
};

}  // namespace v1

namespace detail {

struct scope_access {
    static scope open(const char* what, deadline until, const char* file, int line) {
        return scope(what, until, file, line);
    }
    template <class Call>
    static decltype(auto) run(scope& own, Call call) {
        return own.run(std::move(call));
    }
    template <class Call>
    [[gnu::always_inline]] static auto run(scope& own, Call call, std::error_code& ec) {
        return own.run(std::move(call), ec);
    }
    static scope_state& state(scope& own) noexcept { return own.state_; }
};

/// The value of a child that was joined, or in `ec` why it has none.
template <class T>
[[gnu::always_inline]] inline std::optional<value_in_tuple<T>>
value_of_joined(child<T>& joined, std::error_code& ec) {
    if (ec) {
        return std::nullopt;
    }
    if constexpr (std::is_void_v<T>) {
        return joined.get(ec) ? std::optional<std::monostate>(std::in_place) : std::nullopt;
    } else {
        return joined.get(ec);
    }
}
template <class... T, std::size_t... Index>
[[gnu::always_inline]] inline std::optional<std::tuple<value_in_tuple<T>...>>
values_of_joined(std::tuple<child<T>...>& joined, std::index_sequence<Index...> /* of all */,
                 std::error_code& ec) {
    std::tuple<std::optional<value_in_tuple<T>>...> values{
        value_of_joined(std::get<Index>(joined), ec)...};
    if (ec) {
        return std::nullopt;
    }
    return std::optional<std::tuple<value_in_tuple<T>...>>(std::in_place,
                                                           *std::get<Index>(std::move(values))...);
}

/// Calls f with the scope if it takes one.
template <class F>
auto body_of(F& f, scope& own) {
    return [&f, &own]() -> decltype(auto) {
        if constexpr (std::is_invocable_v<F&, scope&>) {
            return std::invoke(f, own);
        } else {
            static_cast<void>(own);
            return std::invoke(f);
        }
    };
}

}  // namespace detail

inline namespace v1 {

/// Opens a scope, calls f(scope), joins, and gives what f gives.
///
/// If f throws, or a child does, the scope is cancelled; whichever exception came first is rethrown
/// when all has ended. A body that was cut short by scope::cancel() just ends, unless a value of it
/// is due: then std::system_error(operation_canceled) is thrown.
///
/// Blocks the calling fiber, never its thread. Cancellation: throws heddle::cancelled; the scope is
/// cancelled then. Errors: what f and the children throw; as scope.
template <class F>
HEDDLE_THROWS std::invoke_result_t<F&, scope&>
with_scope(F&& f, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    scope own = detail::scope_access::open("heddle::with_scope", deadline::never(), file, line);
    return detail::scope_access::run(own, [&]() -> decltype(auto) { return std::invoke(f, own); });
}

/// As above, but errors, and the code of a std::system_error that f or a child throws, are reported
/// in `ec`; cancellation is operation_canceled. Gives whether there was none, or an optional of the
/// value. Another exception is rethrown; where exceptions are switched off, std::terminate is
/// called.
template <class F>
[[gnu::always_inline]] inline auto with_scope(F&& f, std::error_code& ec,
                                              const char* file = __builtin_FILE(),
                                              int line = __builtin_LINE()) {
    scope own = detail::scope_access::open("heddle::with_scope", deadline::never(), file, line);
    return detail::scope_access::run(
        own, [&]() -> decltype(auto) { return std::invoke(f, own); }, ec);
}

/// The same with f() or f(scope), which is cancelled when `until` passes.
///
/// Every cancellation point in f then throws heddle::cancelled, and with_deadline throws
/// std::system_error(timed_out), naming the place, once f has ended. A call in f whose own deadline
/// comes earlier reports timed_out itself. If f ends before a cancellation point has thrown for the
/// deadline, and no child was asked to stop, its value is given. A deadline that has passed cancels
/// f from the start.
template <class F>
requires(std::is_invocable_v<F&> || std::is_invocable_v<F&, scope&>) HEDDLE_THROWS decltype(auto)
    with_deadline(deadline until, F&& f, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
    scope own = detail::scope_access::open("heddle::with_deadline", until, file, line);
    return detail::scope_access::run(own, detail::body_of(f, own));
}

/// As above, with errors reported as by with_scope(f, ec).
template <class F>
requires(std::is_invocable_v<F&> || std::is_invocable_v<F&, scope&>)
    [[gnu::always_inline]] inline auto with_deadline(deadline until, F&& f, std::error_code& ec,
                                                     const char* file = __builtin_FILE(),
                                                     int line = __builtin_LINE()) {
    scope own = detail::scope_access::open("heddle::with_deadline", until, file, line);
    return detail::scope_access::run(own, detail::body_of(f, own), ec);
}

/// Runs all functions at the same time, each in a fiber, and gives a tuple of their values, with
/// std::monostate where there is none. If one throws, the others are cancelled and joined, and its
/// exception is rethrown. Blocks, cancellation: as scope::join.
/// Errors: as scope and its spawn(); std::system_error(operation_canceled) if one of them ended by
/// heddle::cancelled.
template <class... F>
HEDDLE_THROWS auto join_all(F&&... f)
    -> std::tuple<detail::value_in_tuple<detail::spawn_result_t<F>>...> {
    scope own;
    std::tuple<child<detail::spawn_result_t<F>>...> children{own.spawn(std::forward<F>(f))...};
    own.join();
    const shield values_are_there;
    const auto value_of = [](auto& one) -> decltype(auto) {
        if constexpr (std::is_void_v<decltype(one.get())>) {
            one.get();
            return std::monostate();
        } else {
            return one.get();
        }
    };
    return std::apply(
        [&](auto&... each) {
            return std::tuple<detail::value_in_tuple<detail::spawn_result_t<F>>...>{
                value_of(each)...};
        },
        children);
}

/// As above, but errors, the end of a function by heddle::cancelled, and the code of a
/// std::system_error that a function throws, are reported in `ec`; cancellation is
/// operation_canceled. Gives an optional of the tuple, empty if there was an error. Another
/// exception is rethrown; where exceptions are switched off, std::terminate is called.
template <class... F>
[[gnu::always_inline]] inline auto join_all(std::error_code& ec, F&&... f)
    -> std::optional<std::tuple<detail::value_in_tuple<detail::spawn_result_t<F>>...>> {
    static_assert((!std::is_reference_v<detail::spawn_result_t<F>> && ...),
                  "give a pointer: an optional holds it");
    scope own;
    std::tuple<child<detail::spawn_result_t<F>>...> children{own.spawn(std::forward<F>(f))...};
    if (!own.join(ec)) {
        return std::nullopt;
    }
    const shield values_are_there;
    return detail::values_of_joined(children, std::index_sequence_for<F...>(), ec);
}

/// Runs all functions at the same time, each in a fiber, until the first of them has ended; the
/// others are cancelled and joined, and what becomes of them is dropped. Gives the value of the
/// first, as their common type, or rethrows its exception.
/// Blocks, cancellation: as scope::join.
/// Errors: as scope and its spawn(); std::system_error(operation_canceled) if the first ended by
/// heddle::cancelled.
template <class... F>
requires(sizeof...(F) > 0) HEDDLE_THROWS auto race(F&&... f)
    -> std::common_type_t<detail::spawn_result_t<F>...> {
    using result = std::common_type_t<detail::spawn_result_t<F>...>;
    detail::race_state all;  // outlives the runners, also if one cannot be spawned
    scope own;
    all.scope = &detail::scope_access::state(own);
    std::size_t number = 0;
    std::array<child<result>, sizeof...(F)> runners{
        own.spawn(detail::runner<std::decay_t<F>, result>{std::forward<F>(f), all, number++})...};
    const bool interrupted = detail::settle_scope(*all.scope);
    if (interrupted || all.winner == detail::race_state::nobody) {
        own.join();  // throws what has kept all from the finish
        detail::throw_cancelled_in_turn();
    }
    detail::take_scope_exceptions(*all.scope);
    const shield value_is_there;
    return runners[all.winner].get();
}

/// As above, with errors reported as by join_all(ec, f...): those of the first that has ended, or
/// what has kept all from ending. Gives an optional of the value, or without one whether there was
/// no error.
template <class... F>
requires(sizeof...(F) > 0) [[gnu::always_inline]] inline auto race(std::error_code& ec, F&&... f) {
    using result = std::common_type_t<detail::spawn_result_t<F>...>;
    using outcome = decltype(std::declval<child<result>&>().get(ec));
    detail::race_state all;  // outlives the runners, also if one cannot be spawned
    scope own;
    all.scope = &detail::scope_access::state(own);
    std::size_t number = 0;
    std::array<child<result>, sizeof...(F)> runners{
        own.spawn(detail::runner<std::decay_t<F>, result>{std::forward<F>(f), all, number++})...};
    const bool interrupted = detail::settle_scope(*all.scope);
    if (interrupted || all.winner == detail::race_state::nobody) {
        if (own.join(ec)) {
            this_fiber::yield();
            ec = std::make_error_code(std::errc::operation_canceled);
        }
        return outcome();
    }
    detail::take_scope_exceptions(*all.scope);
    const shield value_is_there;
    return runners[all.winner].get(ec);
}

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
