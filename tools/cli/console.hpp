// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace penstock::cli {

/// stdout can not take what it must be given: there is no point in going on. Not a std::exception, so that nobody who
/// catches those takes it for the failure of one file.
struct output_error {
    int error;
};

/// To be called before anything opens a descriptor or starts a thread.
///
/// Occupies descriptors 0, 1 and 2 where the caller left them closed, so that no file opened later becomes stdin or
/// stdout by accident. Using one that was closed still fails, also by a name like /dev/stdin. Blocks SIGPIPE, so that a
/// closed pipe leaves time to take the status line away.
void prepare_console();

/// Whether the caller left stdin closed.
bool stdin_was_closed();

/// Writes all of `text` to stdout, now. Throws output_error. If nobody reads it any more, does as end_without_reader().
/// Threads: any.
void write_output(std::string_view text);

/// Takes the status line away and ends the process by SIGPIPE. Returns if that is ignored. Threads: any.
void end_without_reader();

/// Closes stdout: some file systems tell only then that what was written could not be kept. Throws output_error. To be
/// called once, at the end.
void close_output();

/// Writes "penstock: MESSAGE" and a newline to stderr. A failure is ignored, as there is nobody left to tell; but a
/// closed pipe ends the process, as it ends others. Threads: any. Allocates nothing.
void complain(std::string_view message);

/// The same, as the last word: no status line is shown from now on.
void complain_of_output(const output_error& failure);

/// Whether stderr is a terminal that can redraw a line.
bool can_redraw();

/// Puts a line without a newline at the end of what the terminal on stderr shows, in place of the one before. It makes
/// room for anything that the functions above write, and then is gone until it is shown again. Not drawn while the
/// process is in the background, or stdout has left the terminal in the middle of a line. Threads: any.
void show_status(std::string_view text);

/// Takes the line away. Threads: any.
void erase_status();

/// Writes `text` and a newline to stderr, in place of the status line; on a terminal, only in the foreground. Threads:
/// any.
void write_last_status(std::string_view text);

}  // namespace penstock::cli
