"""What a receipt lets the sender do."""

import pytest

from services.notifier.smtp.receipts import Phase, Receipt, Verdict, answered, lost


@pytest.mark.parametrize(("code", "slow"), [(421, False), (432, False), (450, True), (451, True), (None, False)])
def test_421_432_and_a_lost_line_are_tried_again_shortly_and_other_4xx_late(code: int | None, slow: bool) -> None:
    assert Receipt(Verdict.RETRY, Phase.RCPT, code).slow is slow


@pytest.mark.parametrize(
    ("phase", "code", "enhanced", "suppress"),
    [
        (Phase.RCPT, 550, "5.1.1", True),
        (Phase.RCPT, 550, "5.1.10", True),
        (Phase.RCPT, 550, "5.7.1", False),
        (Phase.RCPT, 550, None, False),
        (Phase.RCPT, 450, "4.1.1", False),
        (Phase.DOT, 550, "5.1.1", False),
        (Phase.RCPT, 553, "5.1.7", False),
        (Phase.RCPT, 550, "5.1.8", False),
    ],
)
def test_only_a_refusal_at_rcpt_that_speaks_of_the_recipient_suppresses(
    phase: Phase, code: int, enhanced: str | None, suppress: bool
) -> None:
    assert answered(phase, code, enhanced).suppress is suppress


def test_a_missing_login_is_the_relays_fault_whatever_the_command() -> None:
    assert answered(Phase.RCPT, 530, "5.7.0") == Receipt(Verdict.UNSENT, Phase.AUTH, 530, "5.7.0")


@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.RCPT, Phase.DATA])
def test_before_the_dot_an_answer_that_is_none_means_not_sent(phase: Phase) -> None:
    assert answered(phase, 399, None) == lost(phase) == Receipt(Verdict.RETRY, phase)


def test_at_the_dot_an_answer_that_is_none_means_that_nobody_knows() -> None:
    assert answered(Phase.DOT, 354, None) == lost(Phase.DOT) == Receipt(Verdict.UNCERTAIN, Phase.DOT)
