// SPDX-License-Identifier: MIT
/// The result of one task.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <penstock/detail/record.hpp>

namespace penstock {
inline namespace v0 {

namespace detail {

/// A T that may be missing; nothing at all for void.
template <class T>
struct kept {
    std::optional<T> value;
};
template <>
struct kept<void> {};

}  // namespace detail

/// A future that is already finished: a value or an exception, with the position of its task in the producer. It owns
/// both, and may outlive stream and executor.
///
/// Threads: as any value. Cost: the value, and some 40 bytes.
template <class T, class In = void>
class completed {
public:
    /// Moves the value out, or throws the task's exception. Never waits. The value can be had once.
    T get() {
        if (error_) std::rethrow_exception(error_);
        if constexpr (!std::is_void_v<T>) return *std::move(result_.value);
    }
    bool has_value() const noexcept { return error_ == nullptr; }
    /// The task's exception; null if it gave a value.
    std::exception_ptr error() const noexcept { return error_; }
    /// The task's position in the producer, from 0.
    std::size_t index() const noexcept { return index_; }
    /// What the result belongs to. Throws std::logic_error if putting the element into the stream threw: then there is
    /// none.
    std::add_lvalue_reference_t<const In> input() const
        requires(!std::is_void_v<In>)
    {
        if (!input_.value) {
            throw std::logic_error("penstock: task " + std::to_string(index_) +
                                   " has no input: moving it into the stream threw");
        }
        return *input_.value;
    }
    /// From the task's start to its end; zero unless options::measure.
    std::chrono::nanoseconds elapsed() const noexcept { return elapsed_; }
    /// How often the task was run.
    unsigned attempts() const noexcept { return 1; }

    /// Moves a finished record's content out. A value whose move throws becomes that exception.
    explicit completed(detail::result_record<T, In>& from) noexcept : index_(from.index), elapsed_(from.elapsed) {
        if (from.failed()) {
            error_ = std::move(from.error.get());
        } else if constexpr (!std::is_void_v<T>) {
            take([&] { result_.value.emplace(std::move(from.result.get())); });
        }
        if constexpr (!std::is_void_v<In>) {
            if (from.holds_element) take([&] { input_.value.emplace(std::move(from.input.get())); });
        }
    }

private:
    template <class Move>
    void take(Move move) noexcept {
        try {
            move();
        } catch (...) {
            if (!error_) error_ = std::current_exception();
        }
    }

    [[no_unique_address]] detail::kept<T> result_;
    std::exception_ptr error_;
    std::size_t index_;
    std::chrono::nanoseconds elapsed_;
    [[no_unique_address]] detail::kept<In> input_;
};

}  // namespace v0
}  // namespace penstock
