"""What is checked of the curves, and of what growth.py says about them."""

import contextlib
import io
import tempfile

import curve
import growth
import host
import page
import report
from fixtures import CURVES, GROWING, MEMORY, around, each_page, made_up_curve


def points_of(results):
    """(curve, contender, fibers, row) of every point that a logarithmic axis has a place for."""
    return [(one, name, fibers, row) for one in growth.curves(results)
            for name, line in one.lines.items() for fibers, row in line.items()
            if row["median"] > 0]


def curves_show_every_point():
    """Each point has a marker, stands in the description, and each row of a curve in its table."""
    def inspect(results, reader, _):
        problems = []
        points = points_of(results)
        lines = {(one.name, name) for one, name, _, _ in points}
        markers = reader.all("path", **{"class": "marker"})
        # Each line has a sample beside its name.
        if len(markers) != len(points) + len(lines):
            problems.append(f"{len(markers)} markers for {len(points)} points, {len(lines)} lines")
        descriptions = " ".join(reader.texts("desc"))
        tips = reader.texts("title")
        cells = [text.removeprefix("↑") for text in reader.texts("td")]
        for one, name, fibers, row in points:
            what = f"{report.figure(row['median'])} at {growth.grouped(fibers)}"
            if what not in descriptions:
                problems.append(f"{name}: {what} is not in the description")
            start = f"{name}, {growth.grouped(fibers)} {one.counted}"
            if not any(tip.startswith(start) for tip in tips):
                problems.append(f"{name}: the point at {fibers} does not say what it is")
        for one in growth.curves(results):
            for name, line in one.lines.items():
                problems += [f"{name}: no {row['median']} in the table" for row in line.values()
                             if report.figure(row["median"]) not in cells]
        return problems
    return each_page(inspect)


def curves_are_in_proportion():
    """Equal factors are equal ways on both axes; more stands higher, or further to the right."""
    problems = []
    lines = page.curve_lines(growth.curves(CURVES["a curve"])[0], curve.looks(GROWING))
    frame = curve.Frame(lines)
    for step, name in ((lambda figure: frame.y(figure), "upwards"),
                       (lambda figure: float(frame.x(figure)[:-1]), "to the right")):
        first, second = step(10) - step(2), step(50) - step(10)
        if abs(first - second) > 0.2:
            problems.append(f"five times is not always as far {name}: {first} and {second}")
    if not frame.y(50) < frame.y(4) or not float(frame.x(2)[:-1]) < float(frame.x(100)[:-1]):
        problems.append("an axis runs the wrong way")
    for results in CURVES.values():
        for one in growth.curves(results):
            lines = page.curve_lines(one, curve.looks((name, one.kind(name)) for name in one.lines))
            if not lines:
                continue
            frame = curve.Frame(lines)
            problems += [f"{end} is outside of the picture"
                         for line in lines for point in line.points
                         for end in (point.low, point.high)
                         if not curve.MARK_LANE <= frame.y(end) <= frame.bottom]
            if not frame.y_axis.ticks():
                problems.append("an axis without figures")
    return problems


def lines_differ_without_colour():
    """No two contenders of a run have the same marker and dash."""
    one = growth.curves(CURVES["a curve of many"])[0]
    looks = curve.looks((name, one.kind(name)) for name in one.lines)
    shapes = [(look.marker, look.dash) for look in looks.values()]
    return [f"twice: {shape}" for shape in set(shapes) if shapes.count(shape) > 1]


def levels_are_computed():
    """From how many fibers on caches and TLBs are full, for a machine that is easily computed."""
    entries = 10000 * (growth.FIBER_BYTES + growth.ENTRY_BYTES) // growth.ENTRY_BYTES
    expected = [("L1d cache", 40), ("first data TLB", 64), ("second data TLB", 640),
                ("L2 cache", 10000), ("page tables", entries)]
    found = [(level.name, level.fibers) for level in growth.levels(MEMORY)]
    problems = [] if found == expected else [f"{found}, not {expected}"]
    results = CURVES["a curve"]
    one = growth.curves(results)[0]
    if [level.name for level in growth.levels_of(one, results)] != [name for name, _ in
                                                                    expected[:4]]:
        problems.append("a level beyond the curve is drawn, or one within it is not")
    resident = CURVES["a curve of a metric"]
    if growth.levels_of(growth.curves(resident)[0], resident):
        problems.append("memory in use has levels")
    if "assumed" not in growth.levels({**MEMORY, "tlb_told": False})[1].detail:
        problems.append("it is not said that a TLB is assumed")
    sizes = {"32K": 32768, "1M": 2 ** 20, "512": 512, "": 0}
    with tempfile.NamedTemporaryFile("w+", prefix="heddle-bench-") as file:
        for text, size in sizes.items():
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()
            if host.read_size(file.name) != size:
                problems.append(f"{text} is read as {host.read_size(file.name)}")
    return problems


def rises_are_found():
    """A rise is marked where figures rise beyond their intervals and by a fifth, nowhere else."""
    problems = []
    results = CURVES["a curve"]
    one = growth.curves(results)[0]
    found = {name: [(rise.low, rise.high) for rise in growth.rises(line)]
             for name, line in one.lines.items()}
    expected = {"heddle": [(100, 1000)], "Peer": [(1000, 20000)], "pointers": []}
    if found != expected:
        problems.append(f"{found}, not {expected}")
    # What Peer does from 2 to 100 is a fifth more, but the intervals meet.
    if growth.cells(one, "heddle") != ["4.00", "4.00", "↑8.00", "9.00"]:
        problems.append(f"the cells are {growth.cells(one, 'heddle')}")
    sentences = " ".join(growth.explain_curve(one, results))
    if "100 → 1 000 fibers: ×2 (no floor rises there). Computed to be full in between: second " \
            "data TLB (640)." not in sentences:
        problems.append(f"the rise is explained so: {sentences}")
    if growth.rises(growth.curves(CURVES["a sum over all"])[0].lines["heddle"]):
        problems.append("a sum that rises with its addends is called a rise")
    counted = {"skynet/1000_leaves/ms": "leaves", "timer/1_armed/wait": "armed timers",
               "yield/1000_fibers_1_site": "fibers", "thing/some": "fibers"}
    problems += [f"{row} counts {growth.counted_in(row)}" for row, what in counted.items()
                 if growth.counted_in(row) != what]
    if growth.rises(growth.curves(CURVES["wide intervals"])[0].lines["heddle"]):
        problems.append("noise is called a rise")
    floors = made_up_curve({("heddle", "heddle"): {1000: around(4), 5000: around(9)},
                            ("chase", "floor"): {1000: around(1), 5000: around(3)},
                            ("still", "floor"): {1000: around(1), 5000: around(1)},
                            ("Peer", "peer"): {1000: around(1), 5000: around(3)}})
    one = growth.curves(floors)[0]
    found = growth.floors_that_rise(growth.Rise(1000, 5000, 2.25), one)
    if found != ["chase ×3"]:
        problems.append(f"the floors that rise are {found}")
    for shared in (True, False):
        text = growth.explain_rise(growth.Rise(1000, 5000, 2), found, growth.levels(MEMORY), shared)
        if "(floors: chase ×3). Nothing is computed to be full just there; next: L2 cache " \
                "(10 000)" not in text or ("guests" in text) != shared:
            problems.append(f"an unexpected rise is explained so: {text}")
    return problems


def console_has_the_growth():
    """Every figure of a curve is printed, in a table with a column for each number, and so is
    where caches and TLBs are full."""
    problems = []
    for name, results in CURVES.items():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            growth.print_growth(results)
        lines = printed.getvalue().splitlines()
        for one in growth.curves(results):
            heads = "".join(f"{growth.grouped(fibers):>11}" for fibers in one.fibers)
            if not any(line.endswith(heads) for line in lines):
                problems.append(f"{name}: no columns for {one.fibers}")
            for who in one.lines:
                cells = "".join(f"{cell:>11}" for cell in growth.cells(one, who)).rstrip()
                if not any(line.startswith(f"  {who}") and line.rstrip().endswith(cells)
                           for line in lines):
                    problems.append(f"{name}: no row for {who}")
            said = [growth.explain_level(level) for level in growth.levels_of(one, results)]
            said += growth.explain_curve(one, results)
            problems += [f"{name}: not said: {words}" for words in said
                         if words not in printed.getvalue()]
    return problems


CHECKS = (
    ("the console has the growth as a table", console_has_the_growth),
    ("every point of a curve is drawn, described and in the table", curves_show_every_point),
    ("curves are in proportion, and their intervals are inside", curves_are_in_proportion),
    ("lines differ without their colour", lines_differ_without_colour),
    ("it is computed where caches and TLBs are full", levels_are_computed),
    ("rises beyond the noise are marked and explained", rises_are_found),
)
