"""The command ``tlutils``: read the command line, call one function, print what it returns."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tlutils import settings

_INTERRUPTED = 130


# More runs than that may be a slip.
_MANY_POINTS = 200

# What the functions behind a command call otherwise than the command's own parameter.
_SYNONYMS = {"backbone": "candidates"}


class _Command(click.Command):
    """A command whose errors that the reader can put right are one sentence each, in the command's own words."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except settings.UserError as error:
            raise click.ClickException(_printable(self._in_own_words(ctx, str(error)))) from error
        except OSError as error:
            # A reader that closed the pipe, such as `head`, has what it wanted; click ends in silence then.
            if error.errno == errno.EPIPE:
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(_printable(f"{where}{error.strerror or error}.")) from error

    def _in_own_words(self, ctx: click.Context, message: str) -> str:
        """Write ``budget=27`` as ``--budget 27``, and a notebook's parameter ``seed=7`` as ``-p seed 7``."""
        options = {option.name: option.opts[-1] for option in self.params if isinstance(option, click.Option)}
        words = {**options, **{name: options[own] for name, own in _SYNONYMS.items() if own in options}}
        words |= {name: f"-p {name}" for name, _ in ctx.params.get("pairs", ())}

        def spoken(found: re.Match[str]) -> str:
            return f"{words[found[1]]} " if found[1] in words else found[0]

        return re.sub(r"(?<![\w.])(\w+)=(?=[^\s=])", spoken, message)


class _Group(click.Group):
    """The command with its parts; prints to whatever standard output there is."""

    command_class = _Command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Let no character that the terminal or the file cannot take end a command that has done its work."""
        # Standard error escapes such characters by itself.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        return super().main(*args, **kwargs)


def _printable(text: str) -> str:
    return "\n".join(settings.printable(line) for line in text.split("\n"))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tlutils")
def main() -> None:
    """Run the course "Transfer Learning, measured" and collect what its notebooks measured."""


@main.command()
@click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK]...")
@click.option("-p", "pairs", type=(str, str), multiple=True, metavar="NAME VALUE", help="Set a notebook's parameter.")
@click.option(
    "-o",
    "--output-dir",
    "output_dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/run"),
    show_default=True,
    help="Folder for the executed copies.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Notebooks at a time; default: cores / 2, at most 2.")
@click.option("--timeout", type=click.FloatRange(min=1), default=3600, show_default=True, help="Seconds a notebook.")
def run(
    notebooks: tuple[str, ...],
    pairs: tuple[tuple[str, str], ...],
    output_dir: Path,
    jobs: int | None,
    timeout: float,
) -> None:
    """Execute notebooks and print seconds, verdicts and status of each.

    NOTEBOOK is a path or the name of a lesson such as 03_vgg16; without any, the whole course runs. A VALUE is read as
    the notebook's parameters cell declares it: text as it stands, numbers as Python writes them (1e-4), true or false.
    Named notebooks must all know the parameter NAME; when the whole course runs, it goes to those that know it.

    Stopped by Ctrl-C, the end of a batch job or a closed terminal, it ends its kernels and prints what is done. The
    exit code is not 0 if a notebook fails. A fact that does not hold counts as failure too, unless -p was given:
    the course states its claims for its own parameters. A comparison may end either way.
    """
    from tlutils import runs

    chosen = [_find(name) for name in notebooks] or sorted(_course_folder().glob("*.ipynb"))
    declared: dict[str, str] = {}
    for notebook in chosen if pairs else []:
        declared |= runs.parameters_of(notebook)
    parameters = {name: runs.parse_value(name, text, declared.get(name, "None")) for name, text in pairs}
    jobs = jobs or runs.default_jobs()
    seconds = runs.expected_seconds(chosen, output_dir)
    if seconds is not None:
        minutes = math.ceil(seconds / min(jobs, len(chosen)) / 60)
        click.echo(f"{len(chosen)} notebook(s), about {minutes} minutes by the last record of each.", err=True)
    with _interruption_shown():
        results = runs.run(chosen, output_dir, parameters, jobs=jobs, timeout=timeout, by_some=not notebooks)
    click.echo(_printable(runs.table(results)))
    tolerated = {"ok", "claims failed"} if pairs else {"ok"}
    sys.exit(any(result.status not in tolerated for result in results))


@contextlib.contextmanager
def _interruption_shown() -> Iterator[None]:
    from tlutils import runs

    try:
        yield
    except runs.Interrupted as interrupted:
        # The terminal may be the very thing that is gone.
        with contextlib.suppress(OSError):
            click.echo(_printable(runs.table(interrupted.results)))
            click.echo("Interrupted; the notebooks above are finished.", err=True)
        sys.exit(_INTERRUPTED)


@main.command()
@click.argument("notebook")
@click.option(
    "-p",
    "pairs",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUES",
    help="Values of a parameter: a,b,c, or 0..4 for whole numbers. All combinations run.",
)
@click.option(
    "--grid",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A YAML file with a list of values for each name, or a table (CSV) with a row for each point.",
)
@click.option("--random", "count", type=click.IntRange(min=1), help="Draw that many points from the grid.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses what --random draws.")
@click.option("--workers", type=click.IntRange(min=1), help="Notebooks at a time; default: cores / 2, at most 2.")
@click.option("--scheduler", metavar="ADDRESS", help="Work on the workers of this Dask scheduler: tcp://HOST:PORT.")
@click.option(
    "-o",
    "--out",
    default="build/sweep",
    show_default=True,
    metavar="FOLDER_OR_URL",
    help="Where the executed copies go: a folder, or a store such as s3://BUCKET/FOLDER.",
)
@click.option("--timeout", type=click.FloatRange(min=1), default=3600, show_default=True, help="Seconds a run.")
@click.option("--retry-failed", is_flag=True, help="Repeat the runs that failed earlier.")
@click.option("--dry-run", is_flag=True, help="Print the grid, what of it is done, and how long the rest will take.")
@click.option("--yes", is_flag=True, help=f"Run more than {_MANY_POINTS} points.")
def sweep(
    notebook: str,
    pairs: tuple[tuple[str, str], ...],
    file: Path | None,
    count: int | None,
    seed: int,
    workers: int | None,
    scheduler: str | None,
    out: str,
    timeout: float,
    retry_failed: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Run one notebook over a grid of parameters, and print a row for each run.

    What is finished is not repeated: after an interruption, the same command runs what is missing. A run that failed
    stops no other; its notebook shows how far it came. The exit code is not 0 if a run failed.
    """
    from tlutils import runs

    found = _find(notebook)
    grid = runs.grid_from(pairs, file, runs.parameters_of(found))
    size = count or len(grid)
    if size > _MANY_POINTS and not yes:
        raise settings.UserError(
            f"These are {size:,} runs. Add --yes if you mean it, or --random N to draw some of them."
        )
    points = runs.plan(found, grid.drawn(count, seed) if count else list(grid), out)
    missing = [p for p in points if p.earlier is None or (retry_failed and p.earlier.status in runs.FAILED)]
    jobs = workers or runs.default_jobs()
    seconds = runs.expected_seconds([found] * len(missing), Path("build/run"), [p.earlier for p in points if p.earlier])
    about = "" if seconds is None else f", about {math.ceil(seconds / jobs / 60)} minutes by the last records"
    click.echo(f"{len(points)} runs, {len(missing)} of them to do{'' if scheduler else about}.", err=True)
    if dry_run:
        for point in points:
            state = point.earlier.status if point.earlier else "to do"
            click.echo(_printable(f"{point.name}  {json.dumps(point.parameters, ensure_ascii=False)}  {state}"))
        return
    with _interruption_shown():
        results = runs.carry_out(
            points, out, jobs=jobs, scheduler=scheduler, timeout=timeout, retry_failed=retry_failed
        )
    click.echo(_printable(runs.table(results)))
    failed = sum(result.status in runs.FAILED for result in results)
    if failed:
        click.echo(f"{failed} of {len(results)} runs failed; --retry-failed repeats them.", err=True)
    sys.exit(failed > 0)


def _course_folder() -> Path:
    folder = settings.ROOT / "notebooks"
    if not any(folder.glob("*.ipynb")):
        raise settings.UserError(f"There are no notebooks in {folder}. Give the paths of the notebooks to run.")
    return folder


def _find(name: str) -> Path:
    """Return the notebook at a path, or the lesson of that name."""
    import difflib

    if Path(name).is_file():
        return Path(name)
    lessons = {path.stem: path for path in sorted(_course_folder().glob("*.ipynb"))}
    if name.removesuffix(".ipynb") in lessons:
        return lessons[name.removesuffix(".ipynb")]
    close = difflib.get_close_matches(name, lessons, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise settings.UserError(f"There is no notebook {name!r}. {hint}Give a path or one of {', '.join(lessons)}.")


@main.command()
@click.argument("folder", metavar="FOLDER_OR_URL")
@click.option("--json", "as_json", is_flag=True, help="Print the records as a JSON list and nothing else.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a row per run to FILE.")
@click.option("--parquet", "parquet_file", type=click.Path(dir_okay=False, path_type=Path), help="The same as Parquet.")
def collect(folder: str, as_json: bool, csv_file: Path | None, parquet_file: Path | None) -> None:
    """Gather the records of all executed notebooks below a folder, or in a store such as s3://BUCKET/FOLDER.

    A run is stale if its notebook or this package has changed since, and a duplicate if the same run stands above it.
    """
    from tlutils import runs

    place = folder if "://" in folder else Path(folder)
    results = runs.survey(place)
    for result in results:
        if result.status == "unreadable":
            click.echo(settings.printable(f"Left out: {result.message}"), err=True)
    for file in (csv_file, parquet_file):
        if file:
            runs.write_table(runs.rows(results, place), file)
    records = runs.records(results, place)
    click.echo(json.dumps(records, indent=2) if as_json else _printable(runs.table(results)))


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as a JSON list and nothing else.")
def list_(as_json: bool) -> None:
    """Show all backbones, encoders and data sets, with size, licence and the way to get them."""
    from dataclasses import asdict

    from tlutils import inventory

    items = inventory.items()
    click.echo(json.dumps([asdict(item) for item in items], indent=2) if as_json else inventory.table(items))


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--profile",
    type=click.Choice(settings.PROFILES),
    default="quick",
    show_default=True,
    help="Without NAME: what this profile uses; full is everything, for a machine that will be offline as well.",
)
@click.option("--dry-run", is_flag=True, help="Bring nothing; list sizes, licences and where it would come from.")
def fetch(names: tuple[str, ...], profile: str, dry_run: bool) -> None:
    """Fetch and verify data and weights: those named, or what a profile uses.

    Called again, it goes on with what is not here yet, also within a file. The exit code is not 0 if something could
    not be had.
    """
    from tlutils import store

    wanted = names or (store.QUICK if profile == "quick" else store.FILES)
    if dry_run:
        click.echo(store.announced(wanted))
        return
    failures, missing = [], []
    for name in wanted:
        try:
            path = store.fetch(name)
        # What cannot be had does not keep the rest from coming.
        except store.NotFetched as error:
            failures.append(str(error))
            missing.append(name)
        except settings.UserError as error:
            failures.append(str(error))
        else:
            click.echo(_printable(f"{name}  {path}"))
    if failures and not names and profile == "quick" and len(missing) == len(failures):
        # Said before every run of the course on a machine that reaches no publisher: short.
        uses = "\n".join(f"  {name}: {store.QUICK[name]}" for name in missing)
        raise settings.UserError(
            f"{len(missing)} of {len(store.QUICK)} could not be had. Used by:\n{uses}\n"
            f"All else is here. The reasons and the ways out: tlutils fetch {' '.join(missing)}"
        )
    if failures:
        # Without a place for any, each says so.
        raise settings.UserError("\n\n".join(dict.fromkeys(failures)))


@main.command()
def doctor() -> None:
    """Say whether the course can run on this machine, and if not, what to do next."""
    from tlutils.doctor import examine

    facts, problems = examine()
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        click.echo(settings.printable(f"{name:{width}}  {value}"))
    click.echo()
    for problem in problems:
        click.echo(settings.printable(f"Problem: {problem}"))
    if problems:
        sys.exit(1)
    click.echo("The course can run here.")


@main.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    show_default="the task's file in data/",
    help="Weights file to write; the data card goes beside it.",
)
@click.option("--task", type=click.Choice(["shapes", "outlines", "textures"]), default="shapes", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--epochs", type=click.IntRange(min=2), default=16, show_default=True)
@click.option("--per-class", type=click.IntRange(min=2), default=400, show_default=True, help="Pictures in an epoch.")
def pretrain(output: Path | None, task: str, seed: int, epochs: int, per_class: int) -> None:
    """Train vgg16_mini on a synthetic source task; killed, it goes on from its last full epoch."""
    from tlutils.models import backbones, pretraining

    output = output or settings.DATA / f"{backbones.MINI[task]}.npz"
    checkpoints = Path("build") / f"pretrain-{task}-{per_class}-{epochs}-{seed}"
    facts = pretraining.pretrain(
        output, task=task, per_class=per_class, epochs=epochs, seed=seed, checkpoint_dir=checkpoints
    )
    for name, value in facts.items():
        click.echo(f"{name}: {value}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    metavar="NAME",
    help="A backbone to rank, once for each; default: all whose weights are on this machine.",
)
@click.option("--budget", type=float, default=60.0, show_default=True, help="Seconds that the advice may take.")
@click.option(
    "--groups",
    metavar="REGEX",
    default="",
    help="What its parentheses catch in a file name is the patient, day or film; of each, one picture is scored.",
)
@click.option("--labels", metavar="TABLE", default="", help="A table of file names and labels; FOLDER has the files.")
@click.option("--json", "as_json", is_flag=True, help="Print the ranking as JSON and nothing else.")
def advise(folder: Path, candidates: tuple[str, ...], budget: float, groups: str, labels: str, as_json: bool) -> None:
    """Rank pretrained networks and cuts for the pictures in FOLDER, without training a network.

    FOLDER has one sub-folder per class. Keep test pictures out of it: those that take part in the choice no longer
    measure it.
    """
    import warnings
    from dataclasses import asdict

    from tlutils import datasets
    from tlutils.selection.advice import advise as advise_on

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        pictures = datasets.own_pictures(folder, labels=labels, groups=groups)
    for warning in caught:
        click.echo(settings.printable(f"Warning: {warning.message}"), err=True)
    # Named twice is named.
    advice = advise_on(pictures, list(dict.fromkeys(candidates)) or None, budget)
    click.echo(json.dumps(asdict(advice), indent=2) if as_json else _printable(repr(advice)))


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a table to this file.")
def predict(model: Path, paths: tuple[str, ...], csv_file: Path | None) -> None:
    """Ask the model that lesson 16 wrote into the folder MODEL about pictures or sentences.

    PATH is a picture, or a folder with pictures in it and below; of a model of sentences, a file with one in each line,
    or - for what is typed. Answers below the model's threshold are marked as refused. The exit code is 1 if something
    could not be read, 2 if there was nothing to ask about.
    """
    from tlutils import deployment

    settings.start_keras()
    try:
        with settings.quiet_import():
            code = deployment.run(model, paths, csv_file)
    except deployment.NoModel as error:
        raise click.ClickException(str(error)) from error
    sys.exit(code)


@main.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=settings.DATA / "zoo.csv",
    show_default="data/zoo.csv",
    help="Table to write.",
)
@click.option("--fresh", is_flag=True, help="Compute again what the table has, as after a change of the weights.")
def zoo(output: Path, fresh: bool) -> None:
    """Fine-tune every backbone at every cut on every target of lesson 08; killed, it goes on where it stood."""
    from tlutils.selection import zoo as of_backbones

    settings.make_repeatable(0)
    table = of_backbones.compute(output, fresh=fresh)
    click.echo(table.pivot_table("accuracy", ["backbone", "cut"], "target", sort=False).round(3).to_string())
