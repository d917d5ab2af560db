#include "runtime/core/fiber_exceptions.hpp"

#include "runtime/base/text.hpp"
#include "runtime/core/dump.hpp"
#include "runtime/core/worker.hpp"

#include <heddle/detail/fiber_access.hpp>
#include <heddle/error.hpp>

#include <unistd.h>

#include <mutex>
#include <system_error>
#include <typeinfo>
#include <utility>

namespace heddle::detail {

namespace {

std::mutex handler_lock;
unsigned handler_users = 0;
std::terminate_handler previous_handler = nullptr;

void name_fiber_and_terminate() {
    describe_current_fiber(STDERR_FILENO);
    if (previous_handler != nullptr) {
        previous_handler();
    }
    std::abort();
}

}  // namespace

terminate_names_fiber::terminate_names_fiber() noexcept {
    const std::lock_guard guard(handler_lock);
    if (handler_users++ == 0) {
        previous_handler = std::set_terminate(name_fiber_and_terminate);
    }
}

terminate_names_fiber::~terminate_names_fiber() {
    const std::lock_guard guard(handler_lock);
    if (--handler_users == 0 && std::get_terminate() == name_fiber_and_terminate) {
        std::set_terminate(previous_handler);
    }
}

bool is_cancelled(const std::exception_ptr& exception) noexcept {
#ifdef __GLIBCXX__
    // Without throwing it once more, which takes a microsecond. One that is derived from it takes
    // the long way.
    if (const std::type_info* const type = exception.__cxa_exception_type();
        type != nullptr && *type == typeid(cancelled)) {
        return true;
    }
#endif
    try {
        std::rethrow_exception(exception);
    } catch (const cancelled&) {
        return true;
    } catch (...) {
        return false;
    }
}

void terminate_for(const cold_block& cold, const std::exception_ptr& exception,
                   const char* what) noexcept {
    text_line line;
    line << "heddle: " << what << ": fiber " << cold.id;
    if (cold.named) {
        line << " \"" << cold.name << "\"";
    }
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& error) {
        line << ": " << error.what();
    } catch (...) {
        line << ", not a std::exception";
    }
    line.write_to(STDERR_FILENO);
    std::terminate();
}

void terminate_unthrowable_fiber() noexcept {
    terminate_for(*current_worker->current().cold, std::current_exception(),
                  "an exception left the function of a fiber, which was compiled with "
                  "-fno-exceptions");
}

std::exception_ptr take_end_exception(cold_block& cold) noexcept {
    if (std::exchange(cold.closure_left, false)) {
        cold.body(body_step::drop_closure, cold.storage);
    }
    cold.threw = false;
    return std::exchange(end_exception(cold), nullptr);
}

bool ended_by_exception(const fiber_block* block) noexcept {
    return block->cold->threw;
}

std::exception_ptr take_exception(fiber_block* block) noexcept {
    return take_end_exception(*block->cold);
}

void rethrow_from_fiber(std::exception_ptr exception) {
    if (is_cancelled(exception)) {
        throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                                "heddle::fiber::join: the fiber was stopped");
    }
    std::rethrow_exception(std::move(exception));
}

std::error_code error_code_or_rethrow(std::exception_ptr exception) {
    if (is_cancelled(exception)) {
        return std::make_error_code(std::errc::operation_canceled);
    }
    try {
        std::rethrow_exception(std::move(exception));
    } catch (const std::system_error& error) {
        return error.code();
    }
}

std::error_code error_code_or_terminate(std::exception_ptr exception) noexcept {
    return error_code_or_rethrow(std::move(exception));
}

}  // namespace heddle::detail
