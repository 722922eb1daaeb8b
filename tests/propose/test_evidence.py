"""The exact search: equal to brute force over every single change and pair, whatever the rule."""

import itertools
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.definitions import (
    Group,
    assign_classes,
    evaluate_criteria,
    parse_criterion,
)
from leadml.propose._board import Edit, build_board
from leadml.propose._evidence import extend_edits, make_cells, search_edits

RULES = ("all", "any", "nested", "two classes", "points", "points twice", "points thrice", "kept back")


def rewrite(definition, changes):
    """Change a definition on its value, without the engine; None if a group would be left impossible."""
    by_address = {change.address: change for change in changes if change.kind not in {"added", "points"}}
    earned = {change.address: change for change in changes if change.kind == "points"}
    added = [change for change in changes if change.kind == "added"]

    def turned(group):
        members = []
        for member in group.members:
            change = by_address.get(member.address)
            if isinstance(member, Group):
                members.append(turned(member))
            elif change is None:
                members.append(member)
            elif change.proposed is not None:
                parsed = parse_criterion(change.proposed, attributes=definition.typed_attributes())
                members.append(replace(parsed, address=member.address))
        members += [
            parse_criterion(change.proposed, attributes=definition.typed_attributes())
            for change in added
            if change.address == group.address
        ]
        k = len(members) if group.kind == "all_of" else group.k
        if group.address in by_address:
            words = by_address[group.address].proposed.removeprefix("at least ").split(" of ")[0]
            k = {"all": len(group.members), "any": 1}.get(words) or int(words)
            return replace(group, members=tuple(members), k=k, kind="at_least")
        if not members or k > len(members) or None in members:
            return None
        return replace(group, members=tuple(members), k=k)

    rules = [
        None if lead_class.rule is None else turned(lead_class.rule) for lead_class in definition.classes
    ]
    if any(
        lead_class.rule and rule is None for lead_class, rule in zip(definition.classes, rules, strict=True)
    ):
        return None
    classes = tuple(
        replace(lead_class, rule=rule) for lead_class, rule in zip(definition.classes, rules, strict=True)
    )
    points = tuple(
        replace(
            score,
            rules=tuple(
                giving(definition, rule, earned[rule.when.address]) if rule.when.address in earned else rule
                for rule in score.rules
            ),
        )
        for score in definition.points
    )
    return replace(definition, classes=classes, points=points)


def giving(definition, rule, change):
    points, when = change.proposed.split(" points for ")
    parsed = parse_criterion(when, attributes=definition.typed_attributes())
    return replace(rule, points=Decimal(points), when=replace(parsed, address=change.address))


def handed_over(definition, frame):
    return assign_classes(definition, frame).isin(definition.handoff).to_numpy()


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 80))
def test_search_equals_brute_force(worlds, rule, seed, n):
    definition, frame = worlds.parse_small(rule), worlds.draw_small(seed, n)
    rng = np.random.default_rng(seed + 1)
    everyone = np.ones(n, bool)
    board = build_board(definition, frame, sample=everyone)
    assert (board.handed_over == handed_over(definition, frame)).all()
    labels, strata = rng.integers(0, 3, n).astype(np.int8), rng.integers(0, 2, n).astype(np.int16)
    evidence = rng.random(n) < 0.9
    cells = make_cells(labels, strata, evidence, 2)
    found = search_edits(board, everyone, cells, max_changes=2)
    assert len(found.edits) == len(set(found.edits))
    now = handed_over(definition, frame)
    for position in rng.permutation(len(found.edits))[:80]:
        edit = found.edits[position]
        revised = rewrite(definition, board.changes(edit))
        assert revised is not None
        then = handed_over(revised, frame)
        gained, lost = board.moved(edit, everyone)
        assert set(gained) == set(np.flatnonzero(then & ~now))
        assert set(lost) == set(np.flatnonzero(now & ~then))
        for counts, rows in ((found.gained[position], gained), (found.lost[position], lost)):
            assert counts.tolist() == np.bincount(cells.index[rows], minlength=cells.n).tolist()


@pytest.mark.parametrize("rule", RULES)
def test_every_single_change_and_pair_is_there(worlds, rule):
    definition, frame = worlds.parse_small(rule), worlds.draw_small(1, 80)
    board = build_board(definition, frame, sample=np.ones(80, bool))
    cells = make_cells(np.zeros(80, np.int8), np.zeros(80, np.int16), np.ones(80, bool), 1)
    singles = search_edits(board, np.ones(80, bool), cells, max_changes=1).edits
    both = search_edits(board, np.ones(80, bool), cells, max_changes=2).edits
    assert set(singles) < set(both)
    dials = [
        (dial, number + 1) for dial in board.turnable for number in range(len(board.dials[dial].alternatives))
    ]
    groups = [number for number, variant in enumerate(board.variants) if len(variant.changes) == 1]
    assert len(singles) == len(dials) + len(groups)
    expected = {
        ((one, other), -1)
        for one, other in itertools.combinations(dials, 2)
        if board.apart((one[0], other[0]))
    }
    expected |= {((turn,), group) for turn in dials for group in groups if board.fits(group, *turn)}
    expected |= {((), number) for number in range(len(board.variants)) if number not in groups}
    pairs = {(edit.turns, edit.variant) for edit in both if edit.n_changes == 2}
    assert expected - pairs == {turns for turns in expected if not writable(definition, board, turns)}
    assert pairs <= expected


def writable(definition, board, found):
    turns, variant = found
    edit = Edit(turns=turns, variant=variant, n_changes=2)
    return rewrite(definition, board.changes(edit)) is not None


@pytest.mark.parametrize("rule", RULES)
def test_dials_pass_what_the_definition_passes(worlds, rule):
    definition, frame = worlds.parse_small(rule), worlds.draw_small(3, 300)
    board = build_board(definition, frame, sample=np.ones(300, bool))
    written = evaluate_criteria(definition, frame)
    for dial in board.dials:
        if dial.group:  # not written yet: everybody passes
            assert dial.bits().all()
            continue
        for bit, address in enumerate(dial.criteria):
            met = dial.passes[0][dial.codes] >> bit & 1
            assert (met == written[address].to_numpy()).all()


def test_counts_do_not_depend_on_row_order_or_block_size(worlds, monkeypatch):
    definition, frame = worlds.parse_small("nested"), worlds.draw_small(5, 500)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500).astype(np.int8)
    results = []
    for order, block in ((np.arange(500), 1 << 20), (rng.permutation(500), 64)):
        monkeypatch.setattr("leadml.propose._evidence._BLOCK", block)
        board = build_board(definition, frame.iloc[order].reset_index(drop=True), sample=np.ones(500, bool))
        cells = make_cells(labels[order], np.zeros(500, np.int16), np.ones(500, bool), 1)
        results.append(search_edits(board, np.ones(500, bool), cells, max_changes=2))
    first, second = results
    assert first.edits == second.edits
    assert (first.gained == second.gained).all()
    assert (first.lost == second.lost).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("most", [0, 10**9])
def test_third_changes_are_counted_exactly(worlds, rule, most, monkeypatch):
    definition, frame = worlds.parse_small(rule), worlds.draw_small(11, 100)
    everyone = np.ones(100, bool)
    board = build_board(definition, frame, sample=everyone)
    board = replace(board, dials=tuple(short(dial) for dial in board.dials))
    rng = np.random.default_rng(0)
    cells = make_cells(rng.integers(0, 3, 100).astype(np.int8), np.zeros(100, np.int16), everyone, 1)
    monkeypatch.setattr("leadml.propose._evidence.MOST_TRIPLES", most)
    found = search_edits(board, everyone, cells, max_changes=3)
    if not most:
        pairs = [edit for edit in found.edits if len(edit.turns) == 2]
        chosen = [pairs[place] for place in rng.permutation(len(pairs))[:3]]
        more = extend_edits(board, found, everyone, chosen)
        assert more.edits[: len(found.edits)] == found.edits
        assert extend_edits(board, found, everyone, []) is found
        found = more
    triples = [place for place, edit in enumerate(found.edits) if edit.n_changes == 3]
    assert triples
    assert len(set(found.edits)) == len(found.edits)
    for position in rng.permutation(triples)[:200]:
        gained, lost = board.moved(found.edits[position], everyone)
        assert found.gained[position].tolist() == np.bincount(cells.index[gained], minlength=cells.n).tolist()
        assert found.lost[position].tolist() == np.bincount(cells.index[lost], minlength=cells.n).tolist()


def short(dial):
    kept = dial.alternatives[-3:]
    places = [0, *range(len(dial.passes) - len(kept), len(dial.passes))]
    return replace(dial, alternatives=kept, passes=dial.passes[places])
