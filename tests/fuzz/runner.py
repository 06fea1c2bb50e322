"""Draws inputs by hypothesis, in chunks, each with a seed of its own."""

import time
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.parts import PARTS

CHUNK = 2_000
INPUTS = "inputs"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some inputs of one part."""

    part: str
    seed: int
    inputs: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a chunk's inputs."""

    part: str
    inputs: int
    took: float
    """Seconds."""
    counted: Counter[Hashable]
    failure: str | None
    """What went wrong, and the input as Python code that reproduces it."""


def chunks_of(inputs: int, *, first_seed: int) -> list[Chunk]:
    """Divide the inputs among the parts, and return the chunks in a random order."""
    chunks = list[Chunk]()
    for name, part in PARTS.items():
        left = max(1, round(inputs * part.share / 100))
        while left > 0:
            chunks.append(Chunk(name, first_seed + len(chunks), min(CHUNK, left)))
            left -= CHUNK
    Random(first_seed).shuffle(chunks)
    return chunks


def run_all(chunks: list[Chunk], *, processes: int) -> Iterator[Outcome]:
    """Run chunks in this many processes, and yield each outcome when it is ready."""
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(run, chunks)


def run(chunk: Chunk) -> Outcome:
    """Run the inputs of a chunk until one breaks the law; hypothesis then shrinks that input."""
    began = time.perf_counter()
    law, counted, current = PARTS[chunk.part].law, Counter[Hashable](), None

    @seed(chunk.seed)
    @settings(
        max_examples=chunk.inputs,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.filter_too_much,
            HealthCheck.data_too_large,
        ],
    )
    @given(PARTS[chunk.part].inputs)
    def throw(given: Any) -> None:
        nonlocal current
        current = given
        counted.update(law(given))
        counted[INPUTS] += 1

    failure = None
    try:
        throw()
    except Exception as error:  # noqa: BLE001 (any error is a result)
        again = f"from tests.fuzz.parts import *; list(PARTS[{chunk.part!r}].law({current!r}))"
        failure = f"{type(error).__name__}: {error}\n  {again}"
    took = time.perf_counter() - began
    return Outcome(chunk.part, counted.pop(INPUTS, 0), took, counted, failure)
