"""The gate in front of everything that is sent."""

from ringback.ports import SendingPause
from ringback.runtime.sending_gate import SendingGate
from tests.fakes import NOW

PAUSE = SendingPause(NOW, "maintenance")


def test_it_is_open_until_a_pause() -> None:
    gate = SendingGate()
    assert (gate.is_open, gate.pause) == (True, None)
    gate.use(PAUSE)
    assert (gate.is_open, gate.pause) == (False, PAUSE)
    gate.use(None)
    assert (gate.is_open, gate.pause) == (True, None)


def test_who_listens_is_called_each_time_when_it_opens() -> None:
    gate, calls = SendingGate(), list[bool]()
    gate.listen(lambda: calls.append(gate.is_open))
    for pause in (None, PAUSE, PAUSE, None, None, PAUSE, None):
        gate.use(pause)
    assert calls == [True, True]
