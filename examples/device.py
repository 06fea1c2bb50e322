"""A meter that reports over UDP: the kind of program that runs on a device behind a SIM.

    ringback dev                              # in one terminal
    python examples/device.py --readings 5    # in another

It sends a datagram for each reading, `reading 17 230.41`, to the gateway. Whoever gets its IP
Commands acknowledges each with an IP Command back, `ack 17`, to the port that it came from. UDP may
lose datagrams, so the meter keeps a reading until it is acknowledged, and sends it again after a
while. It never has more than a few under way, so that nobody is swamped.

Other commands are answered: `status` by `ok status 17 readings`, an unknown one by `unknown`.
"""

import argparse
import socket
from collections.abc import Callable
from contextlib import suppress

WINDOW = 16
"""How many readings may wait for their acknowledgement."""
PATIENCE = 5.0
"""Seconds of silence after which they are sent again."""
TRIES = 3
LARGEST = 1300
"""Bytes; a datagram to or from a SIM is never longer."""


class Meter:
    """Reads, sends, and listens."""

    def __init__(
        self, bound: socket.socket, gateway: tuple[str, int], say: Callable[[str], None] = print
    ) -> None:
        self.bound = bound
        self.gateway = gateway
        self.say = say
        self.count = 0
        self.waiting = dict[int, str]()
        """Readings that are not acknowledged yet, by their numbers."""

    def report(self) -> None:
        """Take a reading and send it."""
        self.count += 1
        self.waiting[self.count] = f"reading {self.count} {200 + self.count * 0.01:.2f}"
        self.send(self.waiting[self.count])

    def repeat(self) -> None:
        """Send again what is not acknowledged."""
        for reading in self.waiting.values():
            self.send(reading)

    def send(self, text: str) -> None:
        """Send a datagram to the gateway."""
        self.bound.sendto(text.encode(), self.gateway)
        self.say(f"> {text}")

    def listen(self) -> None:
        """Wait for a datagram and do what it says; raises TimeoutError where none comes."""
        datagram, sender = self.bound.recvfrom(LARGEST)
        if sender != self.gateway:
            return  # commands come from the gateway, and from nobody else
        text = datagram.decode(errors="replace")
        self.say(f"< {text}")
        match text.split():
            case ["ack", number] if number.isdigit():
                self.waiting.pop(int(number), None)
            case ["status"]:
                self.send(f"ok status {self.count} readings")
            case _:
                self.send(f"unknown {text}"[:LARGEST])


def run(meter: Meter, readings: int) -> bool:
    """Send so many readings; return whether all of them were acknowledged."""
    silences = 0
    while meter.count < readings or meter.waiting:
        while meter.count < readings and len(meter.waiting) < WINDOW:
            meter.report()
        try:
            meter.listen()
            silences = 0
        except TimeoutError:
            silences += 1
            if silences == TRIES:
                return False
            meter.repeat()
    return True


def serve(meter: Meter) -> None:
    """Answer commands until Ctrl-C."""
    meter.bound.settimeout(None)
    with suppress(KeyboardInterrupt):
        while True:
            meter.listen()


def main() -> int:
    """Play the meter; the exit code is 1 where a reading was not acknowledged."""
    parser = argparse.ArgumentParser(description="Play a meter behind a SIM.")
    parser.add_argument("--gateway", default="127.0.0.1:6969", help="where Ringback's gateway is")
    parser.add_argument("--address", default="127.0.0.1", help="the device's: that of its SIM")
    parser.add_argument("--port", type=int, default=4000, help="the device's; 0 takes a free one")
    parser.add_argument("--readings", type=int, default=0, help="send so many, then end")
    given = parser.parse_args()
    host, _, port = given.gateway.rpartition(":")

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((given.address, given.port))
        bound.settimeout(PATIENCE)
        print("listening at {}:{}".format(*bound.getsockname()), flush=True)
        meter = Meter(bound, (socket.gethostbyname(host), int(port)))
        if not given.readings:
            serve(meter)
        elif not run(meter, given.readings):
            print(f"{len(meter.waiting)} readings were never acknowledged")
            return 1
    print(f"{meter.count} readings, all acknowledged")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
