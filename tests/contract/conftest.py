"""Fixtures of the contract tests: Qwen's real tokenizer, made once a session, and verl's transfer queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import Qwen2_5_VLConfig

from tests.contract.qwen_tokenizer import write_model, write_processor


@pytest.fixture(scope="session")
def qwen_processor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of Qwen2.5-VL's processor with its real vocabulary and default system message."""
    return write_processor(tmp_path_factory.mktemp("qwen_processor"))


@pytest.fixture(scope="session")
def qwen_for_verl(qwen_processor: Path) -> Path:
    """The same folder with the configuration without which verl loads no processor."""
    Qwen2_5_VLConfig(architectures=["Qwen2_5_VLForConditionalGeneration"]).save_pretrained(qwen_processor)
    return qwen_processor


@pytest.fixture(scope="session")
def qwen_model(qwen_processor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder with a model that recites (`qwen_tokenizer.RECITED`)."""
    return write_model(tmp_path_factory.mktemp("qwen_model"), qwen_processor)


@pytest.fixture(scope="module")
def queue() -> Iterator[None]:
    """verl's real transfer queue, in Ray; both take seconds to import and to start."""
    import ray
    import transfer_queue as tq
    from omegaconf import OmegaConf

    ray.init(num_cpus=8, include_dashboard=False, object_store_memory=200_000_000, _node_ip_address="127.0.0.1")
    try:
        tq.init(OmegaConf.create({"backend": {"SimpleStorage": {"num_data_storage_units": 1}}}))
        yield
    finally:
        tq.close()  # it would look for its actors in the next Ray otherwise
        ray.shutdown()
