"""Run the demo and bring the README up to date: the picture of a proposal, the demo's answer, the rules.

    python experiments/figures/draw.py

Seeded. The picture is the proposal as the packet shows it, photographed in Chromium (left as it is where
no Chromium is installed).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from leadml.definitions import describe_rules
from leadml.experiment import analyse_experiment, load_experiment, write_demo
from leadml.review import write_packet

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "experiments" / "figures" / "proposal.png"


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        result = analyse_experiment(load_experiment(write_demo(folder)))
        write_packet(result, Path(folder) / "packet.html")
        draw_proposal(Path(folder) / "packet.html")
    text = replace_block(text, "demo-summary", f"```text\n{str(result).rstrip()}\n```")
    text = replace_block(text, "rules", rules_table())
    readme.write_text(text, "utf-8")


def draw_proposal(packet: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium on the path: the picture stays as it is")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        browser = driver.chromium.launch(executable_path=chromium, args=quiet)
        page = browser.new_page(viewport={"width": 900, "height": 900}, color_scheme="light")
        page.goto(packet.as_uri())
        page.locator(".card.change").first.screenshot(path=PICTURE)
        browser.close()


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
    main()
