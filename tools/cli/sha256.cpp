// SPDX-License-Identifier: MIT
#include "sha256.hpp"

#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace penstock::cli {
namespace {

/// Fetched once: looking it up costs more than hashing a small file. Never freed: threads may use it to the end.
const EVP_MD* algorithm = nullptr;

/// The algorithm is there: what can still fail is for lack of memory.
void require(bool succeeded) {
    if (!succeeded) {
        throw std::bad_alloc();
    }
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

void prepare_sha256() {
    // Not the machine's configuration: what it may leave out is what this program is for.
    ::OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    algorithm = ::EVP_MD_fetch(nullptr, "SHA256", nullptr);
    if (algorithm == nullptr) {
        throw std::runtime_error("SHA-256 is not available from OpenSSL");
    }
}

sha256_value sha256_of(const byte_source& source) {
    thread_local const hasher scratch;
    EVP_MD_CTX* const context = scratch.context.get();
    const std::span buffer(scratch.buffer.get(), hasher::buffer_size);

    require(context != nullptr && ::EVP_DigestInit_ex2(context, algorithm, nullptr) == 1);
    while (const std::size_t got = source(buffer)) {
        require(::EVP_DigestUpdate(context, buffer.data(), got) == 1);
    }
    sha256_value value;
    require(::EVP_DigestFinal_ex(context, value.data(), nullptr) == 1);
    return value;
}

}  // namespace penstock::cli
