"""A plot of nanoseconds against headers, both axes logarithmic, as SVG."""

import math

WIDTH, HEIGHT = 760, 480
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 30, 50
LINE = 15  # the least distance between two labels


def decades(values):
    low, high = min(values), max(values)
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


def amount(nanoseconds):
    for unit, size in [("ms", 1e6), ("µs", 1e3)]:
        if nanoseconds >= size:
            return f"{nanoseconds / size:.0f} {unit}"
    return f"{nanoseconds:.0f} ns"


def plot(lines):
    """The SVG of lines: a label, a colour and points (headers, nanoseconds) each."""
    xs = decades([x for _, _, points in lines for x, _ in points])
    ys = decades([y for _, _, points in lines for _, y in points])

    def across(x):
        return LEFT + (math.log10(x) - xs[0]) / (xs[-1] - xs[0]) * (WIDTH - LEFT - RIGHT)

    def up(y):
        return HEIGHT - BOTTOM - (math.log10(y) - ys[0]) / (ys[-1] - ys[0]) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Time of a decision against the number of headers</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for power in ys:
        y = up(10**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{amount(10**power)}</text>')
    for x, _ in lines[0][2]:
        parts.append(f'<path d="M{across(x):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{across(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">headers, the last but one decides</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 12}">time of a decision</text>')
    below = -math.inf
    for label, colour, points in sorted(lines, key=lambda line: -line[2][-1][1]):
        path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>' for x, y in points]
        below = max(up(points[-1][1]) + 4, below + LINE)
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{below:.1f}" fill="{colour}">{label}</text>')
    return "\n".join([*parts, "</svg>", ""])
