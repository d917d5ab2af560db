// Variables of which every fiber has one of its own.
#pragma once

#include <heddle/detail/abi.hpp>
#include <heddle/detail/local.hpp>
#include <heddle/fwd.hpp>

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

/// A T for each fiber, and one for each plain thread, made when that first asks for it.
///
/// What thread_local is to a thread. The values of a fiber are destroyed when it ends, the newest
/// first, on its own stack and before anybody who joins it goes on. Their destructors may use all
/// of heddle, and are shielded from cancellation; values that they make are destroyed, too. (Where
/// that goes on for more than 16 rounds, the process ends with a message.) A thread's values are
/// destroyed when the thread ends.
///
/// A static fiber_local serves every run(). One that is destroyed leaves the values that there are
/// to their flows, which destroy them at their ends.
///
/// Threads: all members may be called in any fiber and any plain thread, each of which sees its
/// own value only.
/// Complexity: a call and three loads; a fiber that uses none pays nothing.
template <class T>
class fiber_local {
    static_assert(std::is_object_v<T>, "a fiber_local holds an object");

public:
    /// Values begin as T().
    /// Errors: std::bad_alloc.
    fiber_local() : make_([] { return new node; }), key_(detail::make_local_key()) {}

    /// Values begin as what `make` gives, called in the flow that asks, and in several at the same
    /// time if they ask then. It may wait. It is copyable.
    /// Errors: std::bad_alloc.
    template <class Make>
    requires(std::is_invocable_v<Make&>) explicit fiber_local(Make make)
        : make_([make = std::move(make)]() mutable { return new node(make); }),
          key_(detail::make_local_key()) {}

    fiber_local(const fiber_local&) = delete;
    fiber_local& operator=(const fiber_local&) = delete;
    ~fiber_local() { detail::drop_local_key(key_); }

    /// The calling flow's value, made now if it has none.
    /// Errors: std::bad_alloc, and what making a T throws; then there is still none.
    T& get() const {
        if (detail::local_value* const found = detail::find_local(key_)) [[likely]] {
            return static_cast<node*>(found)->value;
        }
        return make();
    }
    T& operator*() const { return get(); }
    T* operator->() const { return std::addressof(get()); }

    /// Whether the calling flow has a value.
    bool has_value() const noexcept { return detail::find_local(key_) != nullptr; }

    /// Destroys the calling flow's value, if it has one; the next use makes another.
    void reset() const noexcept {
        if (detail::local_value* const value = detail::take_local(key_)) {
            value->destroy(value);
        }
    }

private:
    struct node : detail::local_value {
        node() : value() {}
        template <class Make>
        explicit node(Make& make) : value(make()) {}
        T value;
    };

    [[gnu::noinline]] T& make() const {
        std::unique_ptr<node> fresh(make_());
        if (detail::local_value* const found = detail::find_local(key_)) {
            return static_cast<node*>(found)->value;  // making it has asked for it
        }
        fresh->destroy = [](detail::local_value* self) noexcept {
            delete static_cast<node*>(self);
        };
        detail::add_local(key_, *fresh);
        return fresh.release()->value;
    }

    std::function<node*()> make_;
    detail::local_key key_;
};

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
