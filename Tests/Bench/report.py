"""What a run says: progress on standard error, a Markdown table, a JSON file."""
import datetime
import json
import os
import platform
import sys

from figures import medians, shown
from servers import TITLES


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Outcome:
    """One row with all its numbers, or the reason why there are none."""

    def __init__(self, row):
        self.row, self.error = row, None
        self.values = {}

    def note(self, peer, numbers):
        for metric, number in numbers.items():
            self.values.setdefault(peer, {}).setdefault(metric, []).append(number)

    def verdicts(self):
        """[(target, number that counts or None, verdict)]."""
        found = []
        for target in self.row.targets:
            number, is_reached = (None, None) if self.error else target.judge(self.values)
            found.append((target, number, {True: "reached", False: "missed", None: "not measured"}[is_reached]))
        return found

    def document(self):
        return {
            "name": self.row.name, "title": self.row.title, "error": self.error, "values": self.values,
            "medians": medians(self.values),
            "targets": [{"metric": target.metric, "relation": target.relation, "bound": target.bound, "of": target.of,
                         "number": number, "verdict": verdict} for target, number, verdict in self.verdicts()]}


def machine():
    model = platform.machine()
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) // 1024
    return {"cores": os.cpu_count(), "cpu": model, "kernel": platform.release(), "memory MiB": memory,
            "load": list(os.getloadavg())}


def document(outcomes, versions, rounds, is_quick, began):
    return {
        "format": 1, "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": began, "versions": versions, "rounds": rounds, "quick": is_quick,
        "rows": [outcome.document() for outcome in outcomes]}


def table(found):
    """The Markdown table of a document."""
    lines = ["| row | metric | Amargo | beside | ratio | to reach | |", "|---|---|---:|---:|---:|---|---|"]
    for row in found["rows"]:
        title = row["title"]
        for target in row["targets"]:
            peer, metric = target["of"], target["metric"]
            mine = row["medians"].get("amargo", {}).get(metric)
            theirs = f"{TITLES[peer]} {shown(row['medians'].get(peer, {}).get(metric))}" if peer else ""
            ratio = f"{shown(target['number'])}x" if peer and target["number"] is not None else ""
            wanted = f"{target['relation']} {target['bound']:g}{'x' if peer else ''}"
            lines.append(f"| {title} | {metric} | {shown(mine)} | {theirs} | {ratio} | {wanted} | {target['verdict']} |")
            title = ""
        if row["error"]:
            lines.append(f"| | not measured: {row['error'].replace('|', '/')} | | | | | |")
    return "\n".join(lines)


def text(found):
    """The whole page: where it was measured, the table, and all medians."""
    on, parts = found["machine"], []
    parts.append(f"{found['at']}: {on['cores']} cores of {on['cpu']}, Linux {on['kernel']}, loopback, all files in the page cache; "
                 f"medians of {found['rounds']} interleaved rounds{', quick' if found['quick'] else ''}; "
                 "ratios are medians of the rounds' ratios. " + "; ".join(found["versions"].values()) + ".")
    parts.append(table(found))
    lines = ["| row | server | medians |", "|---|---|---|"]
    for row in found["rows"]:
        for peer, metrics in row["medians"].items():
            numbers = ", ".join(f"{shown(number)} {metric}" for metric, number in metrics.items())
            lines.append(f"| {row['name']} | {TITLES[peer]} | {numbers} |")
    parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def comparison(old, new):
    """A Markdown table of Amargo's medians before and now, of the rows that both have."""
    lines = ["| row | metric | before | now | now/before |", "|---|---|---:|---:|---:|"]
    if old.get("quick") != new.get("quick"):
        lines = ["One of the two runs was quick: what depends on the amount of content cannot be compared.", "", *lines]
    before = {row["name"]: row["medians"].get("amargo", {}) for row in old["rows"]}
    for row in new["rows"]:
        for metric, number in row["medians"].get("amargo", {}).items():
            other = before.get(row["name"], {}).get(metric)
            if other:
                lines.append(f"| {row['name']} | {metric} | {shown(other)} | {shown(number)} | {shown(number / other)}x |")
    return "\n".join(lines) + "\n"


def write(folder, found):
    """Returns the path without its ending."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "bench-" + found["at"][:19].replace(":", "").replace("-", ""))
    with open(path + ".json", "w") as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    with open(path + ".md", "w") as file:
        file.write(text(found))
    return path
