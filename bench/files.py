"""results.json and what is made of it, as files: read with a reason where it cannot be, and written
whole or not at all."""

import contextlib
import json
import os

PARTS = {"header": dict, "targets": list, "tables": list, "rows": list, "notes": list,
         "problems": list}
ROW_PARTS = {"question", "contender", "kind", "unit", "samples", "median", "min", "spread", "ratio",
             "ratio_low", "ratio_high"}
TABLE_PARTS = {"question", "row", "text", "unit", "better", "absent"}
TARGET_PARTS = {"question", "against", "verdict", "text"}


def load(path):
    """The results in a file. Ends the program where there are none, or they are from a time when
    they had another form."""
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}") from None
    if not isinstance(results, dict):
        raise SystemExit(f"{path}: no result of bench/run")
    lacks = [name for name, kind in PARTS.items() if not isinstance(results.get(name), kind)]
    for part, wanted in (("rows", ROW_PARTS), ("tables", TABLE_PARTS), ("targets", TARGET_PARTS)):
        if not lacks:
            lacks = sorted({f"the {name} of its {part}" for one in results[part]
                            for name in wanted - set(one)})
    if lacks:
        raise SystemExit(f"{path}: no result of bench/run, or too old: it lacks "
                         f"{', '.join(lacks)}")
    return results


def write(texts):
    """Writes {path: text}: all of them, or on an error none. A reader never finds half a file, and
    what one run makes of its samples stays together."""
    made = {}
    try:
        for path, text in texts.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            made[path] = f"{path}.{os.getpid()}"
            with open(made[path], "w", encoding="utf-8") as file:
                file.write(text)
        for path in texts:
            os.replace(made[path], path)
    finally:
        for name in made.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
