"""Synthetic photographs: JPEGs that compress as photographs do, the same ones each time.

    python -m recipes.bench.photos SIZE FILE [FILE ...]

SIZE is a name in `SIZES`; each file is another image.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# numpy and Pillow come in with the painting only: who imports this file must stay small (see `process.watched`).

SIZES = {"vstar": (2246, 1582), "hr4k": (4032, 3024), "hr8k": (7680, 4320), "tiny": (640, 448)}
"""Width and height."""
DISTINCT = 3
"""Images of a size."""


def images(folder: Path, size: str) -> list[Path]:
    """Files of a size, painted if there are none yet."""
    files = [folder / "images" / f"{size}-{number}.jpg" for number in range(DISTINCT)]
    if not all(file.exists() for file in files):
        painter = [sys.executable, str(Path(__file__).resolve()), size, *map(str, files)]
        subprocess.run(painter, check=True)  # apart, for the memory it takes
    return files


def paint(file: Path, width: int, height: int, seed: int) -> None:
    """Smooth colours at all scales, edges, and the noise of a sensor. The file appears when it is whole."""
    import numpy as np
    from PIL import Image, ImageDraw

    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (width, height), "gray")
    for cell in (1024, 256, 64, 16):
        small = random.integers(0, 256, (height // cell + 2, width // cell + 2, 3), np.uint8)
        picture = Image.blend(picture, Image.fromarray(small).resize(picture.size, Image.Resampling.BICUBIC), 0.4)
    draw = ImageDraw.Draw(picture)
    for _ in range(width * height // 40_000):
        x, y = random.integers(0, (width, height))
        corners = [(int(x + dx), int(y + dy)) for dx, dy in random.integers(-90, 90, (4, 2))]
        draw.polygon(corners, fill=tuple(random.integers(0, 256, 3).tolist()))
    noise = random.normal(0, 3, (512, 512, 3)).astype(np.int16)
    pixels = np.asarray(picture).astype(np.int16)
    pixels += np.tile(noise, (height // 512 + 1, width // 512 + 1, 1))[:height, :width]
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(f"{file}.part")
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(partial, "JPEG", quality=90)
    partial.rename(file)


def main(size: str, *files: str) -> None:
    for number, file in enumerate(files):
        paint(Path(file), *SIZES[size], seed=number)


if __name__ == "__main__":
    main(*sys.argv[1:])
