"""Runs all benches, one after the other, each with its own stack: `python -m bench`."""

from bench import (
    arrivals,
    cancel,
    fairness,
    first_token,
    hostile,
    pickup,
    recovery,
    replay,
    report,
    retrieval,
    speech,
)

_ALL = {
    "pickup": pickup.measure,
    "first_token": first_token.measure,
    "cancel": cancel.measure,
    "fairness": fairness.measure,
    "hostile": hostile.measure,
    "recovery": recovery.measure,
    "replay": replay.measure,
    "retrieval": retrieval.measure,
    "speech": speech.measure,
    "arrivals": arrivals.measure,
}

if __name__ == "__main__":
    _parser = report.parser(__doc__)
    _parser.add_argument(
        "--only", nargs="+", choices=_ALL, default=_ALL, metavar="NAME", help=", ".join(_ALL)
    )
    _options = _parser.parse_args()
    report.run(_options, {name: _ALL[name] for name in _options.only})
