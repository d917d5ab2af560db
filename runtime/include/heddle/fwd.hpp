// Declares heddle's public types ahead, for headers that only name them.
#pragma once

#pragma GCC visibility push(default)

namespace heddle {
inline namespace v1 {

class address;
class cancelled;
class deadline;
template <class T>
class fiber;
class fiber_id;
struct fiber_options;
struct listen_options;
struct options;
class shield;
class signal_set;
struct statistics;
class tcp_listener;
class tcp_stream;

}  // namespace v1
}  // namespace heddle

#pragma GCC visibility pop
