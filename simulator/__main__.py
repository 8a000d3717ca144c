"""Runs the simulator: `python -m simulator --port 8100`."""

import argparse
from dataclasses import replace
from pathlib import Path

from simulator.models import DRAFT, FULL, SimulatorConfig
from simulator.server import run


def _parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument(
        "--answers",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.jsonl",
        help="rows {prompt, draft, full}; may be repeated",
    )
    for kind, behaviour in (("draft", DRAFT), ("full", FULL)):
        parser.add_argument(f"--{kind}-ttft-ms", type=float, default=behaviour.ttft_ms, metavar="MS")
        parser.add_argument(f"--{kind}-tpot-ms", type=float, default=behaviour.tpot_ms, metavar="MS")
    return parser.parse_args(argv)


def _main() -> None:
    options = _parse()
    config = SimulatorConfig(
        answers=tuple(options.answers),
        draft=replace(DRAFT, ttft_ms=options.draft_ttft_ms, tpot_ms=options.draft_tpot_ms),
        full=replace(FULL, ttft_ms=options.full_ttft_ms, tpot_ms=options.full_tpot_ms),
    )
    run(options.host, options.port, config)


if __name__ == "__main__":
    _main()
