"""What computes: medians, ratios, verdicts, and what other tools print. No I/O, see bench_test.py."""
import re
import statistics

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Target:
    """One line of the table: a metric of Amargo against a bound, or against a peer's same metric times a factor."""

    def __init__(self, metric, relation, bound, of=None, unit="", note=""):
        assert relation in (">=", "<=")
        self.metric, self.relation, self.bound, self.of, self.unit, self.note = metric, relation, bound, of, unit, note

    def judge(self, values, own="amargo"):
        """The number that counts and whether it will do; (None, None) when something was not measured.

        Against a peer it is the median of the rounds' ratios: what disturbs a whole round is in both halves of its ratio.
        """
        mine = values.get(own, {}).get(self.metric)
        if not mine:
            return None, None
        number = statistics.median(mine)
        if self.of:
            theirs = values.get(self.of, {}).get(self.metric)
            if not theirs or len(theirs) != len(mine) or 0 in theirs:
                return None, None
            number = statistics.median(one / other for one, other in zip(mine, theirs))
        return number, number >= self.bound if self.relation == ">=" else number <= self.bound

    def __str__(self):
        return f"{self.relation} {self.bound:g}{'x' if self.of else (' ' + self.unit).rstrip()}"


def medians(values):
    """{peer: {metric: [value of each round]}} to {peer: {metric: median}}."""
    return {peer: {metric: statistics.median(numbers) for metric, numbers in metrics.items() if numbers}
            for peer, metrics in values.items()}


def percentile(numbers, share):
    """The smallest number that at least `share` of all are not above."""
    ordered = sorted(numbers)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


class WrkFailed(Exception):
    """wrk saw answers that must not be measured, or said what nobody understands."""


def parse_wrk(text):
    """What `wrk --latency` printed: requests/s, requests, and in seconds p50, p99 and max."""
    errors = re.search(r"(Non-2xx or 3xx responses: \d+|Socket errors: .*)", text)
    if errors:
        raise WrkFailed(f"wrk: {errors.group(1)}")
    total = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    most = re.search(r"Latency\s+\S+\s+\S+\s+(\S+)", text)
    shares = dict(re.findall(r"^\s+(50|99)%\s+(\S+)\s*$", text, re.MULTILINE))
    if not (total and rate and most and len(shares) == 2) or total.group(1) == "0":
        raise WrkFailed(f"wrk has said nothing to measure: {' '.join(text.split())[:300]}")
    return {"requests/s": float(rate.group(1)), "requests": int(total.group(1)),
            "p50": seconds(shares["50"]), "p99": seconds(shares["99"]), "max": seconds(most.group(1))}


def seconds(text):
    """'1.50ms' to 0.0015."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text)
    if not match:
        raise WrkFailed(f"wrk: {text!r} is no time")
    return float(match.group(1)) * _UNITS[match.group(2)]


def parse_syncs(text, store):
    """What `strace -f -y` printed of calls that sync, by what is synced: {"data", "folders", "journal": how often}."""
    counts = {"data": 0, "folders": 0, "journal": 0}
    for path in re.findall(r"\b(?:fsync|fdatasync|sync_file_range|syncfs)\(\d+<([^>]*)>", text):
        name = path.removesuffix(" (deleted)").removeprefix(store).split("/")
        if name[1:2] == ["spool"] and len(name) == 3 or name[1:2] == ["blobs"] and len(name) == 5:
            counts["data"] += 1
        elif name[-1].startswith("journal.jsonl"):
            counts["journal"] += 1
        else:
            counts["folders"] += 1  # and the layouts' small files
    counts["data"] += len(re.findall(r"\bsync\(\)", text))
    return counts


def shown(number):
    """A number for people: three digits that matter, thousands apart."""
    if number is None:
        return "-"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"
