"""Package metadata and the two seams by which the hosts find us; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "ergo_plugins/__init__.py").read_text())[1]

setup(
    name="ergo-plugins",
    version=VERSION,
    description="Coarse-to-fine visual zoom as a plugin for verl and lmms-eval",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["ergo_plugins", "ergo_plugins.*"]),
    package_data={
        "ergo_plugins": ["py.typed", "report/assets/*", "panels/tasks/*", "tasks/refcoco/*", "tasks/benchmark/*"]
    },
    install_requires=["packaging>=23", "pillow>=11", "pyyaml>=6", "tenacity>=8", "tqdm>=4.66"],
    extras_require={
        "eval": [
            "lmms-eval>=0.7.3,<0.8",
            "torchvision",
            "transformers>=5.5.3,<5.21",
            "openai>=2.16",  # the first whose client takes a body in bytes
            "orjson>=3.9",
            "aiohttp>=3.9",
        ],
        "vllm": ["vllm>=0.24,<0.34"],
        "verl": [
            # private names of it are called, and a patch release has renamed one; it bounds transformers, too
            "verl==0.9.1",
            "TransferQueue>=0.1.10",
            "qwen-vl-utils>=0.0.14",
            "torchvision",
            "aiohttp>=3.9",
            "cachetools>=5",
            "fastapi",
            "msgspec",
            "orjson>=3.9",
            "pyzmq",
            "tensorboard",
            "uvicorn",
        ],
        "demo": [
            "gradio>=6.20,<7",
            "transformers>=5.5.3,<5.21",
            "torchvision",
            "openai>=2.16",
            "orjson>=3.9",
            "aiohttp>=3.9",
        ],
        "fast": ["pyvips>=3", "pyvips-binary>=8.16"],
        "dev": [
            "dashscope>=1.20",  # ships Qwen's vocabulary, which tests make the real tokenizer from
            "hypothesis>=6.100",
            "ipykernel>=7",  # what a notebook runs in
            "levenshtein>=0.25",  # a stock task imports it
            "mypy>=1.14",
            "nbclient>=0.10",  # runs docs/zoom.ipynb
            "playwright>=1.50",  # drives a real browser; the browser is the system's
            "pytest>=8",
            "pytest-timeout>=2",
            "pytest-xdist>=3.6",
            "pyvips>=3",  # as the extra fast
            "pyvips-binary>=8.16",
            "ruff>=0.9",
            "types-PyYAML",
            "types-tqdm",
        ],
    },
    entry_points={
        "lmms_eval.models": ["ergo = ergo_plugins.lmms_plugin.manifest:manifests"],
        "verl.plugins": ["ergo = ergo_plugins.verl_plugin.register"],
        "console_scripts": ["ergo = ergo_plugins.cli:main"],
    },
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
    ],
)
