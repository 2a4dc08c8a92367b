"""Shows that the bench computes what it says: `python3 Tests/Bench/bench_test.py`."""
import unittest
from xml.etree import ElementTree

import figures
import plot
import report
from figures import Target, WrkFailed
from rows import Row

_WRK = """\
Running 2s test @ http://127.0.0.1:18080/v2/bench/app/blobs/sha256:00
  2 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.12ms    1.66ms  28.71ms   93.19%
    Req/Sec    22.21k     3.02k   29.37k    68.29%
  Latency Distribution
     50%  621.00us
     75%    1.11ms
     90%    2.45ms
     99%    8.38ms
  90639 requests in 2.05s, 212.47MB read
Requests/sec:  44213.66
Transfer/sec:    103.64MB
"""

_STRACE = """\
101 fdatasync(12</s/spool/4f6c-1> <unfinished ...>
102 fdatasync(13</s/journal.jsonl>) = 0
101 <... fdatasync resumed>)          = 0
101 fsync(14</s/blobs/sha256/9f>)     = 0
101 fdatasync(15</s/blobs/sha256/9f/9f86d081>) = 0
103 fsync(16</s/repositories/docker.io/library/nginx/_oci/.index.json.tmp>) = 0
+++ exited with 0 +++
"""


class FiguresTest(unittest.TestCase):
    def test_wrk(self):
        found = figures.parse_wrk(_WRK)
        self.assertEqual((found["requests/s"], found["requests"]), (44213.66, 90639))
        for name, seconds in (("p50", 0.000621), ("p99", 0.00838), ("max", 0.02871)):
            self.assertAlmostEqual(found[name], seconds)

    def test_wrk_that_saw_errors_is_not_measured(self):
        for line in ("  Non-2xx or 3xx responses: 17\n", "  Socket errors: connect 0, read 3, write 0, timeout 0\n"):
            with self.assertRaises(WrkFailed):
                figures.parse_wrk(_WRK.replace("Requests/sec", line + "Requests/sec"))
        for text in ("", "unable to connect", _WRK.replace("90639", "0"), _WRK.replace("8.38ms", "x")):
            with self.assertRaises(WrkFailed):
                figures.parse_wrk(text)

    def test_syncs(self):
        self.assertEqual(figures.parse_syncs(_STRACE, "/s"), {"data": 2, "folders": 2, "journal": 1})

    def test_percentile(self):
        self.assertEqual(figures.percentile(range(1, 101), 99), 99)
        self.assertEqual(figures.percentile([3, 1, 2], 50), 2)
        self.assertEqual(figures.percentile([7], 99), 7)

    def test_medians(self):
        self.assertEqual(figures.medians({"a": {"s": [3, 1, 2], "MB/s": [1, 2], "x": []}}), {"a": {"s": 2, "MB/s": 1.5}})


class TargetTest(unittest.TestCase):
    def test_against_a_peer_each_round_has_its_ratio(self):
        values = {"amargo": {"MB/s": [90, 50, 95]}, "nginx": {"MB/s": [100, 50, 100]}}
        self.assertEqual(Target("MB/s", ">=", 0.95, of="nginx").judge(values), (0.95, True))
        self.assertEqual(Target("MB/s", ">=", 0.96, of="nginx").judge(values), (0.95, False))

    def test_alone(self):
        self.assertEqual(Target("ms", "<=", 3).judge({"amargo": {"ms": [4, 2, 3]}}), (3, True))
        self.assertEqual(Target("ms", "<=", 3).judge({"amargo": {"ms": [4]}}), (4, False))

    def test_what_is_missing_is_no_verdict(self):
        for values in ({}, {"amargo": {"s": [1]}}, {"amargo": {"s": [1]}, "nginx": {"s": []}}, {"amargo": {"s": [1]}, "nginx": {"s": [0]}}):
            self.assertEqual(Target("s", "<=", 1, of="nginx").judge(values), (None, None))


class PlotTest(unittest.TestCase):
    def test_grid(self):
        for most, each in ((1, 0.2), (4.9, 1), (5, 1), (5.1, 2), (47, 10), (1_700, 500)):
            self.assertAlmostEqual(plot.step(most), each)

    def test_a_chart_is_well_formed_and_every_store_is_on_it(self):
        figures_ = {name: 1.0 for _, some in plot._CHARTS for name, _ in some}
        text = plot.charts([{"blobs": blobs, **figures_} for blobs in (1_000, 10_000, 100_000)])
        lines = ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}polyline")
        self.assertEqual([len(line.get("points").split()) for line in lines], [3] * 6)


class ReportTest(unittest.TestCase):
    def found(self, number, error=None):
        row = Row()
        row.name, row.title, row.peers, row.targets = "some", "some row", ("amargo", "nginx"), (Target("s", "<=", 0.5, of="nginx"),)
        outcome = report.Outcome(row)
        outcome.note("amargo", {"s": number})
        outcome.note("nginx", {"s": 4.0})
        outcome.error = error
        return {"rows": [outcome.document()]}

    def test_table(self):
        self.assertIn("| some row | s | 1 | nginx static 4 | 0.25x | <= 0.5x | reached |", report.table(self.found(1.0)))
        self.assertIn("| 0.75x | <= 0.5x | missed |", report.table(self.found(3.0)))

    def test_a_row_that_failed_reaches_nothing(self):
        text = report.table(self.found(1.0, "cut off"))
        self.assertIn("not measured: cut off", text)
        self.assertNotIn("reached", text)

    def test_comparison(self):
        self.assertIn("| some | s | 2 | 1 | 0.5x |", report.comparison(self.found(2.0), self.found(1.0)))


if __name__ == "__main__":
    unittest.main()
