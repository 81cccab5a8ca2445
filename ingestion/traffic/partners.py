"""Whom subscribers call and write to: a small circle of their own, and now and then anybody else."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingestion.traffic.catalogue import SHORT_CODE_ZONES, Prefix, TrafficCatalogue
from ingestion.traffic.population import Draw, Floats, Ints, Population, stream

CIRCLE = 12
"""People that a subscriber knows."""
OUTSIDERS_LEAST, OUTSIDERS_MOST = 2_000, 20_000
"""How many numbers of other networks there are: twice the subscribers, within these bounds."""

GROUP_SHARES = (0.83, 0.145, 0.025)
"""Of the calls outside the circle: to national numbers, abroad, to short codes."""
INTERNATIONAL_SHARE = 0.12
"""Of the numbers outside this network: those abroad."""
ZONE_WEIGHT = {"europe": 8.0, "maghreb": 6.0, "gulf": 3.0, "north_america": 3.0, "satellite": 0.02}
"""How much people call a zone abroad; 1 for any other, shared by the zone's prefixes."""
PREFIX_WEIGHT = {"33": 20.0, "34": 10.0, "32": 5.0, "39": 5.0, "31": 4.0, "49": 3.0, "44": 3.0, "1": 40.0}
"""How much people call a prefix within its zone; 1 for any other."""
ZONE_NATIONAL = {"off_net": 40.0, "fixed": 1.0, "freephone": 1.0, "shared_cost": 1.0, "premium_voice": 0.05}
"""How much people call a prefix of a national zone; 1 for any other."""

VOICE, DATA, SMS = 0, 1, 2


@dataclass(frozen=True)
class Partners:
    """Everybody who can be called.

    The directory has the subscribers and strangers in the population's order, then the `outside` numbers.

    Attributes:
        outside: numbers of other networks and short codes, as they are written in a record.
        circle: indexes into the directory, shape (population's numbers, CIRCLE), best friends first.
        groups: indexes into the directory of national, international, voice and SMS short code numbers.
    """

    outside: list[bytes]
    circle: NDArray[np.int32]
    national: Ints
    international: Ints
    voice_codes: Ints
    sms_codes: Ints


def build_partners(catalogue: TrafficCatalogue, population: Population, country_code: str) -> Partners:
    """Make the numbers of other networks, and everybody's circle."""
    random = stream(population.seed, Draw.EXTERNAL)
    people = len(population.numbers)
    size = min(max(2 * population.customers, OUTSIDERS_LEAST), OUTSIDERS_MOST)
    abroad = int(size * INTERNATIONAL_SHARE)
    national = _outsiders(catalogue, _weighted(catalogue.national, ZONE_NATIONAL, {}), size - abroad, random)
    international = _outsiders(
        catalogue, _weighted(catalogue.international, ZONE_WEIGHT, PREFIX_WEIGHT), abroad, random
    )
    voice_codes = [code.digits for code in catalogue.short_codes if SHORT_CODE_ZONES[code.zone] == "voice"]
    sms_codes = [code.digits for code in catalogue.short_codes if SHORT_CODE_ZONES[code.zone] == "sms"]
    groups = [national, international, voice_codes, sms_codes]
    ends = people + np.cumsum([0, *(len(group) for group in groups)])
    places = [np.arange(begin, end) for begin, end in pairwise(ends)]
    # a catalogue without a group of destinations: its calls stay on this network
    places = [place if len(place) else np.arange(people) for place in places]
    written = [_as_dialled(number, country_code, random.random()) for number in (*national, *international)]
    return Partners(
        outside=[number.encode() for number in (*written, *voice_codes, *sms_codes)],
        circle=_circles(population, places[0], places[1]),
        national=places[0],
        international=places[1],
        voice_codes=places[2],
        sms_codes=places[3],
    )


def _weighted(
    prefixes: tuple[Prefix, ...], zones: dict[str, float], digits: dict[str, float]
) -> list[tuple[Prefix, float]]:
    within: dict[str, float] = {}
    for prefix in prefixes:
        within[prefix.zone] = within.get(prefix.zone, 0.0) + digits.get(prefix.digits, 1.0)
    return [
        (prefix, zones.get(prefix.zone, 1.0) * digits.get(prefix.digits, 1.0) / within[prefix.zone])
        for prefix in prefixes
    ]


def _outsiders(
    catalogue: TrafficCatalogue, prefixes: list[tuple[Prefix, float]], size: int, random: np.random.Generator
) -> list[str]:
    """Return numbers whose longest prefix is one of `prefixes`, as often as its weight says."""
    if not prefixes:
        return []
    weights = np.array([weight for _, weight in prefixes])
    chosen = random.choice(len(prefixes), size, p=weights / weights.sum())
    digits = random.integers(2, 10, (size, 14))  # no zeros and ones: area codes don't begin with them
    numbers = []
    for place, index in enumerate(chosen):
        prefix = prefixes[index][0].digits
        tail = "".join(map(str, digits[place]))
        length = 11 if prefix[0] == "1" else 12
        number = (prefix + tail)[:length]
        # a number that falls under a longer prefix is in another zone: charged otherwise than meant, so left out
        if catalogue.longest_prefix(number) == prefix:
            numbers.append(number)
    return numbers


def _as_dialled(number: str, country_code: str, draw: float) -> str:
    """Write a number as switches do: mostly plain, at times with +, 00 or the national 0."""
    if draw < 0.03:
        return f"+{number}"
    if draw < 0.05:
        return f"00{number}"
    if draw < 0.08 and number.startswith(country_code):
        return f"0{number[len(country_code) :]}"
    return number


def _circles(population: Population, national: Ints, international: Ints) -> NDArray[np.int32]:
    random = stream(population.seed, Draw.CIRCLE)
    people, customers = len(population.numbers), population.customers
    shape = (people, CIRCLE)
    kind = random.random(shape)
    # friends live near by in the row of subscribers, so that circles overlap as they do in life
    near = np.arange(people)[:, None] + random.geometric(0.05, shape) * random.choice(np.array([-1, 1]), shape)
    circle = near % customers
    circle = np.where(circle == np.arange(people)[:, None], national[random.integers(0, len(national), shape)], circle)
    for share, group in ((0.55, national), (0.95, international)):
        circle = np.where(kind > share, group[random.integers(0, len(group), shape)], circle)
    return circle.astype(np.int32)


def choose_partners(
    partners: Partners, subject: Ints, record_type: NDArray[np.int8], draws: Floats, population: Population
) -> Ints:
    """Choose whom each record is to.

    Args:
        partners: everybody who can be called.
        subject: index of each record's subscriber in the population's numbers.
        record_type: VOICE, DATA or SMS of each record; DATA gets a partner that nobody looks at.
        draws: three uniform numbers a record, shape (3, records).
        population: the subscribers.

    Returns:
        Index into the directory, a record each.
    """
    # a power above 1 makes small ranks frequent: the best friends get most of the calls
    rank = (draws[0] ** 2.2 * CIRCLE).astype(np.int64)
    chosen: Ints = partners.circle[subject, rank].astype(np.int64)
    far = np.flatnonzero(draws[1] > 0.82)
    kind = np.searchsorted(np.cumsum(GROUP_SHARES)[:-1], draws[2, far], side="right")
    draw = draws[0, far]
    codes = np.where(
        record_type[far] == SMS,
        partners.sms_codes[(draw * len(partners.sms_codes)).astype(np.int64)],
        partners.voice_codes[(draw * len(partners.voice_codes)).astype(np.int64)],
    )
    national = np.where(
        draw < 0.5,
        (draw * 2 * population.customers).astype(np.int64),
        partners.national[(draw * len(partners.national)).astype(np.int64)],
    )
    abroad = partners.international[(draw * len(partners.international)).astype(np.int64)]
    chosen[far] = np.select([kind == 0, kind == 1], [national, abroad], codes)
    return chosen
