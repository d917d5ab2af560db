// Random programs over streams of every kind. Whatever is submitted, cancelled, detached and
// closed in whatever order: what the receivers got is what the senders sent, in order, and every
// operation ends once.
#include "tests/reactor/harness.hpp"

#include "runtime/base/random.hpp"
#include "tests/support/report.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

namespace heddle::test {
namespace {

using detail::random_sequence;

// One stream and what has been asked of it. Operations in one direction end in order, so the
// stream is what their results say, one after the other.
struct stream {
    pair ends;
    descriptor_handle from, to;
    descriptor_traits traits;
    std::deque<request> reads, writes;  // keep their places while others are added
    std::string sent, received;

    stream(random_sequence& random) {
        const std::uint64_t kind = random.below(4);
        ends = kind == 0   ? make_tcp_pair()
               : kind == 1 ? make_socket_pair()
               : kind == 2 ? make_pipe()
                           : make_pipe(true);
        const bool by_id = kind == 0 || (kind != 3 && random.below(2) == 0);
        from = by_id ? attached(ends.a.get()) : raw(ends.a.get());
        to = by_id ? attached(ends.b.get()) : raw(ends.b.get());
        sockets_ = kind < 2;
        traits.short_receive_drains = kind == 0;
    }

    request& add_read(random_sequence& random) {
        const auto kind = random.below(8) == 0 ? operation_kind::wait_readable
                          : sockets_           ? operation_kind::receive
                                               : operation_kind::read;
        return reads.emplace_back(kind, from, 1 + random.below(random.below(2) == 0 ? 10 : 5000),
                                  traits);
    }

    request& add_write(random_sequence& random) {
        if (random.below(8) == 0) {
            return writes.emplace_back(operation_kind::wait_writable, to);
        }
        std::string content(1 + random.below(random.below(2) == 0 ? 10 : 20000), '\0');
        std::generate(content.begin(), content.end(),
                      [&] { return static_cast<char>(random.next()); });
        return writes.emplace_back(sockets_ ? operation_kind::send : operation_kind::write, to,
                                   content);
    }

    // Takes note of an operation that has ended.
    void note(const request& ended) {
        if (ended.result == -ECANCELED) {
            return;
        }
        REQUIRE(ended.result >= 0);
        if (detail::reads(ended.kind)) {
            received += ended.text();
        } else {
            sent += ended.text();
        }
    }

private:
    bool sockets_ = false;
};

class program {
public:
    program(maker make, random_sequence& random) : under_test_(make), random_(random) {
        for (int i = 0; i < 5; ++i) {
            streams_.push_back(std::make_unique<stream>(random_));
        }
    }

    void step() {
        auto& one = streams_[random_.below(streams_.size())];
        switch (random_.below(10)) {
        case 0:
        case 1:
        case 2:
            submit(*one, one->add_read(random_), random_.below(5) != 0);
            break;
        case 3:
        case 4:
            submit(*one, one->add_write(random_), random_.below(5) != 0);
            break;
        case 5:
            cancel_one(*one);
            break;
        case 6:
            if (random_.below(10) == 0) {
                replace(one);
            }
            break;
        default:
            under_test_.events().poll(random_.below(4) == 0 ? 100'000 : 0);
            collect();
        }
    }

    // Lets everything that was sent be received, and compares.
    void end() {
        for (auto& one : streams_) {
            for (request& write : one->writes) {
                under_test_.events().cancel(write);
            }
            while (has_pending(one->writes)) {
                under_test_.events().poll(0);
                collect();
            }
            while (one->received.size() < one->sent.size()) {
                if (!has_pending(one->reads)) {
                    submit(*one, one->add_read(random_), true);
                }
                under_test_.events().poll(has_pending(one->reads) ? 1'000'000 : 0);
                collect();
            }
            CHECK((one->received == one->sent));
            close(*one);
        }
    }

private:
    void submit(stream& of, request& what, bool may_wait) {
        live_[&what] = &of;
        if (under_test_.submit(what, may_wait)) {
            live_.erase(&what);
            if (what.result != -EAGAIN) {
                of.note(what);
            }
        }
    }

    void cancel_one(stream& of) {
        auto& all = random_.below(2) == 0 ? of.reads : of.writes;
        if (!all.empty()) {
            under_test_.events().cancel(
                all[all.size() - 1 - random_.below(std::min<std::size_t>(all.size(), 5))]);
            collect();
        }
    }

    void collect() {
        for (operation* const ended : under_test_.completed) {
            const auto found = live_.find(ended);
            REQUIRE(found != live_.end());  // or it has ended twice
            found->second->note(static_cast<const request&>(*ended));
            live_.erase(found);
        }
        under_test_.completed.clear();
    }

    static bool has_pending(const std::deque<request>& all) {
        return std::any_of(all.begin(), all.end(), [](const request& one) { return one.pending; });
    }

    void close(stream& one) {
        for (auto* all : {&one.reads, &one.writes}) {
            for (request& what : *all) {
                if (one.from.id == 0) {
                    under_test_.events().cancel(what);
                }
            }
        }
        under_test_.events().detach(one.from);
        under_test_.events().detach(one.to);
        collect();
        while (has_pending(one.reads) || has_pending(one.writes)) {
            under_test_.events().poll(0);
            collect();
        }
        CHECK(one.received.size() <= one.sent.size());
        CHECK((one.sent.substr(0, one.received.size()) == one.received));
    }

    void replace(std::unique_ptr<stream>& one) {
        close(*one);
        one.reset();  // its numbers are free for the next
        one = std::make_unique<stream>(random_);
    }

    harness under_test_;
    random_sequence& random_;
    std::vector<std::unique_ptr<stream>> streams_;
    std::map<operation*, stream*> live_;
};

TEST_CASE_TEMPLATE("random programs lose nothing, invent nothing and end everything once", Backend,
                   HEDDLE_BACKENDS) {
    random_sequence random(seed());
    for (int run = 0; run < 20; ++run) {
        program one(Backend::make, random);
        for (int step = 0; step < 500; ++step) {
            one.step();
        }
        one.end();
    }
}

}  // namespace
}  // namespace heddle::test
