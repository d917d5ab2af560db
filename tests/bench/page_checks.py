"""What is checked of report.html: its form, its words and its bars."""

import os
import re

import chart
import curve
import page
import report
from fixtures import CASES, ROOT, Reader, each_page


def well_formed():
    """Tags nest, names are unique, links lead somewhere."""
    def inspect(_, reader, __):
        problems = list(reader.problems)
        names = [attributes["id"] for _, attributes, _ in reader.elements if "id" in attributes]
        problems += [f"the name {name} is there twice" for name in names if names.count(name) > 1]
        for attributes, _ in reader.all("a"):
            if attributes["href"].removeprefix("#") not in names:
                problems.append(f"a link to {attributes['href']} leads nowhere")
        return problems
    return each_page(inspect)


def self_contained():
    """Nothing is loaded and nothing runs."""
    def inspect(_, reader, text):
        problems = [f"<{tag}>" for tag, _, _ in reader.elements
                    if tag in ("script", "link", "img", "iframe", "object", "embed", "base")]
        for tag, attributes, _ in reader.elements:
            problems += [f"{tag} {name}={value}" for name, value in attributes.items()
                         if name.startswith("on") or name in ("src", "srcset", "action")
                         or (name.endswith("href") and not value.startswith("#"))]
        style = reader.texts("style")[0]
        problems += re.findall(r"@import|url\((?!#)[^)]*\)", style)
        return problems + re.findall(r"https?://\S+", text)
    return each_page(inspect)


def accessible():
    """Language, width of a telephone, names of pictures, heads of tables."""
    def inspect(_, reader, __):
        problems = []
        if not reader.all("html", lang="en"):
            problems.append("the document has no language")
        if "width=device-width" not in str(reader.all("meta", name="viewport")):
            problems.append("the page is not as wide as the device")
        if len(reader.all("h1")) != 1:
            problems.append("there is not one h1")
        named = {attributes.get("id"): tag for tag, attributes, _ in reader.elements}
        for attributes, text in reader.all("svg"):
            if "aria-hidden" in attributes:
                continue
            labels = [named.get(name) for name in attributes["aria-labelledby"].split()]
            if attributes.get("role") != "img" or labels != ["title", "desc"] or not text.strip():
                problems.append(f"a picture without title and description: {attributes}")
        problems += [f"a head without scope: {text}" for attributes, text in reader.all("th")
                     if attributes.get("scope") not in ("row", "col")]
        return problems
    return each_page(inspect)


def figures_are_there():
    """Each median, least figure, ratio and interval stands in the table, each contender in both."""
    def inspect(results, reader, _):
        problems = []
        heads = reader.texts("th", scope="row")
        cells = [re.sub(r"\s+", " ", cell) for cell in reader.texts("td")]
        names = reader.texts("text", **{"class": "name"})
        values = reader.texts("text", **{"class": "value"})
        descriptions = " ".join(reader.texts("desc"))
        for row in results["rows"]:
            name = page.full_name(row)
            wanted = [report.figure(row["median"]), report.figure(row["min"])]
            if row["kind"] != "heddle" and row["ratio"] is not None:
                low, high = (report.figure(row[end]) for end in ("ratio_low", "ratio_high"))
                wanted.append(report.figure(row["ratio"]) +
                              (f" {low} – {high}" if low != high else ""))
            problems += [f"{name}: no {one} in the table" for one in wanted if one not in cells]
            if name not in heads:
                problems.append(f"{name} is not in the table")
            if chart.shortened(name) not in names or wanted[0] not in values:
                problems.append(f"{name} is not in the chart")
            if f"{name} {wanted[0]}" not in descriptions:
                problems.append(f"{name} is not in the description")
        for one in results["tables"]:
            for absent in one["absent"]:
                if absent["contender"] not in heads or \
                        f"no answer: {absent['reason']}" not in cells:
                    problems.append(f"{absent} is not said")
        facts = reader.texts("dd")
        problems += [f"{name} is not said" for name in
                     ("machine", "kernel", "compiler", "commit", "date", "load", "command")
                     if results["header"][name] not in facts]
        body = reader.texts("body")[0]
        problems += [f"not said: {line}" for line in results["notes"] + results["problems"]
                     if line not in body]
        for verdict in results["targets"]:
            if page.MARKS[verdict["verdict"]] not in reader.texts("span", **{"class": "mark"}):
                problems.append(f"no mark for {verdict}")
            if verdict["text"] not in re.sub(r"\s+", " ", body):
                problems.append(f"not said: {verdict['text']}")
        return problems
    return each_page(inspect)


def pictures_stay_inside():
    """Every place is within the picture, and bars compare as their figures do."""
    def inspect(results, reader, _):
        problems = []
        for tag, attributes, _ in reader.elements:
            for name in ("x", "x1", "x2", "cx", "width"):
                value = attributes.get(name, "")
                if value.endswith("%") and not 0 <= float(value[:-1]) <= 100:
                    problems.append(f"<{tag}> {name}={value}")
        bars = [float(attributes["width"][:-1]) for attributes, _ in reader.all("rect", x="0")]
        medians = [row["median"] for row in results["rows"]]
        if len(bars) != len(medians):
            problems.append(f"{len(bars)} bars for {len(medians)} rows")
        if len(results["tables"]) > 1:
            return problems  # bars of different axes do not compare
        for (bar, median) in zip(bars, medians):
            problems += [f"a bar of {bar} for {median} beside one of {other} for {figure}"
                         for other, figure in zip(bars, medians) if median > figure and bar < other]
        return problems
    return each_page(inspect)


def bars_are_in_proportion():
    """From zero, a bar twice as long is a figure twice as large; far apart, decades are equal."""
    problems = []
    linear = chart.Scale([10, 20], [])
    if linear.logarithmic or abs(linear.place(20) - 2 * linear.place(10)) > 1e-9:
        problems.append("the axis from zero is not in proportion")
    decades = chart.Scale([1, 10, 100], [])
    steps = [decades.place(10) - decades.place(1), decades.place(100) - decades.place(10)]
    if not decades.logarithmic or abs(steps[0] - steps[1]) > 1e-9:
        problems.append("decades differ on the logarithmic axis")
    if chart.Scale([10, 199], []).logarithmic or not chart.Scale([10, 201], []).logarithmic:
        problems.append("twenty times is not where the axis changes")
    for medians in ([1, 2], [3, 700], [0.001, 5e6], [0, 0], [90, 100]):
        scale = chart.Scale(medians, [])
        ticks = scale.ticks()
        if not 1 <= len(ticks) <= chart.TICKS_MAX + 1:
            problems.append(f"{len(ticks)} figures at the axis of {medians}")
        problems += [f"{tick} is off the axis of {medians}" for tick in ticks
                     if not scale.low <= tick <= scale.high]
    return problems


def target_is_where_it_belongs():
    """The line stands at the peer's median times the ratio, or at the bound."""
    results = CASES["the usual"]
    verdicts, rows = results["targets"], results["rows"]
    ratio = page.target_figure(verdicts, rows)
    absolute = page.target_figure(CASES["a missed target"]["targets"], rows)
    problems = []
    if abs(ratio - 0.08 * 50.5) > 1e-9:
        problems.append(f"a ratio's line stands at {ratio}")
    if absolute != 3:
        problems.append(f"an absolute line stands at {absolute}")
    if "target" in Reader(page.page(CASES["two rounds"])).texts("svg", role="img")[0]:
        problems.append("a line without a target")
    words = {name: [one["verdict"] for one in CASES[name]["targets"]]
             for name in ("the usual", "a missed target", "too few rounds for a verdict", "zeros",
                          "heddle failed")}
    if list(words.values()) != [["met"], ["missed"], ["open"], ["met"], ["open"]]:
        problems.append(f"the verdicts are {words}")
    return problems


def luminance(colour):
    """As the Web Content Accessibility Guidelines 2.1 define relative luminance."""
    channels = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4
              for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrasts():
    """Text stands out from its ground by 4.5 to 1, bars and marks by 3 to 1, in both schemes."""
    with open(os.path.join(ROOT, "bench", "page.css"), encoding="utf-8") as file:
        light, dark = re.findall(r":root \{(.*?)\}", file.read(), re.DOTALL)[:2]
    problems = []
    for scheme, text in (("light", light), ("dark", dark)):
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", text))
        for ground in ("paper", "card"):
            for name, least in (*((name, 4.5) for name in ("ink", "soft", "met", "missed", "open",
                                                           "target")),
                                *((name, 3.0) for name in ("heddle", "peer", "floor")),
                                *((f"p{number}", 3.0) for number in range(len(curve.MARKERS)))):
                bright, dim = sorted((luminance(colours[name]), luminance(colours[ground])),
                                     reverse=True)
                contrast = (bright + 0.05) / (dim + 0.05)
                if contrast < least:
                    problems.append(f"{scheme}: {name} on {ground}: {contrast:.2f}")
    return problems


CHECKS = (
    ("the report is well-formed, and its links lead somewhere", well_formed),
    ("the report loads nothing and runs nothing", self_contained),
    ("the report can be read aloud", accessible),
    ("every figure, every absence and every fact stands in the report", figures_are_there),
    ("no picture leaves its frame, and longer bars are larger figures", pictures_stay_inside),
    ("bars are in proportion", bars_are_in_proportion),
    ("targets stand where they belong, and verdicts are right", target_is_where_it_belongs),
    ("contrasts suffice in light and in dark", contrasts),
)
