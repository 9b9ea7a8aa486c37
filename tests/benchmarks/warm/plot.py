"""The plot: a panel for each thing that is compared, a bar in it for each contender, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, ROW, HEAD = 960, 170, 110, 24, 44
OURS_COLOUR, OTHERS_COLOUR = "#4e79a7", "#c8c8c8"


@dataclass(frozen=True)
class Panel:
    """Bars of one unit.

    Args:
        bars: (label, value), in order.
        ours: how the labels of our own begin.
    """

    title: str
    unit: str
    bars: Sequence[tuple[str, float]]
    ours: str = "ours"


def svg(title: str, panels: Sequence[Panel]) -> str:
    heights = [HEAD + ROW * len(panel.bars) for panel in panels]
    height = 50 + sum(heights)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="28" font-size="16">{escape(title)}</text>',
    ]
    top = 40
    for panel, tall in zip(panels, heights, strict=True):
        lines += _panel(panel, top)
        top += tall
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    scale = (WIDTH - LEFT - RIGHT) / max((value for _, value in panel.bars), default=1.0)
    lines = [f'<text x="16" y="{top + 30}" font-weight="bold">{escape(panel.title)}</text>']
    for index, (label, value) in enumerate(panel.bars):
        y = top + HEAD + ROW * index
        colour = OURS_COLOUR if label.startswith(panel.ours) else OTHERS_COLOUR
        width = value * scale
        lines += [
            f'<text x="{LEFT - 10}" y="{y + 12}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 8}" fill="{colour}"/>',
            f'<text x="{LEFT + width + 8:.1f}" y="{y + 12}">{value:,.4g} {escape(panel.unit)}</text>',
        ]
    return lines
