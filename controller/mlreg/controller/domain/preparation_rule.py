"""How a policy says that rows become numbers without gaps, for the trainer `sklearn`."""

from __future__ import annotations

from typing import Literal

from mlreg.controller.domain.policy_part import PolicyPart


class PreparationRule(PolicyPart):
    """`{impute: median, scale: true, categories: one_hot}`.

    `impute`: what stands for a missing number: the mean, the median or the most frequent value of
    the training rows, zero, or `refuse`. `scale`: numbers to mean 0 and standard deviation 1.
    `categories`: a column per category (missing: all 0), or the code as a number (missing: -1).
    """

    impute: Literal["mean", "median", "most_frequent", "zero", "refuse"] = "median"
    scale: bool = True
    categories: Literal["one_hot", "codes"] = "one_hot"
