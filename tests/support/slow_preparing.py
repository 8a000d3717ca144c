"""Reads documents as no code of ours does: one never ends, one ends the process, others say nonsense."""

import os
import sys
import time

import orjson

from common.knowledge.preparing import prepared
from common.net.framing import pack, read

while (question := read(sys.stdin.buffer)) is not None:
    title, text = orjson.loads(question)
    if "never" in text:
        time.sleep(3_600)
    if "crash" in text:
        os._exit(9)
    said = None if "garbled" in text else list(map(list, prepared(title, text)))
    sys.stdout.buffer.write(pack([["one field alone"]] if "odd" in text else said))
    sys.stdout.buffer.flush()
