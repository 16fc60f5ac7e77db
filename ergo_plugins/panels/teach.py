"""Teach the tiny policy, measure it on held-out scenes, and write the folder that everything else loads.

Able first: two thirds of the steps cycle through pointing, choosing and whole episodes, the rest is mostly whole
episodes. Then loose, ``--loosen`` a policy that is able: a teacher who mostly looks elsewhere (`boxes.LooseHabit`)
leaves it something to be learned by reinforcement. Both are warm starts, and are meant to be: they show what the
plugins do, they are not results about zooming.

    python -m ergo_plugins.panels.teach --out runs/able
    python -m ergo_plugins.panels.teach --loosen runs/able --steps 150 --learning-rate 3e-4 --out recipes/tiny/policy
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ..cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from tqdm import tqdm  # noqa: E402
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor  # noqa: E402

from .boxes import LooseHabit  # noqa: E402
from .classroom import Stopwatch, schedule  # noqa: E402
from .evaluate import evaluate  # noqa: E402
from .heads import Heads  # noqa: E402
from .lessons import GUESS_WEIGHTS, Batch, Lessons  # noqa: E402
from .policy import make_model, make_processor, make_tokenizer, pixel_values, save  # noqa: E402
from .world import Scene, scenes  # noqa: E402

SKILLS_FIRST = ("pointing", "choosing", "episodes")
LOOSE = ("episodes", "episodes", "episodes", "single_pass")
MOSTLY_EPISODES = ("episodes", "episodes", "pointing", "episodes", "episodes", "single_pass")
SKILLS_SHARE = 2 / 3
LOOSE_STREAM = 500
"""Loosening takes its scenes from this many streams after those of making able."""


class Teacher:
    """A policy in training: one optimiser step at a time. A policy that is loosened needs no `Heads` any more."""

    def __init__(
        self,
        policy: Qwen2_5_VLForConditionalGeneration,
        lessons: Lessons,
        steps: int,
        peak_rate: float,
        *,
        loosens: bool = False,
    ):
        self.policy, self.lessons, self.steps, self.peak_rate = policy, lessons, steps, peak_rate
        self.loosens = loosens
        self.heads = None if loosens else Heads(policy, lessons.tokenizer)
        self._image_token = policy.config.image_token_id
        self._positions: dict[tuple[int, int], torch.Tensor] = {}
        matrices = [parameter for parameter in policy.parameters() if parameter.dim() >= 2]
        others = [parameter for parameter in policy.parameters() if parameter.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": 0.01},
            {"params": [*others, *(self.heads.parameters() if self.heads else ())], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))

    def step(self, number: int) -> dict[str, float]:
        """Do step ``number``, counted from 0. Returns the losses by name."""
        lesson = self._lesson(number)
        for group in self.optimiser.param_groups:
            group["lr"] = self.peak_rate * schedule(number, self.steps)
        self.policy.train()
        batch: Batch = getattr(self.lessons, lesson)()
        losses = {lesson: self._reply_loss(batch), **(self.heads.losses(batch) if self.heads else {})}
        self.optimiser.zero_grad()
        first, *others = losses.values()
        sum(others, start=first).backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimiser.step()
        return {name: loss.item() for name, loss in losses.items()}

    def _lesson(self, number: int) -> str:
        if self.loosens:
            return LOOSE[number % len(LOOSE)]
        cycle = SKILLS_FIRST if number < SKILLS_SHARE * self.steps else MOSTLY_EPISODES
        return cycle[number % len(cycle)]

    def _reply_loss(self, batch: Batch) -> torch.Tensor:
        """Weighted mean cross-entropy of the taught tokens."""
        images = 0 if batch.views is None else batch.views.shape[1]
        grid = torch.tensor([[1, 8, 8]] * images * len(batch.tokens)) if images else None
        pixels = None if batch.views is None else pixel_values(batch.views.reshape(-1, 112, 112, 3))
        hidden = self.policy.model(
            input_ids=batch.tokens,
            pixel_values=pixels,
            image_grid_thw=grid,
            position_ids=self._position_ids(batch.tokens, images),
            use_cache=False,
        ).last_hidden_state
        taught = (batch.weights.sum(0) > 0).nonzero()[:, 0]
        logits = self.policy.lm_head(hidden[:, taught - 1])
        loss = F.cross_entropy(logits.flatten(0, 1), batch.tokens[:, taught].flatten(), reduction="none")
        weights = batch.weights[:, taught].flatten()
        return (loss * weights).sum() / weights.sum()

    def _position_ids(self, tokens: torch.Tensor, images: int) -> torch.Tensor:
        """``(3, batch, length)``; equal for all sequences of a layout, so found once."""
        key = (images, tokens.shape[1])
        if key not in self._positions:
            first = tokens[:1]
            self._positions[key], _ = self.policy.model.get_rope_index(
                input_ids=first,
                image_grid_thw=torch.tensor([[1, 8, 8]] * images) if images else None,
                mm_token_type_ids=(first == self._image_token).long(),
            )
        return self._positions[key].expand(-1, len(tokens), -1)


def teach(arguments: argparse.Namespace) -> None:
    """Run the recipe, write the folder and, in its training.json, the figures."""
    torch.set_num_threads(arguments.threads)
    tokenizer = make_tokenizer()
    processor = make_processor(tokenizer)
    if arguments.loosen:
        policy = Qwen2_5_VLForConditionalGeneration.from_pretrained(arguments.loosen, dtype=torch.float32)
        lessons = Lessons(tokenizer, arguments.batch_size, arguments.seed + LOOSE_STREAM, LooseHabit(), GUESS_WEIGHTS)
    else:
        policy = make_model(tokenizer, arguments.seed)
        lessons = Lessons(tokenizer, arguments.batch_size, arguments.seed)
    teacher = Teacher(policy, lessons, arguments.steps, arguments.learning_rate, loosens=bool(arguments.loosen))
    validation = list(scenes("validation", arguments.validation_scenes))
    clock, history = Stopwatch(), []
    means: dict[str, float] = {}
    for step in (bar := tqdm(range(arguments.steps), unit="step", mininterval=5)):
        for name, loss in teacher.step(step).items():
            means[name] = 0.9 * means.get(name, loss) + 0.1 * loss
        bar.set_postfix({name: f"{loss:.2f}" for name, loss in means.items()}, refresh=False)
        if (step + 1) % arguments.evaluate_every == 0:
            with clock.paused():
                figures = measure(policy, processor, validation)
            history.append({"step": step + 1, **clock.read(), **figures})
            tqdm.write(json.dumps(history[-1]))
    taught = clock.read()
    save(policy, processor, arguments.out)
    record = {
        "command": " ".join(["python", "-m", "ergo_plugins.panels.teach", *sys.argv[1:]]),
        **taught,
        **{name: value for name, value in vars(arguments).items() if name not in ("out", "loosen")},
        "parameters": policy.num_parameters(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "tokenizers")},
        "test": measure(policy, processor, list(scenes("test", arguments.test_scenes))),
        "losses": {name: round(loss, 4) for name, loss in means.items()},
        "validation": history,
    }
    if arguments.loosen:
        record["able"] = json.loads((arguments.loosen / "training.json").read_text())
    (arguments.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["test"]), "after", taught)


def measure(
    policy: Qwen2_5_VLForConditionalGeneration, processor: Qwen2_5_VLProcessor, held_out: list[Scene]
) -> dict[str, dict[str, float]]:
    """Figures of greedy replies, and of replies sampled at temperature 1 as reinforcement learning does."""
    greedy = evaluate(policy, processor, held_out)
    torch.manual_seed(0)
    return {"greedy": asdict(greedy), "sampled": asdict(evaluate(policy, processor, held_out, temperature=1.0))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--loosen", type=Path, metavar="POLICY", help="an able policy to teach loosely")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evaluate-every", type=int, default=100, metavar="STEPS")
    parser.add_argument("--validation-scenes", type=int, default=256)
    parser.add_argument("--test-scenes", type=int, default=1024)
    teach(parser.parse_args())


if __name__ == "__main__":
    main()
