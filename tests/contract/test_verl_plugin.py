"""How the plugin gets into verl: through the real entry point, in fresh processes, late and loudly."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

OURS = "[name for name in sys.modules if name.startswith('ergo_plugins.verl_plugin.') and name[25:] != 'register']"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process."""
    env = {name: value for name, value in os.environ.items() if name != "VERL_PLATFORM"} | environment
    command = [sys.executable, "-W", "ignore", "-c", f"import sys\n{code}"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def printed(code: str, **environment: str) -> str:
    done = python(code, **environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_importing_verl_imports_nothing_of_ours_but_the_registration() -> None:
    assert printed(f"import verl; print({OURS})") == "[]"


LOOKED_UP = {
    "reward manager": "from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls as get; "
    "print(get('ergo').__name__)",
    "agent loop": "from verl.experimental.agent_loop.agent_loop import _agent_loop_registry as loops; "
    "print(loops['ergo_zoom']['_target_'].rpartition('.')[2])",
    "tool parser": "from verl.experimental.agent_loop.tool_parser import ToolParser; "
    "print(type(ToolParser.get_tool_parser('ergo_zoom', None)).__name__)",
    "trainer": "from verl.trainer.ppo.v1 import get_trainer_cls as get; print(get('ergo_sync').__name__)",
}


def test_every_name_is_known_where_it_is_looked_up() -> None:
    """In forks of one process that has imported verl alone: no name may be known only because of another."""
    code = (
        "import os, verl\n"
        f"for looked_up in {list(LOOKED_UP.values())}:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        exec(looked_up)\n"
        "        sys.stdout.flush()\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
    )
    done = python(code)
    found = [line for line in done.stdout.splitlines() if line.isidentifier()]
    assert found == ["ErgoRewardManager", "ErgoZoomLoop", "ErgoZoomParser", "ErgoSyncTrainer"], done.stderr[-2000:]


@pytest.mark.parametrize(
    "module",
    [
        "verl_plugin.reward_manager",
        *(
            pytest.param(f"verl_plugin.{name}", marks=pytest.mark.slow)
            for name in ("agent_loop", "trainer", "crop_tool", "compute_score")
        ),
    ],
)
def test_our_modules_can_be_imported_first(module: str) -> None:
    """As Ray does when it unpickles one of our classes: verl is then imported while our module is half loaded."""
    code = f"import ergo_plugins.{module} as ours; print(ours.__name__)"
    assert printed(code, VERL_PLATFORM="ergo_cpu").endswith(module)


def test_stock_runs_do_not_see_the_cpu_backend() -> None:
    code = (
        "import verl.workers.engine\n"
        "from verl.workers.rollout import base, replica\n"
        "from verl.plugin.platform import platform_manager\n"
        "names = [*platform_manager.PlatformRegistry.registered_names(), *replica.RolloutReplicaRegistry._registry, "
        "*[name for name, _ in base._ROLLOUT_REGISTRY]]\n"
        f"print([name for name in names if 'ergo' in name], [name for name in {OURS} if 'cpu' in name])"
    )
    assert printed(code) == "[] []"


def test_the_cpu_backend_is_there_when_asked_for() -> None:
    """Also where it is imported first, as Ray does; and position ids of equally long samples are mended there."""
    code = (
        "import ergo_plugins.cpu.rollout\n"
        "from verl.plugin.platform import get_platform\n"
        "from verl.workers.engine.base import EngineRegistry\n"
        "from verl.workers.rollout.base import get_rollout_class\n"
        "from verl.workers.rollout.replica import get_rollout_replica_class\n"
        "backend = (get_platform().device_name, EngineRegistry.get_engine_cls('language_model', 'fsdp2').__name__, "
        "get_rollout_class('ergo_hf').__name__, get_rollout_replica_class('ergo_hf').__name__)\n" + MENDED
    )
    backend, mended = printed(code, VERL_PLATFORM="ergo_cpu").split(" / ")
    assert backend == "cpu CpuFSDPEngineWithLMHead HFServerAdapter HFReplica"
    assert mended == "True 2 2"


MENDED = (
    "import torch\n"
    "from tensordict import TensorDict\n"
    "from ergo_plugins.cpu.engine import mend_position_ids\n"
    "from verl.utils import tensordict_utils as tu\n"
    "samples = [torch.arange(20).reshape(4, 5) + 100 * i for i in range(2)]\n"
    "ragged = torch.nested.as_nested_tensor(samples, layout=torch.jagged)\n"
    "data = TensorDict({'position_ids': ragged}, batch_size=[2])\n"
    "mend_position_ids(data)\n"
    "rows = [data['position_ids'].values()[:, :5], data['position_ids'].values()[:, 5:]]\n"
    "print(*backend, '/', all(torch.equal(a, b) for a, b in zip(rows, samples)), data['position_ids']._ragged_idx, "
    "len(tu.chunk_tensordict(data, 2)))"
)


def test_a_failure_is_loud_and_says_what_to_install() -> None:
    done = python(
        "sys.modules['ergo_plugins.outside.judge'] = None\nimport verl.experimental.reward_loop.reward_manager"
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "ergo_plugins could not register reward_manager with verl 0.9.1" in last
    assert "pip install 'ergo-plugins[verl]'" in last
