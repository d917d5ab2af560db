#!/usr/bin/env python3
"""results.json as one page that needs nothing else: report.html.

`bench/page.py results.json > report.html` makes it again. chart.py draws, page.css is its look, and
report.py has made the figures; nothing here computes but the places of what is shown.
"""

import html
import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import chart  # noqa: E402
import curve  # noqa: E402
import files  # noqa: E402
import growth  # noqa: E402
import report  # noqa: E402
from report import count_verdicts, figure, header_facts  # noqa: E402

MARKS = {"met": "✓ met", "missed": "✗ missed", "open": "○ open"}
EXTENTS = {"default": "", "quick": "A quick run: few rounds, so the intervals are wide. ",
           "brief": "A brief run: it shows that every contender still answers, and times nothing. "}

# What the picture of the library is: threads of a loom, each through the eye of its heddle.
LOGO = """<svg width="34" height="30" viewBox="0 0 34 30" aria-hidden="true" fill="none"
 stroke="var(--heddle)" stroke-width="2" stroke-linecap="round">
<path d="M2 2h30M2 28h30"/><path d="M7 2v7M7 15v13M17 2v13M17 21v7M27 2v7M27 15v13"/>
<circle cx="7" cy="12" r="3"/><circle cx="17" cy="18" r="3"/><circle cx="27" cy="12" r="3"/></svg>
"""

# Used by the bars of floors in all charts.
PATTERNS = """<svg width="0" height="0" aria-hidden="true" focusable="false"
 style="position:absolute"><defs><pattern id="hatch" width="6" height="6"
 patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="6"/>
</pattern></defs></svg>
"""

LEGEND = """<ul class="legend">
<li><svg width="34" height="12" aria-hidden="true"><rect width="34" height="12" rx="2"
 class="bar heddle"/></svg>heddle</li>
<li><svg width="34" height="12" aria-hidden="true"><rect width="34" height="12" rx="2"
 class="bar peer"/></svg>another library</li>
<li><svg width="34" height="12" aria-hidden="true"><rect width="34" height="12" rx="2"
 class="bar floor"/></svg>a floor: what the machine allows, not a library</li>
<li><svg width="34" height="12" aria-hidden="true"><path d="M2 6H32M2 2V10M32 2V10"
 class="whisker"/></svg>where the median lies, with 95&nbsp;% (below six rounds:
 the extremes)</li>
<li><svg width="34" height="12" aria-hidden="true"><circle cx="6" cy="6" r="2" class="dot peer"/>
<circle cx="15" cy="6" r="2" class="dot peer"/><circle cx="27" cy="6" r="2" class="dot peer"/>
</svg>the single rounds</li>
<li><svg width="34" height="12" aria-hidden="true"><path d="M17 0V12" class="target"/></svg>heddle’s
 target</li>
<li><svg width="34" height="14" aria-hidden="true"><path d="M17 0V14" class="level"/></svg>in a
 curve: from here on a cache or TLB is full, by computation</li>
</ul>
"""


def safe(text):
    return html.escape(str(text))


def anchor(row_name):
    return "row-" + re.sub(r"[^A-Za-z0-9_.-]", "-", row_name)


def mark(verdict):
    return f'<span class="mark {verdict}">{MARKS[verdict]}</span>'


def ratio_cell(row):
    """heddle's figure divided by this one's, with its interval where there is one."""
    if row["kind"] == "heddle":
        return "1"
    if row["ratio"] is None:
        return "–"
    text = figure(row["ratio"])
    low, high = figure(row["ratio_low"]), figure(row["ratio_high"])
    if low != high:
        text += f' <span class="interval">{low} – {high}</span>'
    return text


def full_name(row):
    return row["contender"] + (" (floor)" if row["kind"] == "floor" else "")


def facts(results):
    """The machine, and how to get the figures again."""
    header = results["header"]
    pairs = header_facts(header)
    lines = [f"<dt>{safe(name)}</dt><dd>{safe(value)}</dd>" for name, value in pairs]
    if "command" in header:
        lines.append(f"<dt>to repeat</dt><dd><code>{safe(header['command'])}</code></dd>")
    return '<dl class="facts">\n' + "\n".join(lines) + "\n</dl>"


def meter(verdict):
    """How much of what is allowed was used, as a bar up to a line."""
    if not verdict.get("bound") or verdict.get("value") is None:
        return ""
    # The line stands at two thirds, so that a miss has room to be seen.
    place = min(max(verdict["value"] / verdict["bound"], 0.0) / 1.5, 1.0) * 100
    return ('<svg class="meter" width="100%" height="9" aria-hidden="true">'
            '<rect class="rail" y="2" width="100%" height="5" rx="2.5"/>'
            f'<rect class="bar heddle {verdict["verdict"]}" y="2" width="{place:.1f}%" height="5"'
            ' rx="2.5"/>'
            '<line class="target" x1="66.67%" x2="66.67%" y1="0" y2="9"/></svg>')


def targets(results):
    """Every target with its mark, and how near it is."""
    if not results["targets"]:
        return ""
    items = []
    asked = {one["row"] for one in results["tables"]}
    for verdict in results["targets"]:
        name, _, rest = verdict["text"].partition(": ")
        detail = f' <span class="soft">({safe(verdict["detail"])})</span>' \
            if verdict.get("detail") else ""
        # What was not asked has no chart.
        title = (f'<a href="#{anchor(verdict["question"])}">{safe(name)}</a>'
                 if verdict["question"] in asked else safe(name))
        items.append(f'<li>{mark(verdict["verdict"])}<span>{title}: {safe(rest)}{detail}</span>'
                     f"{meter(verdict)}</li>")
    return ('<h2 id="targets">Targets</h2>\n<p class="soft">Ratios are of heddle’s figure to the '
            "other’s, taken within each round. The dashed line is what is allowed.</p>\n"
            '<ul class="targets">\n' + "\n".join(items) + "\n</ul>")


def target_figure(verdicts, rows):
    """The figure to stay below: the median of whom heddle is compared with, times the ratio; or
    the absolute bound."""
    for verdict in verdicts:
        if verdict.get("bound") is None:
            continue
        if not verdict["against"]:
            return verdict["bound"]
        theirs = [row for row in rows if row["contender"] == verdict["against"]]
        if theirs:
            return verdict["bound"] * theirs[0]["median"]
    return None


def table(title, rows, absent):
    """The figures, to be copied."""
    lines = [f'<div class="scroll"><table aria-label="figures of {safe(title)}">',
             '<thead><tr><th scope="col">contender</th><th scope="col">median</th>'
             '<th scope="col">least</th><th scope="col">spread</th>'
             '<th scope="col">heddle ÷ this</th></tr></thead><tbody>']
    for row in rows:
        spread = f"{row['spread']:.0%}" if len(row["samples"]) > 1 else "–"
        cells = (figure(row["median"]), figure(row["min"]), spread, ratio_cell(row))
        lines.append(f'<tr class="{row["kind"]}"><th scope="row">{safe(full_name(row))}</th>'
                     + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    for one in absent:
        lines.append(f'<tr><th scope="row">{safe(one["contender"])}</th>'
                     f'<td colspan="4" class="reason">no answer: {safe(one["reason"])}</td></tr>')
    lines.append("</tbody></table></div>")
    return "\n".join(lines)


def block(number, one, rows, verdicts, of_run):
    """One metric of one case: title, verdicts, chart, table."""
    unit = one["unit"] + (f"; {one['better']} is better" if one["better"] else "")
    title = f"{one['row']}: {one['text']}"
    caption = [f"<h3>{safe(title)}</h3>"]
    chart_text = ""
    if rows:
        bars = [chart.Bar(full_name(row), row["kind"], row["samples"], row["median"])
                for row in rows]
        chart_text, logarithmic = chart.draw(f"c{number}", title, one["unit"], bars,
                                             target_figure(verdicts, rows))
        unit += "; logarithmic axis" if logarithmic else ""
        rounds = report.say_rounds([len(row["samples"]) for row in rows], of_run)
        unit += f"; {rounds}" if rounds else ""
    caption.append(f'<p class="soft">{safe(unit)}</p>')
    for verdict in verdicts:
        _, _, rest = verdict["text"].partition(": ")
        caption.append(f"<p>{mark(verdict['verdict'])} {safe(rest)}</p>")
    body = table(title, rows, one["absent"]) if rows or one["absent"] else "<p>No answers.</p>"
    return (f'<figure id="{anchor(one["row"])}"><figcaption>' + "\n".join(caption)
            + f"</figcaption>\n{chart_text}\n{body}\n</figure>")


def curve_lines(one, looks):
    """The lines of a curve; a logarithmic axis has no place for zero."""
    lines = []
    for contender, rows in one.lines.items():
        points = []
        for fibers in one.fibers:
            row = rows.get(fibers)
            if row and row["median"] > 0:
                low, high = growth.ends(row)
                points.append(curve.Point(fibers, row["median"],
                                          low if low > 0 else row["median"], high))
        if points:
            lines.append(curve.Line(contender, looks[contender], points))
    return lines


def curve_targets(one, results):
    """What heddle is to stay below, by number of fibers."""
    found = {}
    for fibers in one.fibers:
        rows = [line[fibers] for line in one.lines.values() if fibers in line]
        verdicts = [v for v in results["targets"] if v["question"] == rows[0]["question"]]
        bound = target_figure(verdicts, rows)
        if bound is not None:
            found[fibers] = bound
    return found


def growth_table(one, lines):
    """The figures of a curve; a sample of each line stands beside its name."""
    drawn = {line.name: line for line in lines}
    parts = [f'<div class="scroll"><table aria-label="growth of {safe(one.name)}">',
             '<thead><tr><th scope="col">' + safe(one.counted) + "</th>"
             + "".join(f'<th scope="col">{growth.grouped(fibers)}</th>' for fibers in one.fibers)
             + "</tr></thead><tbody>"]
    for contender in one.lines:
        kind = one.kind(contender)
        name = contender + (" (floor)" if kind == "floor" else "")
        sample = curve.draw_sample(drawn[contender].look) if contender in drawn else ""
        parts.append(f'<tr class="{kind}"><th scope="row">{sample}{safe(name)}</th>'
                     + "".join(f"<td>{cell or '–'}</td>" for cell in growth.cells(one, contender))
                     + "</tr>")
    parts.append("</tbody></table></div>")
    return "\n".join(parts)


def curve_block(number, one, results, looks):
    """One curve with its figures, and where it is expected to rise and does."""
    lines = curve_lines(one, looks)
    levels = growth.levels_of(one, results)
    picture = curve.Picture(f"{one.name}: how it grows with the number of {one.counted}", one.unit,
                            one.counted, lines, curve_targets(one, results), levels,
                            growth.rises(one.lines.get("heddle", {})))
    hint = "; ↑ marks a rise by a fifth or more" if growth.OF_ONE in one.unit else ""
    parts = [f'<figure class="wide" id="{anchor("growth-" + one.name)}"><figcaption>',
             f"<h3>{safe(picture.title)}</h3>",
             f'<p class="soft">{safe(one.unit)}; less is better; both axes logarithmic{hint}</p>'
             "</figcaption>", curve.draw(f"g{number}", picture) if lines else "",
             growth_table(one, lines)]
    if levels:
        parts.append('<ul class="levels">')
        parts += [f'<li><b class="letter">{curve.letter(place)}</b> '
                  f"{safe(growth.explain_level(level))} "
                  f'<span class="soft">({safe(level.detail)})</span></li>'
                  for place, level in enumerate(levels)]
        parts.append("</ul>")
        parts += [f"<p>{safe(sentence)}</p>" for sentence in growth.explain_curve(one, results)]
        parts.append(f'<p class="soft">{safe(growth.EXPECTATION)}</p>')
    return "\n".join(parts) + "\n</figure>"


def questions(results):
    """A section for each question, in the order of the run: its curves, then its bars."""
    by_row = {}
    for row in results["rows"]:
        by_row.setdefault(row["question"], []).append(row)
    sections = {one["question"]: [] for one in results["tables"]}
    curves = growth.curves(results)
    looks = curve.looks((name, one.kind(name)) for one in curves for name in one.lines)
    for number, one in enumerate(curves):
        sections.setdefault(one.question, []).append(curve_block(number, one, results, looks))
    for number, one in enumerate(results["tables"]):
        verdicts = [v for v in results["targets"] if v["question"] == one["row"]]
        sections.setdefault(one["question"], []).append(
            block(number, one, by_row.get(one["row"], []), verdicts,
                  results["header"].get("rounds")))
    return sections


def warnings(results):
    """What the reader has to know before he believes a figure."""
    notes = [EXTENTS.get(results["header"].get("extent"), "").strip(), *results["notes"],
             *(f"Problem: {problem}" for problem in results["problems"])]
    lines = "".join(f"<p>{safe(note)}</p>" for note in notes if note)
    return f'<div class="note" role="note">{lines}</div>' if lines else ""


def page(results):
    """The whole document."""
    with open(os.path.join(HERE, "page.css"), encoding="utf-8") as file:
        style = file.read()
    sections = questions(results)
    count = count_verdicts(results["targets"])
    lead = ("What fibers cost with heddle, beside the same program written for others and what the "
            "machine itself allows.")
    if count:
        lead += f" Of its targets, {count}."
    links = "".join(f'<li><a href="#{anchor(name)}">{safe(name)}</a></li>'
                    for name in (["targets"] if results["targets"] else []) + list(sections))
    links = links.replace('href="#row-targets"', 'href="#targets"')
    body = "\n".join(
        f'<section><h2 id="{anchor(name)}">{safe(name)}</h2>\n<div class="charts">\n'
        + "\n".join(blocks) + "\n</div></section>" for name, blocks in sections.items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>heddle: benchmarks of {safe(results["header"].get("commit", "an unknown commit"))}</title>
<style>
{style}</style>
</head>
<body>
{PATTERNS}<header>
<h1>{LOGO}heddle, measured</h1>
<p class="lead">{safe(lead)}</p>
{facts(results)}
{warnings(results)}
<nav aria-label="questions"><ul>{links}</ul></nav>
</header>
<main>
{targets(results)}
<section><h2>How to read the charts</h2>
{LEGEND}<p class="soft">Contenders are processes of their own and take turns, round by round. A bar
 is the median of the rounds. “heddle ÷ this” below 1 means that heddle’s figure is the smaller one;
 below it stand the ends of what holds the median ratio with at least 95&nbsp;% (with fewer than six
 rounds: the extremes). “Spread” is the interquartile range divided by the median: above 10&nbsp;%
 the machine was not quiet.</p></section>
{body}
</main>
<footer><p>Made by bench/run, whose README says what each question asks, with which settings, and
 how to quiet a machine. All samples are in results.json beside this file.</p></footer>
</body>
</html>
"""


def main():
    print(page(files.load(sys.argv[1])), end="")


if __name__ == "__main__":
    main()
