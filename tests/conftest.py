"""For all tests: in which order and beside which others they run, and how properties are checked."""

import pytest
from hypothesis import HealthCheck, settings

TRAININGS = ("test_quickstart.py", "test_verl_training.py")

# properties are checked by what they say, not by how busy the machine is
settings.register_profile("ergo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ergo")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Trainings first and one after another, the longest there is; beside them every other file as a whole.

    Files share what they made once, so a file stays in one process. Without pytest-xdist only the order changes.
    """
    items.sort(key=lambda item: item.path.name not in TRAININGS)
    for item in items:
        group = "trainings" if item.path.name in TRAININGS else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
