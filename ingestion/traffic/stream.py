"""A run of the generator: chunks of lines, and what is in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingestion.settings import PROJECT_ROOT
from ingestion.traffic.anomalies import DISORDER, NONE, Findings, Saboteur, manifest_entries
from ingestion.traffic.behaviour import Behaviour, Records
from ingestion.traffic.catalogue import read_catalogue
from ingestion.traffic.partners import build_partners
from ingestion.traffic.population import Population, build_population
from ingestion.traffic.render import Renderer, text
from ingestion.traffic.spec import ANOMALIES, RECORD_TYPES, Quota, TrafficSpec

CHUNK = 16_384
"""Lines made at a time: small enough for a processor's cache, large enough for numpy."""
SEEDS = PROJECT_ROOT / "seeds"


@dataclass(frozen=True)
class Chunk:
    """Some consecutive lines.

    Attributes:
        data: the lines, each with its line end.
        lines: how many there are.
        entries: a JSON object for each line that isn't as it should be.
        counts: lines by record type, by anomaly and from nobody's numbers (see `Traffic.totals`).
    """

    data: bytes
    lines: int
    entries: list[str]
    counts: dict[str, int]


class Traffic:
    """The lines of one run, in order.

    Equal specs give equal bytes, with the same catalogue and numpy's same random streams.
    """

    def __init__(self, spec: TrafficSpec, country_code: str, seeds: Path = SEEDS) -> None:
        """Make the subscribers and everybody they call.

        Args:
            spec: what to make.
            country_code: digits that national numbers begin with.
            seeds: folder of the catalogue's CSV files.

        Raises:
            UserError: the catalogue can't be read, or nobody's subscription has begun in the period.
        """
        catalogue = read_catalogue(seeds, country_code)
        self.spec = spec
        self.population: Population = build_population(catalogue, spec.customers, spec.seed, country_code)
        partners = build_partners(catalogue, self.population, country_code)
        self._behaviour = Behaviour(spec, self.population, partners)
        self._renderer = Renderer(spec, self.population, partners, country_code)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the run's lines. Each call begins anew and yields the same."""
        saboteur = Saboteur(self._renderer)
        latest = np.int64(0)  # time of the last line that is as it should be
        mix, anomalies = Quota(self.spec.mix[:-1]), Quota(self.spec.anomalies)
        for number, first in enumerate(range(0, self.spec.count, CHUNK)):
            size = min(CHUNK, self.spec.count - first)
            random = np.random.Generator(np.random.PCG64([self.spec.seed, 0, number]))
            kind = random.permutation(np.repeat(np.arange(len(RECORD_TYPES)), mix.take(size))).astype(np.int8)
            anomaly = random.permutation(np.repeat(np.arange(NONE + 1), anomalies.take(size))).astype(np.int8)
            if first == 0:
                anomaly[0] = NONE  # a copy needs a line before it
            second = self._behaviour.times(first, size, random)
            moved = np.zeros(size, dtype=np.int64)
            disorder = np.flatnonzero(anomaly == DISORDER)
            ordinary = np.maximum.accumulate(np.append(latest, np.where(anomaly == NONE, second, 0)))
            moved[disorder] = self._behaviour.disorder(second, disorder, ordinary[:-1], random)
            latest = ordinary[-1]
            anomaly[disorder[moved[disorder] == 0]] = NONE
            line = np.arange(first + 1, first + size + 1)
            records = self._behaviour.records(line, kind, second - moved, moved, random)
            lines = self._renderer.render(records, random)
            found = saboteur.spoil(lines, kind, anomaly, line, random)
            entries = list(manifest_entries(found, line, moved))
            yield Chunk(text(lines), size, entries, self._counts(records, found))

    def _counts(self, records: Records, found: Findings) -> dict[str, int]:
        sound = (found.anomaly == NONE) | (found.anomaly == DISORDER)
        types = np.bincount(records.kind[sound], minlength=len(RECORD_TYPES)).tolist()
        injected = np.bincount(found.anomaly, minlength=NONE + 1).tolist()
        return {
            **dict(zip(RECORD_TYPES, types, strict=True)),
            **dict(zip(ANOMALIES, injected, strict=False)),
            "normal": int(sound.sum()),
            "from_nobody": int((records.subject[sound] >= self.population.customers).sum()),
        }
