# SPDX-License-Identifier: MIT
"""The comparison's tables tell what its runs say: medians, ratios, where penstock loses, what went wrong, who is missing."""
import csv
import math
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

from build_under_test import SOURCE

sys.path.insert(0, str(SOURCE / "benchmarks" / "compare"))

import arguments
import contenders
import data_file
import ideal
import labels
import machine
import measure
import noise
import plots
import report
import runs
import summary
import table
import workloads

POINTS = (workloads.Point("1 in flight", 1, "short_tasks", {"in_flight": 1}),
          workloads.Point("4 in flight", 4, "short_tasks", {"in_flight": 4}))
WORKLOAD = workloads.Workload("w1", "empty_tasks", "Empty tasks", "What is done.", POINTS)


def made_up(contender, number, nanoseconds, point="1 in flight", status=runs.RIGHT, tasks=1000, **more):
    values = {"cpu_seconds": 2e-9 * nanoseconds * tasks, "peak_kib": 5000.0, "empty_kib": 3000.0, "voluntary_switches": 20,
              "involuntary_switches": 1, "tasks_by_thread": [500, 300, 200], **more}
    return runs.Run("w1", point, contender, number, status, tasks, nanoseconds * tasks / 1e9, **values)


def three(contender, *nanoseconds, **more):
    return [made_up(contender, number, each, **more) for number, each in enumerate(nanoseconds, 1)]


def every_run():
    broken = [made_up("broken", 1, 90), made_up("broken", 2, 90, status="wrong result")]
    return [*three("penstock", 100, 120, 110), *three("slower", 220, 230, 210), *three("faster", 55, 54, 56),
            *three("about as fast", 105, 119, 104), *broken, *three(contenders.IDEAL, 11, 10, 12)]


def fields(text, name):
    line = next(line for line in text.splitlines() if line.strip("| *").startswith(name))
    return [field.strip() for field in line.strip("|").split("|")]


class Rows(unittest.TestCase):
    def setUp(self):
        self.rows = {row.contender: row for row in summary.rows_of(every_run(), "1 in flight", 11.0)}

    def test_a_row_has_the_median_and_the_spread(self):
        self.assertEqual(self.rows["penstock"].runs, 3)
        self.assertAlmostEqual(self.rows["penstock"].nanoseconds.median, 110)
        self.assertAlmostEqual(self.rows["penstock"].nanoseconds.least, 100)
        self.assertAlmostEqual(self.rows["penstock"].nanoseconds.most, 120)

    def test_the_median_of_an_even_number_lies_between_the_middle_two(self):
        self.assertEqual(summary.Spread.of([1, 2, 4, 100]).median, 3)

    def test_ratios_are_to_penstock_and_to_the_ideal(self):
        self.assertAlmostEqual(self.rows["slower"].ratio, 2)
        self.assertAlmostEqual(self.rows["slower"].of_ideal, 20)
        self.assertFalse(self.rows["slower"].loses)

    def test_where_penstock_loses_the_row_says_so(self):
        self.assertAlmostEqual(self.rows["faster"].ratio, 0.5)
        self.assertEqual(self.rows["faster"].notes, ["**penstock loses**"])
        self.assertEqual(self.rows["about as fast"].notes, ["**penstock loses** (within the spread)"])

    def test_peaks_are_compared_at_the_largest_number_of_tasks(self):
        large = [made_up("penstock", 1, 100, "4 in flight"), made_up("slower", 1, 100, "4 in flight", peak_kib=4000.0)]
        rows, peaks = summary.memory_rows(measure.Measured(WORKLOAD, every_run() + large))
        found = {row.contender: row for row in rows}
        self.assertAlmostEqual(found["slower"].ratio, 0.5)
        self.assertEqual(found["slower"].notes, ["**penstock loses**"])
        self.assertEqual(peaks["slower"]["1 in flight"].median, 2000)
        self.assertEqual(found["broken"].notes, ["**wrong result**"])
        self.assertNotIn("broken", peaks)

    def test_the_ideal_does_not_win(self):
        self.assertFalse(self.rows[contenders.IDEAL].loses)

    def test_a_wrong_result_takes_the_place_of_the_numbers(self):
        self.assertEqual(self.rows["broken"].status, "wrong result")
        self.assertFalse(self.rows["broken"].nanoseconds.known)
        self.assertFalse(self.rows["broken"].loses)

    def test_other_columns_are_for_so_many_tasks(self):
        row = self.rows["slower"]
        self.assertAlmostEqual(row.cpu, 0.44)
        self.assertAlmostEqual(row.memory_kib, 2000)
        self.assertAlmostEqual(row.voluntary, 20)
        self.assertEqual(row.shares, "50 / 30 / 20")

    def test_many_threads_are_summed_up(self):
        self.assertEqual(summary.share_text([0, *[1] * 1000]), "0 / 1,000 others, 0.1 to 0.1")
        self.assertEqual(summary.share_text([]), "")

    def test_without_penstock_there_are_no_ratios(self):
        row, = summary.rows_of(three("slower", 1, 2, 3), "1 in flight")
        self.assertTrue(math.isnan(row.ratio))

    def test_a_latency_is_compared_at_each_share(self):
        late = {"p50": 100, "p99": 1000}
        rows = summary.rows_of([made_up("penstock", 1, 100, latency_ns=late),
                                made_up("other", 1, 100, latency_ns={"p50": 50, "p99": 4000})], "1 in flight")
        self.assertEqual(rows[1].latency_ratios, {"p50": 0.5, "p99": 4})
        self.assertEqual(rows[1].notes, ["**penstock loses at p50**"])
        self.assertIn("**0.50**", table.latencies(rows))


class Text(unittest.TestCase):
    def setUp(self):
        noisy = noise.Noise(0.5, cores=2)
        measured = measure.Measured(WORKLOAD, every_run(), {"1 in flight": 11.0}, 3, ["something else"], noisy)
        missing = ["Go: Go is not installed"]
        self.text = report.write([("CPU", "made up")], missing, [measured], {"w1": "cost.svg"}, "compare")

    def test_a_line_tells_median_spread_and_ratios(self):
        self.assertEqual(fields(self.text, "slower"), ["slower", "220", "210 – 230", "2.00", "20.0", "0.440", "2.0 MiB",
                                                       "20.0 + 1.00", "50 / 30 / 20", "3", ""])

    def test_a_losing_line_is_marked(self):
        line = fields(self.text, "faster")
        self.assertEqual((line[3], line[-1]), ("**0.50**", "**penstock loses**"))
        self.assertIn("- empty_tasks, 1 in flight: **faster** (0.50), **about as fast** (0.95, within the spread)", self.text)

    def test_a_wrong_result_is_told(self):
        self.assertEqual(fields(self.text, "broken"), ["broken", *["–"] * 8, "1", "**wrong result**"])
        self.assertIn("- empty_tasks, 1 in flight: **broken**: wrong result", self.text)

    def test_who_is_missing_and_what_was_noisy_is_told(self):
        self.assertIn("- Go: Go is not installed", self.text)
        self.assertIn("- empty_tasks: other processes kept 0.50 cores busy", self.text)
        self.assertIn("something else.", self.text)

    def test_all_lines_of_a_table_have_as_many_fields(self):
        for block in self.text.split("\n\n"):
            if block.startswith("| "):
                self.assertEqual(len({line.count("|") for line in block.splitlines()}), 1, block)

    def test_an_overview_has_a_line_for_each_contender_and_marks_what_beats_penstock(self):
        one = [summary.Row("penstock", 3, nanoseconds=summary.Spread(10, 9, 11)),
               summary.Row("faster", 3, nanoseconds=summary.Spread(5, 4, 6), loses=True)]
        other = [summary.Row("penstock", 3, nanoseconds=summary.Spread(20, 19, 21)), summary.Row("other", 1)]
        lines = table.overview([("1", one), ("2", other)]).splitlines()
        self.assertEqual(lines, ["| ns per task | 1 | 2 |", "| --- | ---: | ---: |", "| **penstock** | 10.0 | 20.0 |",
                                 "| faster | **5.00** | – |", "| other | – | – |"])

    def test_numbers_have_three_digits(self):
        found = [table.number(value) for value in (0, 0.00056, 0.5, 1.5, 15.25, 154, 1234567, math.nan)]
        self.assertEqual(found, ["0", "0.00056", "0.500", "1.50", "15.2", "154", "1,234,567", "–"])


class Data(unittest.TestCase):
    def test_every_run_is_a_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "data.csv"
            data = data_file.DataFile(path)
            for run in [*every_run(), runs.Run("w1", "a, b", "hung", 1, "timed out after 1 s", 10)]:
                data.add(run)
            data.close()
            with open(path, newline="") as file:
                lines = list(csv.DictReader(file))
        self.assertEqual(len(lines), len(every_run()) + 1)
        self.assertEqual(lines[0]["contender"], "penstock")
        self.assertAlmostEqual(float(lines[0]["ns_per_task"]), 100)
        self.assertEqual([line["status"] for line in lines if line["contender"] == "broken"], ["right", "wrong result"])
        self.assertEqual((lines[-1]["point"], lines[-1]["seconds"], lines[-1]["tasks"]), ("a, b", "", "10"))


class Arguments(unittest.TestCase):
    def test_workloads_have_two_names_and_an_order(self):
        chosen = arguments.parse(["latency", "W1", "w1"]).chosen
        self.assertEqual([each.key for each in chosen], ["w1", "w10"])

    def test_without_a_name_all_are_run(self):
        self.assertEqual(len(arguments.parse([]).chosen), len(workloads.all_workloads()))

    def test_an_unknown_workload_is_refused_with_those_that_are_known(self):
        with self.assertRaisesRegex(arguments.Refused, "no such workload: w77.*w1 or empty_tasks.*w9 or digest"):
            arguments.parse(["w1", "w77"])

    def test_a_number_of_rounds_is_at_least_one(self):
        for wrong in ("0", "-1", "some"):
            with self.assertRaises(arguments.Refused):
                arguments.parse(["--rounds", wrong])

    def test_the_command_says_what_is_wrong_before_it_builds(self):
        result = subprocess.run([SOURCE / "tools/compare.sh", "w77"], capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertRegex(result.stderr, "^tools/compare.sh: no such workload: w77")


class Programs(unittest.TestCase):
    """Contenders that do what they should not."""

    def run_of(self, script, timeout=20):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            one = contenders.Contender("one", (str(program),), frozenset(), 100)
            return runs.run_once("w1", POINTS[0], one, {"tasks": 10}, 1, timeout)

    def test_a_right_result_is_read(self):
        run = self.run_of("""echo '{"seconds": 0.5, "peak_kib": 200, "right": true}'""")
        self.assertEqual((run.status, run.seconds, run.nanoseconds, run.settings), ("right", 0.5, 5e7, "short_tasks tasks=10"))

    def test_a_wrong_result_is_told_from_a_failure(self):
        self.assertEqual(self.run_of("""echo '{"seconds": 0.5, "right": false}'; exit 1""").status, "wrong result")
        self.assertEqual(self.run_of("echo no memory >&2; exit 3").status, "failed, exit status 3: no memory")
        self.assertEqual(self.run_of("echo done").status, "failed, exit status 0: it printed no result")

    def test_a_crash_and_a_timeout_are_told(self):
        self.assertEqual(self.run_of("kill -SEGV $$").status, "crashed: SIGSEGV")
        self.assertEqual(self.run_of("sleep 100", 0.2).status, "timed out after 0.2 s")

    def test_a_list_gives_names_and_workloads(self):
        self.assertEqual(contenders.parse_list("a::b: short_tasks mixed\nasyncio: sleeping\n"),
                         {"a::b": {"short_tasks", "mixed"}, "asyncio": {"sleeping"}})

    def test_the_number_of_tasks_fits_the_time_of_a_run(self):
        def costing(nanoseconds):
            return lambda tasks: made_up("one", 0, nanoseconds, tasks=tasks)
        tasks, failed = runs.find_tasks(costing(30), 8, 0.12)
        self.assertIsNone(failed)
        self.assertAlmostEqual(tasks, 4_000_000, delta=400_000)
        self.assertEqual(runs.find_tasks(costing(1e9), 128, 0.12)[0], 128)


class Computed(unittest.TestCase):
    def test_the_ideal_is_bound_by_what_is_scarce(self):
        common = {"threads": 2, "tasks": 1000, "in_flight": 100}
        self.assertEqual(ideal.ideal_nanoseconds("short_tasks", {**common, "turns": 1000}, 1.5), 750)
        self.assertEqual(ideal.ideal_nanoseconds("slow_consumer", {**common, "turns": 100, "sink_turns": 500}, 1.0), 500)
        self.assertEqual(ideal.ideal_nanoseconds("sleeping", {**common, "milliseconds": 1000}, 1.0), 1e7)
        self.assertEqual(ideal.ideal_nanoseconds("heavy_tailed", {**common, "turns": 10}, 2.0, 50_000), 100)
        self.assertAlmostEqual(
            ideal.ideal_nanoseconds("mixed", {**common, "turns": 10, "milliseconds": 1, "blocking_every": 10}, 1.0), 1000.09)

    def test_names_at_the_ends_of_lines_do_not_touch(self):
        placed = labels.spread_out([0.5, 0.51, 0.0, 0.99, 1.0, 0.505], 0.05)
        ordered = sorted(placed)
        self.assertTrue(all(b - a > 0.05 - 1e-9 for a, b in zip(ordered, ordered[1:])), placed)
        self.assertTrue(0 <= ordered[0] and ordered[-1] <= 1)
        self.assertLess(placed[0], placed[5])
        self.assertLess(placed[5], placed[1])

    def test_a_plot_has_a_line_for_each_that_was_right(self):
        more = [made_up(run.contender, run.round, 50, "4 in flight") for run in every_run() if run.contender == "slower"]
        plot = plots.cost_plot(measure.Measured(WORKLOAD, every_run() + more))
        found = {line.name: len(line.points) for line in plot.lines}
        self.assertEqual(found, {"penstock": 1, "slower": 2, "faster": 1, "about as fast": 1})
        self.assertIn('"slower"', plots.script(plot, "cost.svg"))

    def test_the_machine_is_described(self):
        described = dict(machine.describe(pathlib.Path("/nowhere")))
        self.assertEqual(described["compiler"], "not known")
        self.assertIn("usable", described["cores"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
