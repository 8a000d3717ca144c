"""The phases of a turn between its lanes. Phases are values: to go back is to assign an earlier one."""

from dataclasses import dataclass

from common.turn.draft_cut import DraftCut


@dataclass(frozen=True, slots=True)
class Drafting:
    """The draft speaks until the full overtakes it.

    `listen_until_ms`: until then a full that waits for the draft lets it go on. `waits_again`: that time has
    come once without a word of the draft, which gets what is left, and then no more to finish a sentence.
    """

    listen_until_ms: int | None = None
    waits_again: bool = False


@dataclass(frozen=True, slots=True)
class Closing:
    """The full has overtaken; the draft may finish its sentence.

    `cut`: where it stops. `finish_by_ms`: when it is cut at the latest; None once that has come.
    """

    cut: DraftCut
    overtaken_ms: int
    finish_by_ms: int | None


@dataclass(frozen=True, slots=True)
class Speaking:
    """The full speaks. Without a draft this is all there is, and nothing was overtaken.

    `handover_ms`: None also where the full had failed by then. `broken`: the draft is heard to break off.
    """

    overtaken_ms: int | None = None
    handover_ms: int | None = None
    broken: bool = False


Phase = Drafting | Closing | Speaking
