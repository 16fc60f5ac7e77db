"""Turns as tokens, by the model's own chat template, so that a second turn continues the first one exactly.

Writing a reply back as text and tokenising it anew may give other tokens than the model generated, and then nothing
after them can be taken from a prefix cache. Here the tokens of the first turn are kept and only the new message is
templated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.control_tokens import NOT_IN_A_REPLY
from ..core.turns import Turn

_MARK = "\u241e"  # stands for the earlier reply in the template; cut off again


@dataclass(frozen=True, slots=True)
class Written:
    """A reply as the model wrote it.

    Attributes:
        ids: its tokens; the last one ends the message if the model ended it by itself.
        text: the same without special tokens, nothing behind the first stop string.
        finish: ``stop``, or ``length`` for a reply that ends nowhere.
        problems: what was cut off.
    """

    ids: list[int]
    text: str
    finish: str
    problems: tuple[str, ...] = ()


class ChatTokens:
    """Token ids of conversations with images, in the words of one processor's chat template.

    Ids hold one placeholder an image, as vLLM wants them; `expanded` repeats it for transformers.

    Args:
        processor: of the model.
        enable_thinking: what a template that asks for it is told; None for nothing.

    Attributes:
        end_of_message: the token with which the template closes a message.
        ends: tokens that end a reply: that one, and the tokenizer's own.
        strays: tokens a model may sample and must not write; a reply is cut before them.
        opened: how the template itself begins a reply.

    Raises:
        ValueError: a chat template that does not repeat an earlier reply, does not close it by a token, or does not ask
            whether to think and is told so.
    """

    def __init__(self, processor: Any, *, enable_thinking: bool | None = None) -> None:
        self.processor = processor
        self._options: dict[str, Any] = {}
        if enable_thinking is not None:
            self._options = self._told_to_think(enable_thinking)
        self.tokenizer = processor.tokenizer
        self.image_token_id: int = processor.image_token_id
        self.end_of_message = self._ids(self._after_a_reply([]))[0]
        self.ends = {self.end_of_message, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id} - {None}
        known = self.tokenizer.get_vocab()
        self.strays = {self.image_token_id, *(known[token] for token in NOT_IN_A_REPLY if token in known)}
        self.opened = self._opened()

    @property
    def identity(self) -> dict[str, Any]:
        """What else than the model decides its prompts, for `Engine.identity`; nothing if nothing was told."""
        return dict(self._options)

    def prompt(self, so_far: Sequence[int], turn: Turn) -> list[int]:
        """Ids of the conversation up to where the model is to reply; they begin with ``so_far``.

        Args:
            so_far: ids of the earlier turns and replies as they were prompted and generated; empty at first.
            turn: the next message.

        Raises:
            ValueError: the message holds the placeholder of an image that is not there, or is to begin without a
                newline that the template does not write.
        """
        message = {"role": "user", "content": turn.content(lambda _image: {"type": "image"})}
        if so_far:
            tail = self._after_a_reply([message])
            tail_ids = self._ids(tail if turn.on_new_line else self._without_newline(tail))
            closed = so_far[-1] == self.end_of_message  # by the reply itself; the template would close it again
            new_ids = tail_ids[1:] if closed else tail_ids
        else:
            system = [{"role": "system", "content": [{"type": "text", "text": turn.system}]}] if turn.system else []
            new_ids = self._ids(self._templated([*system, message]))
        if (places := new_ids.count(self.image_token_id)) != len(turn.images):
            raise ValueError(
                f"the {turn.name} turn shows {len(turn.images)} images and its message has places for {places}: "
                "a prompt holds the model's own word for an image"
            )
        return [*so_far, *new_ids]

    def expanded(self, ids: Sequence[int], image_tokens: Sequence[int]) -> list[int]:
        """The ids with each image's placeholder repeated as often as it has visual tokens.

        Raises:
            ValueError: not as many placeholders as images.
        """
        if (places := list(ids).count(self.image_token_id)) != len(image_tokens):
            raise ValueError(f"the conversation has {len(image_tokens)} images and places for {places}")
        counts = iter(image_tokens)
        out: list[int] = []
        for token in ids:
            out.extend([token] * next(counts) if token == self.image_token_id else [token])
        return out

    def written(self, new_ids: Sequence[int], turn: Turn) -> Written:
        """A reply from the tokens that an engine generated, which may go on after its end.

        What a model must not write is cut off together with all after it, as in training: what stands before was
        sampled just so.
        """
        ids, finish = list(new_ids), "length"
        problems: tuple[str, ...] = ()
        last = next((i for i, token in enumerate(ids) if token in self.ends or token in self.strays), None)
        if last is not None:
            finish = "stop"
            if ids[last] in self.strays:
                stray = self.tokenizer.convert_ids_to_tokens(ids[last])
                problems = (f"the reply was cut before {stray}, which the model wrote as token {last + 1}",)
            ids = ids[: last + 1] if ids[last] == self.end_of_message else ids[:last]
        text = self.text(ids, turn.stop)
        stopped = any(word in text for word in turn.stop)
        return Written(ids, text, "stop" if stopped else finish, problems)

    def so_far(self, new_ids: Sequence[int], turn: Turn) -> str:
        """The text of a reply under way: a beginning of what `written` will say, no half of a character."""
        return self.written(new_ids, turn).text.rstrip("\ufffd")

    def text(self, ids: Sequence[int], stop: Sequence[str]) -> str:
        """Ids as text: special tokens removed, nothing behind the first stop string."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        ends = [text.find(word) + len(word) for word in stop if word in text]
        return text[: min(ends)] if ends else text

    def _after_a_reply(self, messages: list[dict[str, Any]]) -> str:
        """What the template writes between an earlier reply and the place for the next."""
        before: list[dict[str, Any]] = [
            {"role": "user", "content": [{"type": "text", "text": ""}]},
            {"role": "assistant", "content": _MARK},
        ]
        # the first mark is ours; what users write may hold others
        _, mark, after = self._templated([*before, *messages]).partition(_MARK)
        if not mark:
            raise ValueError(
                f"the chat template of {type(self.processor).__name__} does not repeat earlier replies, so a second "
                "turn cannot continue the first; give the model a template that does"
            )
        return after

    def _without_newline(self, tail: str) -> str:
        """The same without the newline behind the end of the reply.

        Raises:
            ValueError: there is none.
        """
        end: str = self.tokenizer.decode([self.end_of_message])
        if not tail.startswith(f"{end}\n"):
            raise ValueError(
                f"the chat template writes no newline behind {end}, so there is none to leave out; set newline=template"
            )
        return end + tail[len(end) + 1 :]

    def _opened(self) -> str:
        """The words behind the header of a reply; empty for a template that leaves them to the model."""
        text = self._templated([{"role": "user", "content": [{"type": "text", "text": ""}]}])
        _, _, opening = self.tokenizer.decode(self._ids(text)).rpartition("<|im_start|>")
        words = opening.partition("\n")[2]
        return words if words.strip() else ""

    def _told_to_think(self, enable_thinking: bool) -> dict[str, Any]:
        """The option of a template that asks whether to think.

        Raises:
            ValueError: this one does not, so it would be told in vain.
        """
        message = {"role": "user", "content": [{"type": "text", "text": ""}]}
        said = set()
        for told in (True, False):
            self._options = {"enable_thinking": told}
            said.add(self._templated([message]))
        if len(said) == 1:
            raise ValueError(
                f"enable_thinking={enable_thinking} changes nothing: the chat template of "
                f"{type(self.processor).__name__} does not ask for it; leave it out"
            )
        return {"enable_thinking": enable_thinking}

    def _templated(self, messages: list[dict[str, Any]]) -> str:
        text: str = self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **self._options
        )
        return text

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
