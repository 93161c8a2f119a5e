// SPDX-License-Identifier: MIT
/// Inputs that outlive their tasks' results, or the other way round: of a stream whose tasks may time out.
#pragma once

#include <memory>
#include <unordered_map>

#include <penstock/detail/export.hpp>
#include <penstock/detail/record.hpp>
#include <penstock/detail/sync.hpp>

namespace penstock::inline v0::detail {

/// What a record would hold itself, were it not that a result may be delivered while its task still reads it.
///
/// Threads: any; of one record, its owner's. No input is destroyed under its mutex, which is an innermost one.
class PENSTOCK_EXPORT shared_inputs {
public:
    /// Once for each record, before all else. Throws std::bad_alloc.
    void expect(const record& made);
    void put(const record& of, std::shared_ptr<void> input) noexcept;
    std::shared_ptr<void> of(const record& task) const noexcept;
    void* get(const record& task) noexcept;
    void drop(const record& of) noexcept { put(of, nullptr); }

private:
    mutable sync::mutex mutex_;
    std::unordered_map<const record*, std::shared_ptr<void>> inputs_;
};

}  // namespace penstock::inline v0::detail
