"""Keeps renamed public names importable for one more release, with a DeprecationWarning."""

import sys
import warnings
from collections.abc import Callable, Mapping


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """Return a `__getattr__` for a module, so that the old names in `names` still work.

    `names` maps each old name to its new name. The returned function warns when an old name is
    used, and raises AttributeError for any other name.
    """

    def find(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = names[name]
        warnings.warn(
            f"{module}.{name} is now called {new}; the next release removes the old name",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(sys.modules[module], new)

    return find
