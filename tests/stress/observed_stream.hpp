// SPDX-License-Identifier: MIT
/// Runs one random stream from beginning to end, and checks what its consumer can see.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "stress/bystander.hpp"
#include "stress/observed_jobs.hpp"
#include "stress/stream_checks.hpp"

namespace stress {

struct consumer_throws : std::exception {};

class stream_run {
public:
    stream_run(observer& seen, penstock::executor& ex)
        : seen_(seen), plan_(seen.plan), ex_(ex), random_(mixed(seen.plan.seed, 77)) {}

    void run() {
        if (plan_.stop == stop_kind::before_start) request_by_token(seen_);
        if (plan_.stop == stop_kind::token_in_task) seen_.stop_in_task = [this] { request_by_token(seen_); };
        if (plan_.stop == stop_kind::method_in_task) seen_.stop_in_task = [this] { door_.request_stop(seen_); };
        // Threads cost more than most of the streams: every stream that needs one, and some others.
        if (!plan_.nested && (plan_.stop == stop_kind::token || plan_.stop == stop_kind::method || random_.one_in(4))) {
            bystander_.emplace(seen_, door_);
        }
        with_source(seen_, ex_, [this]<class Source>(Source&& source) {
            penstock::options settings;
            settings.limit = plan_.limit;
            settings.buffer = plan_.buffer;
            settings.order = plan_.order;
            settings.on_error = plan_.on_error;
            settings.help = plan_.help;
            settings.measure = plan_.measure;
            settings.stop = seen_.stop.get_token();
            const auto now = std::chrono::steady_clock::now();
            if (plan_.deadline_us != never) {
                settings.deadline = now + std::chrono::microseconds(plan_.deadline_us);
                checks_.must_end_before(*settings.deadline);
            }
            try {
                if constexpr (!penstock::cpu_job<item_of<Source>>) {
                    drive(penstock::as_completed(ex_, std::forward<Source>(source), settings));
                } else if (!plan_.with_inputs) {
                    drive(penstock::as_completed(ex_, std::forward<Source>(source), settings));
                } else if (plan_.blocking) {
                    const auto function = [](const job& input) {
                        input.before_it_blocks();
                        return penstock::blocking([&input] { return input(); });
                    };
                    drive(penstock::as_completed(ex_, std::forward<Source>(source), function, settings));
                } else if (plan_.coroutines) {
                    const auto function = [](const job& input) { return input.as_coroutine(); };
                    drive(penstock::as_completed(ex_, std::forward<Source>(source), function, settings));
                } else {
                    const auto function = [](const job& input) { return input(); };
                    drive(penstock::as_completed(ex_, std::forward<Source>(source), function, settings));
                }
            } catch (const consumer_throws&) {
            }
            seen_.stream_is_gone();
        });
        bystander_.reset();  // until here it may stop the stream, or what is left of it
    }

private:
    /// Destroyed before the stream, which is made by the caller.
    struct closing {
        stream_run& run;
        ~closing() {
            run.door_.close();
            run.seen_.leaving = true;
            // Nothing of the consumer's is waited for by a thread that it leaves behind.
            run.seen_.answered(false);
        }
    };

    template <class Stream>
    void drive(Stream stream) {
        const closing at_exit{*this};
        door_.open(stream);
        if (plan_.consumer == consumer_kind::destroy_at_once) return;
        if (!consume(stream)) {
            finish(stream);
        } else if (plan_.leave == leave_kind::throws) {
            throw consumer_throws();
        } else if (plan_.leave == leave_kind::drops_elsewhere || plan_.leave == leave_kind::goes_on_elsewhere) {
            go_elsewhere(stream);
        }
    }

    template <class Stream>
    void go_elsewhere(Stream& stream) {
        if (plan_.leave == leave_kind::drops_elsewhere) seen_.leaving = true;
        std::optional<Stream> moved;
        door_.while_closed([&] { moved.emplace(std::move(stream)); });
        door_.open(*moved);
        const auto there = [&] {
            seen_.consumer_thread = std::this_thread::get_id();
            left_ = true;
            if (plan_.leave == leave_kind::goes_on_elsewhere && !consume(*moved)) finish(*moved);
            door_.close();
            moved.reset();
        };
        // A stream of a task's is not taken to a thread that is not in the task: there, nobody would help it (C7).
        if (plan_.nested) {
            there();
        } else {
            std::thread(there).join();
        }
    }

    /// Takes results until the end (false) or until it is time to leave (true).
    template <class Stream>
    bool consume(Stream& stream) {
        try {
            if (plan_.consumer == consumer_kind::range_for && !left_) return consume_range(stream);
            for (;;) {
                if (time_to_leave()) return true;
                auto done = ask(stream);
                if (done) {
                    got(*done, stream);
                } else if (stream.done()) {
                    end_ = ending::quiet;
                    return false;
                } else {
                    std::this_thread::yield();
                }
            }
        } catch (const penstock::stopped&) {
            end_ = ending::stopped;
        } catch (const penstock::timed_out&) {
            end_ = ending::timed_out;
        } catch (const source_error&) {
            end_ = ending::source_error;
        } catch (const task_error& error) {
            end_ = ending::task_error;
            ended_by_ = error.index;
        }
        seen_.answered(false);
        return false;
    }

    template <class Stream>
    bool consume_range(Stream& stream) {
        if (time_to_leave()) return true;
        seen_.about_to_ask(may_help());
        for (auto& done : stream) {
            seen_.answered(true);
            got(done, stream);
            if (time_to_leave()) {
                // Only here can it leave in the loop's body.
                if (plan_.leave == leave_kind::throws) throw consumer_throws();
                return true;
            }
            seen_.about_to_ask(may_help());
        }
        seen_.answered(false);
        end_ = ending::quiet;
        return false;
    }

    template <class Stream>
    auto ask(Stream& stream) -> decltype(stream.next()) {
        const consumer_kind kind =
            plan_.consumer == consumer_kind::mixed
                ? random_.one_of({consumer_kind::next, consumer_kind::polling, consumer_kind::next_for})
                : plan_.consumer;
        const bool next = kind == consumer_kind::next || kind == consumer_kind::range_for;
        seen_.about_to_ask(next ? may_help() : kind == consumer_kind::next_for && plan_.nested);
        auto done = kind == consumer_kind::polling    ? stream.try_next()
                    : kind == consumer_kind::next_for ? stream.next_for(std::chrono::microseconds(random_.below(300)))
                                                      : stream.next();
        seen_.answered(done.has_value());
        return done;
    }

    bool may_help() const { return plan_.nested || (plan_.help && !checks_.has_deadline()); }
    bool time_to_leave() const {
        return plan_.leave != leave_kind::stays && !left_ && seen_.delivered >= plan_.leave_at;
    }

    template <class Done, class Stream>
    void got(Done& done, Stream& stream) {
        const std::size_t index = done.index();
        checks_.check_order(index);
        const bool keep = random_.one_in(200);
        checks_.check_result(done, index, !keep && !random_.one_in(8));  // not every user asks for the value
        if (random_.one_in(64)) checks_.check_window(stream);
        if (plan_.slow_consumer && random_.one_in(16)) spin(std::chrono::nanoseconds(random_.below(200'000)));
        if (plan_.stop == stop_kind::method_by_consumer && seen_.delivered >= plan_.stop_at) stop_here(stream);
        if (keep) {
            auto kept = std::make_shared<Done>(std::move(done));
            seen_.keep([this_index = index, kept, &seen = seen_] {
                if (kept->index() != this_index) seen.violation("a kept result has changed");
                if (kept->has_value() && !kept->get().intact()) seen.violation("I13: a kept result is torn");
            });
        }
    }

    template <class Stream>
    void stop_here(Stream& stream) {
        seen_.stop_requested();
        stream.request_stop();
        seen_.stop_has_returned();
    }

    template <class Stream>
    void finish(Stream& stream) {
        if (!stream.done()) seen_.violation("C5: the stream is over, and done() denies it");
        if (stream.next() || stream.try_next()) seen_.violation("C5: a result after the end");
        if (end_ != ending::quiet && end_ != ending::source_error) wait_for_stragglers(stream);
        const penstock::stream_stats stats = stream.stats();
        if (!checks_.settled(stats) && !left_to_the_destructor()) {
            seen_.violation("I3: pulled " + std::to_string(stats.pulled) + ", taken " + std::to_string(stats.taken) +
                            ", dropped " + std::to_string(stats.dropped) + ", running " +
                            std::to_string(stats.running) + ", ready " + std::to_string(stats.ready) +
                            ", the source gave " + std::to_string(seen_.pulls));
        }
        checks_.check_counters(stats, end_);
        checks_.check_ending(stats, end_, ended_by_);
    }

    /// What was pulled and not started when the deadline came is dropped by whoever has it in hand; in a task that may
    /// be the consumer itself.
    bool left_to_the_destructor() const { return end_ == ending::timed_out && plan_.nested; }

    /// Cut short: a thread may still be in the producer, and past the deadline tasks may run. What they come to is
    /// dropped.
    template <class Stream>
    void wait_for_stragglers(Stream& stream) {
        seen_.leaving = true;
        while (!left_to_the_destructor() && !checks_.settled(stream.stats())) std::this_thread::yield();
    }

    observer& seen_;
    const stream_plan& plan_;
    penstock::executor& ex_;
    random_numbers random_;
    stream_door door_;
    stream_checks checks_{seen_};
    std::size_t ended_by_ = never;
    bool left_ = false;
    ending end_ = ending::open;
    std::optional<bystander> bystander_;
};

inline void run_nested_stream(observer& within, std::size_t index, penstock::executor& ex) {
    const stream_plan& outer = within.plan;
    stream_plan plan = random_plan(outer.luck(index, 11), outer.workers, outer.threads, false, outer.depth - 1, true);
    stream_run(within.child(plan), ex).run();
}

}  // namespace stress
