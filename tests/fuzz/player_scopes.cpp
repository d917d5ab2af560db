// What a fiber does with scopes. Who may be cancelled by one is not followed: all that is known is
// that a child, or a body, perhaps is.
#include "tests/fuzz/player.hpp"

#include "heddle/scope.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace heddle::fuzz {

struct open_scope {
    heddle::scope& scope;
    const bool has_deadline;
    open_scope* outer;

    struct known_child {
        heddle::child<int> handle;
        actor* who;
    };
    std::vector<known_child> children = {};

    void require_joined() const {
        for (const known_child& one : children) {
            require(one.who->begun && !one.who->lives(), "a scope has left a child behind");
        }
    }
};

// One of the children of an open scope has failed so.
void player::check_failure(const program_error& error) const {
    const actor& thrower = world_.fibers().all[static_cast<std::size_t>(error.number)];
    require(thrower.ended == actor::end::exception && thrower.number > self_.number,
            "a scope threw what none of its children has thrown");
}

void player::scoped(const step& one, std::size_t from) {
    if (self_.locks != 0) {
        return run(from, one.end);  // a child might wait for one who waits for the mutex
    }
    heddle::scope own(to_deadline(one.until()));
    open_scope here{own, one.until() != patience::endless, innermost_};
    struct closer {
        player& by;
        open_scope& here;
        const bool cancels;
        ~closer() {
            by.innermost_ = here.outer;
            if (cancels) {
                here.scope.cancel();
            }
            const waiting now(by.world_, by.self_, {{place::scope, 0}}, lasting::endlessly);
            try {
                here.scope.join();
            } catch (const program_error& error) {
                by.check_failure(error);
            } catch (...) {
                ++by.world_.changes;  // judged where it is joined for the first time
            }
            here.require_joined();
        }
    };
    {
        innermost_ = &here;
        const closer at_end{*this, here, one.more() >= 2};
        run(from, one.end);
        const waiting now(world_, self_, {{place::scope, 0}}, lasting::endlessly);
        try {
            own.join();
        } catch (const program_error& error) {
            check_failure(error);
        } catch (const std::system_error& error) {
            require(error.code() == std::errc::timed_out && here.has_deadline,
                    "a scope failed, and not by its deadline");
        } catch (const heddle::cancelled&) {
            was_cancelled();
            throw;
        }
        here.require_joined();
    }
}

void player::with_scope(const step& one, std::size_t from) {
    if (self_.locks != 0) {
        return run(from, one.end);
    }
    struct marked {
        const world& shared;
        actor& self;
        bool before;
        int shields_before;
        ~marked() {
            self.perhaps_stopped = before || shared.anybody_may_be_stopped();
            self.shields_outside = shields_before;
        }
    };
    const bool has_deadline = one.until() != patience::endless;
    std::optional<waiting> joining;  // from the end of the body on
    const auto body = [&](heddle::scope& own) {
        open_scope here{own, has_deadline, innermost_};
        struct closer {
            player& by;
            std::optional<waiting>& joining;
            open_scope* outer;
            ~closer() {
                by.innermost_ = outer;
                joining.emplace(by.world_, by.self_, std::initializer_list<spot>{{place::scope, 0}},
                                lasting::endlessly);
            }
        } const at_end{*this, joining, innermost_};
        innermost_ = &here;
        run(from, one.end);
    };
    const marked in_body{world_, self_, std::exchange(self_.perhaps_stopped, true),
                         std::exchange(self_.shields_outside, self_.shields)};
    try {
        has_deadline ? heddle::with_deadline(to_deadline(one.until()), body)
                     : heddle::with_scope(body);
    } catch (const program_error& error) {
        if (error.number == self_.number) {
            throw;
        }
        check_failure(error);
    } catch (const std::system_error& error) {
        require(error.code() == std::errc::timed_out && has_deadline,
                "a body failed, and not by its deadline");
    }
}

void player::spawn_child(const step& one) {
    if (innermost_ == nullptr) {
        return;
    }
    actor* const child = world_.add_fiber(one.object(routines));
    if (child != nullptr) {
        child->perhaps_stopped = true;
        innermost_->children.push_back(
            {innermost_->scope.spawn([&w = world_, child] { return play_routine(w, *child); }),
             child});
    }
}

void player::cancel_scope() {
    if (innermost_ != nullptr) {
        innermost_->scope.cancel();
    }
}

void player::get_child(const step& one) {
    if (innermost_ == nullptr || innermost_->children.empty()) {
        return;
    }
    const std::size_t number = one.object(innermost_->children.size());
    open_scope::known_child& from = innermost_->children[number];
    if (!from.handle.valid()) {
        return;
    }
    const auto got = [&](std::optional<int> value) {
        require(value ? from.who->ended == actor::end::value && *value == from.who->number
                      : from.who->ended == actor::end::cancelled,
                "a child's handle gave something else than the child did");
    };
    wait(
        one, {{place::scope, 0}},
        [&](deadline limit, auto&... ec) {
            try {
                if constexpr (sizeof...(ec) == 0) {
                    got(from.handle.get(limit));
                } else {
                    const std::optional<int> value = from.handle.get(limit, ec...);
                    if (value || !from.handle.valid()) {
                        got(value);
                        (..., ec.clear());
                    }
                }
            } catch (const program_error& error) {
                require(from.who->ended == actor::end::exception &&
                            error.number == from.who->number,
                        "a child's handle threw another exception than the child had");
            } catch (const std::system_error&) {
                if (from.handle.valid()) {
                    throw;
                }
                got(std::nullopt);
            }
        },
        [](outcome) {});
}

}  // namespace heddle::fuzz
