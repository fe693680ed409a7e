#!/usr/bin/env python3
"""Checks the chain of audit files without a belljar: verify_audit.py audit.log.0000… audit.log"""

import hashlib
import json
import re
import sys

previous = None
for name in sys.argv[1:]:
    for number, line in enumerate(open(name, "rb"), 1):
        # The hash is that of the line as it would be without its last member.
        match = re.fullmatch(rb'(.*),"hash":"([0-9a-f]{64})"\}\n', line)
        if not match:
            sys.exit(f"{name}:{number}: no line of an audit log (a crash may have torn it)")
        content = match[1] + b"}"
        if hashlib.sha256(content).hexdigest().encode() != match[2]:
            sys.exit(f"{name}:{number}: changed")
        if previous and json.loads(content)["previous"].encode() != previous:
            sys.exit(f"{name}:{number}: does not follow from the line before it")
        previous = match[2]
print("whole; last hash", previous.decode())
