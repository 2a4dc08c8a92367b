"""Small charts in one SVG: a figure each over the number of blobs. No I/O, see bench_test.py."""
import math

_WIDTH, _HEIGHT = 330, 210  # of one chart
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 34, 34
_CHARTS = (("start to /ready, s", (("ready", ""),)), ("resident memory, MiB", (("memory", ""),)),
           ("hit, ms", (("recent p50", "p50"), ("recent p99", "p99, 1,000 manifests"), ("any p99", "p99, any"))),
           ("eviction of a blob, µs", (("eviction", ""),)))
_COLOURS = ("#2563eb", "#d97706", "#7c3aed")
_STYLE = """<style>
text { font: 11px system-ui, sans-serif; fill: #444 } .title { font-weight: 600; font-size: 12px }
.axis { stroke: #999 } .grid { stroke: #ddd } rect { fill: #fff }
@media (prefers-color-scheme: dark) { text { fill: #ccc } .grid { stroke: #333 } rect { fill: #111 } }
</style>"""


def step(most):
    """A distance of grid lines: 1, 2 or 5 times a power of ten, at most five of them up to `most`."""
    least = most / 5
    power = 10 ** math.floor(math.log10(least))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= least * (1 - 1e-9))


def charts(rows):
    """Rows of `{"blobs": …, figure: …}`, ascending; blobs on a logarithmic axis, figures from zero."""
    across = 2
    down = -(-len(_CHARTS) // across)
    size = f'width="{across * _WIDTH}" height="{down * _HEIGHT}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {across * _WIDTH} {down * _HEIGHT}" role="img" '
             f'aria-label="How start, memory, hits and evictions grow with the number of blobs">', _STYLE, f"<rect {size}/>"]
    for number, (title, figures) in enumerate(_CHARTS):
        x, y = number % across * _WIDTH, number // across * _HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_chart(title, figures, rows), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _chart(title, figures, rows):
    first, last = math.log10(rows[0]["blobs"]), math.log10(rows[-1]["blobs"])
    most = max(row[name] for row in rows for name, _ in figures) or 1
    each = step(most)
    top = each * math.ceil(most / each - 1e-9)

    def across(blobs):
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * ((math.log10(blobs) - first) / (last - first) if last > first else 0.5)

    def up(number):
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * number / top

    yield f'<text class="title" x="{_LEFT}" y="18">{title}</text>'
    for number in range(round(top / each) + 1):
        y = up(number * each)
        yield f'<line class="{"grid" if number else "axis"}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number * each:.4g}</text>'
    for power in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1):
        label = {3: "1 k", 4: "10 k", 5: "100 k", 6: "1 M"}.get(power, f"{10 ** power:,}")
        yield f'<text x="{across(10 ** power):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{label}</text>'
    for place, (name, label) in enumerate(figures):
        colour = _COLOURS[place]
        points = " ".join(f"{across(row['blobs']):.1f},{up(row[name]):.1f}" for row in rows)
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'
        if label:
            yield f'<text x="{_LEFT + 8}" y="{_TOP + 12 + 14 * place}" style="fill: {colour}">{label}</text>'
