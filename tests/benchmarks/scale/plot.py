"""The plot: what rises with the requests a second, a line for each way to keep instances warm, axes by decades."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, PANEL, LEFT, RIGHT, TOP = 960, 240, 90, 260, 56
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1")


@dataclass(frozen=True)
class Panel:
    """Lines of one unit.

    Args:
        lines: points by what they are of; those that are not above 0 have no place on such an axis, and are left out.
    """

    title: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


def svg(title: str, across: str, panels: Sequence[Panel]) -> str:
    height = TOP + PANEL * len(panels) + 30
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="28" font-size="16">{escape(title)}</text>',
    ]
    for place, panel in enumerate(panels):
        lines += _panel(panel, TOP + PANEL * place, dict(zip(names, COLOURS, strict=False)))
    for number, name in enumerate(names):
        y = TOP + 20 + 20 * number
        lines.append(f'<rect x="{WIDTH - RIGHT + 24}" y="{y - 9}" width="16" height="4" fill="{COLOURS[number]}"/>')
        lines.append(f'<text x="{WIDTH - RIGHT + 48}" y="{y}">{escape(name)}</text>')
    lines.append(f'<text x="{LEFT}" y="{height - 10}">{escape(across)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(panel: Panel, top: int, colours: Mapping[str, str]) -> list[str]:
    points = [point for line in panel.lines.values() for point in line if min(point) > 0]
    across, up = (_decades([point[axis] for point in points]) for axis in (0, 1))
    wide, tall = WIDTH - LEFT - RIGHT, PANEL - 60

    def x(value: float) -> float:
        return LEFT + (math.log10(value) - across[0]) / (across[1] - across[0]) * wide

    def y(value: float) -> float:
        return top + 30 + tall - (math.log10(value) - up[0]) / (up[1] - up[0]) * tall

    lines = [f'<text x="16" y="{top + 16}" font-weight="bold">{escape(panel.title)}</text>']
    for decade in range(up[0], up[1] + 1):
        level = y(10.0**decade)
        lines.append(f'<path d="M{LEFT} {level:.1f}H{LEFT + wide}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{10.0**decade:,g}</text>')
    for decade in range(across[0], across[1] + 1):
        place = x(10.0**decade)
        lines.append(f'<text x="{place:.1f}" y="{top + tall + 48}" text-anchor="middle">{10.0**decade:,g}</text>')
    for name, line in panel.lines.items():
        places = [(x(rate), y(value)) for rate, value in line if rate > 0 and value > 0]
        path = " ".join(f"{left:.1f},{high:.1f}" for left, high in places)
        lines += [f'<circle cx="{left:.1f}" cy="{high:.1f}" r="3" fill="{colours[name]}"/>' for left, high in places]
        lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="2">'
            f"<title>{escape(name)}</title></polyline>"
        )
    return lines


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten about them, two different ones at least."""
    low = math.floor(math.log10(min(values, default=1.0)))
    return low, max(low + 1, math.ceil(math.log10(max(values, default=1.0))))
