"""A chat completion that comes as server-sent events, put together as if it had come at once."""

from __future__ import annotations

import json
from typing import Any

from .base import Heard

STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
"""What asks for a stream that ends with its token counts."""


async def streamed(stream: Any, heard: Heard) -> Any:
    """The whole completion; ``heard`` is told what has been said so far.

    A server that knows no streams and answers at once is taken at its word. Token counts are missing where the server
    does not send them with a stream.

    Args:
        stream: an `openai.AsyncStream` of chunks, asked for with `STREAMED`.

    Raises:
        openai.OpenAIError: what cuts the stream, and an error sent within it.
        ValueError: the stream holds no JSON, or ended before the reply did.
    """
    import openai
    from openai.types.chat import ChatCompletion

    async with stream:
        try:
            if stream.response.headers.get("content-type", "").startswith("application/json"):
                body = json.loads(await stream.response.aread())
                return ChatCompletion.construct(**body) if isinstance(body, dict) else body
            choice, usage = await _joined(stream, heard)
        except (openai.OpenAIError, ValueError):
            raise
        except Exception as error:  # the transport's own, of whichever HTTP library the client is built on
            message = f"the stream was cut: {type(error).__name__}: {error}"
            raise openai.APIConnectionError(message=message, request=stream.response.request) from error
    return ChatCompletion.construct(choices=[choice], usage=usage)


async def _joined(stream: Any, heard: Heard) -> tuple[dict[str, Any], Any]:
    """``(choice, usage)``: the fields of the choice as its last event has them, with the whole message."""
    text, ended, usage = "", None, None
    async for event in stream:
        usage = getattr(event, "usage", None) or usage
        for choice in getattr(event, "choices", None) or []:  # none beside the token counts
            if choice.index != 0:
                continue
            said = getattr(choice.delta, "content", None)
            if said:
                text += said
                heard(text)
            if choice.finish_reason is not None:
                ended = choice
    if ended is None:
        raise ValueError("the stream ended before the reply did")
    return {**ended.to_dict(), "message": {"role": "assistant", "content": text}}, usage
