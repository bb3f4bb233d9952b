"""PPO's critic: a linear value of the policy's last hidden state, with an optimiser of its own.

Contract: inputs are hidden states (n, width) without gradient, normalised to length 1; `learn` adds
a part's gradient, `step` uses it.  Its state is kept in the work folder for every step that may
have a checkpoint, and a resumed run goes on with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.project.atomic import atomic_path
from denizen.train.checkpoints import resumed_step

if TYPE_CHECKING:
    import torch

RATE = 1e-2
# As many as there are checkpoints, and the one being written.
_KEPT = 3


class Critic:
    """The value of each state, in units of reward."""

    def __init__(self, model: Any, work: Path) -> None:
        import torch

        width = model.get_output_embeddings().weight.shape[1]
        self._head = torch.nn.Linear(width, 1).to(model.device)
        self.parameters = list(self._head.parameters())
        for parameter in self.parameters:
            torch.nn.init.zeros_(parameter)
        self._optimiser = torch.optim.Adam(self.parameters, lr=RATE)
        self._work = work
        kept = self._path(resumed_step(work))
        if kept.exists():
            state = torch.load(kept, weights_only=True)
            self._head.load_state_dict(state["head"])
            self._optimiser.load_state_dict(state["optimiser"])

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Values, shape (n,)."""
        import torch.nn.functional as F

        values: torch.Tensor = self._head(F.normalize(hidden.float(), dim=-1))[:, 0]
        return values

    def learn(
        self,
        hidden: torch.Tensor,
        before: torch.Tensor,
        returns: torch.Tensor,
        weights: torch.Tensor,
        clip: float,
    ) -> float:
        """Add the gradient of the weighted sum of clipped squared errors; the sum."""
        import torch

        with torch.enable_grad():
            loss = (value_loss(self(hidden), before, returns, clip) * weights).sum()
            loss.backward()
        return float(loss.detach())

    def step(self) -> None:
        """Move by what was added."""
        self._optimiser.step()
        self._optimiser.zero_grad()

    def save(self, step: int) -> None:
        """Keep the state of before `step`, and of the few saves before it."""
        import torch

        self._work.mkdir(parents=True, exist_ok=True)
        state = {"head": self._head.state_dict(), "optimiser": self._optimiser.state_dict()}
        with atomic_path(self._path(step)) as temporary:
            torch.save(state, temporary)
        found = sorted(self._work.glob("critic-*.pt"), key=lambda p: int(p.stem.split("-")[1]))
        for path in found[:-_KEPT]:
            path.unlink()

    def _path(self, step: int) -> Path:
        return self._work / f"critic-{step}.pt"


def value_loss(
    values: torch.Tensor, before: torch.Tensor, returns: torch.Tensor, clip: float
) -> torch.Tensor:
    """Half the squared error, or that of the value clipped around the earlier one if larger."""
    import torch

    near = before + (values - before).clamp(-clip, clip)
    return 0.5 * torch.max((values - returns) ** 2, (near - returns) ** 2)
