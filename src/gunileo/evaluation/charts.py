"""Charts as inline SVG, coloured by the page's style: no library, no script.

Lengths are in the SVG's own units, which the page scales; colours come from the classes that ``STYLE`` defines.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gunileo.evaluation.metrics import Bin, Interval

STYLE = """
svg { display: block; width: 100%; height: auto; font-family: inherit; overflow: visible }
svg text { fill: var(--ink) } svg .soft { fill: var(--soft) }
.grid { stroke: var(--line); stroke-width: 1 } .even { stroke: var(--soft); stroke-dasharray: 3 3 }
.a { fill: var(--a); stroke: var(--a) } .b { fill: var(--b); stroke: var(--b) }
.hit { fill: var(--a) } .miss { fill: var(--bad) } .cell { fill: var(--line); fill-opacity: .28 }
.bar { fill: var(--a); fill-opacity: .75 } .gap { fill: var(--bad); fill-opacity: .3 }
.more { fill: var(--paper); fill-opacity: .5 } svg .lit { fill: var(--paper) } .count { fill: var(--line) }
.for { fill: var(--for) } .against { fill: var(--against) }
"""

_ELSE = "else"


def intervals(rows: Sequence[tuple[str, Sequence[tuple[float, Interval]]]], high: float, title: str) -> str:
    """A row each of shares with their intervals, as dots with whiskers, from 0 to ``high`` (1 = 100 %)."""
    label, width, step, top = 84, 250, 26, 16
    height = top + step * len(rows)
    scale = width / high
    parts = []
    for tick in range(5):
        share = high * tick / 4
        x = label + share * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height}"/>')
        parts.append(_text(x, 10, f"{100 * share:.0f} %", 'class="soft" text-anchor="middle"'))
    for number, (name, series) in enumerate(rows):
        y = top + step * (number + 0.5)
        parts.append(_text(label - 8, y + 3.5, name, 'text-anchor="end"'))
        for place, (value, (low, upper)) in enumerate(series):
            at = y + 8 * (place - (len(series) - 1) / 2)
            x, x1, x2 = (label + min(share, high) * scale for share in (value, low, upper))
            tip = f"<title>{escape(name)}: {100 * value:.1f} % ({100 * low:.1f}-{100 * upper:.1f})</title>"
            line = f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{at:.1f}" y2="{at:.1f}" stroke-width="2"/>'
            dot = f'<circle cx="{x:.1f}" cy="{at:.1f}" r="3.2" stroke="none"/>'
            parts.append(f'<g class="{"ab"[place]}">{tip}{line}{dot}</g>')
    return _svg(label + width + 16, height + 4, title, parts)


def matrix(labels: Sequence[str], counts: Sequence[Sequence[int]], title: str, metric: str) -> str:
    """Counts with a row for each label as said and a column as read, the last for all other readings.

    A cell is the darker the larger its share of the row. ``metric`` names the counts for whoever reads the page.
    """
    cell = 16
    longest = max(map(len, labels))
    left, top = 10 + 6 * longest, 10 + 6 * max(longest, len(_ELSE))
    parts = []
    for number, name in enumerate([*labels, _ELSE]):
        x, y = left + cell * (number + 0.5), top + cell * (number + 0.5)
        turned = longest >= 3 or number == len(labels)
        where = f'transform="translate({x + 3:.1f} {top - 5:.1f}) rotate(-90)"' if turned else 'text-anchor="middle"'
        parts.append(_text(0 if turned else x, 0 if turned else top - 5, name, where))
        if number < len(labels):
            parts.append(_text(left - 5, y + 3.5, name, 'text-anchor="end"'))
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            parts.append(_cell(left + cell * column, top + cell * row, cell, count, sum(line), row == column))
    size = (left + cell * (len(labels) + 1) + 4, top + cell * len(labels) + 4)
    widths = f"min-width:{1.2 * size[0]:.0f}px;max-width:{1.5 * size[0]:.0f}px"
    return _svg(*size, title, parts, f'data-metric="{escape(metric)}" style="{widths}"')


def _cell(x: float, y: float, size: float, count: int, total: int, hit: bool) -> str:
    box = f'x="{x + 0.5:.1f}" y="{y + 0.5:.1f}" width="{size - 1}" height="{size - 1}" rx="2"'
    if not count:
        return f'<rect class="cell" {box}/>'
    shade = 0.15 + 0.75 * count / total
    kind = "n lit" if shade > 0.6 else "n"
    number = _text(x + size / 2, y + size / 2 + 3, str(count), f'class="{kind}" text-anchor="middle" font-size="8"')
    return f'<rect class="{"hit" if hit else "miss"}" fill-opacity="{shade:.2f}" {box}/>{number}'


def reliability(bins: Sequence[Bin], title: str) -> str:
    """Share right by confidence, bars; what is missing or more than the confidence said; how many readings, below."""
    left, size, below = 34, 200, 34
    parts = []
    for tick in range(6):
        at = size * tick / 5
        parts.append(f'<line class="grid" x1="{left}" x2="{left + size}" y1="{8 + at:.1f}" y2="{8 + at:.1f}"/>')
        parts.append(_text(left - 5, 11.5 + at, f"{100 - 20 * tick} %", 'class="soft" text-anchor="end" font-size="9"'))
        parts.append(
            _text(left + at, size + below + 20, f"{20 * tick} %", 'class="soft" text-anchor="middle" font-size="9"')
        )
    most = max((one.count for one in bins), default=1)
    for one in bins:
        x, width = left + size * one.low, size * (one.high - one.low)
        right, sure = 8 + size * (1 - one.right), 8 + size * (1 - one.confidence)
        tip = f"{one.count} read with confidence {one.confidence:.3f}, {100 * one.right:.1f} % right"
        parts.append(
            f"<g><title>{tip}</title>"
            + _box("bar", x + 1, right, width - 2, 8 + size - right)
            + _box("gap" if sure < right else "more", x + 1, min(right, sure), width - 2, abs(right - sure))
            + _box("count", x + 1, size + below - 22 * one.count / most + 6, width - 2, 22 * one.count / most)
            + "</g>"
        )
    parts.append(f'<line class="even" x1="{left}" y1="{8 + size}" x2="{left + size}" y2="8"/>')
    parts.append(_text(left + size / 2, size + below + 33, "confidence", 'class="soft" text-anchor="middle"'))
    return _svg(left + size + 12, size + below + 38, title, parts)


def covered(
    pictures: Sequence[str],
    windows: Sequence[str],
    frames: Sequence[float],
    patches: Sequence[Sequence[Sequence[float]]],
    title: str,
) -> str:
    """Mouth crops (data URIs) under pieces tinted by how much they spoke for a word, with a bar for each window."""
    width, height, space, bars = 90.0, 60.0, 4, 30.0
    most = max(abs(value) for window in patches for row in window for value in row) or 1.0
    tallest = max(map(abs, frames)) or 1.0
    parts = []
    for number, picture in enumerate(pictures):
        x = number * (width + space)
        parts.append(f'<image href="{picture}" x="{x:.1f}" y="0" width="{width}" height="{height}"/>')
        for line, row in enumerate(patches[number]):
            for place, value in enumerate(row):
                step, rise = width / len(row), height / len(patches[number])
                shade = 0.75 * abs(value) / most
                tip = f"<title>{value:+.2f}</title>"
                box = f'x="{x + place * step:.1f}" y="{line * rise:.1f}" width="{step:.1f}" height="{rise:.1f}"'
                parts.append(f'<rect class="{_side(value)}" fill-opacity="{shade:.2f}" {box}>{tip}</rect>')
        length = bars * abs(frames[number]) / tallest
        start = height + 34 - (length if frames[number] > 0 else 0)
        parts.append(_box(_side(frames[number]), x + width / 4, start, width / 2, length))
        label = f"{windows[number]}  {frames[number]:+.1f}"
        parts.append(_text(x + width / 2, height + 34 + (bars if min(frames) < 0 else 0) + 14, label, _MIDDLE))
    total = len(pictures) * (width + space) - space
    parts.append(f'<line class="grid" x1="0" x2="{total:.1f}" y1="{height + 34}" y2="{height + 34}"/>')
    widths = f'style="min-width:{total:.0f}px;max-width:{1.7 * total:.0f}px"'
    return _svg(total, height + 54 + (bars if min(frames) < 0 else 0), title, parts, widths)


_MIDDLE = 'class="soft" text-anchor="middle" font-size="10"'


def _side(value: float) -> str:
    return "for" if value > 0 else "against"


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _text(x: float, y: float, text: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str], attributes: str = "") -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" font-size="10.5" role="img" aria-label="{escape(title)}"'
    return f"<svg {box} {attributes}>{''.join(parts)}</svg>"
