"""Prepare, validate and publish speech-token datasets."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TextIO

from pipeline.cli.output import as_typed, program_name
from pipeline.errors import PipelineError, of_the_machine, refusal
from pipeline.storage.scratch import remove_ownerless

VERBS = {  # verb: what it does; its module pipeline.cli.VERB has add_arguments(parser) and run(arguments)
    "segment": "long recordings without transcripts to a manifest of utterances, for create",
    "create": "audio and transcripts to a dataset of text and codes",
    "plan": "what create would do, as a manifest: reads the corpus, encodes nothing",
    "status": "how far a dataset is, and with --verify whether it is whole",
    "validate": "a verdict on a dataset, with figures and a page to listen to",
    "annotate": "figures for every row: levels, languages, duplicates, what the codes say",
    "select": "the rows that meet a condition on those figures, as a dataset",
    "export": "a dataset to the files that a LLASA training program reads",
    "push": "a dataset to the Hugging Face Hub",
    "speak": "texts to speech with a LLASA model",
    "ui": "the web page: speak, hear the codec, browse a dataset",
    "export-onnx": "the codec's decoder for ONNX Runtime and TensorRT",
}
INTERRUPTED = 130
FOR_PROGRAMMERS = (
    DeprecationWarning,
    PendingDeprecationWarning,
    FutureWarning,
    SyntaxWarning,
    ResourceWarning,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit status: 0, 1, 2, 3, 4, 5 or 130 (see README)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog=program_name(), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, summary in VERBS.items():
        verb_parser = verbs.add_parser(verb, help=summary)
        if given and given[0] == verb:
            module = importlib.import_module(f"pipeline.cli.{verb.replace('-', '_')}")
            verb_parser.description = as_typed(module.__doc__ or "")
            verb_parser.formatter_class = argparse.RawDescriptionHelpFormatter
            module.add_arguments(verb_parser)
            verb_parser.epilog = as_typed(verb_parser.epilog or "")
            verb_parser.set_defaults(run=module.run)
    parsed = parser.parse_args(given)
    return run_command(lambda: parsed.run(parsed))


def run_command(command: Callable[[], int]) -> int:
    """Run `command` and turn every error that a user can cause into one line and an exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    warnings.showwarning = _note
    remove_ownerless()
    try:
        return command()
    except PipelineError as error:
        refused = of_the_machine(error.__cause__)
        print(f"error: {refusal(refused) if refused and refused.filename else error}", file=sys.stderr)
        return PipelineError.exit_status if refused else error.exit_status
    except BrokenPipeError:
        print("error: the output was closed before the end", file=sys.stderr)
        sys.stdout = None  # or the interpreter complains that it cannot flush it
        return PipelineError.exit_status
    except OSError as error:
        if error.errno is None:
            raise
        print(f"error: {refusal(error)}", file=sys.stderr)
        return PipelineError.exit_status
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return INTERRUPTED


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if not issubclass(category, FOR_PROGRAMMERS):
        print(f"note: {message}", file=sys.stderr)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
