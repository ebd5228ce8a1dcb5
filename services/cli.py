"""
Cli: the command ``uproar``. Each verb imports what it needs when it is called, and calls one thing.

Errors that a person can mend are one line on stderr: exit code 1 for bad input, 2 where the world
does not answer, 78 for wrong settings. ``UPROAR_LOG_LEVEL=debug`` shows the traceback as well.
"""

# ruff: noqa: D301 - click reads \b as "leave these lines as they are"

import asyncio
import json
import os
import sys
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import click

from uproar.errors import Malformed, Misconfigured, Unavailable

USAGE, INTERRUPTED, BUG, MISCONFIGURED = 2, 130, 70, 78
EXTRAS = {
    "torch": "torch",
    "transformers": "torch",
    "safetensors": "torch",
    "matplotlib": "plots",
    "pyarrow": "parquet",
    "ctranslate2": "classifier",
    "tokenizers": "classifier",
    "faust": "classifier",
    "httpx": "ingest",
    "sqlalchemy": "alerter",
}
"""Which extra brings what a verb may lack; everything else comes with ``standalone``."""

_EXISTING = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("uproar"), prog_name="uproar")
def cli() -> None:
    """
    Hear the start of a backlash, and page the people who can answer.

    \b
    First steps:
      uproar demo    watch a bundled crisis go the whole way, on this machine
      uproar init    name whom to watch and whom to page
      uproar up      run everything here

    Settings come from the environment (UPROAR_*), the watch list and the receivers from uproar.toml.
    """


# ------------------------------------------------------------------------------- run the product


@cli.command()
@click.option("--name", help="Whom to watch, as people write it.")
@click.option("--kind", help="brand, person, product or place.")
@click.option("--purpose", help="Why a person is watched (needed for a person only).")
@click.option("--alias", "aliases", multiple=True, help="Another spelling. Repeatable.")
@click.option("--handle", "handles", multiple=True, help="An account people mention. Repeatable.")
@click.option("--own-account", "own_accounts", multiple=True, help="An account of theirs.")
@click.option("--languages", help="For example en,fr; empty for all.")
@click.option(
    "--receiver", help="slack, slack-webhook, pagerduty, email, alertmanager, webhook or local."
)
@click.option("--url", help="Address of a webhook, of Alertmanager, or of the local stand-in.")
@click.option("--token", help="Slack's bot token.")
@click.option("--channel", help="Slack's channel: its id.")
@click.option("--app-token", help="Slack's app-level token (xapp-...): buttons by Socket Mode.")
@click.option("--signing-secret", help="Slack's signing secret: buttons by a public address.")
@click.option("--routing-key", help="PagerDuty's integration key.")
@click.option("--webhook-secret", help="Secret of a v3 webhook of PagerDuty: acts come back.")
@click.option("--server", help="Mail server: smtp.example.org or host:port.")
@click.option("--sender", help="Sender of e-mail: 'uproar <uproar@example.org>'.")
@click.option("--to", help="Recipients of e-mail, with commas between.")
@click.option("--username", help="User of the mail server.")
@click.option("--password", help="Password of the mail server.")
@click.option("--secret", help="Key of a signed webhook; made here when left out.")
@click.option("--config", default="uproar.toml", show_default=True, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is missing takes its default.")
@click.option("--no-try", is_flag=True, help="Do not try the receiver.")
def init(**given: Any) -> None:
    """
    Say whom to watch and whom to page; writes uproar.toml and tries the receiver.

    Asks for what the options do not say.

    \b
    Examples:
      uproar init
      uproar init --name "Air Quillon" --handle @airquillon --receiver local --yes
      uproar init --name Acme --receiver slack --token xoxb-... --channel C0123456789 --yes
      uproar init --name Acme --receiver email --server smtp.acme.example --sender pr@acme.example \
          --to duty@acme.example --yes
    """
    from services.init import main as ask

    ask(**given)


@cli.command()
def up() -> None:
    """
    Run all services on this machine until Ctrl-C.

    Embedded broker and SQLite, unless UPROAR_KAFKA_BOOTSTRAP_SERVERS or UPROAR_DATABASE_URL name
    others. Reads uproar.toml of this folder, or UPROAR_CONFIG. Everything it keeps lies in
    UPROAR_DATA_DIR (.uproar).

    \b
    Examples:
      uproar up
      UPROAR_ALERTER_PORT=9090 uproar up
      UPROAR_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 uproar up
    """
    from services.standalone.up import up as run

    sys.exit(run())


@cli.command()
@click.option("--seed", default=1, show_default=True, help="Another seed tells it otherwise.")
@click.option("--keep", is_flag=True, help="Keep everything running at the end, until Ctrl-C.")
def demo(*, seed: int, keep: bool) -> None:
    """
    Watch a bundled crisis go the whole way: posts, model, incident, page.

    Starts the product on embedded parts in a folder of its own, with local stand-ins of Slack and
    PagerDuty, replays the story of an invented airline, and shows what came of it. No account
    needed, nothing leaves this machine.

    \b
    Examples:
      uproar demo
      uproar demo --seed 7 --keep
    """
    from services.demo.run import main as run

    sys.exit(run(seed, keep=keep))


@cli.command()
@click.argument("file", type=_EXISTING)
@click.option("--watch", type=_EXISTING, help="Match the posts by this watch list instead.")
@click.option("--speed", type=float, help="Times as fast as it was; as fast as it goes by default.")
@click.option("--source", help="Name of the stream.  [default: the file's name]")
@click.option("--backfill", is_flag=True, help="Teach what is usual; page nobody.")
@click.option("--to", help="Where ingest is.  [default: http://127.0.0.1:8081]")
@click.option(
    "--token", help="Its token.  [default: UPROAR_INGEST_TOKEN, or the one of `uproar up`]"
)
def replay(
    file: Path,
    *,
    watch: Path | None,
    speed: float | None,
    source: str | None,
    backfill: bool,
    to: str | None,
    token: str | None,
) -> None:
    """
    Send recorded posts (JSONL or CSV, also .gz) to a running ingest, in the order they were written.

    Run again, it goes on where it was. The incidents are those of `uproar backtest`.

    \b
    Examples:
      uproar replay posts.jsonl.gz
      uproar replay posts.csv --speed 60 --source press
      uproar replay history.jsonl --backfill
    """
    from services.ingest.replay import Bar
    from services.ingest.replay import replay as send
    from services.standalone.plan import where_to_push

    address, secret = where_to_push(to, token)
    with Bar() as bar:
        summary = asyncio.run(
            send(
                file,
                to=address,
                token=secret,
                source=source,
                speed=speed,
                backfill=backfill,
                watch=watch,
                progress=bar,
            )
        )
    for line, why in summary.reasons[:10]:
        click.echo(f"{file}:{line}: {why}", err=True)
    for post, why in summary.rejected[:10]:
        click.echo(f"post {post}: {why}", err=True)
    if summary.repeats > summary.posts / 100:
        click.echo(
            f"{file}: {summary.repeats} of {summary.posts} posts have the id of another one:"
            " the first of each counts",
            err=True,
        )
    counts = ", ".join(f"{count} {name}" for name, count in summary.counts.items() if count)
    again = f", {summary.skipped} from a former run" if summary.skipped else ""
    bad = f", {summary.bad} lines that cannot be read" if summary.bad else ""
    click.echo(f"{summary.source}: {summary.posts} posts: {counts or 'nothing new'}{again}{bad}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a check.")
def doctor(*, as_json: bool) -> None:
    """
    Check broker, topics, database, model, services and receivers; say how to mend what is wrong.

    Exit code 1 if anything is.

    \b
    Examples:
      uproar doctor
      UPROAR_KAFKA_BOOTSTRAP_SERVERS=kafka:9093 UPROAR_KAFKA_SECURITY_PROTOCOL=SSL uproar doctor
    """
    from services.doctor import main as check

    sys.exit(check(as_json=as_json))


# ------------------------------------------------------------------------------- offline verbs


@cli.command()
@click.option("--model", help="A directory or a Hugging Face id.  [default: the shipped one]")
@click.option("--batch", default=256, show_default=True, type=click.IntRange(1), help="Lines a go.")
def classify(model: str | None, batch: int) -> None:
    """
    Score posts: one JSON object a line in, one out, in the same order.

    \b
    Examples:
      uproar classify < posts.jsonl > scores.jsonl
      echo '{"id": 1, "text": "They broke my guitar"}' | uproar classify
    """
    from services.backtest.classify import main as run

    run(model=model or os.environ.get("UPROAR_MODEL") or None, batch=batch)


@cli.command()
@click.option("--posts", type=_EXISTING, help="Recorded posts; they are scored first.")
@click.option("--scores", type=_EXISTING, help="Posts with their scores: .jsonl, .parquet.")
@click.option("--watch", type=_EXISTING, required=True, help="The watch list.")
@click.option("--budget", help="Alarms that chance may raise: N/week, N/month or N/year.")
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path), help="Draw into here.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, evidence as ids.")
def backtest(
    *,
    posts: Path | None,
    scores: Path | None,
    watch: Path,
    budget: str | None,
    plots: Path | None,
    as_json: bool,
) -> None:
    """
    Run detection over recorded posts, as fast as possible and without a broker.

    \b
    Scored posts are rows, or JSON lines, of
      id, time              text or number; a timestamp or RFC 3339
      subject               an id of the watch list, or a list of them
      negative, neutral, positive   probabilities; null: the model could not say
      complaint, offensive  likewise, if there are any
      author_hash           who wrote it: text or number; null: somebody of their own
      text_hash             what it says: copies have the same; null: nothing to compare
      own, source           written by the subject itself; network
    A JSON line may also be a post of `--posts` with the `scores` of `uproar classify`. A file in
    order of time is read in chunks; another is sorted in memory.

    \b
    Examples:
      uproar backtest --posts posts.jsonl.gz --watch uproar.toml
      uproar backtest --scores scores.parquet --watch uproar.toml --plots plots
      uproar backtest --scores scores.jsonl --watch uproar.toml --budget 2/month --json
    """
    from services.backtest.run import main as run

    if (posts is None) == (scores is None):
        raise click.UsageError("give either --posts or --scores")
    run(posts=posts, scores=scores, watch=watch, budget=budget, plots=plots, as_json=as_json)


@cli.command()
@click.argument("file", type=_EXISTING)
@click.option(
    "--budget", default="1/month", show_default=True, help="Alarms that chance may raise."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a point.")
def series(file: Path, *, budget: str, as_json: bool) -> None:
    """
    Run the volume detector on a bare count series (CSV: timestamp,value; evenly spaced).

    \b
    Examples:
      uproar series mentions.csv
      uproar series mentions.csv --budget 1/week --json
    """
    from services.backtest.series import main as run

    run(file, budget=budget, as_json=as_json)


@cli.group()
def evaluate() -> None:
    """
    The project's own benchmarks, on research data of yours.

    \b
    Examples:
      uproar evaluate classifier --data research
      uproar evaluate detector --data research --quick
    """


@evaluate.command("classifier")
@click.option("--data", type=_FOLDER, required=True, help="The research data.")
@click.option("--json", "as_json", is_flag=True, help="A list of {name, value, low, high, n}.")
@click.option("--model", help="As UPROAR_MODEL, or recorded answers (.npz).  [default: shipped]")
@click.option("--blind", help="An encoder that saw no complaint set: complaint heads refit on it.")
@click.option("--record", type=click.Path(path_type=Path), help="Write the answers into this .npz.")
@click.option("--only", multiple=True, help="One benchmark, for example xlmt. Repeatable.")
def evaluate_classifier(
    *,
    data: Path,
    as_json: bool,
    model: str | None,
    blind: str | None,
    record: Path | None,
    only: tuple[str, ...],
) -> None:
    """
    Measure the model: published benchmarks, calibration, French complaints, behaviour, embedding.

    Each figure has its 95 % interval. Published figures stand beside; they are on other splits.
    About a minute on one core.

    \b
    Examples:
      uproar evaluate classifier --data research
      uproar evaluate classifier --data research --only behaviour --only french
      uproar evaluate classifier --data research --model build/mine --json > figures.json
    """
    from services.classifier.evaluate.run import BENCHMARKS
    from services.classifier.evaluate.run import main as run

    if unknown := set(only) - set(BENCHMARKS):
        raise click.UsageError(f"--only {', '.join(unknown)}: one of {', '.join(BENCHMARKS)}")
    run(data=data, model=model, blind=blind, record=record, only=only, as_json=as_json)


@evaluate.command("detector")
@click.option("--data", type=_FOLDER, required=True, help="The research data.")
@click.option("--json", "as_json", is_flag=True, help="A list of {name, value, low, high, n}.")
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path), help="Draw into here.")
@click.option(
    "--quick", is_flag=True, help="Fewer brands and years: minutes instead of half an hour."
)
@click.option(
    "--part",
    type=click.Choice(["tune", "report"]),
    default="report",
    show_default=True,
    help="Choose settings on one half of brands and time, report on the other.",
)
@click.option("--only", multiple=True, help="One part, for example budget. Repeatable.")
def evaluate_detector(
    *,
    data: Path,
    as_json: bool,
    plots: Path | None,
    quick: bool,
    part: str,
    only: tuple[str, ...],
) -> None:
    """
    Measure detection: simulated years, recombined crises, dated replays, beside simple rivals.

    \b
    Examples:
      uproar evaluate detector --data research --quick --part tune --only budget --only crises
      uproar evaluate detector --data research --plots pictures --json > figures.json
    """
    from services.backtest.evaluate.evaluation import PARTS
    from services.backtest.evaluate.run import main as run

    if unknown := set(only) - set(PARTS):
        raise click.UsageError(f"--only {', '.join(unknown)}: one of {', '.join(PARTS)}")
    run(data=data, as_json=as_json, plots=plots, quick=quick, part=part, only=only)


@cli.command()
@click.option("--config", type=_EXISTING, required=True, help="What to train on, and how.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
def train(*, config: Path, resume: bool) -> None:
    """
    Train, calibrate and export a model, and write its card. Needs uproar[torch].

    \b
    Examples:
      uproar train --config services/classifier/train/e5-small-6l-4.toml
      uproar train --config mine.toml --resume
    """
    from services.classifier.train import run

    run(config, resume)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--posts", type=_EXISTING, help="JSONL with texts to score; else our own sentences.")
@click.option(
    "--base",
    default=Path("../shared/models/multilingual-e5-small"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Checkpoint of 12 layers for the naive way.",
)
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path), help="Draw into here.")
@click.option("--only", multiple=True, help="classifier, pipeline, latency or ingest. Repeatable.")
@click.option("--kafka", help="HOST:PORT,... of a Kafka to use, instead of the embedded broker.")
@click.option("--soak", type=click.FloatRange(1), help="Minutes of half load to watch memory in.")
@click.option(
    "--rate",
    type=click.FloatRange(1),
    help="Posts/s that are full load for latency and soak.  [default: what the pipeline reaches]",
)
def bench(
    *,
    as_json: bool,
    posts: Path | None,
    base: Path,
    plots: Path | None,
    only: tuple[str, ...],
    kafka: str | None,
    soak: float | None,
    rate: float | None,
) -> None:
    """
    Measure how fast this machine is, beside the naive way; medians of five interleaved rounds.

    The classifier alone; the whole, from the push to the page, beside a naive consumer of the same
    posts; post to page at a quarter, a half, three quarters and nine tenths of that load; ingest
    alone. About ten minutes; --only takes a part. --soak alone does nothing but that.

    \b
    Examples:
      uproar bench
      uproar bench --json --plots pictures
      uproar bench --only pipeline --only latency
      uproar bench --only ingest --kafka 127.0.0.1:9092
      uproar bench --soak 60 --plots pictures
    """
    from services.bench.found import PARTS, Asked
    from services.bench.run import main as run

    if unknown := set(only) - set(PARTS):
        raise click.UsageError(f"--only {', '.join(unknown)}: one of {', '.join(PARTS)}")
    asked = Asked(
        posts=posts,
        base=base,
        plots=plots,
        only=only or (() if soak else PARTS),
        kafka=kafka,
        soak=soak,
        rate=rate,
    )
    run(asked, as_json=as_json)


# --------------------------------------------------------------------------------------- labels


@cli.command()
def labels() -> None:
    """
    Print what people judged incidents to be, one JSON object a line, as labels for `evaluate`.

    \b
    Examples:
      uproar labels > labels.jsonl
    """
    from services.alerter import labels as verdicts

    count = verdicts.write(_database(), click.echo)
    click.echo(f"{count} labels", err=True)


# ----------------------------------------------------------------------------------------- keys


@cli.group()
def keys() -> None:
    """
    API keys of the console and the REST API.

    \b
    Examples:
      uproar keys create --role responder --name "on-call bot"
      uproar keys list
      uproar keys revoke 01JX...
    """


@keys.command()
@click.option("--role", required=True, type=click.Choice(["viewer", "responder", "admin"]))
@click.option("--name", help="What stands in the timeline.  [default: the role]")
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="ID",
    help="Let it see this subject alone; may be given several times.  [default: all]",
)
def create(role: str, name: str | None, subjects: tuple[str, ...]) -> None:
    """Make a key and print it, once: only its digest is kept."""
    from services.alerter import access

    click.echo(access.create(_database(), role, name or role, subjects or None))


@keys.command("list")
def list_keys() -> None:
    """Show every key: id, role, name, when it was made, used last and revoked."""
    from services.alerter import access

    for key in access.listing(_database()):
        used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
        end = f", revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        sees = f", sees {', '.join(key.subjects)}" if key.subjects else ""
        made = f"made {key.created_at:%Y-%m-%d}"
        click.echo(f"{key.id}  {key.role:<9}  {key.name}  ({made}, {used}{sees}{end})")


@keys.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """End a key and its sessions, at once."""
    from services.alerter import access

    if not access.revoke(_database(), key_id):
        raise Malformed(f"there is no key {key_id!r} to revoke: see `uproar keys list`")
    click.echo(f"revoked {key_id}")


def _database() -> str:
    from services.alerter.settings import AlerterSettings

    return AlerterSettings.load().database_url


# -------------------------------------------------------------------------------------- privacy


@cli.group()
def privacy() -> None:
    """
    What is stored of an author, and its erasure; the key of the pseudonyms.

    Reads the alerter's database (UPROAR_DATABASE_URL, or the data folder) and needs ingest's key
    (UPROAR_PSEUDONYM_KEY, or the data folder), and the keys before it.

    \b
    Examples:
      uproar privacy find --author @someone
      uproar privacy erase --author @someone --network mastodon
      uproar privacy rotate
    """


_AUTHOR = click.option(
    "--author", required=True, help="An account as people write it, or a pseudonym (a_...)."
)
_NETWORK = click.option("--network", help="Where the account lives.  [default: everywhere]")


@privacy.command("find")
@_AUTHOR
@_NETWORK
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def find_author(author: str, *, network: str | None, as_json: bool) -> None:
    """Show what is stored of an author, under every key of the pseudonyms."""
    from services.alerter import privacy as rooms
    from uproar.notice.facts import line

    whom = _author(author, network)
    found = rooms.found(_database(), whom, _wall_clock)
    for one in found.stored:
        if as_json:
            said = {"incident": one.incident, "what": one.what, "id": one.id, "text": one.text}
            shown = json.dumps(said | {"at": one.at.isoformat()}, ensure_ascii=False)
            click.echo("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in shown))
        else:  # the text is a stranger's: what controls a terminal must not reach it
            where = f"{one.what:<7} {one.incident or '-'}"
            click.echo(f"{one.at:%Y-%m-%d %H:%M}  {where}  {line(one.text, 100)}")
    click.echo(f"{len(found.stored)} places", err=True)
    _hint(whom)


@privacy.command("erase")
@_AUTHOR
@_NETWORK
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase_author(author: str, *, network: str | None, yes: bool) -> None:
    """
    Erase an author: in the database now, elsewhere as soon as the alerter reaches the broker.

    What is in a topic ends with the topic's retention (7 days at most). Messages that were sent to
    Slack, PagerDuty or by e-mail are there, not here. What comes later is erased on the networks
    that are named: where posts ever came from, or the one that is given.
    """
    from services.alerter import privacy as rooms

    whom = _author(author, network)
    found = rooms.found(_database(), whom, _wall_clock)
    on = f" on {', '.join(found.networks)}" if found.networks else ""
    if not yes:
        asked = f"Erase {len(found.stored)} places, and all that comes later{on}?"
        click.confirm(asked, abort=True, err=True)
    gone = rooms.erased(_database(), whom, _wall_clock, by="the command line")
    click.echo(f"erased in {len(gone.stored)} places; the topics hear of it from the alerter")
    on = f"on {', '.join(gone.networks)}" if gone.networks else "under this pseudonym"
    click.echo(f"what comes later {on} is blanked as it comes")
    if gone.networks:
        click.echo("a network that is new later needs this once more, with --network", err=True)
    _hint(whom)


@privacy.command()
def rotate() -> None:
    """
    Take a new key for the pseudonyms; the old one is kept for `find` and `erase`.

    From then on every author has a new name: for an hour somebody may count twice. Start ingest
    anew afterwards, and erase again whoever was erased: those tombstones do not fit the new names.
    """
    from services.pseudonyms import PseudonymSettings

    before = PseudonymSettings.load().rotate(now=_wall_clock())
    click.echo(f"a new key is in place, the old one in {before}; now start ingest anew")
    click.echo(
        "whoever was erased has a new name too, and is heard again: run `uproar privacy erase "
        "--author ...` once more for each of them"
    )


def _author(given: str, network: str | None) -> Any:
    from services.alerter.privacy import Author, is_pseudonym
    from services.pseudonyms import PseudonymSettings
    from uproar.inbox import stream_name

    settings = PseudonymSettings.load()
    network = stream_name(network) if network is not None else None
    keys = () if is_pseudonym(given) else settings.secrets_of_pseudonyms()
    return Author(given=given, network=network, keys=keys)


def _hint(whom: Any) -> None:
    if whom.unknown_to_bluesky:
        click.echo(
            "hint: posts of Bluesky come under the account's DID, not its handle: ask for "
            "--author did:plc:... as well",
            err=True,
        )


def _wall_clock() -> datetime:
    return datetime.now(UTC)


# --------------------------------------------------------------------------------------- errors


def main() -> NoReturn:
    """Run the command line and end the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:  # noqa: PLR0911 - one for each way to end
    """Run the command line; returns the exit code. What is wrong is said on stderr."""
    try:
        cli.main(arguments, prog_name="uproar", standalone_mode=False)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # click makes an exit code of it
            return 0
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # `uproar ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _say(error)
    return 0


def _say(error: Exception) -> int:
    code, text = _explained(error)
    if os.environ.get("UPROAR_LOG_LEVEL") == "debug":
        traceback.print_exception(error)
    click.echo(f"uproar: {text}", err=True)
    return code


def _explained(error: Exception) -> tuple[int, str]:
    match error:
        case Malformed():
            return 1, str(error)
        case Unavailable():
            return 2, str(error)
        case Misconfigured():
            return MISCONFIGURED, str(error)
        case ImportError(name=str(name)) if not name.startswith(("services", "uproar", "schemas")):
            extra = EXTRAS.get(name.partition(".")[0], "standalone")
            return MISCONFIGURED, f"{name} is missing: pip install 'uproar[{extra}]'"
    shown = f"{type(error).__name__}: {error}".rstrip(": ")
    return BUG, f"a bug of ours: {shown} (UPROAR_LOG_LEVEL=debug shows where)"


if __name__ == "__main__":
    main()
