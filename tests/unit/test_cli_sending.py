"""Lines of a file on their way to intake: batches, refusals, and the order of each patient's events."""

import json
from collections.abc import Callable, Iterator, Sequence

import httpx2
import pytest

from standalone.commands.errors import Failure
from standalone.publishing.intake import Intake, TooLarge
from standalone.publishing.lines import Bad, Line, read_lines
from standalone.publishing.sending import MAX_BYTES, MAX_LINES, Sending, Tally

Batches = list[list[int]]


def line(number: int, patient: str | None = None, size: int = 2) -> Line:
    return Line(number, b"x" * size, patient or f"patient-{number}")


def sent(lines: Sequence[Line], post: Callable[[Sequence[Line]], Sequence[Bad]], bad: Sequence[int] = ()) -> Tally:
    def checked() -> Iterator[tuple[Line, list[Bad]]]:
        for each in lines:
            yield each, [Bad(each, "/data", "is bad")] if each.number in bad else []

    sending = Sending(post, lambda bad: None, lambda tally: None)
    sending.send(checked())
    return sending.tally


def numbers(batch: Sequence[Line]) -> list[int]:
    return [each.number for each in batch]


def test_lines_go_in_their_order_in_batches_of_so_many_and_so_large() -> None:
    batches: Batches = []

    def post(batch: Sequence[Line]) -> list[Bad]:
        batches.append(numbers(batch))
        return []

    many = [line(number) for number in range(1, MAX_LINES + 3)]
    assert sent(many, post).accepted == MAX_LINES + 2
    assert [len(each) for each in batches] == [MAX_LINES, 2]
    batches.clear()
    sent([line(1, size=MAX_BYTES), line(2), line(3)], post)
    assert batches == [[1], [2, 3]]


def test_a_line_that_is_bad_here_keeps_back_the_later_lines_of_its_patient_alone() -> None:
    batches: Batches = []

    def post(batch: Sequence[Line]) -> list[Bad]:
        batches.append(numbers(batch))
        return []

    tally = sent([line(1, "a"), line(2, "b"), line(3, "a"), line(4, "b"), line(5, "a")], post, bad=[3])
    assert batches == [[1, 2, 4]]
    assert (tally.accepted, tally.refused, tally.kept_back) == (3, 1, 1)


def test_a_batch_that_intake_refuses_is_posted_again_without_the_refused_line_and_what_follows_it() -> None:
    batches: Batches = []

    def post(batch: Sequence[Line]) -> list[Bad]:
        batches.append(numbers(batch))
        return [Bad(each, "/data/zone", "is none") for each in batch if each.number == 2]

    tally = sent([line(1, "a"), line(2, "a"), line(3, "a"), line(4, "b")], post)
    assert batches == [[1, 2, 3, 4], [1, 4]]
    assert (tally.accepted, tally.refused, tally.kept_back) == (2, 1, 1)


def test_a_batch_too_large_is_halved_and_a_line_too_large_alone_is_refused() -> None:
    batches: Batches = []

    def post(batch: Sequence[Line]) -> list[Bad]:
        if sum(len(each.text) for each in batch) > 5:
            raise TooLarge
        batches.append(numbers(batch))
        return []

    tally = sent([line(1), line(2), line(3, "c", size=9), line(4, "c")], post)
    assert batches == [[1, 2]]
    assert (tally.accepted, tally.refused, tally.kept_back) == (2, 1, 1)


def test_the_patient_of_a_bad_line_is_still_seen_where_it_can_be() -> None:
    one = "3f1f1d2e-6a54-4c39-9d43-0a5f8b7c2e10"
    lines = [
        b"{", b"[]", b"", json.dumps({"subject": f"patient/{one.upper()}"}).encode(),
        json.dumps({"subject": "appointment/x", "data": {"patient_id": one}}).encode(),
    ]  # fmt: skip
    found = [(each.number, each.patient_id, bool(bad)) for each, bad in read_lines(lines)]
    assert found == [(1, None, True), (2, None, True), (4, one, True), (5, one, True)]


def answering(*answers: httpx2.Response | Exception) -> tuple[Intake, list[httpx2.Request]]:
    asked: list[httpx2.Request] = []
    left = iter(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    client = httpx2.Client(base_url="http://intake", transport=httpx2.MockTransport(answer))
    return Intake(client, pauses=(0, 0)), asked


def test_an_absence_of_intake_is_sat_out_with_the_same_request() -> None:
    intake, asked = answering(httpx2.ConnectError("away"), httpx2.Response(503), httpx2.Response(202))
    assert intake.post([line(1)]) == []
    assert len({(each.content, each.headers["idempotency-key"]) for each in asked}) == 1
    again, later = answering(httpx2.Response(202), httpx2.Response(202))
    assert again.post([line(1)]) == again.post([line(2, size=3)]) == []
    keys = [each.headers["idempotency-key"] for each in later]
    assert keys[0] == asked[0].headers["idempotency-key"]  # in another run, too
    assert keys[1] != keys[0]
    intake, _ = answering(*[httpx2.ConnectError("away")] * 3)
    with pytest.raises(httpx2.ConnectError):
        intake.post([line(1)])


def test_errors_are_those_of_the_lines_they_point_to() -> None:
    errors = [{"pointer": "#/1/data/start", "detail": "is past"}, {"pointer": "header/x", "detail": "is odd"}]
    intake, _ = answering(httpx2.Response(422, json={"errors": errors}))
    assert intake.post([line(4), line(7)]) == [Bad(line(7), "/data/start", "is past")]


@pytest.mark.parametrize(("code", "status"), [(401, 2), (403, 2), (404, 2), (422, 1), (503, 3)])
def test_an_answer_about_no_line_ends_it(code: int, status: int) -> None:
    intake, _ = answering(*[httpx2.Response(code, json={"detail": "Because."}) for _ in range(3)])
    with pytest.raises(Failure) as failure:
        intake.post([line(1)])
    assert failure.value.status == status
