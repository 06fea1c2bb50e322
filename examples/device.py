"""A meter that reports over UDP: an example of a program that runs on a device with a SIM.

    ringback dev                              # in one terminal
    python examples/device.py --readings 5    # in another

It sends each reading to the gateway in a datagram, such as `reading 17 230.41`. The application
that is notified of these IP Commands acknowledges each by an IP Command, `ack 17`, to the port that
it came from. UDP may lose datagrams, so the meter keeps a reading until it is acknowledged, and
sends it again after a while. It sends at most 16 readings ahead, so that it overloads nobody.

The meter also answers commands: `status` with `ok status 17 readings`, others with `unknown`.
"""

import argparse
import socket
from collections.abc import Callable
from contextlib import suppress

WINDOW = 16
"""The number of readings that may wait for an acknowledgement."""
PATIENCE = 5.0
"""The seconds without an acknowledgement after which waiting readings are sent again."""
TRIES = 3
LARGEST = 1300
"""The largest datagram to or from a SIM, in bytes."""


class Meter:
    """A meter that sends readings to the gateway, and answers commands."""

    def __init__(
        self, bound: socket.socket, gateway: tuple[str, int], say: Callable[[str], None] = print
    ) -> None:
        self.bound = bound
        self.gateway = gateway
        self.say = say
        self.count = 0
        self.waiting = dict[int, str]()
        """The readings that aren't acknowledged yet, by number."""

    def report(self) -> None:
        """Take a new reading and send it."""
        self.count += 1
        self.waiting[self.count] = f"reading {self.count} {200 + self.count * 0.01:.2f}"
        self.send(self.waiting[self.count])

    def repeat(self) -> None:
        """Send all readings again that aren't acknowledged."""
        for reading in self.waiting.values():
            self.send(reading)

    def send(self, text: str) -> None:
        """Send a datagram to the gateway."""
        self.bound.sendto(text.encode(), self.gateway)
        self.say(f"> {text}")

    def listen(self) -> None:
        """Wait for a datagram and carry it out; raises TimeoutError if none comes."""
        datagram, sender = self.bound.recvfrom(LARGEST)
        if sender != self.gateway:
            return  # ignore datagrams that aren't from the gateway
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
    """Send this number of readings, and return True if all of them were acknowledged."""
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
    """Run the meter, and return the exit code: 1 if a reading was not acknowledged."""
    parser = argparse.ArgumentParser(description="Act as a meter with a SIM.")
    parser.add_argument("--gateway", default="127.0.0.1:6969", help="address of Ringback's gateway")
    parser.add_argument("--address", default="127.0.0.1", help="the device's address (its SIM's)")
    parser.add_argument("--port", type=int, default=4000, help="the device's port; 0: any free one")
    parser.add_argument("--readings", type=int, default=0, help="number of readings before it ends")
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
