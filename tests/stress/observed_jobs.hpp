// SPDX-License-Identifier: MIT
/// The tasks of a random stream, and the producers that give them.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "stress/observer.hpp"

namespace stress {

struct task_error : std::runtime_error {
    explicit task_error(std::size_t at) : std::runtime_error("task " + std::to_string(at)), index(at) {}
    std::size_t index;
    tracked life;
};
struct source_error : std::runtime_error {
    source_error() : std::runtime_error("the source") {}
    tracked life;
};

/// What a task gives: move-only, with the payload on the heap, or inside.
class product {
public:
    product(std::uint64_t seed, std::size_t at, bool outside, fuse moves)
        : index(at), seed_(seed), moves_(moves), inside_(outside ? 0 : seed),
          outside_(outside ? std::make_unique<payload>(seed) : nullptr) {}
    product(product&& other)
        : index(other.index), seed_(other.seed_), moves_(other.moves_), inside_(other.inside_),
          outside_(std::move(other.outside_)) {
        other.life_.must_live("moved");
        if (moves_.burns()) throw task_error(index);
    }
    product& operator=(product&&) = delete;

    bool intact() const noexcept {
        life_.must_live("looked at");
        return outside_ ? outside_->intact(seed_) : inside_.intact(seed_);
    }
    const std::size_t index;

private:
    std::uint64_t seed_;
    fuse moves_;
    payload inside_;
    std::unique_ptr<payload> outside_;
    tracked life_;
};

void run_nested_stream(observer& within, std::size_t index, penstock::executor& ex);

inline void spin(std::chrono::nanoseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
    }
}

/// What a producer gives: to be run itself, or the input of a function that runs it.
class job {
public:
    /// `moves`: how often it is moved before the library has it.
    job(observer& seen, penstock::executor& ex, std::size_t at, unsigned moves = 0)
        : index(at), seen_(&seen), ex_(&ex), moves_(seen.plan.fate_of(at) == fate::job_move_throws ? moves + 1 : 0),
          content_(seen.plan.luck(at, 5)) {}
    job(const job& other)
        : index(other.index), seen_(other.seen_), ex_(other.ex_), moves_(other.moves_), content_(other.content_),
          life_(other.life_) {
        moved();
    }
    job(job&& other)
        : index(other.index), seen_(other.seen_), ex_(other.ex_), moves_(other.moves_), content_(other.content_),
          life_(other.life_) {
        moved();
    }
    job& operator=(const job&) = delete;
    ~job() = default;

    product operator()() const {
        const observer::running section(*seen_, index);
        return run();
    }
    /// What a function that is a coroutine does with it.
    penstock::task<product> as_coroutine() const {
        const observer::living section(*seen_, index);
        for (unsigned turn = 0; turn < 8; ++turn) {
            const pause next = seen_->plan.pause_of(index, turn);
            if (next == pause::nothing) break;
            try {
                co_await wait(next, turn);
            } catch (const penstock::stopped&) {
                if (!seen_->may_be_cut_short() && !seen_->stop_began && !seen_->leaving) {
                    seen_->violation("a wait was stopped, and nobody has asked for it");
                }
            }
            look();
        }
        co_return run_a_step();
    }
    /// What a function does with it that then returns a blocking job.
    void before_it_blocks() const {
        const observer::launching section(*seen_);
        life_.must_live("looked at");
        if (seen_->plan.function_nests(index)) run_nested_stream(*seen_, index, *ex_);
        if (!seen_->plan.function_throws(index)) return;
        seen_->ended_uncalled();
        throw task_error(index);
    }
    bool intact() const noexcept {
        life_.must_live("looked at");
        return content_.intact(seen_->plan.luck(index, 5));
    }

    const std::size_t index;

private:
    product run() const {
        const stream_plan& plan = seen_->plan;
        life_.must_live("run");
        if (!content_.intact(plan.luck(index, 5))) seen_->violation("I13: a task's content is torn");
        if (index == plan.stop_at && seen_->stop_in_task) seen_->stop_in_task();
        work();
        const fate will = plan.fate_of(index);
        if (will == fate::throws) throw task_error(index);
        return product(plan.luck(index, 6), index, plan.luck(index, 7) % 2 == 0,
                       fuse(will == fate::result_move_throws ? 1 : 0));
    }
    product run_a_step() const {
        const observer::step here(*seen_);
        return run();
    }
    void look() const {
        const observer::step here(*seen_);
        life_.must_live("resumed");
    }
    static std::uint64_t blocks_for(std::uint64_t amount) {
        std::this_thread::sleep_for(std::chrono::nanoseconds(amount % 200'000));
        return amount;
    }
    static penstock::task<std::uint64_t> below(std::uint64_t depth) {
        const tracked frame;
        if (depth == 0) {
            co_await penstock::yield();
            co_return 0;
        }
        const std::uint64_t rest = co_await below(depth - 1);
        co_return rest + 1;
    }
    penstock::task<> throwing() const {
        const tracked frame;
        co_await penstock::yield();
        throw task_error(index);
    }
    penstock::task<> wait(pause what, unsigned turn) const {
        const tracked frame;
        const std::uint64_t amount = seen_->plan.luck(index, 30 + turn);
        std::uint64_t came = amount;
        switch (what) {
        case pause::nothing:
            break;
        case pause::yields:
            co_await penstock::yield();
            break;
        case pause::sleeps:
            co_await penstock::sleep_for(std::chrono::nanoseconds(amount % 300'000));
            break;
        case pause::blocks:
            came = co_await penstock::run_blocking(&job::blocks_for, amount);
            break;
        case pause::is_completed: {
            const auto source = std::make_shared<penstock::completion_source<std::uint64_t>>();
            ex_->post([source, amount] { source->set_value(amount); });
            came = co_await source->wait();
            break;
        }
        case pause::awaits_a_task: {
            const std::uint64_t depth = co_await below(amount % 50);
            if (depth != amount % 50) came = ~amount;
            break;
        }
        case pause::throws_and_catches: {
            came = ~amount;
            try {
                co_await throwing();
            } catch (const task_error& error) {
                if (error.index == index) came = amount;
            }
            break;
        }
        }
        if (came != amount) seen_->violation("a coroutine waited for something, and got something else");
    }
    void moved() {
        if (!moves_.burns()) return;
        seen_->ended_uncalled();
        throw task_error(index);
    }
    void work() const {
        const std::uint64_t amount = seen_->plan.luck(index, 8);
        switch (seen_->plan.kind_of(index)) {
        case task_kind::empty:
            break;
        case task_kind::spins:
            if (seen_->plan.blocking && amount % 2 == 0) {
                std::this_thread::sleep_for(std::chrono::nanoseconds(amount % 300'000));
            } else {
                spin(std::chrono::nanoseconds(amount % 50'000));
            }
            break;
        case task_kind::long_one:
            spin(std::chrono::microseconds(200 + amount % 2000));
            break;
        case task_kind::yields:
            std::this_thread::yield();
            break;
        case task_kind::nests:
            run_nested_stream(*seen_, index, *ex_);
            break;
        case task_kind::posts:
            seen_->posted.fetch_add(1);
            ex_->post([seen = seen_] { seen->posted_ran.fetch_add(1); });
            break;
        }
    }

    observer* seen_;
    penstock::executor* ex_;
    fuse moves_;
    payload content_;
    tracked life_;
};

/// What every producer that is code does when it is asked for item `index`.
class source_code {
public:
    source_code(observer& seen, penstock::executor& ex) : seen_(&seen), ex_(&ex) {}

    /// Whether there is an item.
    bool ask(std::size_t index, const std::stop_token& token = {}) const {
        const stream_plan& plan = seen_->plan;
        if (plan.slow_source && plan.luck(index, 9) % 8 == 0)
            spin(std::chrono::nanoseconds(plan.luck(index, 10) % 100'000));
        if (index == plan.source_blocks_at) wait_for_the_consumer(index, token);
        if (index == plan.source_throws_at) {
            seen_->source_threw = true;
            throw source_error();
        }
        if (index < plan.n) {
            seen_->pulls.fetch_add(1);
            return true;
        }
        seen_->source_said_end = true;
        return false;
    }
    /// Made in place: a job that throws when it is moved must not do so in here.
    template <class Item>
    Item make(std::size_t index, unsigned moves = 0) const {
        if constexpr (std::is_same_v<Item, job>) {
            return job(*seen_, *ex_, index, moves);
        } else {
            return Item{job(*seen_, *ex_, index, moves)};
        }
    }
    observer& seen() const { return *seen_; }

private:
    /// C3, C12: everything before this item is run and taken while a thread is in here. A consumer that helps may
    /// itself be that thread: then there is nobody to take anything.
    void wait_for_the_consumer(std::size_t index, const std::stop_token& token) const {
        while (seen_->delivered < index && seen_->consumer_thread != std::this_thread::get_id() && !seen_->leaving &&
               !token.stop_requested()) {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }
    observer* seen_;
    penstock::executor* ex_;
};

template <class Item>
struct callable_source {
    source_code code;
    std::size_t index = 0;

    std::optional<Item> operator()() {
        const observer::pulling section(code.seen());
        const std::size_t at = index++;
        if (!code.ask(at)) return std::nullopt;
        return std::optional<Item>(code.make<Item>(at, 1));
    }
};
template <class Item>
struct callable_source_with_token {
    source_code code;
    std::size_t index = 0;

    std::optional<Item> operator()(std::stop_token token) {
        const observer::pulling section(code.seen());
        const std::size_t at = index++;
        if (!code.ask(at, token)) return std::nullopt;
        return std::optional<Item>(code.make<Item>(at, 1));
    }
};

/// What such a producer gives.
template <class Source>
using item_of = penstock::producer_element_t<Source>;

/// Calls `use` with the plan's producer.
template <class Item, class Use>
void with_source_of(observer& seen, penstock::executor& ex, Use use) {
    const source_code code(seen, ex);
    const stream_plan& plan = seen.plan;
    const auto vector = [&] {
        std::vector<Item> jobs;
        jobs.reserve(plan.n);
        for (std::size_t at = 0; at < plan.n; ++at) jobs.push_back(code.make<Item>(at, 1));
        return jobs;
    };
    // The end of this view is not asked for through the code.
    const auto view = [&] {
        return std::views::iota(std::size_t(0), plan.n) | std::views::transform([code](std::size_t at) {
                   const observer::pulling section(code.seen());
                   code.ask(at);
                   return code.make<Item>(at);
               });
    };
    switch (plan.source) {
    case source_kind::vector_lvalue: {
        auto jobs = vector();
        return use(jobs);
    }
    case source_kind::vector_rvalue:
        return use(vector());
    case source_kind::view_lvalue: {
        auto jobs = view();
        return use(jobs);
    }
    case source_kind::view_rvalue:
        return use(view());
    case source_kind::callable_lvalue: {
        callable_source<Item> jobs{code};
        return use(jobs);
    }
    case source_kind::callable_rvalue:
        return use(callable_source<Item>{code});
    case source_kind::callable_with_token:
        return use(callable_source_with_token<Item>{code});
    }
}
template <class Use>
void with_source(observer& seen, penstock::executor& ex, Use use) {
    if (seen.plan.blocking && !seen.plan.with_inputs) {
        with_source_of<penstock::blocking_job<job>>(seen, ex, use);
    } else {
        with_source_of<job>(seen, ex, use);
    }
}

}  // namespace stress
