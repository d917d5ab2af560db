// What a scope and its children are made of: the part of runtime/task/scope.cpp that templates see.
//
// A child is a fiber and a record on the heap, which holds its closure, its value or exception, and
// its place in the lists of the scope. The record is there as long as the scope or a handle of the
// child needs it, and keeps the fiber's control block.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/alarm.hpp>
#include <heddle/detail/current.hpp>
#include <heddle/detail/exceptions.hpp>
#include <heddle/detail/spawn.hpp>
#include <heddle/detail/status.hpp>
#include <heddle/detail/stop_level.hpp>
#include <heddle/detail/wait_list.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
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

namespace heddle::detail {

class worker;
struct scope_state;

/// The record of a child.
struct child_state {
    scope_state* scope = nullptr;  ///< of use until the child has ended
    fiber_block* block = nullptr;
    child_state* next = nullptr;  ///< the place in one of the scope's lists, under its lock
    child_state* previous = nullptr;
    bool stopping = false;  ///< which of two lists that is
    void (*destroy)(child_state* self) noexcept = nullptr;
    std::exception_ptr exception;     ///< what ended it; from `done` on
    std::atomic<int> references = 2;  ///< the scope's, the handle's, and who asks it to stop

    spin_lock lock;  ///< of the rest
    wait_list waiters;
    flow_name joiner = 0;             ///< waits for the end of the fiber; others for `done`
    bool done = false;                ///< the function is over
    bool failed = false;              ///< by an exception that cancels the scope; set before `done`
    std::atomic<bool> taken = false;  ///< somebody has been thrown that; any thread, at any time
};

struct child_list {
    child_state* first = nullptr;
    child_state* last = nullptr;
};

/// Why a scope is cancelled: whichever came first.
enum class scope_end : std::uint8_t { none, asked, failed, timed_out };

struct scope_state {
    alarm timer;  ///< for the deadline
    worker* home = nullptr;
    stop_level level;                              ///< of the body, if there is one
    std::atomic<scope_end> end = scope_end::none;  ///< any thread moves it from `none`
    spin_lock lock;                                ///< of the rest
    bool cut_short = false;                        ///< the deadline has cancelled a child
    fiber_block* body = nullptr;                   ///< the fiber that is in the body
    child_list running;                            ///< children that were not asked to stop
    child_list stopping;                           ///< children that were
    child_list over;                               ///< their functions are; their fibers, soon
    child_list failed;                             ///< ended by exceptions, the first one first
    std::stop_source stop{std::nostopstate};       ///< made when somebody asks
    const char* what = nullptr;                    ///< for messages, as the next two
    const char* file = nullptr;
    int line = 0;
};

/// Errors: std::logic_error outside a fiber; std::bad_alloc.
void open_scope(scope_state& scope, std::int64_t deadline_ns);
void open_scope_or_terminate(scope_state& scope, std::int64_t deadline_ns) noexcept;
/// Cancels, joins; terminates if there is an exception that nobody took.
void close_scope(scope_state& scope) noexcept;
bool cancel_scope(scope_state& scope, scope_end why) noexcept;
std::stop_token scope_stop_token(scope_state& scope);

/// Comes before a child is made. Lets go of those that have ended.
/// Errors: std::logic_error in a fiber of another run(), or outside of any.
void prepare_scope(scope_state& scope);
void prepare_scope_or_terminate(scope_state& scope) noexcept;
/// Makes a fiber that was reserved a child of the scope, and launches it.
void launch_child(scope_state& scope, child_state& child, reserved_block reserved,
                  body_function body) noexcept;
/// Runs a child's function, and deals with how it ends.
void run_child(child_state& child, void (*function)(child_state& child), bool may_throw) noexcept;
/// Deals with the end of a child that got no stack.
void fail_child(child_state& child) noexcept;
void drop_child(child_state& child) noexcept;

/// Waits for the end of a child; child_give_up must follow any status but `event`, and says whether
/// it has ended after all.
wait_status child_wait(child_state& child, std::int64_t deadline_ns) noexcept;
bool child_give_up(child_state& child) noexcept;
[[noreturn]] void throw_child_status(wait_status status);
/// Throws what ended a child.
[[noreturn]] void rethrow_from_child(child_state& child);
/// The same as a code; what is none is thrown, or terminates where nothing may be thrown.
std::error_code child_error(child_state& child, bool may_throw);

/// Waits for all children; throws what scope::join says.
void join_scope(scope_state& scope);
std::error_code join_scope_quietly(scope_state& scope, bool may_throw);
/// Waits for all children and throws nothing they have; whether the calling fiber was cancelled
/// meanwhile, and the scope for that.
bool settle_scope(scope_state& scope) noexcept;
[[noreturn]] void throw_cancelled_in_turn();

/// Runs the body of with_scope or with_deadline, then joins; throws what they say. False if the
/// body was cut short by scope::cancel().
bool run_body(scope_state& scope, void (*body)(void* argument), void* argument);
[[noreturn]] void throw_cut_short(const scope_state& scope);
/// The same with outcomes and the code of a std::system_error as a code; what is none is thrown, or
/// terminates where nothing may be thrown. operation_canceled for a body that was cut short.
std::error_code run_body_quietly(scope_state& scope, void (*body)(void* argument), void* argument,
                                 bool may_throw);

std::vector<std::exception_ptr> scope_exceptions(scope_state& scope);
/// Says that nobody is to be told of the scope's exceptions any more.
void take_scope_exceptions(scope_state& scope) noexcept;

/// A record with room for the value.
template <class T>
struct child_value : child_state {
    std::optional<stored_result<T>> value;
};
template <>
struct child_value<void> : child_state {};

/// A record with the function, too.
template <class T, class Closure>
struct child_call final : child_value<T> {
    template <class Make>
    explicit child_call(Make&& make) : function(make()) {
        this->destroy = [](child_state* self) noexcept { delete static_cast<child_call*>(self); };
    }

    static void call(child_state& self) {
        auto& own = static_cast<child_call&>(self);
        // The closure ends with the call, as any fiber's does.
        struct dropper {
            std::optional<Closure>& function;
            ~dropper() { function.reset(); }
        } const at_end{own.function};
        if constexpr (std::is_void_v<T>) {
            static_cast<void>((*own.function)());
        } else if constexpr (std::is_reference_v<T>) {
            auto&& target = (*own.function)();
            own.value.emplace(std::addressof(target));
        } else {
            own.value.emplace((*own.function)());
        }
    }

    std::optional<Closure> function;
};

/// The body of a child's fiber, whose storage points to the record.
template <class T, class Closure, bool MayThrow = code_may_throw>
void child_body(body_step step, void* storage) {
    child_state& child = **static_cast<child_state**>(storage);
    if (step == body_step::run) {
        run_child(child, child_call<T, Closure>::call, MayThrow);
    } else if (step == body_step::no_stack) {
        fail_child(child);
    }
}

/// Makes the record of a child with copies of a function and its arguments.
template <class T, class F, class... Args>
std::unique_ptr<child_value<T>, void (*)(child_value<T>*)> make_child(F&& f, Args&&... args) {
    using call = closure<std::decay_t<F>, std::decay_t<Args>...>;
    const auto make = [&]() -> call {
        if constexpr (sizeof...(Args) == 0) {
            return {std::forward<F>(f)};
        } else {
            return {std::forward<F>(f),
                    std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)};
        }
    };
    return {new child_call<T, call>(make), [](child_value<T>* one) { one->destroy(one); }};
}

/// What a child's function is to leave in a tuple of values.
template <class T>
using value_in_tuple = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// How a race stands.
struct race_state {
    static constexpr std::size_t nobody = SIZE_MAX;
    scope_state* scope = nullptr;
    std::size_t winner = nobody;
};

/// One of those who run: the first whose function is over cancels the others.
template <class F, class Result>
struct runner {
    F function;
    race_state& race;
    std::size_t number;

    Result operator()() {
        struct finish {
            runner& own;
            ~finish() {
                if (own.race.winner == race_state::nobody) {
                    own.race.winner = own.number;
                    cancel_scope(*own.race.scope, scope_end::asked);
                }
            }
        } const at_end{*this};
        return static_cast<Result>(invoke_with_token(std::move(function)));
    }
};

/// What the functions beside scope reach of it.
struct scope_access;

}  // namespace heddle::detail

#pragma GCC visibility pop
