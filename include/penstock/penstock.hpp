// SPDX-License-Identifier: MIT
/// All of penstock, in the order in which a task passes through it.
#pragma once

// clang-format off
#include <penstock/version.hpp>
#include <penstock/errors.hpp>
#include <penstock/options.hpp>
#include <penstock/job.hpp>
#include <penstock/task.hpp>
#include <penstock/completion_source.hpp>
#include <penstock/any_job.hpp>
#include <penstock/producer.hpp>
#include <penstock/feed.hpp>
#include <penstock/gate.hpp>
#include <penstock/observer.hpp>
#include <penstock/executor.hpp>
#include <penstock/completed.hpp>
#include <penstock/completion_stream.hpp>
#include <penstock/as_completed.hpp>
#include <penstock/collect.hpp>
// clang-format on
