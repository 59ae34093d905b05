"""The papers, as the report names them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Source", "find_source"]


@dataclass(frozen=True)
class Source:
    """A paper: who, where, and a link to it."""

    label: str
    url: str


def _arxiv(number: str, authors: str) -> Source:
    return Source(f"{authors}, arXiv:{number}", f"https://arxiv.org/abs/{number}")


# By the names that the words of experiments give them.
SOURCES = {
    "local_gd": _arxiv("2412.07971", "Zhu, Vardhan, Mazumdar"),
    "gradalign": _arxiv("2106.13897", "Dandi, Barba, Jaggi 2022"),
    "implicit_bias": _arxiv("1710.10345", "Soudry, Hoffer, Nacson, Gunasekar, Srebro 2018"),
    "not_separable": _arxiv("1803.07300", "Ji, Telgarsky 2019"),
    "two_stage": _arxiv("2501.13790", "Crawshaw, Woodworth, Liu 2025"),
    "any_step": _arxiv("2506.13974", "Crawshaw, Woodworth, Liu 2025"),
    "local_sgd": _arxiv("2002.07839", "Woodworth et al. 2020"),
    "heterogeneous": _arxiv("2006.04735", "Woodworth, Patel, Srebro 2020"),
    "scaffold": _arxiv("1910.06378", "Karimireddy et al. 2020"),
    "fedavg": _arxiv("1602.05629", "McMahan et al. 2017"),
    "min_norm": _arxiv("1802.08246", "Gunasekar, Lee, Soudry, Srebro 2018"),
    "risk_adapted": _arxiv("2504.04105", "Zhang et al. 2025"),
    "network_margins": _arxiv("1906.05890", "Lyu, Li 2020"),
    "lazy": _arxiv("1812.07956", "Chizat, Oyallon, Bach 2019"),
    "tangent_kernel": _arxiv("1806.07572", "Jacot, Gabriel, Hongler 2018"),
    "flows": Source("Pazy 1971", "https://doi.org/10.1007/BF02771588"),
    "anchored": Source("Halpern 1967", "https://doi.org/10.1090/S0002-9904-1967-11864-0"),
}


def find_source(name: str) -> Source:
    """The paper of this name."""
    if name not in SOURCES:
        raise ValueError(f"sources: got {name!r}; want some of {', '.join(SOURCES)}")
    return SOURCES[name]
