"""Parameters: valid values, invalid ones, and unknown names."""

from urllib.parse import quote

import pytest

from ringback.ports import Store
from tests.fakes import SIM_SID
from tests.unit.api.caller import Caller
from tests.unit.api.world import called_back, refusal

UPDATE = f"/v1/Sims/{SIM_SID}"
NAMED = b"UniqueName=renamed"


async def name_of(caller: Caller) -> str:
    return (await caller.get(UPDATE)).json["unique_name"]


# ---- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"UniqueName=my+SIM", "my SIM"),
        (b"UniqueName=my%20SIM", "my SIM"),
        (b"UniqueName=Zo%C3%AB", "Zoë"),
        ("UniqueName=Zoë".encode(), "Zoë"),
        (b"UniqueName=a%26b%3Dc", "a&b=c"),
        (b"UniqueName=a=b", "a=b"),
        (b"UniqueName=%zz", "%zz"),
        (b"UniqueName=", None),
        (b"&&UniqueName=a&&", "a"),
    ],
)
async def test_a_form_is_read_as_browsers_write_it(
    caller: Caller, body: bytes, name: str | None
) -> None:
    answer = await caller.call("POST", UPDATE, body)
    assert (answer.status, answer.json["unique_name"]) == (200, name)


async def test_a_body_may_arrive_in_parts(caller: Caller) -> None:
    answer = await caller.call("POST", UPDATE, b"Unique", b"Name=ren", b"", b"amed")
    assert answer.json["unique_name"] == "renamed"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "Application/X-WWW-Form-URLEncoded",
    ],
)
async def test_the_form_type_may_be_written_in_any_way(caller: Caller, content_type: str) -> None:
    answer = await caller.call("POST", UPDATE, NAMED, headers={"content-type": content_type})
    assert answer.json["unique_name"] == "renamed"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"UniqueName": "renamed"}'),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
        ("text/plain", NAMED),
        ("", NAMED),
    ],
)
async def test_another_type_is_refused_with_the_right_one(
    caller: Caller, content_type: str, body: bytes
) -> None:
    answer = await caller.call("POST", UPDATE, body, headers={"content-type": content_type})
    assert refusal(answer) == (400, 83600)
    assert "send application/x-www-form-urlencoded" in answer.json["message"]
    assert await name_of(caller) == "my_super_sim"


async def test_no_body_needs_no_type(caller: Caller) -> None:
    answer = await caller.call("POST", UPDATE, headers={"content-type": "application/json"})
    assert answer.status == 200


async def test_a_body_of_64_kib_is_read(caller: Caller) -> None:
    body = NAMED + b"&Padding="
    answer = await caller.call("POST", UPDATE, body + b"a" * (64 * 1024 - len(body)))
    assert answer.json["unique_name"] == "renamed"


@pytest.mark.parametrize("length", [64 * 1024 + 1, 10_000_000])
async def test_a_longer_body_is_refused_without_effect(caller: Caller, length: int) -> None:
    whole = NAMED + b"&Padding=" + b"a" * (length - len(NAMED) - 9)
    parts = [whole[start : start + 65536] for start in range(0, length, 65536)]
    answer = await caller.call("POST", UPDATE, *parts)
    assert refusal(answer) == (400, 83600)
    assert (
        answer.json["message"]
        == "the body is longer than the limit of 65536 bytes; nothing was changed"
    )
    assert await name_of(caller) == "my_super_sim"


async def test_an_interrupted_body_has_no_effect(caller: Caller) -> None:
    answer = await caller.call("POST", UPDATE, NAMED, breaks_off=True)
    assert refusal(answer) == (400, 83600)
    assert await name_of(caller) == "my_super_sim"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"UniqueName=\xff\xfe", "the body is not valid UTF-8"),
        (b"UniqueName=%FF", "the body is not valid UTF-8"),
        (b"UniqueName=%ED%A0%80", "the body is not valid UTF-8"),
        (b"\xff=1", "the body is not valid UTF-8"),
        (b"UniqueName=a%00b", "UniqueName contains a NUL character; remove it"),
        (b"UniqueName=a\0b", "UniqueName contains a NUL character; remove it"),
        (b"CallbackUrl=http://a.example/%00", "CallbackUrl contains a NUL character; remove it"),
        (b"UniqueName=a&UniqueName=b", "UniqueName is given twice; give it once"),
        (b"Status=active&Status=active", "Status is given twice; give it once"),
        (
            b"&".join(b"a%d=1" % number for number in range(201)),
            "the body has more than 200 parameters",
        ),
    ],
    ids=[
        "bytes that are not UTF-8",
        "an escape that is not UTF-8",
        "the escape of half a pair",
        "a name that is not UTF-8",
        "the escape of NUL",
        "NUL",
        "NUL in a URL",
        "a name twice",
        "a name twice with one value",
        "too many",
    ],
)
async def test_a_malformed_form_is_refused(caller: Caller, body: bytes, message: str) -> None:
    answer = await caller.call("POST", UPDATE, body)
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"] == message
    assert await name_of(caller) == "my_super_sim"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("Status=%FF", "the query string is not valid UTF-8"),
        ("Fleet=a%00", "Fleet contains a NUL character; remove it"),
        ("Status=new&Status=active", "Status is given twice; give it once"),
        ("&".join(f"a{n}=1" for n in range(201)), "the query string has more than 200 parameters"),
    ],
    ids=["not UTF-8", "NUL", "twice", "too many"],
)
async def test_a_malformed_query_is_refused(caller: Caller, query: str, message: str) -> None:
    answer = await caller.get(f"/v1/Sims?{query}")
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"] == message


@pytest.mark.parametrize("name", ["Zoë", "a b", "a" * 64])
async def test_a_sim_is_found_by_a_name_with_escapes(caller: Caller, name: str) -> None:
    await caller.post(UPDATE, {"UniqueName": name})
    assert (await caller.get(f"/v1/Sims/{quote(name)}")).json["sid"] == SIM_SID


# ---- unknown parameters --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "warning"),
    [
        ({"Color": "red"}, "unknown parameters, which had no effect: 'Color'"),
        ({"status": "inactive"}, "unknown parameters, which had no effect: 'status'"),
        ({"A": "1", "B": "2"}, "unknown parameters, which had no effect: 'A', 'B'"),
        ({"Zoë\r\nX": "1"}, "unknown parameters, which had no effect: 'Zo\\xeb\\r\\nX'"),
        ({"": "1"}, "unknown parameters, which had no effect: ''"),
    ],
)
async def test_an_unknown_parameter_is_named_and_has_no_effect(
    caller: Caller, form: dict[str, str], warning: str
) -> None:
    answer = await caller.post(UPDATE, form)
    assert answer.headers["ringback-warning"] == warning
    assert (answer.status, answer.json["status"]) == (200, "active")


@pytest.mark.parametrize("target", ["/v1/Sims", "/portal/v1/callbacks"])
async def test_lists_name_unknown_parameters_too(caller: Caller, target: str) -> None:
    answer = await caller.get(f"{target}?status=new&PageSize=9")
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'status'"


async def test_registering_names_unknown_parameters_too(caller: Caller) -> None:
    form = {"Iccid": "8988307000000000003", "RegistrationCode": "A" * 10, "UniqueName": "x"}
    answer = await caller.post("/v1/Sims", form)
    assert (
        answer.headers["ringback-warning"]
        == "unknown parameters, which had no effect: 'UniqueName'"
    )
    assert answer.json["unique_name"] is None


async def test_known_parameters_cause_no_warning(caller: Caller) -> None:
    assert "ringback-warning" not in (await caller.post(UPDATE, {"UniqueName": "x"})).headers


async def test_many_unknown_parameters_make_no_endless_header(caller: Caller) -> None:
    answer = await caller.post(UPDATE, {f"{'a' * 300}{number}": "1" for number in range(150)})
    assert len(answer.headers["ringback-warning"]) < 1000


async def test_a_parameter_that_may_belong_to_the_callback_url_is_reported_on_the_callback(
    caller: Caller, store: Store
) -> None:
    # The & of a URL in a form was not escaped, so that its second half is cut off.
    body = b"Status=active&CallbackUrl=http://a.example/path?foo=bar&baz=1#cbs=kore"
    answer = await caller.call("POST", UPDATE, body)
    (callback,) = await called_back(store)
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'baz'"
    assert callback.url.shown == "http://a.example/path?foo=bar"
    assert callback.warnings == (
        "the request also had the parameter 'baz', which has no effect; if it belongs to"
        " CallbackUrl, write the & before it as %26",
    )


async def test_a_later_callback_has_the_same_warning(caller: Caller, store: Store) -> None:
    body = b"Status=inactive&CallbackUrl=http://a.example/path?foo=bar&baz=1"
    await caller.call("POST", UPDATE, body)
    update = await store.transact(lambda tx: tx.supersim.sim_updates.get(SIM_SID))
    assert update is not None
    assert update.callback.url is not None
    assert "'baz'" in update.callback.url.warnings[0]
