#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""timeline.py --title=TEXT TIMELINE MARKS SVG [ANSWERS NAMES]

Draws what tests/load --timeline wrote: requests answered in each 10 ms, a
colour a version, failed ones in red.  MARKS has lines "MS KIND STATE": where
updates started, switched and ended.  Each switch is a line through the
picture; the strip below shows what else went on.  ANSWERS and NAMES, comma
separated, give versions that go by another name theirs.
"""
import html
import sys

COLOURS = ["#4477aa", "#ddaa33", "#228833", "#aa3377", "#66ccee", "#999933"]
FAILED = "#ee2222"
# In the strip: what goes on after a state until the next one.
PHASES = {"STARTED": ("the new version starts", "#aaaaaa"),
          "SWITCHED": ("is observed", "#88ccaa"),
          "COMMITTED": ("the old one drains", "#cc99bb"),
          "ROLLED_BACK": ("the new one drains", "#e8a0a0")}
STEP = 10  # ms a column
COLUMNS_MAX = 2400
HEIGHT, TOP, LEFT, STRIP = 220, 60, 46, 9
BOTTOM = STRIP + 48


def read(timeline, marks, names):
    start, cells = 0, []
    with open(timeline) as f:
        for line in f:
            words = line.split()
            if words[0] == "start":
                start = int(words[1])
            elif len(words) == 3:
                cells.append((int(words[0]), names.get(words[1], words[1]),
                              int(words[2])))
    with open(marks) as f:
        events = [(int(a), b, c) for a, b, c in map(str.split, f)]
    return start, cells, events


def window(start, cells, events):
    """Columns that are drawn: all, or as many as fit around the first."""
    first = start
    last = max([t for t, _, _ in cells], default=start) + STEP
    if (last - first) / STEP > COLUMNS_MAX and events:
        first = max(first, events[0][0] - 300)
    return first, min(last, first + COLUMNS_MAX * STEP)


def grid_step(top):
    """A round number that divides the height into a few."""
    step = 1
    for factor in [2, 5, 10] * 9:
        if top / step <= 5:
            break
        step = 10 ** (len(str(step)) - 1) * factor
    return step


class Picture:
    def __init__(self, width, title):
        self.lines = [
            '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
            'font-family="sans-serif" font-size="11" shape-rendering="crispEdges">'
            % (width + LEFT + 20, HEIGHT + TOP + BOTTOM),
            '<rect width="100%" height="100%" fill="white"/>']
        self.text(LEFT, 16, title + ": requests answered per 10 ms", 'font-size="14"')

    def text(self, x, y, text, more=""):
        self.lines.append('<text x="%g" y="%g" %s>%s</text>'
                          % (x, y, more, html.escape(text)))

    def bar(self, x, y, w, h, colour):
        self.lines.append('<rect x="%g" y="%g" width="%g" height="%g" fill="%s"/>'
                          % (x, y, w, h, colour))

    def line(self, x1, y1, x2, y2, more):
        self.lines.append('<line x1="%g" y1="%g" x2="%g" y2="%g" %s/>'
                          % (x1, y1, x2, y2, more))

    def legend(self, x, y, entries):
        for name, colour in entries:
            self.bar(x, y - 9, 10, 10, colour)
            self.text(x + 14, y, name)
            x += 34 + 6.5 * len(name)
        return x


def draw_axes(p, width, top, seconds, scale):
    step = grid_step(top)
    for n in range(0, int(top) + 1, step):
        y = TOP + HEIGHT - n * HEIGHT / top
        p.line(LEFT, y, LEFT + width, y, 'stroke="#ddd"')
        p.text(LEFT - 6, y + 4, str(n), 'text-anchor="end"')
    for second in range(seconds + 1):
        x = LEFT + second * 1000 / STEP * scale
        p.line(x, TOP + HEIGHT, x, TOP + HEIGHT + 5, 'stroke="black"')
        p.text(x, TOP + HEIGHT + STRIP + 22, "%d s" % second, 'text-anchor="middle"')


def draw_events(p, events, where, last):
    """The strip from each event to the next, and a line where it switched."""
    y = TOP + HEIGHT + 5
    for event, follower in zip(events, events[1:] + [(last, "", "")]):
        t, kind, state = event
        if state in PHASES and follower[0] > t:
            p.bar(where(t), y, where(follower[0]) - where(t), STRIP, PHASES[state][1])
        if state == "SWITCHED":
            p.line(where(t), TOP - 8, where(t), y + STRIP, 'stroke="#111"')
            p.text(where(t), TOP - 12, kind, 'font-size="10" text-anchor="middle"')
        elif state == "ROLLED_BACK":
            p.line(where(t), TOP - 2, where(t), y + STRIP,
                   'stroke="#111" stroke-dasharray="4,3"')


def draw(title, timeline, marks, names):
    start, cells, events = read(timeline, marks, names)
    first, last = window(start, cells, events)
    cells = [c for c in cells if first <= c[0] < last]
    events = [e for e in events if first <= e[0] < last]
    scale = max(1.0, 1400 * STEP / (last - first))  # pixels a column
    width = (last - first) / STEP * scale
    versions = list(dict.fromkeys(v for _, v, _ in sorted(cells) if v != "failed"))
    columns = {}
    for t, version, n in cells:
        columns.setdefault((t - first) // STEP, {})[version] = n
    top = max([sum(c.values()) for c in columns.values()], default=1)
    p = Picture(width, title)
    colours = {v: COLOURS[i % len(COLOURS)] for i, v in enumerate(versions)}
    colours["failed"] = FAILED
    draw_axes(p, width, top, int((last - first) / 1000), scale)
    for x, column in sorted(columns.items()):
        y = TOP + HEIGHT
        for version in versions + ["failed"]:
            h = column.get(version, 0) * HEIGHT / top
            if h:
                y -= h
                p.bar(LEFT + x * scale, y, scale, h, colours[version])
    p.line(LEFT, TOP + HEIGHT, LEFT + width, TOP + HEIGHT, 'stroke="black"')
    p.legend(LEFT, 35, [(v, colours[v]) for v in versions + ["failed"]])
    draw_events(p, events, lambda t: LEFT + (t - first) / STEP * scale, last)
    y = TOP + HEIGHT + STRIP + 40
    x = p.legend(LEFT, y, PHASES.values())
    p.text(x, y, "| switch", 'font-weight="bold"')
    p.text(x + 60, y, "\u00a6 back", 'font-weight="bold"')
    p.lines.append("</svg>")
    return "\n".join(p.lines) + "\n"


def main(args):
    title = "updates"
    if args and args[0].startswith("--title="):
        title = args.pop(0)[len("--title="):]
    if len(args) not in (3, 5):
        sys.exit(__doc__)
    names = dict(zip(args[3].split(","), args[4].split(","))) if args[3:] else {}
    with open(args[2], "w") as f:
        f.write(draw(title, args[0], args[1], names))


main(sys.argv[1:])
