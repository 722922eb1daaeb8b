"""Run the demo and bring the README up to date: the picture of a proposal, the demo's answer, the rules.

    python experiments/figures/draw.py

Seeded; a second run changes nothing.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import matplotlib as mpl

from leadml.definitions import describe_rules
from leadml.experiment import analyse_experiment, load_experiment, write_demo

ROOT = Path(__file__).parents[2]


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        result = analyse_experiment(load_experiment(write_demo(folder)))
    draw_proposal(result.proposals)
    text = replace_block(text, "demo-summary", f"```text\n{str(result).rstrip()}\n```")
    text = replace_block(text, "rules", rules_table())
    readme.write_text(text, "utf-8")


def draw_proposal(proposals) -> None:
    settings = {"svg.hashsalt": "leadml", "svg.fonttype": "none"}
    with mpl.rc_context(settings):
        figure, ax = mpl.pyplot.subplots(figsize=(8, 2.6), layout="constrained")
        proposals.plot(ax)
        path = ROOT / "experiments" / "figures" / "proposal.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def rules_table() -> str:
    rows = ["| code | severity | rule | why | needs |", "|---|---|---|---|---|"]
    rows += [f"| {r.code} | {r.severity} | {r.name} | {r.why} | {r.needs} |" for r in describe_rules()]
    return "\n".join(rows)


def replace_block(text: str, name: str, block: str) -> str:
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"README.md has no block {name!r}")
    return pattern.sub(lambda match: f"{match[1]}{block}\n{match[2]}", text)


if __name__ == "__main__":
    import matplotlib.pyplot as plt  # noqa: F401 - loads mpl.pyplot

    main()
