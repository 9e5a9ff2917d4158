"""Commands that use what is served: chat, search."""

import sys
from typing import TYPE_CHECKING

import click

from touchstone_local.cli.context import Session, namespace_option, run

if TYPE_CHECKING:
    from touchstone_local.answers import Answer, Asking, Turn


@click.command()
@click.argument("model")
@click.argument("prompt", required=False, default="")
@namespace_option
@click.option("--revision", default="", help="Ask this revision, whatever the traffic's weights say.")
@click.option("--system", "system_text", default="", help="Instructions after those of the model's prompt.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=None, help="Most tokens of an answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), default=None, help="0 is greedy.")
@click.option("--tenant", default="", help="Value of the index's tenant field.")
@click.pass_obj
def chat(  # noqa: PLR0913 (one parameter an option)
    session: Session,
    model: str,
    prompt: str,
    *,
    namespace: str,
    revision: str,
    system_text: str,
    max_tokens: int | None,
    temperature: float | None,
    tenant: str,
) -> None:
    """Ask MODEL, once with PROMPT or in a conversation without it."""
    from touchstone_local import answers  # noqa: PLC0415

    asking = answers.Asking(revision=revision, max_output_tokens=max_tokens, temperature=temperature, tenant=tenant)
    turns = [answers.Turn("system", system_text)] if system_text else []
    name = answers.qualified(model, namespace)
    if prompt:
        run(_answer(session, name, [*turns, answers.Turn("user", prompt)], asking))
    else:
        _converse(session, name, turns, asking)


@click.command()
@click.argument("index")
@click.argument("query")
@namespace_option
@click.option("-k", "--top-k", type=click.IntRange(1, 100), default=None, help="Passages; default: the index's.")
@click.option("--mode", type=click.Choice(["dense", "sparse", "hybrid"]), default=None, help="Default: the index's.")
@click.option("--revision", default="", help="Search this revision, not the active one.")
@click.option("--tenant", default="", help="Value of the tenant field.")
@click.pass_obj
def search(
    session: Session,
    index: str,
    query: str,
    *,
    namespace: str,
    top_k: int | None,
    mode: str | None,
    revision: str,
    tenant: str,
) -> None:
    """Find the passages of INDEX that are nearest to QUERY."""
    from touchstone_local import answers  # noqa: PLC0415

    found = run(
        answers.search(
            session.addresses().retrieval,
            answers.qualified(index, namespace),
            query,
            top_k=top_k or 0,
            mode=mode or "",
            revision=revision,
            tenant=tenant,
        )
    )
    for place, hit in enumerate(found.hits, start=1):
        dense = [f"dense {hit.dense_rank}"] if hit.HasField("dense_rank") else []
        sparse = [f"sparse {hit.sparse_rank}"] if hit.HasField("sparse_rank") else []
        ranks = ", ".join(dense + sparse)
        click.secho(f"{place}. {hit.title or hit.document_id}", bold=True, nl=False)
        click.secho(f"  {hit.score:.4f}  ({ranks})  {hit.document_id} [{hit.start_offset}:{hit.end_offset}]", dim=True)
        click.echo(click.wrap_text(hit.text, width=100, initial_indent="   ", subsequent_indent="   "))
    click.secho(f"{len(found.hits)} passages of {found.revision}", dim=True)


COMMANDS = (chat, search)


async def _answer(session: Session, model: str, turns: "list[Turn]", asking: "Asking") -> "Answer":
    """Print one answer as it comes, and what it rests on and cost."""
    from touchstone_local import answers  # noqa: PLC0415

    answer = answers.Answer()
    async for piece, answer in answers.ask(session.addresses().router, model, turns, asking=asking):  # noqa: B007
        sys.stdout.write(piece)
        sys.stdout.flush()
    click.echo()
    print_facts(answer)
    return answer


def print_facts(answer: "Answer") -> None:
    """Print an answer's citations, usage, timings and names."""
    for citation in answer.citations:
        title = citation.title or citation.document_id
        excerpt = " ".join(citation.text.split())
        shown = excerpt if len(excerpt) <= 96 else f"{excerpt[:95]}…"
        click.secho(f"  [{citation.index}] {title} ({citation.score:.3f}): {shown}", fg="cyan")
    usage, timings = answer.usage, answer.timings
    if usage is not None and timings is not None:
        parts = [
            f"{usage.input_tokens} in ({usage.cached_input_tokens} cached), {usage.output_tokens} out",
            f"first token {timings.time_to_first_token_seconds * 1e3:.0f} ms",
            f"{timings.time_per_output_token_seconds * 1e3:.1f} ms a token",
            f"total {timings.total_seconds:.2f} s",
        ]
        if timings.retrieval_seconds:
            parts.append(f"retrieval {timings.retrieval_seconds * 1e3:.0f} ms")
        click.secho(f"  {' · '.join(parts)} · {answer.finish_reason}", dim=True)
    click.secho(f"  {answer.revision} · request {answer.request_id} · trace {answer.trace_id}", dim=True)


def _converse(session: Session, model: str, turns: "list[Turn]", asking: "Asking") -> None:
    """Ask and answer until the input ends."""
    from touchstone_local.answers import Turn  # noqa: PLC0415

    click.secho(f"Talking to {model}. An empty line ends it.", dim=True)
    while True:
        question = click.prompt(click.style("you", bold=True), default="", show_default=False, prompt_suffix="> ")
        if not question.strip():
            return
        turns.append(Turn("user", question))
        answer = run(_answer(session, model, turns, asking))
        turns.append(Turn("assistant", answer.text))
