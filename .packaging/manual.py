#!/usr/bin/env python3
"""Writes keygate.3 from include/keygate.h, and a page for each function that leads there: manual.py FOLDER DATE."""

import re
import sys
from pathlib import Path

HEADER = Path(__file__).resolve().parents[1] / "include/keygate.h"
text = HEADER.read_text()
folder, date = Path(sys.argv[1]), sys.argv[2]
version = re.search(r'define KEYGATE_VERSION "(.*)"', text)[1]
functions = re.findall(r"^(?!typedef|#| )[a-z].*?\b(keygate_\w+)\(", text, re.M)


def literal(lines):
    """As it stands: tables and code are laid out by hand, and their signs are those of C."""
    signs = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"})
    shown = (line.translate(signs) for line in lines)
    # A dot at the beginning would be a request.
    return [".nf", *("\\&" + line if line[:1] == "." else line for line in shown), ".fi"]


def trimmed(lines):
    return "\n".join(lines).strip("\n").split("\n")


comment, rest = text.split(" */\n", 1)
lines = [re.sub(r"^ \* ?", "", line) for line in comment.split("\n")[1:]]
title = next(line for line in lines if line)
name, about = title.rstrip(".").split(": ", 1)
page = [f'.TH KEYGATE 3 {date} "keygate {version}"', ".SH NAME", f"{name} \\- {about}"]
heading, body, parts = "DESCRIPTION", [], []
for line in lines[lines.index(title) + 1 :]:
    # A section begins with its name in capitals.
    if found := re.match(r"([A-Z]{4,}(?: AND [A-Z]+)?)\b(?:[.,:] *|$| (?=of |come ))(.*)", line):
        parts.append((heading, body))
        heading, body = found[1], [found[2]] if found[2] else []
    else:
        body.append(line)
parts.append((heading, body))
code = re.search(r"#include <stdbool.*?(?=#ifdef __cplusplus\n}|\Z)", rest, re.S)[0]
code = re.sub(r"#ifdef __cplusplus\n.*?#endif[^\n]*\n", "", code, flags=re.S)
parts.append(("DECLARATIONS", code.split("\n")))
for heading, body in parts:
    page += [f".SH {heading}", *literal(trimmed(body))]
folder.mkdir(parents=True, exist_ok=True)
(folder / "keygate.3").write_text("\n".join(page) + "\n")
assert len(functions) > 40 and len(parts) > 9, (functions, [heading for heading, _ in parts])
for function in functions:
    (folder / f"{function}.3").write_text(".so man3/keygate.3\n")
