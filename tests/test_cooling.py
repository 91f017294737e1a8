"""Who had better not be asked first, and until when; and who is asked instead."""

from dialogue import CLAUDE, DEEPSEEK, GPT, THREE, exchange_of, gateway_of

from router_service.cooling import Cooling


def test_the_later_of_two_ends_wins() -> None:
    cooling = Cooling()
    cooling.cool("a", 30.0, "late")
    cooling.cool("a", 20.0, "early")
    assert (cooling.left("a", 10.0), cooling.why("a", 10.0)) == (20.0, "late")
    assert (cooling.left("a", 30.0), cooling.why("a", 30.0)) == (0.0, "")


def test_nobody_else_cools() -> None:
    cooling = Cooling()
    cooling.cool("a", 30.0, "late")
    assert (cooling.left("b", 10.0), cooling.why("b", 10.0)) == (0.0, "")


def test_who_cools_is_not_asked_first() -> None:
    gateway = gateway_of()
    gateway.cooling.cool(gateway.plan.names[GPT].id, 30.0, "broke off")
    decision = exchange_of(gateway, model=GPT, at=10.0).decision
    assert decision.first.label == CLAUDE
    assert f"{GPT} broke off, {CLAUDE} answers" in decision.reason
    assert GPT in [candidate.label for candidate in decision.chain.candidates], "it steps in when the others fail"
    assert exchange_of(gateway, model=GPT, at=30.0).decision.first.label == GPT


def test_when_all_cool_the_first_is_asked() -> None:
    gateway = gateway_of()
    for label in (GPT, CLAUDE, DEEPSEEK):
        gateway.cooling.cool(gateway.plan.names[label].id, 30.0, "broke off")
    assert exchange_of(gateway, model=GPT, at=10.0).decision.first.label == GPT


def test_where_nobody_may_step_in_who_cools_is_asked() -> None:
    gateway = gateway_of(f"{THREE}failover: {{attempts: 1}}\n")
    gateway.cooling.cool(gateway.plan.names[GPT].id, 30.0, "broke off")
    assert exchange_of(gateway, model=GPT, at=10.0).decision.first.label == GPT
