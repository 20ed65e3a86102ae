#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""timeline.py --title=TEXT TIMELINE MARKS SVG [ANSWERS NAMES]

Draws what tests/load --timeline wrote: requests answered in each 10 ms, a
colour a version, failed ones in red.  MARKS has lines "MS KIND STATE": where
updates started, switched and ended.  ANSWERS and NAMES, comma separated, give
versions that go by another name theirs.
"""
import html
import sys

COLOURS = ["#4477aa", "#ddaa33", "#228833", "#aa3377", "#66ccee", "#999933"]
FAILED = "#ee2222"
# Of what has a name in the picture; a line is drawn for the others, too.
STATES = {"SWITCHED": "switch", "DRAINED": "drained", "ROLLED_BACK": "rolled back"}
STEP = 10  # ms a column
COLUMNS_MAX = 2400
HEIGHT, TOP, LEFT, BOTTOM = 220, 60, 46, 34


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


class Picture:
    def __init__(self, width, title):
        self.lines = [
            '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
            'font-family="sans-serif" font-size="11">'
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


def draw(title, timeline, marks, names):
    start, cells, events = read(timeline, marks, names)
    first, last = window(start, cells, events)
    cells = [c for c in cells if first <= c[0] < last]
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
    for x, column in sorted(columns.items()):
        y = TOP + HEIGHT
        for version in versions + ["failed"]:
            h = column.get(version, 0) * HEIGHT / top
            if h:
                y -= h
                p.bar(LEFT + x * scale, y, scale, h, colours[version])
    p.line(LEFT, TOP + HEIGHT, LEFT + width, TOP + HEIGHT, 'stroke="black"')
    p.text(8, TOP + 8, str(top))
    for second in range(0, int((last - first) / 1000) + 1):
        p.text(LEFT + second * 1000 / STEP * scale, TOP + HEIGHT + 14, "%d s" % second)
    x = LEFT
    for version in versions + ["failed"]:
        p.bar(x, 26, 10, 10, colours[version])
        p.text(x + 14, 35, version)
        x += 34 + 7 * len(version)
    for t, kind, state in events:
        x = LEFT + (t - first) / STEP * scale
        if not first <= t < last or state == "STARTED" and kind == "rollback":
            continue
        dash = "" if state == "SWITCHED" else ' stroke-dasharray="3,3"'
        p.line(x, TOP - 12, x, TOP + HEIGHT, 'stroke="#333"' + dash)
        if state == "SWITCHED":
            p.text(x + 2, TOP - 4, "%s: switch" % kind, 'font-size="9"')
        elif state in STATES:
            p.text(x + 2, TOP + HEIGHT + 28, STATES[state], 'font-size="9"')
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
