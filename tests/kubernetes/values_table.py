"""The values of the chart: each has a comment, and a row of the README with its default.

    values_table.py CHART            compares
    values_table.py CHART --write    writes the rows anew
"""

import json
import pathlib
import re
import sys

import yaml

ROW = re.compile(r"^\| `")


def rows(text):
    """A row for each value of a values.yaml: what its comment says, and its default.

    A value is a member with a comment right above it; what is below it is its default. A member
    without one has to have members that do."""
    found = []
    path = []
    comment = None
    deeper_than = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            comment = None
            continue
        indent = len(line) - len(line.lstrip())
        if deeper_than is not None:
            if indent > deeper_than:
                continue
            deeper_than = None
        if line.lstrip().startswith("#"):
            said = line.strip().removeprefix("#").strip()
            comment = said if comment is None else f"{comment} {said}"
            continue
        name = line.strip().partition(":")[0]
        path = [*path[: indent // 2], name]
        if comment is None:
            if line.strip() != f"{name}:":
                sys.exit(f"line {number}: `{'.'.join(path)}` has no comment")
            continue
        found.append((".".join(path), comment))
        comment = None
        deeper_than = indent
    return found


def default_of(values, path):
    for name in path.split("."):
        values = values[name]
    if isinstance(values, str) and "\n" in values:
        return "see values.yaml"
    return f"`{json.dumps(values)}`" if values not in ("", [], {}) else "none"


def table(chart):
    text = (chart / "values.yaml").read_text()
    values = yaml.safe_load(text)
    documented = rows(text)
    leaves = [path for path, _ in documented]
    # Each member is a value, or has values below it.
    for name in values:
        if not any(path == name or path.startswith(f"{name}.") for path in leaves):
            sys.exit(f"`{name}` has no comment")
    return [
        f"| `{path}` | {default_of(values, path).replace('|', chr(92) + '|')} | {said} |"
        for path, said in documented
    ]


def main():
    chart = pathlib.Path(sys.argv[1])
    readme = chart / "README.md"
    wanted = table(chart)
    lines = readme.read_text().splitlines()
    written = [line for line in lines if ROW.match(line)]
    if "--write" in sys.argv:
        at = next(n for n, line in enumerate(lines) if line == "| --- | --- | --- |")
        rest = [line for line in lines[at + 1 :] if not ROW.match(line)]
        readme.write_text("\n".join([*lines[: at + 1], *wanted, *rest]) + "\n")
    elif written != wanted:
        for line in sorted(set(written) ^ set(wanted)):
            print(line)
        sys.exit("README.md is behind values.yaml: tests/kubernetes/values_table.py CHART --write")


main()
