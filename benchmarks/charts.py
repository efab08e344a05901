"""Growth curves as SVG: both axes logarithmic, so that a straight line at 45° is linear growth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 760, 420
LEFT, TOP, BOTTOM = 70, 40, 50
LEGEND = 250
# Told apart with every kind of colour vision (Okabe and Ito), and by their dashes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DASHES = ("none", "7 3", "2 3")


@dataclass(frozen=True, slots=True)
class Curve:
    """A name, the unit of its values, and (size, value) points."""

    name: str
    unit: str
    points: list[tuple[int, float]]


def chart(title: str, curves: Sequence[Curve]) -> str:
    """One picture with a legend. All curves share one unit; values of zero cannot be drawn and are left out."""
    points = [(log10(size), log10(value)) for each in curves for size, value in each.points if value > 0]
    xs, ys = _decades(x for x, _ in points), _decades(y for _, y in points)

    def across(x: float) -> float:
        return LEFT + (x - xs[0]) / (xs[-1] - xs[0]) * (WIDTH - LEFT - LEGEND)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - (y - ys[0]) / (ys[-1] - ys[0]) * (HEIGHT - TOP - BOTTOM)

    def lines() -> Iterator[str]:
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'font-family="sans-serif" font-size="12">'
        )
        yield f'<title>{escape(title)}</title><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        yield f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>'
        for x in xs:
            yield _line(across(x), up(ys[0]), across(x), up(ys[-1]))
            yield f'<text x="{across(x):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{10**x:,}</text>'
        for y in ys:
            yield _line(across(xs[0]), up(y), across(xs[-1]), up(y))
            says = f"{10**y if y < 0 else f'{10**y:,}'} {curves[0].unit}"
            yield f'<text x="{LEFT - 8}" y="{up(y) + 4:.1f}" text-anchor="end">{says}</text>'
        for number, each in enumerate(curves):
            colour, dash = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
            drawn = " ".join(f"{across(log10(x)):.1f},{up(log10(y)):.1f}" for x, y in each.points if y > 0)
            style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
            y = TOP + 12 + 20 * number
            yield f'<polyline points="{drawn}" {style}/>'
            yield f'<polyline points="{WIDTH - LEGEND + 15},{y} {WIDTH - LEGEND + 45},{y}" {style}/>'
            yield f'<text x="{WIDTH - LEGEND + 52}" y="{y + 4}">{escape(each.name)}</text>'
        yield "</svg>"

    return "\n".join(lines()) + "\n"


def _decades(logarithms: Iterator[float]) -> range:
    """The powers of ten around these values, at least two."""
    known = list(logarithms)
    first = floor(min(known))
    return range(first, max(ceil(max(known)), first + 1) + 1)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'
