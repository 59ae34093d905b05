"""The papers, as the report names them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Source"]


@dataclass(frozen=True)
class Source:
    """A paper: who, where, and a link to it."""

    label: str
    url: str


def _arxiv(number: str, authors: str) -> Source:
    return Source(f"{authors}, arXiv:{number}", f"https://arxiv.org/abs/{number}")


LOCAL_GD = _arxiv("2412.07971", "Zhu, Vardhan, Mazumdar")
GRADALIGN = _arxiv("2106.13897", "Dandi, Barba, Jaggi 2022")
IMPLICIT_BIAS = _arxiv("1710.10345", "Soudry, Hoffer, Nacson, Gunasekar, Srebro 2018")
NOT_SEPARABLE = _arxiv("1803.07300", "Ji, Telgarsky 2019")
TWO_STAGE = _arxiv("2501.13790", "Crawshaw, Woodworth, Liu 2025")
ANY_STEP = _arxiv("2506.13974", "Crawshaw, Woodworth, Liu 2025")
LOCAL_SGD = _arxiv("2002.07839", "Woodworth et al. 2020")
SCAFFOLD = _arxiv("1910.06378", "Karimireddy et al. 2020")
FEDPROX = _arxiv("1812.06127", "Li et al. 2020")
FEDAVG = _arxiv("1602.05629", "McMahan et al. 2017")
SERVER_OPTIMIZERS = _arxiv("2003.00295", "Reddi et al. 2021")
MIN_NORM = _arxiv("1802.08246", "Gunasekar, Lee, Soudry, Srebro 2018")
ANCHORED = Source("Halpern 1967", "https://doi.org/10.1090/S0002-9904-1967-11864-0")
