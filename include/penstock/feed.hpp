// SPDX-License-Identifier: MIT
/// A producer that is pushed into, by the stream's own tasks above all: a crawler that finds more links.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <penstock/detail/feed_core.hpp>
#include <penstock/producer.hpp>

namespace penstock {
inline namespace v0 {

/// What is pushed becomes a task, or the input of one, in the order of the pushes:
///
///     penstock::feed<url> links;
///     links.push(start);
///     for (auto& page : penstock::as_completed(ex, links, fetch, 100)) {      // fetch may push, too
///         for (url& link : links_of(page.get())) links.push(std::move(link));
///     }
///
/// It ends when it has been closed and is empty; or when the consumer asks for a result (next(), try_next(),
/// async_next(), the loop) while the feed is empty and nothing of its stream is in flight or ready. So neither a task
/// that pushes before it ends is too late, nor a consumer that pushes before it asks for the next result; other threads
/// must see to it themselves that something is under way, and learn from push() whether they were in time. What was
/// accepted is delivered. An empty feed that nobody has pushed into ends at the first question: push the seed first.
///
/// A feed serves one stream in its life, and must outlive it; a second one throws std::logic_error. After the stream
/// has been stopped, has failed fast or is gone, push() returns false; what was accepted and not pulled by then is
/// destroyed with the feed. It is passed as an lvalue.
///
/// Threads: any, for push() and close(). Waiting for a push holds no thread. Cost: one allocation for each item.
/// Memory: what has been pushed and not pulled, which nothing bounds but those who push.
template <class In>
class feed {
    static_assert(std::is_object_v<In> && std::same_as<In, std::remove_cv_t<In>> && std::move_constructible<In>,
                  "penstock: a feed carries objects that can be moved");

public:
    feed() = default;
    feed(const feed&) = delete;
    feed& operator=(const feed&) = delete;
    /// Destroys what was not pulled.
    ~feed() {
        core_.close();
        while (pop()) {
        }
    }

    /// False: the feed has ended or was closed, or its stream was stopped, and the item is not delivered. Does not
    /// wait. Throws std::bad_alloc, and what moving the item throws; then nothing has been pushed.
    bool push(In item) {
        auto carrier = std::make_unique<node>(std::move(item));
        if (!core_.push(*carrier)) return false;
        static_cast<void>(carrier.release());  // the feed's
        return true;
    }

    /// Nothing more will come: the stream ends when what was pushed has been delivered. Once is enough.
    void close() { core_.close(); }

private:
    template <class In_>
    friend class detail::feed_puller;

    struct node : detail::feed_link {
        explicit node(In&& pushed) : item(std::move(pushed)) {}
        In item;
    };

    std::unique_ptr<node> pop() noexcept { return std::unique_ptr<node>(static_cast<node*>(core_.pop())); }

    detail::feed_core core_;
};

namespace detail {

/// Pulls from a feed. The stream asks only when something is there.
template <class In>
class feed_puller {
public:
    using element = In;
    static constexpr bool wants_token = false;

    explicit feed_puller(feed<In>& source) noexcept : source_(source) {}

    feed_core* fed() const noexcept { return &source_.core_; }

    template <class Put>
    bool pull(const std::stop_token&, Put put) {
        const auto carrier = source_.pop();
        if (!carrier) return false;
        put(std::move(carrier->item));
        return true;
    }

private:
    feed<In>& source_;
};

template <class In>
struct puller_of<feed<In>&> {
    using type = feed_puller<In>;
};
template <class In>
struct puller_of<feed<In>> {
    static_assert(!std::is_object_v<In>, "penstock: a feed is passed as an lvalue: it must outlive the stream");
};

}  // namespace detail
}  // namespace v0
}  // namespace penstock
