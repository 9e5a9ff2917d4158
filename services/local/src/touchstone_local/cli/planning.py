"""The command that plans: what a model needs on which chips. It computes here, and needs no platform."""

from pathlib import Path

import click

WIDTHS = ("float32", "float16", "float8", "int8", "int4")


@click.command()
@click.option("--model", default="", help="A known model: llama-3.1-8b. An unknown name lists them.")
@click.option(
    "--config",
    type=click.Path(exists=True, path_type=Path),
    default=None,
    help="A model's config.json, or the folder that holds it.",
)
@click.option("--chip", "chips", multiple=True, required=True, help="An accelerator: h100-sxm. Several are compared.")
@click.option("--tensor", default=1, show_default=True, help="Chips that share each layer.")
@click.option("--pipeline", default=1, show_default=True, help="Groups of chips that share the layers.")
@click.option("--weights", type=click.Choice(WIDTHS), default="float16", show_default=True)
@click.option("--kv", type=click.Choice(WIDTHS[:4]), default="float16", show_default=True, help="Width of the cache.")
@click.option("--rate", default=0.0, help="Requests a second; without it memory and bounds only.")
@click.option("--input", "input_tokens", default=1000, show_default=True, help="Mean tokens of a prompt.")
@click.option("--output", "output_tokens", default=200, show_default=True, help="Mean tokens of an answer.")
@click.option("--cached", default=0.0, help="Share of a prompt in the prefix cache, 0 to 1.")
@click.option("--variation", default=0.5, show_default=True, help="Standard deviation of lengths over their mean.")
@click.option("--ttft-p95", default=0, help="Milliseconds to the first token for 95 of 100.")
@click.option("--itl-p95", default=0, help="Milliseconds between tokens for 95 of 100.")
@click.option("--max-num-seqs", default=256, show_default=True, help="Requests at once in a replica.")
@click.option("--max-num-batched-tokens", default=0, help="Most tokens of a step; default: the best of three.")
def plan(  # noqa: PLR0913 (one parameter an option)
    *,
    model: str,
    config: Path | None,
    chips: tuple[str, ...],
    tensor: int,
    pipeline: int,
    weights: str,
    kv: str,
    rate: float,
    input_tokens: int,
    output_tokens: int,
    cached: float,
    variation: float,
    ttft_p95: int,
    itl_p95: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
) -> None:
    """Estimate what a model needs: memory, what binds it, how many replicas, together or apart."""
    from rich.console import Console  # noqa: PLC0415 (the start of every command must be quick)
    from touchstone_inference.chips import Precision  # noqa: PLC0415
    from touchstone_inference.planner.service import planning  # noqa: PLC0415

    from touchstone_local import plans  # noqa: PLC0415

    console = Console()
    text = _config_text(config) if config else ""
    for chip in chips:
        question = planning.Question(
            model=model,
            model_config=text,
            chip=chip,
            tensor_parallel=tensor,
            pipeline_parallel=pipeline,
            weights=Precision(weights),
            kv=Precision(kv),
            requests_per_second=rate,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_share=cached,
            variation=variation,
            ttft_p95_millis=ttft_p95,
            itl_p95_millis=itl_p95,
            slots=max_num_seqs,
            step_tokens=max_num_batched_tokens,
        )
        for part in plans.render(question, planning.plan(question)):
            console.print(part)


COMMANDS = (plan,)


def _config_text(path: Path) -> str:
    file = path / "config.json" if path.is_dir() else path
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{file} cannot be read: {error}", param_hint="--config") from None
