import pytest

from ringback.core.callback_urls.connection_overrides import ConnectionOverrides
from ringback.core.http.egress_routes import ANY, Direct, Egress, Egresses, Proxy, read_egress
from ringback.core.policy.source_policy import Source

POOL = Direct(("192.0.2.1", "192.0.2.2"))
FIXED = Direct(("192.0.2.9",))
DUBLIN = Proxy("proxy.example", 3128)
EGRESSES = Egresses({Source.TWILIO: FIXED, Source.KORE: POOL}, {"dublin": DUBLIN, "any": ANY})


class TestTheChoice:
    @pytest.mark.parametrize(("source", "own"), [(Source.TWILIO, FIXED), (Source.KORE, POOL)])
    def test_is_the_sources_own(self, source: Source, own: Egress) -> None:
        assert EGRESSES.choose(source, ConnectionOverrides(), turn=0) == own

    @pytest.mark.parametrize("source", [*Source, None])
    def test_is_the_machines_if_the_source_has_none(self, source: Source | None) -> None:
        assert Egresses().choose(source, ConnectionOverrides(), turn=0) == ANY

    def test_is_the_machines_for_requests_without_a_source(self) -> None:
        assert EGRESSES.choose(None, ConnectionOverrides(), turn=0) == ANY

    def test_rotates_through_the_names_in_the_url(self) -> None:
        asked = ConnectionOverrides(egress=("dublin", "any"))
        chosen = [EGRESSES.choose(Source.KORE, asked, turn=turn) for turn in range(4)]
        assert chosen == [DUBLIN, ANY, DUBLIN, ANY]

    def test_is_the_sources_own_at_the_turn_of_an_unknown_name(self) -> None:
        asked = ConnectionOverrides(egress=("unheard-of", "dublin"))
        chosen = [EGRESSES.choose(Source.TWILIO, asked, turn=turn) for turn in range(3)]
        assert chosen == [FIXED, DUBLIN, FIXED]

    @pytest.mark.parametrize(
        ("asked", "destination", "chosen"),
        [
            ((), "dublin", DUBLIN),
            ((), "unheard-of", FIXED),
            (("any",), "dublin", ANY),
            (("unheard-of",), "dublin", DUBLIN),
            (("unheard-of",), "gone", FIXED),
        ],
    )
    def test_is_the_urls_or_else_the_destinations_or_else_the_sources(
        self, asked: tuple[str, ...], destination: str, chosen: Egress
    ) -> None:
        overrides = ConnectionOverrides(egress=asked)
        egress = EGRESSES.choose(Source.TWILIO, overrides, turn=0, destination=destination)
        assert egress == chosen

    def test_reports_undefined_names(self) -> None:
        asked = ConnectionOverrides(egress=("x", "dublin", "y"))
        assert EGRESSES.unknown_names(asked) == ("x", "y")
        assert EGRESSES.unknown_names(ConnectionOverrides()) == ()


class TestLocalAddresses:
    def test_take_turns(self) -> None:
        taken = [POOL.local_address(towards="198.51.100.7", turn=turn) for turn in range(3)]
        assert taken == ["192.0.2.1", "192.0.2.2", "192.0.2.1"]

    def test_are_used_for_their_own_family(self) -> None:
        both = Direct(("192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"))
        taken = [both.local_address(towards="2001:db8::7", turn=turn) for turn in range(3)]
        assert taken == ["2001:db8::1", "2001:db8::2", "2001:db8::1"]

    def test_of_one_family_are_not_used_for_the_other(self) -> None:
        assert POOL.local_address(towards="2001:db8::7", turn=0) is None


class TestAProxy:
    @pytest.mark.parametrize(
        ("proxy", "shown"),
        [
            (Proxy("proxy.example", 3128, "user:hunter2"), "http://proxy.example:3128"),
            (Proxy("2001:db8::1", 80), "http://[2001:db8::1]:80"),
        ],
    )
    def test_is_shown_without_its_credentials(self, proxy: Proxy, shown: str) -> None:
        assert proxy.shown == shown
        assert "hunter2" not in repr(proxy)

    @pytest.mark.parametrize(
        ("credentials", "authorization"),
        [
            (None, None),
            ("user:hunter2", "Basic dXNlcjpodW50ZXIy"),
            ("user", "Basic dXNlcjo="),
            ("us%40er:p%3Aw", "Basic dXNAZXI6cDp3"),
        ],
    )
    def test_gets_our_credentials(self, credentials: str | None, authorization: str | None) -> None:
        assert Proxy("proxy.example", 3128, credentials).authorization == authorization


class TestASetting:
    @pytest.mark.parametrize(
        ("text", "egress"),
        [
            ("any", ANY),
            ("192.0.2.1", Direct(("192.0.2.1",))),
            ("192.0.2.1,2001:DB8:0::1", Direct(("192.0.2.1", "2001:db8::1"))),
            ("http://proxy.example:3128", Proxy("proxy.example", 3128)),
            ("http://proxy.example:3128/", Proxy("proxy.example", 3128)),
            ("http://10.0.0.1:80", Proxy("10.0.0.1", 80)),
            ("http://[2001:db8::1]:8080", Proxy("2001:db8::1", 8080)),
            ("http://user:pass@proxy.example:3128", Proxy("proxy.example", 3128, "user:pass")),
            ("http://a@b:c@proxy.example:3128", Proxy("proxy.example", 3128, "a@b:c")),
        ],
    )
    def test_is_read(self, text: str, egress: Egress) -> None:
        assert read_egress(text) == egress

    @pytest.mark.parametrize("text", ["", "192.0.2.1,", "192.0.2.1, 192.0.2.2", "any,any", "eth0"])
    def test_without_addresses_is_refused_with_a_valid_example(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a valid egress; it must be the word `any`"):
            read_egress(text)

    @pytest.mark.parametrize(
        "text",
        [
            "http://proxy.example",
            "http://proxy.example:0",
            "http://proxy.example:65536",
            "http://proxy.example:3128/path",
            "https://proxy.example:3128",
            "socks5://proxy.example:1080",
            "http://:3128",
            "http://user:hunter2@proxy.example",
            "https://user:hunter2@proxy.example:3128",
            "user:hunter2@proxy.example:3128",
            "http://user:hunter2\n@proxy.example",
        ],
    )
    def test_without_a_proxy_is_refused_without_showing_credentials(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a valid proxy; write it like") as refused:
            read_egress(text)
        assert "hunter2" not in str(refused.value)
