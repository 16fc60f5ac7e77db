"""verl's loader of training rows, which here can also be asked what it will hand out next."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Seen:
    """A batch that was drawn and not taken yet.

    Attributes:
        before: the loader's state before it was drawn.
        batch: as the loader collated it; None where drawing it failed.
        error: why; None where it did not.
    """

    before: Any
    batch: dict[str, Any] | None
    error: Exception | None


class NextRows:
    """Stands where the trainer's loader stands and hands out the same batches, in the same order, without end.

    To see a batch is to draw it from the loader and to keep it until the trainer takes it: each is made once, by the
    loader's own sampler, whatever that does. What a checkpoint stores meanwhile is the loader's state from before the
    first batch that was seen and not taken. Where nobody looks ahead the loader has drawn just as much at that moment
    and says the same, so a resumed run skips and repeats no row, also across the end of an epoch.

    Args:
        loader: verl's ``StatefulDataLoader``, not begun; a state loaded into it before holds.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self._epoch: Iterator[dict[str, Any]] | None = None
        self._seen: deque[_Seen] = deque()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        """The next batch, collated.

        Raises:
            Exception: what the loader raised for it, when it was seen or now.
        """
        if not self._seen:
            return self._drawn()
        taken = self._seen.popleft()
        if taken.error is not None:
            raise taken.error
        assert taken.batch is not None
        return taken.batch

    def see(self, count: int) -> list[dict[str, Any]]:
        """The next ``count`` batches; they stay to be taken. Fewer, if one of them cannot be made."""
        while len(self._seen) < count and not (self._seen and self._seen[-1].error):
            before = copy.deepcopy(self.loader.state_dict())
            try:
                self._seen.append(_Seen(before, self._drawn(), None))
            except Exception as error:  # noqa: BLE001  (raised where the batch is taken, as where nobody looks ahead)
                self._seen.append(_Seen(before, None, error))
        return [seen.batch for seen in list(self._seen)[:count] if seen.batch is not None]

    def state_dict(self) -> Any:
        """The loader's state as a checkpoint stores it: nothing that was only seen counts as handed out."""
        return self._seen[0].before if self._seen else self.loader.state_dict()

    def _drawn(self) -> dict[str, Any]:
        """As the trainer draws, which begins the next epoch where one ends."""
        if self._epoch is None:
            self._epoch = iter(self.loader)
        try:
            return next(self._epoch)
        except StopIteration:
            self._epoch = iter(self.loader)
            return next(self._epoch)
