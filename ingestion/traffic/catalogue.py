"""What traffic needs to know of the catalogue: plans to subscribe to, numbers to call, cells to be in.

Read from the seeds at run time, so that a new plan, destination or city shows up in the traffic by itself.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from ingestion.console import UserError

SHORT_CODE_ZONES = {"emergency": "voice", "customer_care": "voice", "premium_sms": "sms"}
"""Zones whose prefixes are whole short codes, and what people use them for."""
OWN_ZONE = "on_net"
"""Zone of the number ranges that this operator's own subscribers have."""
HOME_ZONE = "home"
"""Zone of the cells where subscribers live and work."""
SHAPES = {
    "prefix": (re.compile(r"[0-9]{1,15}"), "1 to 15 digits"),
    "cell_prefix": (re.compile(r'[^"\\\x00-\x1f]{1,200}'), "a text that JSON can hold as it is"),
    "rate_plan_id": (re.compile(r".+"), "an id"),
}
"""What a column has to look like for numbers, cells and subscriptions to be made from it."""
ANYTHING = re.compile(r".*", re.DOTALL)


@dataclass(frozen=True)
class Prefix:
    """A destination: digits that numbers begin with, and the zone they are charged by."""

    digits: str
    zone: str


@dataclass(frozen=True)
class TrafficCatalogue:
    """The part of the catalogue that traffic is made from.

    Attributes:
        rate_plan_ids: every plan, once.
        own_ranges: prefixes of this operator's numbers, country code included.
        national, international: prefixes of everybody else's numbers.
        short_codes: whole numbers of 3 to 6 digits.
        prefixes: every prefix, for finding out which is a number's longest.
        home_cells, away_cells: prefixes of cell names, at home and abroad or on Wi-Fi.
    """

    rate_plan_ids: tuple[str, ...]
    own_ranges: tuple[str, ...]
    national: tuple[Prefix, ...]
    international: tuple[Prefix, ...]
    short_codes: tuple[Prefix, ...]
    prefixes: frozenset[str]
    home_cells: tuple[str, ...]
    away_cells: tuple[str, ...]

    def longest_prefix(self, number: str) -> str:
        """Return the longest prefix that `number` begins with, empty where none does."""
        return next((number[:end] for end in range(len(number), 0, -1) if number[:end] in self.prefixes), "")


def read_catalogue(folder: Path, country_code: str) -> TrafficCatalogue:
    """Read the seeds that traffic depends on.

    Args:
        folder: the seeds' CSV files.
        country_code: digits that national numbers begin with.

    Raises:
        UserError: a file or column is not there, or there is no plan, own range or home cell to make traffic with.
    """
    plans = tuple(dict.fromkeys(_column(folder, "rate_plans", "rate_plan_id")))
    digits = _column(folder, "destination_prefixes", "prefix")
    destinations = [
        Prefix(prefix, zone)
        for prefix, zone in zip(digits, _column(folder, "destination_prefixes", "zone"), strict=True)
    ]
    cells = dict(zip(_column(folder, "cell_zones", "cell_prefix"), _column(folder, "cell_zones", "zone"), strict=True))
    own = tuple(prefix.digits for prefix in destinations if prefix.zone == OWN_ZONE)
    short_codes = tuple(prefix for prefix in destinations if prefix.zone in SHORT_CODE_ZONES)
    others = [prefix for prefix in destinations if prefix.zone not in (*SHORT_CODE_ZONES, OWN_ZONE)]
    catalogue = TrafficCatalogue(
        rate_plan_ids=plans,
        own_ranges=own,
        national=tuple(prefix for prefix in others if prefix.digits.startswith(country_code)),
        international=tuple(prefix for prefix in others if not prefix.digits.startswith(country_code)),
        short_codes=short_codes,
        prefixes=frozenset(digits),
        home_cells=tuple(prefix for prefix, zone in cells.items() if zone == HOME_ZONE),
        away_cells=tuple(prefix for prefix, zone in cells.items() if zone != HOME_ZONE),
    )
    if not plans:
        raise UserError(f"{folder / 'rate_plans.csv'}: no rate plan to subscribe to")
    if not own:
        raise UserError(f"{folder / 'destination_prefixes.csv'}: no prefix has zone {OWN_ZONE}, so nobody has a number")
    if not catalogue.home_cells:
        raise UserError(f"{folder / 'cell_zones.csv'}: no cell prefix has zone {HOME_ZONE}, so nobody lives anywhere")
    return catalogue


def _column(folder: Path, seed: str, column: str) -> list[str]:
    path = folder / f"{seed}.csv"
    shape, meaning = SHAPES.get(column, (ANYTHING, "a text"))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            found = []
            for row in reader:
                if not shape.fullmatch(row[column] or ""):
                    raise UserError(f"{path}, line {reader.line_num}, {column}: {row[column]!r} is not {meaning}")
                found.append(row[column])
            return found
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; the catalogue's CSV files are needed") from None
    except KeyError:
        raise UserError(f"{path}: column {column} is missing") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this is no CSV in UTF-8: {error}") from None
