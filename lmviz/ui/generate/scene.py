"""What all parts of the page Generate look at. Not here: Streamlit controls."""

from dataclasses import dataclass
from typing import Any

from lmviz.runs import Run


@dataclass(frozen=True)
class Scene:
    """One model at one moment of its training."""

    run: Run
    step: int

    @property
    def question(self) -> dict[str, Any]:
        """Arguments that most questions about it share."""
        return {"run": self.run.id, "step": self.step}
