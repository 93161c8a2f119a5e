// SPDX-License-Identifier: MIT
#include "sha256.hpp"

#include "descriptor.hpp"

#include <cstddef>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>

namespace penstock::cli {
namespace {

void require(bool succeeded) {
    if (!succeeded) {
        throw std::runtime_error("SHA-256 is not available from OpenSSL");
    }
}

/// Fetched once: looking it up costs more than hashing a small file. Never freed: threads may use it to the end.
const EVP_MD* algorithm() {
    static const EVP_MD* const fetched = ::EVP_MD_fetch(nullptr, "SHA256", nullptr);
    require(fetched != nullptr);
    return fetched;
}

struct free_context {
    void operator()(EVP_MD_CTX* context) const noexcept { ::EVP_MD_CTX_free(context); }
};

/// What a thread needs for one file after the other. Per thread and not per worker: the consumer may run tasks, too.
struct hasher {
    static constexpr std::size_t buffer_size = 128 * 1024;

    std::unique_ptr<EVP_MD_CTX, free_context> context{::EVP_MD_CTX_new()};
    std::unique_ptr<unsigned char[]> buffer = std::make_unique_for_overwrite<unsigned char[]>(buffer_size);
};

}  // namespace

sha256_value sha256_of_descriptor(int number) {
    thread_local const hasher scratch;
    EVP_MD_CTX* const context = scratch.context.get();
    unsigned char* const buffer = scratch.buffer.get();

    require(context != nullptr && ::EVP_DigestInit_ex2(context, algorithm(), nullptr) == 1);
    // Until a read returns nothing: a read may be short, and the size that stat() tells is 0 for files of /proc.
    for (;;) {
        const auto got = retry_on_signal([&] { return ::read(number, buffer, hasher::buffer_size); });
        if (got < 0) {
            throw_errno(errno);
        }
        if (got == 0) {
            break;
        }
        require(::EVP_DigestUpdate(context, buffer, static_cast<std::size_t>(got)) == 1);
    }
    sha256_value value;
    require(::EVP_DigestFinal_ex(context, value.data(), nullptr) == 1);
    return value;
}

}  // namespace penstock::cli
