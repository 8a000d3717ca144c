"""Reads documents as no code of ours does: one never ends, one ends the process, one says nothing."""

import os
import sys
import time

import orjson

from common.framing import pack, read
from common.knowledge.preparing import prepared

while (question := read(sys.stdin.buffer)) is not None:
    title, text = orjson.loads(question)
    if "never" in text:
        time.sleep(3_600)
    if "crash" in text:
        os._exit(9)
    sys.stdout.buffer.write(pack(None if "garbled" in text else list(map(list, prepared(title, text)))))
    sys.stdout.buffer.flush()
