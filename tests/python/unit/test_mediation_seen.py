"""The keys of what was landed: found again, across runs of files, restarts and colliding hashes."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestion.mediation.seen import Keys, SeenKeys, repeats

# few values, so that first hashes collide while second ones differ
HASHES = st.tuples(st.integers(0, 9), st.integers(0, 3))
BATCHES = st.lists(st.lists(HASHES, max_size=30), max_size=12)


def keys_of(pairs: list[tuple[int, int]]) -> Keys:
    return np.array(pairs, dtype=np.uint64).reshape(-1, 2).T


@given(BATCHES)
def test_a_key_is_found_once_it_was_added(tmp_path_factory, batches: list[list[tuple[int, int]]]) -> None:
    folder: Path = tmp_path_factory.mktemp("seen")
    seen, added = SeenKeys.open(folder, "table"), set()
    for batch_id, batch in enumerate(batches):
        assert seen.contains(keys_of(batch)).tolist() == [pair in added for pair in batch]
        seen.add(keys_of(batch), batch_id)
        added |= set(batch)
    again = SeenKeys.open(folder, "table")
    every = [(first, second) for first in range(10) for second in range(4)]
    assert again.contains(keys_of(every)).tolist() == [pair in added for pair in every]
    assert again.covered == len(batches) - 1


@given(st.lists(HASHES, max_size=60))
def test_only_the_first_of_equal_keys_is_no_repeat(pairs: list[tuple[int, int]]) -> None:
    assert repeats(keys_of(pairs)).tolist() == [pair in pairs[:place] for place, pair in enumerate(pairs)]


def test_files_are_few_and_old_ones_are_deleted(tmp_path: Path) -> None:
    seen = SeenKeys.open(tmp_path, "table")
    for batch_id in range(200):
        seen.add(keys_of([(batch_id * 10 + place, 0) for place in range(10)]), batch_id)
    assert len(seen.runs) <= 8
    assert len(list(tmp_path.glob("*.npy"))) == len(seen.runs)


def test_keys_of_another_table_or_damaged_files_are_not_used(tmp_path: Path) -> None:
    SeenKeys.open(tmp_path, "table").add(keys_of([(1, 1)]), 7)
    assert SeenKeys.open(tmp_path, "another").covered == -1
    run = json.loads((tmp_path / "seen.json").read_text())["runs"][0]
    (tmp_path / run).write_bytes(b"")
    assert SeenKeys.open(tmp_path, "table").covered == -1
    (tmp_path / "seen.json").write_text("{")
    assert SeenKeys.open(tmp_path, "table").covered == -1
