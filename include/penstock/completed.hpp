// SPDX-License-Identifier: MIT
/// The result of one task.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <penstock/detail/record.hpp>
#include <penstock/errors.hpp>

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

/// The error of a task that was delivered while it still ran. It carries the input, which they share: such results are
/// few, and the others need no room for it.
template <class In>
struct timed_out_with_input final : timed_out {
    explicit timed_out_with_input(std::shared_ptr<const In> shared) noexcept : input(std::move(shared)) {}
    std::shared_ptr<const In> input;
};

/// The input that such an error carries, for as long as the error lives; null if there is none.
template <class In>
const In* input_in(const std::exception_ptr& error) noexcept {
    try {
        if (error) std::rethrow_exception(error);
    } catch (const timed_out_with_input<In>& found) {
        return found.input.get();
    } catch (...) {
    }
    return nullptr;
}

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
    /// What the result belongs to; of a task that was timed out, the object that it may still be reading. Throws
    /// std::logic_error if putting the element into the stream threw: then there is none. Cost: nothing; of a task that
    /// was timed out about a microsecond.
    std::add_lvalue_reference_t<const In> input() const
        requires(!std::is_void_v<In>)
    {
        if (input_.value) return *input_.value;
        const auto* shared = detail::input_in<In>(error_);
        if (!shared) {
            throw std::logic_error("penstock: task " + std::to_string(index_) +
                                   " has no input: moving it into the stream threw");
        }
        return *shared;
    }
    /// From the task's start to its end, in its last attempt; zero unless options::measure.
    std::chrono::nanoseconds elapsed() const noexcept { return elapsed_; }
    /// How often the task was run: 1 unless options::retry ran it again.
    unsigned attempts() const noexcept { return attempts_; }

    /// Moves a finished record's content out, and its input from where that is: null if there is none. A value whose
    /// move throws becomes that exception.
    completed(detail::result_record<T, In>& from, unsigned attempts, std::add_pointer_t<In> input) noexcept
        : index_(from.index), elapsed_(from.elapsed), attempts_(attempts) {
        if (from.failed()) {
            error_ = std::move(from.error.get());
        } else if constexpr (!std::is_void_v<T>) {
            take([&] { result_.value.emplace(std::move(from.result.get())); });
        }
        if constexpr (!std::is_void_v<In>) {
            if (input) take([&] { input_.value.emplace(std::move(*input)); });
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
    unsigned attempts_;
    [[no_unique_address]] detail::kept<In> input_;
};

}  // namespace v0
}  // namespace penstock
