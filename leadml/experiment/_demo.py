"""The demo: a year of leads of a fictional company, its contract, its definition, one question."""

from __future__ import annotations

from pathlib import Path

from leadml._files import write_text
from leadml.leads import write_synthetic_leads

__all__ = ["write_demo"]

_EXPERIMENT = """# Made by `leadml demo`; run it again with: leadml run experiment.yaml --output .
question: Should "hot" ask for more than it does, or for less?
definition: definition.yaml
contract: contract.yaml
targets: [accepted, won]
goal: {{maximise: net_value}}
proposals: {{max_changes: 2, max_candidates: 3, error_rate: 0.05}}
random_state: {random_state}
"""


def write_demo(folder: Path | str, *, n_leads: int = 12_000, random_state: int = 0) -> Path:
    """Write the demo's leads, contract, definition and experiment.

    Parameters
    ----------
    folder : path-like
        Where the files go; older ones of the same name are replaced.
    n_leads : int, default=12000
        Leads to generate.
    random_state : int, default=0
        Seed; the same seed gives the same files.

    Returns
    -------
    Path
        The experiment file, for `load_experiment`.
    """
    write_synthetic_leads(folder, n_leads=n_leads, random_state=random_state)
    path = Path(folder) / "experiment.yaml"
    write_text(path, _EXPERIMENT.format(random_state=random_state))
    return path
