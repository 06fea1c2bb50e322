"""The benchmarks have figures: what they build by hand still fits the server."""

import asyncio
import sys

import pytest


@pytest.mark.parametrize("benchmark", ["T1", "T2"])
async def test_a_benchmark_has_figures(benchmark: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", "--only", benchmark),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert b" 0 benchmarks without figures" in said
    assert process.returncode == 0
