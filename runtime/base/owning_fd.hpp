// A file descriptor that closes itself.
#pragma once

#include "runtime/base/system.hpp"

#include <utility>

namespace heddle::detail {

/// Owns at most one descriptor; -1 means none.
class owning_fd {
public:
    owning_fd() noexcept = default;
    explicit owning_fd(int fd) noexcept : fd_(fd) {}
    owning_fd(owning_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    owning_fd& operator=(owning_fd&& other) noexcept {
        owning_fd(std::move(other)).swap(*this);
        return *this;
    }
    ~owning_fd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void swap(owning_fd& other) noexcept { std::swap(fd_, other.fd_); }
    void reset() noexcept {
        if (fd_ >= 0) {
            sys::close(std::exchange(fd_, -1));
        }
    }

private:
    int fd_ = -1;
};

}  // namespace heddle::detail
