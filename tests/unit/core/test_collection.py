"""The collector is left as it was found, whatever happened meanwhile."""

from __future__ import annotations

import gc

import pytest

from ergo_plugins.core.collection import paused_collection


def read_damaged() -> None:
    with paused_collection():
        assert not gc.isenabled()
        raise ValueError("damaged")


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_rests_and_is_left_as_it_was(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        with pytest.raises(ValueError, match="damaged"):
            read_damaged()
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()
