// SPDX-License-Identifier: MIT
#include "help.hpp"

#include <penstock/version.hpp>

namespace penstock::cli {

const std::string_view program_version = "penstock " PENSTOCK_VERSION "\n";

const std::string_view program_help =
    R"(Usage: penstock COMMAND [OPTION]...
Bounded work in flight, results as they are ready.

Commands:
  digest       print or check SHA-256 checksums of files and folders

  --help       display this help and exit
  --version    output version information and exit

'penstock COMMAND --help' tells more about a command; 'man penstock' tells where
all of it is described.
)";

const std::string_view digest_help =
    R"(Usage: penstock digest [OPTION]... [PATH]...
  or:  penstock digest -c [OPTION]... [LIST]...
Print or check SHA-256 checksums, several files at a time.

A PATH may be a file or a folder; of a folder, every regular file below it is
read. With no PATH, or when PATH is -, read standard input. Lines, messages and
exit statuses are those of sha256sum.

What is read:
  --files0-from=F  read the PATHs from file F, where a NUL ends each;
                   if F is -, from standard input
  -L, --follow     follow symbolic links below a folder, too

How it is printed:
  -b, --binary     mark files as read in binary mode
  -t, --text       mark files as read in text mode (default)
  --tag            create a BSD-style checksum
  -z, --zero       end each line with NUL, not newline, and escape no names
  --unordered      print each line as soon as it is known, folders in directory
                   order; the default is the order of the PATHs and, in a
                   folder, that of the names, bytewise

  -c, --check      read checksums from the LISTs and check them
These are useful only with --check:
  --ignore-missing  don't fail or report status for missing files
  --quiet          don't print OK for each successfully verified file
  --status         don't output anything, status code shows success
  --strict         exit non-zero for improperly formatted checksum lines
  -w, --warn       warn about improperly formatted checksum lines

How it is done:
  -j, --workers=N  threads that read and hash, from 1 to 256 (default: twice
                   the usable cores, and 4)
  --limit=N        files in flight at once, at least 1 (default: 32 per worker)
  --buffer=N       results that may wait for their turn to be printed
                   (default: 4 times the limit; with --unordered, the limit)
  --progress       show progress on standard error, even if it is no terminal
  --no-progress    show none (default: on a terminal, until all is done)
  --verbose        where progress is shown, say also what it is bound by: names,
                   workers (-j), limit (--limit), buffer (--buffer), order
                   (--unordered), descriptors (ulimit -n), or nothing

  --help           display this help and exit
  --version        output version information and exit

Exit status:
  0    everything was read, and with --check everything was as listed
  1    something could not be read, was changed meanwhile, or was not as listed;
       or the command line makes no sense
  130  ended early by SIGINT; what was in flight has been printed
  143  the same by SIGTERM
)";

}  // namespace penstock::cli
