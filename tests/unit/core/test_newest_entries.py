from ringback.core.newest_entries import NewestEntries


def test_the_oldest_entry_makes_room_for_a_new_one() -> None:
    entries = NewestEntries[str, int](2)
    entries["a"], entries["b"], entries["c"] = 1, 2, 3
    assert dict(entries) == {"b": 2, "c": 3}


def test_an_entry_that_is_set_again_is_the_newest_and_needs_no_room() -> None:
    entries = NewestEntries[str, int](2)
    entries["a"], entries["b"], entries["a"] = 1, 2, 3
    assert list(entries.items()) == [("b", 2), ("a", 3)]
    entries["c"] = 4
    assert list(entries) == ["a", "c"]


def test_reading_an_entry_keeps_its_place() -> None:
    entries = NewestEntries[str, int](2)
    entries["a"], entries["b"] = 1, 2
    assert (entries["a"], entries.get("a")) == (1, 1)
    entries["c"] = 3
    assert list(entries) == ["b", "c"]


def test_a_removed_entry_leaves_its_room() -> None:
    entries = NewestEntries[str, int](2)
    entries["a"], entries["b"] = 1, 2
    assert entries.pop("b") == 2
    entries["c"] = 3
    assert list(entries) == ["a", "c"]
