// SPDX-License-Identifier: MIT
/// What waits for a thread of the executor.
#pragma once

#include <chrono>
#include <exception>

#include <penstock/detail/export.hpp>
#include <penstock/detail/record.hpp>

namespace penstock::inline v0::detail {

struct ticket;

/// Whose ticket it is: what a lane must know of a stream.
class ticket_owner {
public:
    /// Under the blocking lane's mutex: whether a ticket of its own is not to be served any more; whether a thread that
    /// waits for this stream inside a task may serve the ticket, its own or another's.
    virtual bool gives_up(const ticket& waiting) const noexcept = 0;
    virtual bool may_run(const ticket& ready) const noexcept = 0;
    /// Something of its own is ready and no thread may be coming for it: wakes those who wait for it inside a task. Not
    /// under the CPU lane's mutex, or under it.
    virtual void rouse_nested() noexcept = 0;
    virtual void rouse_nested_locked() noexcept = 0;

protected:
    ~ticket_owner() = default;
};

/// Something that a thread can run: a pump, a posted task, a blocking job. Its links are its own, so becoming ready can
/// not fail.
struct ticket {
    union {
        ticket* before = nullptr;
        std::chrono::steady_clock::rep until;  ///< while the timers have it, and not a ready list: for when
    };
    ticket* behind = nullptr;
    bool queued = false;  ///< in a ready list

    /// On a thread of the lane, without a lock. The ticket may be gone when it returns.
    virtual void serve() noexcept = 0;
    /// Instead of serve(), by a thread that could not make another: there is none for it.
    virtual void refuse(std::exception_ptr) noexcept {}
    /// The stream that this is a part of, if any.
    virtual ticket_owner* owner() const noexcept { return nullptr; }

    /// Which of the kinds that belong to a stream it is.
    enum class kind { pump, record, frame, puller, alarm };
    virtual ticket::kind what() const noexcept { return kind::pump; }

protected:
    ~ticket() = default;
};

class stream_engine;

/// Carries a record's job to the blocking lane. Part of the record.
struct PENSTOCK_EXPORT blocking_ticket final : ticket {
    void serve() noexcept override;
    void refuse(std::exception_ptr why) noexcept override;
    ticket_owner* owner() const noexcept override;
    ticket::kind what() const noexcept override { return kind::record; }

    stream_engine* engine = nullptr;
    record* carried = nullptr;
};

}  // namespace penstock::inline v0::detail
