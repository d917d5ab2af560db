// Calls that the compiler refuses where exceptions are switched off: one in each marked line.
#include <heddle/heddle.hpp>

#include <chrono>

void use_them_all() {
    std::error_code code;
    char bytes[4] = {};
    heddle::fiber<> fiber;
    fiber.join();                                                  // refused
    heddle::this_fiber::sleep_for(std::chrono::seconds(1));        // refused
    heddle::this_fiber::sleep_until(heddle::deadline::never());    // refused
    heddle::this_fiber::check_cancelled();                         // refused
    heddle::wait_readable(0);                                      // refused
    heddle::wait_writable(0);                                      // refused
    heddle::read(0, bytes);                                        // refused
    heddle::write(0, bytes);                                       // refused
    heddle::write_all(0, bytes);                                   // refused
    const heddle::address made("127.0.0.1", 80);                   // refused
    const heddle::address at = heddle::address::parse("[::1]:1");  // refused
    heddle::tcp_listener listener(at);                             // refused
    listener.accept();                                             // refused
    static_cast<void>(listener.local_address());                   // refused
    heddle::tcp_stream stream = heddle::tcp_stream::connect(at);   // refused
    stream = heddle::tcp_stream::connect("127.0.0.1", 80);         // refused
    stream.read(bytes);                                            // refused
    stream.read_exactly(bytes);                                    // refused
    stream.write(bytes);                                           // refused
    stream.write_all(bytes);                                       // refused
    stream.shutdown_write();                                       // refused
    static_cast<void>(stream.local_address());                     // refused
    static_cast<void>(stream.remote_address());                    // refused
    stream.set_no_delay(true);                                     // refused
    heddle::signal_set signals{1};                                 // refused
    signals.wait();                                                // refused
    stream.read(bytes, code);
    signals.wait(code);
    fiber.join(code);
}
