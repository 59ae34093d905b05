"""The table: contestants of each case beside localgd, and a line per case at the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .cases import Case
from .limits import Limit
from .measure import Entrant

__all__ = ["HEAD", "Group", "summary"]

HEAD = (
    f"{'contestant':12} {'form':22} {'steps/s':>14} {'min':>14} {'max':>14} "
    f"{'localgd/it':>10} {'of limit':>8}  note"
)


@dataclass(frozen=True)
class Group:
    """All that was measured of one case in one dtype."""

    case: Case
    dtype: str
    entrants: list[Entrant]
    limits: dict[str, Limit]

    @property
    def ours(self) -> Entrant:
        """The faster of localgd's own."""
        return max((e for e in self.entrants if e.ours), key=lambda e: e.rate)

    @property
    def stepwise(self) -> Entrant:
        """The faster of those of localgd's own that take every local step."""
        every = [e for e in self.entrants if e.ours and e.rates and "every step" in e.name]
        return max(every, key=lambda e: e.rate, default=self.ours)

    def strongest(self, keeps: str | None = None) -> Entrant | None:
        """The fastest rival, of any form or of those that keep the weights."""
        rivals = [e for e in self.entrants if not e.ours and e.rates and keeps in (None, e.keeps)]
        return max(rivals, key=lambda e: e.rate, default=None)

    def ratio(self, rival: Entrant | None, own: Entrant | None = None) -> float:
        """Of localgd's fastest, or of another of its own, to a rival."""
        rate = (own or self.ours).rate
        return rate / rival.rate if rival is not None and rival.rate else float("nan")

    def share(self, entrant: Entrant) -> float:
        """Of the machine's limit for what the entrant keeps."""
        limit = self.limits.get(entrant.keeps)
        return entrant.rate / limit.steps_per_second if limit else float("nan")

    def lines(self) -> list[str]:
        title = f"{self.case.name} {self.dtype}: {self.case.title}, {self.case.shape}"
        best, kept = self.strongest(), self.strongest("weights")
        lines = [title]
        for form, limit in self.limits.items():
            lines.append(
                f"  limit, {form}: {limit.steps_per_second:,.0f} steps/s by {limit.binding}; "
                f"of the whole round {limit.whole_round:,.0f}"
            )
        for entrant in sorted(self.entrants, key=lambda e: (not e.ours, -e.rate)):
            marks = [entrant.note]
            if entrant is best:
                marks.append("strongest rival")
            if entrant is kept:
                marks.append("strongest with weights kept")
            lines.append(self._line(entrant, "; ".join(filter(None, marks))))
        return lines

    def _line(self, entrant: Entrant, note: str) -> str:
        name = f"{entrant.remote.name:12} {entrant.keeps + ' ' + entrant.name:22}"
        if not entrant.rates:
            return f"{name} {entrant.problem}"
        ratio = "" if entrant.ours else f"{self.ratio(entrant):.1f}"
        return (
            f"{name} {entrant.rate:14,.0f} {min(entrant.rates):14,.0f} {max(entrant.rates):14,.0f} "
            f"{ratio:>10} {self.share(entrant):8.0%}  {note}"
        ).rstrip()

    def as_dict(self) -> dict[str, Any]:
        best, kept = self.strongest(), self.strongest("weights")
        return {
            "case": asdict(self.case),
            "dtype": self.dtype,
            "limits": {form: asdict(limit) for form, limit in self.limits.items()},
            "ratio_to_strongest": self.ratio(best) if best else None,
            "ratio_to_strongest_with_weights_kept": self.ratio(kept) if kept else None,
            "ratio_of_every_step_to_strongest": self.ratio(best, self.stepwise) if best else None,
            "share_of_limit": self.share(self.stepwise),
            "entrants": [entrant.as_dict() for entrant in self.entrants],
        }


def summary(groups: list[Group]) -> list[str]:
    """One line per case and dtype; e.s.: the ratio of every step taken."""
    lines = [
        f"{'case':5} {'dtype':8} {'localgd':>13} {'every step':>13} {'of limit':>8}  "
        f"{'strongest rival':28} {'rate':>12} {'ratio':>6} {'e.s.':>5}  "
        f"{'strongest, weights kept':26} {'ratio':>6}"
    ]
    for group in groups:
        best, kept = group.strongest(), group.strongest("weights")
        lines.append(
            f"{group.case.name:5} {group.dtype:8} {group.ours.rate:13,.0f} "
            f"{group.stepwise.rate:13,.0f} {group.share(group.stepwise):8.0%}  "
            f"{_full_name(best):28} {best.rate if best else 0:12,.0f} {group.ratio(best):6.1f} "
            f"{group.ratio(best, group.stepwise):5.1f}  "
            f"{_full_name(kept):26} {group.ratio(kept):6.1f}"
        )
    return lines


def _full_name(entrant: Entrant | None) -> str:
    return "none" if entrant is None else f"{entrant.remote.name}, {entrant.keeps} {entrant.name}"
