#!/usr/bin/env python3
"""Checks an audit log without a belljar: verify_audit.py AUDIT_LOG [AUDIT_HEAD]

The files that rotation has put aside are found beside the log, and so is the checkpoint
`audit.head`, unless it is named. Finds what `belljar audit verify` finds: lines that were changed,
removed or moved, and an end that was cut off.
"""

import hashlib
import json
import re
import sys
from pathlib import Path


def sha256(content):
    return hashlib.sha256(content).hexdigest()


if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
log = Path(sys.argv[1])
head = Path(sys.argv[2]) if len(sys.argv) == 3 else log.with_name("audit.head")
# Before the log: a server may be writing, and what it had come to by now must be there.
checkpoint = json.loads(head.read_text()) if head.exists() else None
aside = re.compile(re.escape(log.name) + r"\.[0-9]{12}")
files = sorted(file for file in log.parent.iterdir() if aside.fullmatch(file.name))

before = None  # sequence and hash of the line before
torn = []  # lines that are none, until the event that accounts for them
for file in [*files, log]:
    for number, line in enumerate(file.open("rb"), 1):
        place = f"{file}:{number}"
        is_open = not line.endswith(b"\n")
        line = line.removesuffix(b"\n")
        # The hash is that of the line as it would be without its last member.
        match = re.fullmatch(rb'(.*),"hash":"([0-9a-f]{64})"\}', line)
        if not match:
            # A crash may tear a line, and the next start says so. One without an end is being written.
            if line and not is_open:
                torn.append((sha256(line), place))
            continue
        content, claimed = match[1] + b"}", match[2].decode()
        if sha256(content) != claimed:
            sys.exit(f"{place}: the line was changed")
        event = json.loads(content)
        if torn:
            digest, where = torn.pop(0)
            about = event.get("about", {})
            accounted = event["event"] == "audit_torn_line" and about.get("sha256") == digest
            if not accounted:
                sys.exit(f"{where}: no line of an audit log")
        sequence = event["sequence"]
        if before is None and checkpoint and sequence > checkpoint["base"]["sequence"]:
            before = checkpoint["base"]["sequence"], checkpoint["base"]["hash"]
        elif before is None and sequence == 1:
            before = 0, "0" * 64
        if before and sequence != before[0] + 1:
            sys.exit(f"{place}: number {sequence} stands where {before[0] + 1} belongs")
        if before and event["previous"] != before[1]:
            sys.exit(f"{place}: does not follow from the line before it")
        before = sequence, claimed
        if checkpoint and checkpoint["last"]["sequence"] == sequence:
            if checkpoint["last"]["hash"] != claimed:
                sys.exit(f"{place}: is not the line that {head} has")

if torn:
    sys.exit(f"{torn[0][1]}: no line of an audit log")
last = before or (0, "0" * 64)
if checkpoint and checkpoint["last"]["sequence"] > last[0]:
    sys.exit(f"{log}: ends with number {last[0]}, and had come to {checkpoint['last']['sequence']}")
print(f"whole; last hash {last[1]}")
if checkpoint is None:
    print(f"warning: there is no {head}: a cut at the end could not be found", file=sys.stderr)
