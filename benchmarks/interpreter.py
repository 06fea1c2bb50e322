"""Which Python runs the benchmarks, and how it was built: an optimised build is much faster."""

import platform
import sys
import sysconfig
from typing import Final

_SETTINGS: Final = ("CONFIG_ARGS", "PY_CFLAGS", "PY_CORE_CFLAGS", "PY_CORE_LDFLAGS")
_PGO: Final = ("--enable-optimizations", "-fprofile-use", "-fprofile-instr-use")
_LTO: Final = ("--with-lto", "-flto")


def describe() -> str:
    """Return the version of this Python, its build, and what changes its speed."""
    name = f"{platform.python_implementation()} {platform.python_version()}"
    return ", ".join([name, build(_build_settings()), *_unusual()])


def build(settings: str | None) -> str:
    """Return if a Python was built with PGO and LTO, according to its build settings.

    Some distributions optimise their Python, but leave that out of the settings that they install.

    >>> build("--enable-optimizations --prefix=/usr")
    'built with PGO, LTO is not in its build settings'
    """
    if settings is None:
        return "built with PGO and LTO: unknown"
    marks = {"PGO": _PGO, "LTO": _LTO}
    found = [what for what, signs in marks.items() if any(sign in settings for sign in signs)]
    missing = [what for what in marks if what not in found]
    told = [f"built with {' and '.join(found)}"] if found else []
    if missing:
        verb = "are" if len(missing) > 1 else "is"
        told.append(f"{' and '.join(missing)} {verb} not in its build settings")
    return ", ".join(told)


def _build_settings() -> str | None:
    values = [sysconfig.get_config_var(name) for name in _SETTINGS]
    return " ".join(map(str, values)) if values[0] else None


def _unusual() -> list[str]:
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    jit = getattr(sys, "_jit", None)
    has_jit = jit is not None and jit.is_enabled()
    return ["free-threading"] * (not has_gil) + ["JIT"] * has_jit
