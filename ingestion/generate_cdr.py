"""Usage records of a made-up network: `python -m ingestion.generate_cdr` or `telecom generate`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from ingestion.console import UserError, err, progress, run_command
from ingestion.pace import FASTEST, SLOWEST
from ingestion.producer import as_interrupt
from ingestion.runlog import log_event, logged
from ingestion.senders import Client, open_sender
from ingestion.settings import settings
from ingestion.traffic.spec import traffic_spec


@logged
def generate(  # noqa: PLR0913, PLR0917 - one argument a flag
    count: Annotated[int, typer.Option(help="Lines, anomalies and copies included.")] = 100_000,
    mix: Annotated[str, typer.Option(help="Percent of each record type, together 100.")] = "voice=60,data=30,sms=10",
    anomalies: Annotated[
        str,
        typer.Option(help="Percent of the lines: missing=1,corrupt=1,duplicate=1,disorder=5; together at most 100."),
    ] = "",
    seed: Annotated[int, typer.Option(help="The same seed and flags give the same bytes.")] = 1,
    first_day: Annotated[str, typer.Option("--from", help="First day (UTC).", metavar="YYYY-MM-DD")] = "2025-06-01",
    last_day: Annotated[
        str, typer.Option("--to", help="Last day (UTC), included.", metavar="YYYY-MM-DD")
    ] = "2025-06-30",
    customers: Annotated[int, typer.Option(help="Number of subscribers; they follow from the seed.")] = 1_000,
    out: Annotated[
        str | None,
        typer.Option(help="File, its manifest beside it; .gz packs it, - is standard output.", metavar="FILE"),
    ] = None,
    kafka: Annotated[bool, typer.Option("--kafka", help="Send to the usage record topic instead.")] = False,
    customers_out: Annotated[Path | None, typer.Option(help="Also write the customers as CSV.", metavar="FILE")] = None,
    load: Annotated[
        bool | None,
        typer.Option(
            "--load-customers/--no-load-customers",
            help="Load the customers into PostgreSQL; for --out, unless told, if PostgreSQL answers.",
        ),
    ] = None,
    locale: Annotated[str, typer.Option(help="Faker locale of the customers' names.")] = "fr_FR",
    rate: Annotated[
        float | None, typer.Option(help="Lines a second, for a live feel.", min=SLOWEST, max=FASTEST)
    ] = None,
    client: Annotated[
        Client, typer.Option(help="Kafka client for --kafka; librdkafka needs the extra of this name.")
    ] = Client.KAFKA_PYTHON,
) -> None:
    """Make usage records, and the customers they belong to."""
    from ingestion.traffic.customers import load_subscribers, write_customers
    from ingestion.traffic.output import send_traffic, write_traffic
    from ingestion.traffic.stream import Traffic

    if (out is None) == (not kafka):
        raise typer.BadParameter("one of --out FILE and --kafka is needed")
    try:
        spec = traffic_spec(
            count=count,
            mix=mix,
            anomalies=anomalies,
            seed=seed,
            first_day=first_day,
            last_day=last_day,
            customers=customers,
        )
    except UserError as error:
        raise typer.BadParameter(str(error)) from None
    config = settings()
    traffic = Traffic(spec, config.country_code)
    if customers_out:
        write_customers(traffic.population, customers_out, locale)
    signal.signal(signal.SIGTERM, as_interrupt)
    with progress() as bar:
        if out is None:
            with open_sender(config, client) as sender:
                if load is not False:
                    load_subscribers(config, traffic.population, locale, required=True)
                task = bar.add_task(f"to {config.cdr_topic}", total=count)
                send_traffic(
                    traffic, sender, config.country_code, rate=rate, sent=lambda n: bar.update(task, completed=n)
                )
        else:
            if load is not False:
                load_subscribers(config, traffic.population, locale, required=load is True)
            task = bar.add_task(f"to {out}", total=count)
            write_traffic(traffic, out, rate=rate, written=lambda n: bar.update(task, completed=n))
    # traffic_id is what the ids of its records begin with: it follows from the flags, whatever run makes it
    log_event("traffic generated", lines=count, traffic_id=spec.run_id, to=out or config.cdr_topic)


@logged
def customers(
    file: Annotated[Path, typer.Argument(help="CSV with the customers' columns.", metavar="FILE")],
) -> None:
    """Load customers from a CSV file into PostgreSQL: new ones are added, changed ones changed, others left alone."""
    from ingestion.traffic.customers import load_customer_file

    rows, changed = load_customer_file(settings(), file)
    log_event("customers loaded", customers=rows, changed=changed)
    err.print(f"{rows} customers in {file}, {changed} of them new or changed")


if __name__ == "__main__":
    run_command(generate)
