"""Signal equations of MRI: the brightness of each tissue from its constants and the sequence.

Sources:
    Tissue constants at 1.5 T: the BrainWeb simulator. Collins et al., "Design and construction of a
    realistic digital brain phantom", IEEE Trans. Med. Imaging 17(3), 1998; Kwan, Evans and Pike,
    "MRI simulation-based evaluation of image-processing and classification methods", ibid. 18(11),
    1999. Bone, empty there: Du and Bydder, "Qualitative and quantitative ultrashort-TE MRI of
    cortical bone", NMR Biomed. 26(5), 2013.
    Signal equations: Haacke et al., "Magnetic Resonance Imaging: Physical Principles and Sequence
    Design", Wiley, 1999.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "T1_WEIGHTED",
    "T2_WEIGHTED",
    "TISSUES",
    "Tissue",
    "gradient_echo_signal",
    "inversion_recovery_signal",
    "signal_table",
    "spin_echo_signal",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tissue:
    """The constants of a tissue that decide its brightness.

    Attributes:
        t1: Longitudinal relaxation time in ms.
        t2: Transverse relaxation time in ms, for a spin echo.
        t2_star: Transverse relaxation time in ms without refocusing, for a gradient echo.
        pd: Proton density relative to water, in [0, 1].
    """

    t1: float
    t2: float
    t2_star: float
    pd: float


TISSUES: Mapping[str, Tissue] = {
    "CSF": Tissue(t1=2569, t2=329, t2_star=58, pd=1.00),
    "grey matter": Tissue(t1=833, t2=83, t2_star=69, pd=0.86),
    "white matter": Tissue(t1=500, t2=70, t2_star=61, pd=0.77),
    "fat": Tissue(t1=350, t2=70, t2_star=58, pd=1.00),
    "muscle and skin": Tissue(t1=900, t2=47, t2_star=30, pd=1.00),
    "bone": Tissue(t1=200, t2=0.4, t2_star=0.4, pd=0.20),
}
"""Tissue constants at 1.5 T; for their sources see the docstring of the module."""

# Protocols; times in ms, angle in degrees. T1-w is a gradient echo: after a short TR, tissues with
# a long T1 have hardly recovered. T2-w is a spin echo: after a long TR all have recovered, and
# after a long TE only tissues with a long T2 still have a signal.
T1_WEIGHTED: Mapping[str, float] = {"tr": 18.0, "te": 10.0, "flip_angle": 30.0}
T2_WEIGHTED: Mapping[str, float] = {"tr": 5000.0, "te": 120.0}


def spin_echo_signal(tissue: Tissue, tr: ArrayLike, te: ArrayLike) -> Array:
    """Return the signal in a spin-echo sequence: PD · (1 − exp(−TR / T1)) · exp(−TE / T2).

    Args:
        tissue: The tissue's constants.
        tr: Repetition time in ms; a number or an array.
        te: Echo time in ms, short beside TR; a number or an array.

    Returns:
        The signal in `[0, 1]`, of the broadcast shape of `tr` and `te`.
    """
    recovered = 1 - np.exp(-np.asarray(tr, dtype=float) / tissue.t1)
    return tissue.pd * recovered * np.exp(-np.asarray(te, dtype=float) / tissue.t2)


def gradient_echo_signal(
    tissue: Tissue, tr: ArrayLike, te: ArrayLike, flip_angle: ArrayLike
) -> Array:
    """Return the signal in a spoiled gradient-echo sequence, the usual one for T1-w brain images.

    PD · sin α · (1 − E) / (1 − E cos α) · exp(−TE / T2*) with E = exp(−TR / T1).

    Args:
        tissue: The tissue's constants.
        tr: Repetition time in ms; a number or an array.
        te: Echo time in ms; a number or an array.
        flip_angle: Flip angle α in degrees; a number or an array.

    Returns:
        The signal in `[0, 1]`, of the broadcast shape of the three.
    """
    alpha = np.deg2rad(np.asarray(flip_angle, dtype=float))
    e1 = np.exp(-np.asarray(tr, dtype=float) / tissue.t1)
    steady = np.sin(alpha) * (1 - e1) / (1 - e1 * np.cos(alpha))
    return tissue.pd * steady * np.exp(-np.asarray(te, dtype=float) / tissue.t2_star)


def inversion_recovery_signal(tissue: Tissue, tr: ArrayLike, te: ArrayLike, ti: ArrayLike) -> Array:
    """Return the signal in an inversion-recovery sequence, which can silence one tissue.

    PD · |1 − 2 exp(−TI / T1) + exp(−TR / T1)| · exp(−TE / T2): a pulse turns the magnetisation
    over, and after the time TI it is read as by a spin echo. FLAIR reads it when CSF passes zero.

    Args:
        tissue: The tissue's constants.
        tr: Repetition time in ms; a number or an array.
        te: Echo time in ms, short beside TR; a number or an array.
        ti: Inversion time in ms, at most TR; a number or an array.

    Returns:
        The signal in `[0, 1]`, of the broadcast shape of the three.
    """
    inverted = 2 * np.exp(-np.asarray(ti, dtype=float) / tissue.t1)
    recovered = np.abs(1 - inverted + np.exp(-np.asarray(tr, dtype=float) / tissue.t1))
    return tissue.pd * recovered * np.exp(-np.asarray(te, dtype=float) / tissue.t2)


def signal_table() -> pd.DataFrame:
    """Return the constants and the signals of every tissue.

    Returns:
        One row per tissue; columns `T1 (ms)`, `T2 (ms)`, `T2* (ms)`, `PD`, `T1-w`, `T2-w`. The last
        two are signals under `T1_WEIGHTED` and `T2_WEIGHTED`, the brightest tissue being 1.
    """
    table = pd.DataFrame([vars(tissue) for tissue in TISSUES.values()], index=list(TISSUES))
    table = table.set_axis(["T1 (ms)", "T2 (ms)", "T2* (ms)", "PD"], axis=1).rename_axis("tissue")
    t1w = [float(gradient_echo_signal(tissue, **T1_WEIGHTED)) for tissue in TISSUES.values()]
    t2w = [float(spin_echo_signal(tissue, **T2_WEIGHTED)) for tissue in TISSUES.values()]
    return table.assign(**{"T1-w": np.divide(t1w, max(t1w)), "T2-w": np.divide(t2w, max(t2w))})
