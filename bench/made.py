"""Made-up trials and patients, by seed: about as many facts, and as deep criteria, as those of registries.

A trial asks for one to three of 1,000 diagnoses, so that of 50,000 about 100 name the same one; for ages; and for five
to nine nested criteria over 40 facts. Of a usual patient four facts in five are known. No name, value or combination
means anything.
"""

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from schemas.criteria import Criterion, Eligibility
from schemas.vocabulary import AGES, Derived
from services.trials.facts.picture import Happening, Picture, Value, derive

AS_OF = date(2027, 3, 16)
NUMBERS = [f"number-{each}" for each in range(12)]
CODES = [f"code-{each}" for each in range(6)]
FLAGS = [f"flag-{each}" for each in range(12)]
SETS = ["allergies", "comorbidities"]
DATES = ["onset", "diagnosed"]
EVENTS = ["patch", "surgery", "infusion"]
DERIVATIONS = {
    **AGES,
    **{f"days-since-{each}": Derived(label=each, derive="days-since", of=each) for each in (*DATES, *EVENTS)},
}
DIAGNOSES = [f"diagnosis-{each}" for each in range(1000)]
VALUES = [f"value-{each}" for each in range(8)]
THINGS = [f"thing-{each}" for each in range(40)]
POOL = 20_000
Tree = dict[str, Any]


def _number(random: random.Random) -> Tree:
    name, value = random.choice(NUMBERS), random.randrange(0, 100)
    if random.random() < 0.2:
        return {"fact": name, "op": "between", "value": [value, value + random.randrange(20, 60)]}
    low = random.random() < 0.5
    return {"fact": name, "op": "ge" if low else "le", "value": value * 0.4 if low else 60 + value * 0.4}


def _code(random: random.Random) -> Tree:
    return {"fact": random.choice(CODES), "op": "in", "value": random.sample(VALUES, random.randrange(2, 5))}


def _flag(random: random.Random) -> Tree:
    return {"fact": random.choice(FLAGS), "op": "eq", "value": random.random() < 0.3}


def _set(random: random.Random) -> Tree:
    none = {"fact": random.choice(SETS), "op": "has_any", "value": random.sample(THINGS, random.randrange(1, 4))}
    return {"not": none} if random.random() < 0.8 else none


def _since(random: random.Random) -> Tree:
    days = random.choice([7, 14, 28, 30, 60, 90, 180, 365])
    return {"fact": f"days-since-{random.choice([*DATES, *EVENTS])}", "op": random.choice(["le", "ge"]), "value": days}


def _event(random: random.Random) -> Tree:
    chosen: Tree = {"event": random.choice(EVENTS)}
    kind = random.random()
    if kind < 0.4:
        chosen["within"] = random.choice(["P30D", "P90D", "P6M", "P1Y"])
    elif kind < 0.7:
        chosen["where"] = {"field": "level", "op": "eq", "value": random.choice(VALUES[:3])}
    if random.random() < 0.5:
        return {"not": {"exists": chosen}}
    return {"count": chosen, "op": random.choice(["le", "le", "ge"]), "value": random.randrange(1, 4)}


_ATOMS: list[Callable[[random.Random], Tree]] = [_number, _number, _code, _flag, _flag, _set, _since, _event]


def _tree(random: random.Random, depth: int) -> Tree:
    if depth == 0 or random.random() < 0.25:
        return random.choice(_ATOMS)(random)
    parts = [_tree(random, depth - 1) for _ in range(random.randrange(2, 4))]
    node = random.random()
    if node < 0.45:
        return {"any_of": parts}
    if node < 0.75:
        return {"all_of": parts}
    return {"at_least": random.randrange(1, len(parts)), "of": parts}


def _criterion(random: random.Random, number: int) -> Criterion:
    kind = "exclusion" if random.random() < 0.4 else "inclusion"
    tree = _tree(random, random.choice([0, 1, 1, 2, 3]))
    if kind == "exclusion":
        tree = {"not": tree}
    return Criterion.model_validate({"id": f"c{number}", "kind": kind, "expression": tree})


def _anchor(random: random.Random, number: int) -> Criterion:
    asked = {"fact": "diagnosis", "op": "in", "value": random.sample(DIAGNOSES, random.randrange(1, 4))}
    sure = {"all_of": [asked, {"not": {"fact": "certainty", "op": "eq", "value": "excluded"}}]}
    return Criterion.model_validate({"id": f"a{number}", "kind": "inclusion", "expression": sure, "anchor": True})


def trials(number: int, seed: int = 1) -> list[Eligibility]:
    """Each has its own combination of criteria; a criterion stands in several trials, as it does in registries."""
    made = random.Random(seed)
    pool = [_criterion(made, each) for each in range(min(POOL, number))]
    anchors = [_anchor(made, each) for each in range(min(POOL, number) // 10 + 1)]
    ages = Eligibility.model_validate({"minimum_age": "18 Years", "maximum_age": "65 Years"})
    return [
        ages.model_copy(
            update={
                "minimum_age": ages.minimum_age if made.random() < 0.9 else None,
                "maximum_age": _aged(ages, made) if made.random() < 0.6 else None,
                "sex": made.choice([None, None, None, None, "female", "male"]),
                "criteria": (made.choice(anchors), *made.sample(pool, min(made.randrange(5, 10), len(pool)))),
            }
        )
        for _ in range(number)
    ]


def _aged(ages: Eligibility, random: random.Random) -> Any:
    return ages.maximum_age and ages.maximum_age.model_copy(update={"number": random.choice([50, 60, 65, 70, 75, 80])})


def _day(random: random.Random, most: int) -> date:
    return AS_OF - timedelta(days=random.randrange(most))


def _happening(random: random.Random) -> Happening:
    return Happening(_day(random, 900), {"level": random.choice(VALUES[:3])})


def patient(random: random.Random) -> Picture:
    """A usual patient."""
    told: dict[str, Value] = {"birth-date": _day(random, 365 * 90), "sex": random.choice(["female", "male"])}
    told |= {"diagnosis": random.choice(DIAGNOSES), "certainty": random.choice(["probable", "definite", "excluded"])}
    told |= {name: random.randrange(0, 1000) / 10 for name in NUMBERS}
    told |= {name: random.choice(VALUES) for name in CODES}
    told |= {name: random.random() < 0.3 for name in FLAGS}
    told |= {name: frozenset(random.sample(THINGS, random.choice([0, 0, 1, 2, 4]))) for name in SETS}
    told |= {name: _day(random, 1500) for name in DATES}
    told |= {name: tuple(_happening(random) for _ in range(random.choice([0, 0, 0, 1, 2]))) for name in EVENTS}
    for name in [*NUMBERS, *CODES, *FLAGS, *SETS, *DATES, *EVENTS]:
        if random.random() < 0.2:
            del told[name]
    derived = {name: derive(how.derive, told[how.of], AS_OF) for name, how in DERIVATIONS.items() if how.of in told}
    return Picture(AS_OF, {**told, **derived})


def patients(number: int, seed: int = 2) -> list[Picture]:
    """So many usual patients."""
    made = random.Random(seed)
    return [patient(made) for _ in range(number)]
