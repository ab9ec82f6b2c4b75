// SPDX-License-Identifier: MIT
//
// share_attach - a region from C++: RAII around the handle, a type around the content.
//
//     $ share_attach
//     two members see 42
//
#include <atomic>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <verso.h>

struct Left {
    void operator()(verso_share *share) const { verso_share_close(share); }
};

// A region whose content is one T: made by the first, attached by the others, refused when it is laid out otherwise.
template <class T>
class Shared {
public:
    explicit Shared(const std::string &name)
    {
        verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
        verso_share *share = nullptr;

        options.layout = VERSO_SHARE_LAYOUT(T, 1);
        if (verso_share_open(name.c_str(), sizeof(T), &options, &share) != 0) {
            char message[512];

            verso_error_message(message, sizeof(message));
            throw std::runtime_error(message);
        }
        share_.reset(share);
    }
    T *operator->() const { return static_cast<T *>(verso_share_data(share_.get())); }

private:
    std::unique_ptr<verso_share, Left> share_;
};

struct Number {
    std::atomic<int> value;
};

int main()
{
    try {
        const std::string name = "example-cpp-" + std::to_string(getpid());
        Shared<Number> one(name), other(name);

        one->value = 42;
        std::printf("two members see %d\n", other->value.load());
        return other->value == 42 ? 0 : 1;
    } catch (const std::exception &trouble) {
        std::fprintf(stderr, "share_attach: %s\n", trouble.what());
        return 2;
    }
}
