#include <heddle/error.hpp>

#include <string>

namespace heddle {
inline namespace v1 {

namespace {

class category final : public std::error_category {
public:
    const char* name() const noexcept override { return "heddle"; }

    std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
        case errc::closed:
            return "closed";
        case errc::end_of_stream:
            return "end of stream";
        }
        return "unknown heddle error " + std::to_string(code);
    }
};

}  // namespace

const std::error_category& heddle_category() noexcept {
    static const category instance;
    return instance;
}

}  // namespace v1
}  // namespace heddle
