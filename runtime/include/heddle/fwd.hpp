// Declares heddle's public types ahead, for headers that only name them.
#pragma once

#include <cstddef>

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

class address;
class auto_reset_event;
template <class CompletionFunction>
class barrier;
class cancelled;
template <class T>
class channel;
template <class T>
class child;
template <class T>
class completion;
class condition_variable;
template <std::ptrdiff_t Max>
class counting_semaphore;
class deadline;
class event;
template <class T>
class fiber;
class fiber_id;
template <class T>
class fiber_local;
struct fiber_options;
class latch;
struct listen_options;
class mutex;
template <class T>
class once;
class once_flag;
struct options;
class recursive_mutex;
class recursive_timed_mutex;
class scope;
class shared_mutex;
class shared_timed_mutex;
class shield;
class signal_set;
struct statistics;
class tcp_listener;
class tcp_stream;
class timed_mutex;

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
