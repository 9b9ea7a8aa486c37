"""The plot: one stacked bar of phases a contender, as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

WIDTH, LEFT, RIGHT, ROW, TOP = 960, 170, 90, 34, 56
COLOURS = (
    *("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2"),
    *("#edc948", "#9c755f", "#ff9da7", "#2f6f4f", "#1b1e6e", "#a3c644"),
)


#: The one part of a bar whose contender tells no phases.
UNTOLD, GREY = "until 200", "#c8c8c8"


@dataclass(frozen=True)
class Bar:
    """One contender.

    Args:
        parts: seconds by phase; for one that tells none, a single part.
    """

    label: str
    parts: Mapping[str, float]

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())


def svg(title: str, bars: Sequence[Bar]) -> str:
    phases = list(dict.fromkeys(name for bar in bars for name in bar.parts))
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(phases)} | {UNTOLD: GREY}
    scale = (WIDTH - LEFT - RIGHT) / max((bar.seconds for bar in bars), default=1.0)
    height = TOP + ROW * len(bars) + 30 + 20 * (len(phases) // 7 + 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="28" font-size="16">{escape(title)}</text>',
    ]
    for index, bar in enumerate(bars):
        lines += _row(bar, TOP + ROW * index, scale, colours)
    lines += _legend({name: colours[name] for name in phases}, TOP + ROW * len(bars) + 20)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _row(bar: Bar, y: float, scale: float, colours: Mapping[str, str]) -> list[str]:
    middle = y + ROW / 2
    lines = [f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(bar.label)}</text>']
    x = float(LEFT)
    for name, seconds in bar.parts.items():
        width = seconds * scale
        hint = f"<title>{escape(name)} {seconds:.3f} s</title>"
        box = f'x="{x:.1f}" y="{y + 2:.1f}" width="{width:.1f}" height="{ROW - 14}"'
        lines.append(f"<rect {box} fill={quoteattr(colours[name])}>{hint}</rect>")
        x += width
    return [*lines, f'<text x="{x + 8:.1f}" y="{middle:.0f}">{bar.seconds:.2f} s</text>']


def _legend(colours: Mapping[str, str], y: float) -> list[str]:
    lines = []
    for index, (name, colour) in enumerate(colours.items()):
        x, row = LEFT + index % 7 * 105, y + index // 7 * 20
        lines.append(f'<rect x="{x}" y="{row - 11}" width="12" height="12" fill={quoteattr(colour)}/>')
        lines.append(f'<text x="{x + 18}" y="{row}">{escape(name)}</text>')
    return lines
