"""GaLore: Adam on the gradient's leading directions (Zhao et al. 2024, arXiv:2403.03507).

Contract: each projected matrix keeps moments of shape rank x longer side; the basis of the shorter
side is that of the gradient's largest singular values, renewed every `gap` steps, and the moments
stay through a renewal, as in the paper.  The step is a quarter of Adam's, the paper's scale.
"""

from __future__ import annotations

from typing import Any

import torch

from denizen.train.optimisers.base import ProjectedAdamW, adam

SCALE = 0.25


class GaLore(ProjectedAdamW):
    """AdamW in the gradient's subspace."""

    def direction(
        self, gradient: torch.Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> torch.Tensor:
        """SCALE x P adam(P^T G), with P on the shorter side."""
        tall = gradient.shape[0] > gradient.shape[1]
        wide = gradient.T if tall else gradient
        if (state["step"] - 1) % group["gap"] == 0:
            state["basis"] = leading(wide, group["rank"])
        basis = state["basis"]
        back = SCALE * basis @ adam(basis.T @ wide, state, group)
        return back.T if tall else back


def leading(matrix: torch.Tensor, rank: int) -> torch.Tensor:
    """The `rank` left singular vectors of the largest singular values: (rows, rank).

    From the eigenvectors of M M^T: a quarter of the time of a singular value decomposition where
    M has more columns than rows.
    """
    _, vectors = torch.linalg.eigh(matrix @ matrix.T)
    return vectors[:, -rank:].flip(-1).contiguous()
