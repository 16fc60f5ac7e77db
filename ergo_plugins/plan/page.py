"""``docs/hardware.md``: what every recipe needs, and the same reckoning beside what others published.

``python -m ergo_plugins.plan.page > docs/hardware.md``, from the root of the repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .cards import CARDS
from .compose import base_of, read_run
from .host import total
from .page_published import beside_others, table, tiny_run
from .reckoned import Plan, plan_of
from .runs import Run

RECIPES = Path("recipes")
SHOWN = ("h100", "a100", "a100-40", "l40s", "4090")

HEAD = """# Hardware

Made by `python -m ergo_plugins.plan.page`; a test compares. **Every figure of ours is computed and none is measured**,
but for those of the CPU run, which say so. `ergo plan RECIPE [KEY=VALUE …] [--card h100]` prints the same for one
recipe with all formulas, and ends with exit code 2 and the setting to change where it cannot fit:

```bash
ergo plan train_ergo_7b                                   # what fits where, bytes, operations, hours a step
ergo plan train_ergo_7b trainer.n_gpus_per_node=4 data.train_batch_size=64 --card a100
ergo doctor --recipe train_ergo_7b                        # what of it this machine lacks
```

GiB are those of `nvidia-smi`; an "80 GB" card has 79.1 of them.
"""

ASSUMED = """## How it is reckoned

| what | formula |
|---|---|
| weights, gradients, Adam | 4, 4, 8 B a weight in float32 (2, 2, 4 in bfloat16) / GPUs; LoRA: the last two of its own |
| gathered layers | 2 B x (embedding, output layer, two layers) |
| whole gradient | 6 B x the largest layer, before it is split |
| layer inputs | 2 B x tokens of a micro-batch x width x layers, and patches x width x blocks of the vision tower |
| inside a layer | 2 B x tokens x (6 hidden + 2 (q + 2 kv) + 4 intermediate), computed again in the backward pass |
| logits | 2 B x tokens x vocabulary; twice if scaled by a temperature, two more if an entropy is learnt |
| vLLM | `gpu_memory_utilization` of the card; its cache is what weights and the largest step leave of that |
| machine | 8 GiB a GPU (assumed), the reference, what is moved to the host, float32 pixels of a step |
| checkpoint | 4 B weights and 8 B moments a parameter, 2 B more for `hf_model` |
| operations | forward: 2 N T + 2 layers width T² + 2 N of the vision tower x patches |
| of a step | update 4 forwards with checkpointing (3 without), log-probabilities 1 each, generation 1 |
| generation | steps x (weights + caches under way), at half of the memory's published speed, and the prompts |

Assumed, not known: 1 GiB of context, 1 GiB of graphs, 1.5 GiB of a sleeping vLLM, 5 % of the card lost between
allocations, images as large as their budgets (`--visual`), replies of 30 % of their longest (`--written`), and the
share of the peak that training reaches: {shares}. Rows of supervised fine-tuning are half as long as allowed.
Not reckoned: the judge, decoding of images, new weights on their way to vLLM, checkpoints, batches that
`algorithm.filter_groups` throws away, and whatever else makes a small model as slow as a large one.
"""


def recipes(folder: Path = RECIPES) -> list[Path]:
    """Every training recipe for GPUs, by name."""
    return sorted(path for path in folder.glob("*.yaml") if base_of(path))


def page(folder: Path = RECIPES) -> str:
    """The whole page, as markdown."""
    runs = [read_run(str(path), counts=False) for path in recipes(folder)]
    shares = ", ".join(f"{name} {card.trained_share:.0%}" for name, card in CARDS.items())
    parts = [
        HEAD,
        *_recipes(runs),
        *_cards(runs),
        *beside_others(),
        *tiny_run(folder),
        ASSUMED.replace("{shares}", shares),
    ]
    return "\n".join(parts)


def _recipes(runs: Sequence[Run]) -> Iterable[str]:
    yield "## Recipes on H100 80 GB\n"
    yield (
        "GiB that a GPU holds in each phase, as each recipe stands, GiB of a machine and its disk, all at most, with "
        "images as large as their budgets; tokens, operations and hours of a step, as assumed below.\n"
    )
    head = (
        "recipe",
        "GPUs",
        "rollout",
        "log-probabilities",
        "update",
        "machine",
        "disk",
        "tokens a step",
        "PFLOP",
        "hours a step",
    )
    yield table(head, [_row(plan_of(run, CARDS["h100"])) for run in runs])


def _row(plan: Plan) -> Sequence[str]:
    run = plan.run
    found = {phase.name: f"{phase.gib:.1f}" for phase in plan.phases}
    gpus = f"{run.gpus} + {run.judge.gpus} (judge)" if run.judge else str(run.gpus)
    memory = [found.get(name, "") for name in ("rollout", "log-probabilities", "update")]
    work = plan.work
    flops = (work.update_flops + work.reckoning_flops + work.generation_flops) / 1e15
    disk = "" if plan.disk_gib is None else f"{plan.disk_gib:.0f}"
    return (
        f"`{run.name}`",
        gpus,
        *memory,
        f"{total(plan.host):.0f}",
        disk,
        f"{work.tokens:.3g}",
        f"{flops:.3g}",
        f"{work.seconds / 3600:.2f}",
    )


def _cards(runs: Sequence[Run]) -> Iterable[str]:
    yield "### On other cards\n"
    yield (
        "GiB of the largest phase and hours a step, or what to change, cut to the last words of its settings. "
        "A judge by URL has GPUs of its own.\n"
    )
    rows = []
    for run in runs:
        cells = [f"`{run.name}`"]
        for name in SHOWN:
            plan = plan_of(run, CARDS[name])
            if plan.problems:
                cells.append(f"no: {_short(plan.problems[0].change)}")
            else:
                most = max(phase.gib for phase in plan.phases)
                cells.append(f"{most:.0f}; {plan.work.seconds / 3600:.2f} h")
        rows.append(cells)
    yield table(("recipe", *(CARDS[name].title for name in SHOWN)), rows)


def _short(change: str) -> str:
    """Settings by their last words; a change that is none is a smaller model or a larger card."""
    if "=" not in change:
        return "another model or card"
    settings = (said.partition("=") for said in change.split())
    shortened = (f"{name.rpartition('.')[2]}{equals}{value}" for name, equals, value in settings)
    return " ".join(f"`{one}`" for one in dict.fromkeys(shortened))


if __name__ == "__main__":
    print(page(), end="")
