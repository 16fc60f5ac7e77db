"""What the APIs of model providers take and refuse, and how their models see, behind OpenAI-style chat completions.

Facts are those of the providers' documentation and of public reports, in doubt the choice that none refuses: what is
not sent cannot be refused, and a stop string is cut here. No conversation of ours needs an API's tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core.geometry import Size, VisionGrid
from .decoding import Decoding

Cap = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True, slots=True)
class ProviderGrid(VisionGrid):
    """A grid whose views the provider does not shrink by itself, so that pixels mean the same on both sides.

    Attributes:
        max_side: longest side of a view in pixels; 0 for any.
    """

    max_side: int = 0

    def fit(self, size: Size, budget_tokens: int) -> Size:
        """See `VisionGrid.fit`; the budget shrinks until the longer side fits, too."""
        view = VisionGrid.fit(self, size, budget_tokens)
        while self.max_side and max(view.width, view.height) > self.max_side and budget_tokens > self.min_tokens:
            budget_tokens = max(self.min_tokens, min(budget_tokens, self.tokens(view)) * 9 // 10)
            view = VisionGrid.fit(self, size, budget_tokens)
        return view


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider.

    Attributes:
        key_variable: environment variable that holds the key, if no other is named.
        cap: what it calls the most tokens of a reply.
        grid: how its models see: the order of a box's corners is the method's (`tool_zoom`: ``profile=``).
    """

    key_variable: str
    cap: Cap
    grid: VisionGrid

    def check(self, name: str, decoding: Decoding, enable_thinking: bool | None) -> None:
        """Refuse what would be ignored.

        Raises:
            ValueError: with what to leave out.
        """
        wanted = {
            "temperature": decoding.temperature != 0,
            "top_p": decoding.top_p != 1,
            "top_k": decoding.top_k != 0,
            "repetition_penalty": decoding.repetition_penalty != 1,
            "enable_thinking": enable_thinking is not None,
        }
        given = [option for option, differs in wanted.items() if differs]
        if given:
            raise ValueError(
                f"api={name} is sent no {', '.join(given)}: newer models of the provider refuse or ignore it. Leave it "
                "out; replies are then as random as the provider makes them"
            )


PROVIDERS: dict[str, Provider] = {
    # refuses max_tokens, stop, and any temperature but 1
    "openai": Provider(
        key_variable="OPENAI_API_KEY",
        cap="max_completion_tokens",
        grid=ProviderGrid(factor=32, coordinates="relative", min_tokens=4, max_tokens=1536, max_side=2048),
    ),
    # refuses a seed and fields it does not know; below temperature 1 its models may repeat themselves
    "gemini": Provider(
        key_variable="GEMINI_API_KEY",
        cap="max_tokens",
        grid=ProviderGrid(factor=32, coordinates="relative", min_tokens=4, max_tokens=9216, max_side=3072),
    ),
    # newer models refuse temperature, top_p and top_k; boxes are in pixels of what is left of a picture that was shrunk
    "anthropic": Provider(
        key_variable="ANTHROPIC_API_KEY",
        cap="max_tokens",
        grid=ProviderGrid(factor=28, coordinates="absolute", min_tokens=4, max_tokens=1456, max_side=1568),
    ),
}
"""By the name in ``api=``. Their grids count squares of pixels; what a provider bills is in its ``usage``."""


def cut_at(text: str, stop: tuple[str, ...]) -> tuple[str, bool]:
    """``(text up to and with its first stop string, whether there is one)``."""
    ends = [text.find(word) + len(word) for word in stop if word in text]
    return (text[: min(ends)], True) if ends else (text, False)
