from dataclasses import replace

import pytest

from ringback.core.http.connection_profile import (
    MOST_HEADER_BYTES,
    MOST_HEADERS,
    NO_PROFILE,
    ConnectionProfile,
    OwnRoute,
    TlsIdentity,
    check_header_name,
    check_header_value,
    check_headers,
    read_header,
)

FULL = ConnectionProfile((("X-Team", "a secret"),), "a certificate", "a CA", "dublin")


class TestAProfile:
    @pytest.mark.parametrize(
        "other",
        [
            replace(FULL, headers=(("X-Team", "another"),)),
            replace(FULL, client_certificate="another"),
            replace(FULL, ca="another"),
            replace(FULL, egress="another"),
            NO_PROFILE,
        ],
    )
    def test_is_equal_to_one_with_the_same_values_only(self, other: ConnectionProfile) -> None:
        same = replace(FULL)
        assert same is not FULL
        assert {FULL: 1}[same] == 1
        assert other != FULL
        assert len({FULL, other, same}) == 2

    def test_shows_no_secrets(self) -> None:
        assert repr(FULL) == "ConnectionProfile(egress='dublin')"
        assert repr(FULL.own_route) == "OwnRoute(egress='dublin', identity=TlsIdentity())"

    def test_has_nothing_by_default(self) -> None:
        assert ConnectionProfile() == NO_PROFILE
        assert NO_PROFILE.headers == ()
        assert (NO_PROFILE.tls_identity, NO_PROFILE.own_route) == (None, None)


class TestTheRoute:
    @pytest.mark.parametrize(
        ("profile", "identity"),
        [
            (FULL, TlsIdentity("a certificate", "a CA")),
            (ConnectionProfile(client_certificate="a certificate"), TlsIdentity("a certificate")),
            (ConnectionProfile(ca="a CA"), TlsIdentity(ca="a CA")),
        ],
    )
    def test_has_the_certificate_and_the_authorities(
        self, profile: ConnectionProfile, identity: TlsIdentity
    ) -> None:
        assert profile.tls_identity == identity
        assert profile.own_route == OwnRoute(profile.egress, identity)
        assert len({identity, profile.tls_identity}) == 1

    def test_has_the_egress(self) -> None:
        assert ConnectionProfile(egress="dublin").own_route == OwnRoute("dublin", None)

    def test_is_the_same_for_other_headers(self) -> None:
        assert replace(FULL, headers=()).own_route == FULL.own_route
        assert ConnectionProfile((("X-Team", "meters"),)).own_route is None

    @pytest.mark.parametrize("other", [TlsIdentity("other", "ca"), TlsIdentity("cert", "other")])
    def test_differs_with_the_certificate_and_the_authorities(self, other: TlsIdentity) -> None:
        assert other != TlsIdentity("cert", "ca")


class TestHeaders:
    def test_may_have_any_other_name(self) -> None:
        check_headers(
            [("X-Team", "meters"), ("authorization", "Bearer x"), ("!#$%&'*+.^_`|~9", "")],
            taken={"x-other"},
        )

    @pytest.mark.parametrize("name", ["", "X Team", "X-Team:", "X-Téam", "X-Team\n", "(x)", "a\0"])
    def test_have_names_that_are_tokens(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"is not the name of a header; .*, like X-Team"):
            check_header_name(name, taken=())

    @pytest.mark.parametrize(
        "name",
        [
            "Host",
            "Content_Length",
            "Transfer_Encoding",
            "HTTP2-Settings",
            "content-length",
            "Content-Type",
            "TRANSFER-ENCODING",
            "Connection",
            "User-Agent",
            "Accept",
            "Accept-Encoding",
            "Date",
            "Expect",
            "Upgrade",
        ],
    )
    def test_do_not_change_how_a_request_is_read(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"the header {name} is set by Ringback itself"):
            check_headers([(name, "x")], taken=())

    def test_have_no_name_of_a_source(self) -> None:
        with pytest.raises(ValueError, match="a source of callbacks sends the header X-SIGNED"):
            check_header_name("X-SIGNED", taken={"x-signed"})

    def test_are_given_once(self) -> None:
        with pytest.raises(ValueError, match="the header x-team is given twice; give it once"):
            check_headers([("X-Team", "a"), ("x-team", "b")], taken=())

    @pytest.mark.parametrize("value", ["", "a  b", "é", "\xa0", '{"token": "~!"}'])
    def test_have_values_of_printable_characters(self, value: str) -> None:
        check_header_value("X-Team", value)

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("secret\r\nX: y", r"'\\r' at place 7"),
            ("secret\n", r"'\\n' at place 7"),
            ("secret\0", r"'\\x00' at place 7"),
            ("\tsecret", r"'\\t' at place 1"),
            ("secret\x7f", r"'\\x7f' at place 7"),
            ("secret\x85", r"'\\x85' at place 7"),
            ("secret\x06", r"'\\x06' at place 7"),
            ("secret€", "'€' at place 7"),
        ],
    )
    def test_have_no_other_values(self, value: str, shown: str) -> None:
        with pytest.raises(ValueError, match=f"the header X-Team has the character {shown}") as no:
            check_headers([("X-Team", value)], taken=())
        assert "secret" not in str(no.value)

    @pytest.mark.parametrize("value", [" secret", "secret ", " "])
    def test_have_values_without_a_space_at_an_end(self, value: str) -> None:
        with pytest.raises(ValueError, match="X-Team begins or ends with a space; leave it out"):
            check_header_value("X-Team", value)

    def test_are_at_most_twenty(self) -> None:
        most = [(f"X-{number}", "") for number in range(MOST_HEADERS)]
        check_headers(most, taken=())
        with pytest.raises(ValueError, match=r"21 headers are given, but .* at most 20 more"):
            check_headers([*most, ("X", "")], taken=())

    def test_take_at_most_eight_kilobytes(self) -> None:
        value = "x" * (MOST_HEADER_BYTES - len("X: \r\n"))
        check_headers([("X", value)], taken=())
        with pytest.raises(ValueError, match=r"take 8193 bytes, but .* at most 8192 more; shorten"):
            check_headers([("X", value + "x")], taken=())


def test_a_header_is_read_from_a_line() -> None:
    assert read_header("X-Team:meters: all ") == ("X-Team", "meters: all")
    with pytest.raises(ValueError, match="a header has no colon; write it like X-Team") as refused:
        read_header("hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["X-Twilio-Webhooks-Signature-Settings", "X_Twilio_Signature", "x-kore-anything", "X_Other"],
)
def test_no_header_looks_like_one_of_a_source_also_if_a_proxy_writes_dashes(name: str) -> None:
    with pytest.raises(ValueError, match=f"a source of callbacks sends the header {name}"):
        check_header_name(name, taken={"x-other"})
