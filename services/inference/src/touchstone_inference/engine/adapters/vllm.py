"""vLLM in this process, by its AsyncLLM: continuous batching, adapters, scores, and KV blocks from other engines.

Its scheduler and its workers are processes of their own; when one of them dies the engine is of no more use, which
`wait_until_broken` tells.
"""

import asyncio
import contextlib
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from touchstone_inference import errors
from touchstone_inference.chips import Precision
from touchstone_inference.engine.adapters import vllm_metrics, vllm_options, vllm_wire
from touchstone_inference.engine.adapters.vllm_options import Hardware, Transfer
from touchstone_inference.engine.core import chat, scoring
from touchstone_inference.engine.core.arguments import Arguments
from touchstone_inference.engine.core.distributions import CONSIDERED
from touchstone_inference.engine.core.generation import (
    Capability,
    Description,
    Generation,
    Piece,
    Prefilled,
    Sampling,
    Score,
    Scoring,
    Transfers,
    Turn,
)
from touchstone_inference.engine.core.splitting import Role
from touchstone_inference.engine.core.utilization import Work

ENGINE_TYPE = "VLLM"
GENERATES = frozenset(
    {Capability.JSON_SCHEMA, Capability.LOGPROBS, Capability.SCORE, Capability.PREFIX_CACHE, Capability.ADAPTERS}
)
POOLS = frozenset({Capability.EMBED})
FLUSH_SECONDS = 0.025
"""The first token goes out at once; later ones are gathered for so long. A message costs far more than a token."""
WATCH_SECONDS = 0.5
FIRST_PROMPT = "One, two, three,"

_PLACE = re.compile(r"\[[\d:]+\] \S+:\d+: ")
"""Where in its sources a library says that it failed."""

logger = logging.getLogger(__name__)


class Vllm:
    """A model folder of safetensors in this process."""

    def __init__(
        self,
        path: Path,
        *,
        digest: str,
        max_model_len: int,
        arguments: Arguments,
        has_adapters: bool = False,
        hardware: Hardware | None = None,
        role: Role = Role.AGGREGATED,
        transfer: Transfer | None = None,
    ) -> None:
        """Take the weights and how to run them.

        Args:
            path: The folder.
            digest: Its digest.
            max_model_len: The context of one request, in tokens.
            arguments: Of `arguments.VLLM`.
            has_adapters: Whether adapters may be loaded: it costs speed, so it is off without them.
            hardware: Devices of this replica. None: one.
            role: Which part of the work is done here.
            transfer: How KV blocks move, unless one engine does all.
        """
        self._transfer = transfer or Transfer()
        self._role = role
        self._options = vllm_options.engine_arguments(
            str(path),
            max_model_len=max_model_len,
            arguments=arguments,
            hardware=hardware or Hardware(),
            has_adapters=has_adapters,
            role=role,
            transfer=self._transfer,
        )
        self._path = path
        self._arguments = arguments
        generates = GENERATES if has_adapters else GENERATES - {Capability.ADAPTERS}
        self._description = Description(
            engine_type=ENGINE_TYPE,
            model_digest=digest,
            context_tokens=max_model_len,
            slots=arguments.number("max-num-seqs"),
            capabilities=POOLS if arguments.word("runner") == "pooling" else generates,
        )
        self._early: dict[str, Path] = {}
        """Adapters that came before the engine was there."""
        self._adapters: dict[str, Any] = {}
        self._engine: Any = None
        self._tokenizer: Any = None

    @property
    def description(self) -> Description:
        """What it is and can do."""
        return self._description

    async def start(self) -> None:
        """Load the model and generate a first token.

        Raises:
            EngineLibraryMissing: vLLM is not installed here.
            EngineBroke: The folder is no model that vLLM can load, or it does not fit.
            AdapterRefused: An adapter is none of this model.
        """
        if not any(self._path.glob("*.safetensors")):
            raise errors.EngineBroke(f"{self._path.name} holds no *.safetensors. vLLM takes a folder of them.")
        self._engine = self._load()
        self._tokenizer = self._engine.get_tokenizer()
        for name, path in self._early.items():
            await self.load_adapter(name, path)
        if Capability.EMBED in self._description.capabilities:
            await self.embed(["Hello"])
        elif self._role is Role.PREFILL:
            await self.prefill(Generation(prompt=FIRST_PROMPT))
        else:
            # With log-probabilities: what they need is compiled when it is first used.
            async for _ in self.generate(
                Generation(prompt=FIRST_PROMPT, sampling=Sampling(max_output_tokens=1), logprobs=1)
            ):
                pass

    def _load(self) -> Any:
        vllm_options.prepare_environment(self._arguments)
        try:
            from vllm import AsyncEngineArgs  # noqa: PLC0415 - takes ten seconds, and is not in every image
            from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415
        except ImportError as error:
            raise errors.EngineLibraryMissing("vllm", str(error)) from error
        try:
            return AsyncLLM.from_engine_args(AsyncEngineArgs(**self._options))
        except Exception as error:
            logger.exception("vLLM cannot load the model")
            raise errors.EngineBroke(f"vLLM cannot load {self._path.name} ({type(error).__name__}).") from error

    async def generate(self, request: Generation) -> AsyncIterator[Piece]:
        """Continue a prompt; closing the iterator frees what it holds."""
        from vllm import SamplingParams  # noqa: PLC0415 - loaded by start
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams  # noqa: PLC0415

        tokens = self._tokens(request.prompt)
        room = self._description.context_tokens - len(tokens)
        if room < 1:
            raise errors.PromptOverContext(len(tokens), self._description.context_tokens)
        with _translated():
            sampling = SamplingParams(
                **vllm_wire.sampling_arguments(request, room=room),
                output_kind=RequestOutputKind.DELTA,
                structured_outputs=StructuredOutputsParams(**vllm_wire.schema(request))
                if request.json_schema
                else None,
                extra_args={"kv_transfer_params": dict(request.handoff)} if request.handoff else None,
            )
            async with aclosing(self._outputs(tokens, sampling, request.adapter)) as outputs:
                async for output in outputs:
                    if output.finished and output.outputs[0].finish_reason in ("error", "abort"):
                        raise errors.EngineBroke("The engine gave the request up. Try again.")
                    yield vllm_wire.piece(output, request, self._text)
                    if not output.finished:
                        await asyncio.sleep(FLUSH_SECONDS)  # vLLM puts together what comes meanwhile

    async def prefill(self, request: Generation) -> Prefilled:
        """Compute a prompt's KV blocks and keep them for the engine that will go on."""
        from vllm import SamplingParams  # noqa: PLC0415 - loaded by start

        wanted = {"do_remote_decode": True, "do_remote_prefill": False} | dict.fromkeys(
            ("remote_engine_id", "remote_block_ids", "remote_host", "remote_port")
        )
        begun = time.perf_counter()
        with _translated():
            sampling = SamplingParams(max_tokens=1, temperature=0.0, extra_args={"kv_transfer_params": wanted})
            last = None
            async with aclosing(self._outputs(self._tokens(request.prompt), sampling, request.adapter)) as outputs:
                async for output in outputs:
                    last = output
        if last is None:
            raise errors.EngineBroke("The prompt was not computed. Try again.")
        return Prefilled(last.kv_transfer_params or {}, last.num_cached_tokens or 0, time.perf_counter() - begun)

    def _outputs(self, tokens: list[int], sampling: Any, adapter: str = "") -> Any:
        if adapter and adapter not in self._adapters:
            raise errors.AdapterNotLoaded(adapter, sorted(self._adapters))
        is_stored = self._role is not Role.AGGREGATED and self._transfer.connector == "ExampleConnector"
        if is_stored and len(tokens) < 2:
            # It takes the block before the first one for cached, and the engine dies of that (vLLM 0.32.0).
            raise errors.RequestRefused("The storage connector takes no prompt of a single token. Make it longer.")
        return self._running.generate(
            {"prompt_token_ids": tokens}, sampling, uuid.uuid4().hex, lora_request=self._adapters.get(adapter)
        )

    def render(self, turns: Sequence[Turn]) -> str:
        """Render a conversation with the model's own chat template, in a sandbox; ChatML where it has none."""
        if not self._tokenizer.chat_template:
            return chat.render(turns)
        markers = self._tokenizer.all_special_tokens
        messages = [{"role": str(turn.speaker), "content": chat.disarmed(turn.content, markers)} for turn in turns]
        is_continued = turns[-1].speaker == "assistant"
        rendered: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=not is_continued, continue_final_message=is_continued
        )
        return rendered

    async def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt, markers as one token each."""
        return len(self._tokens(prompt))

    def _tokens(self, prompt: str) -> list[int]:
        """Tokenize; a begin marker that a template has written is not doubled."""
        tokens: list[int] = self._tokenizer.encode(prompt)
        begin = self._tokenizer.bos_token_id
        return tokens[1:] if begin is not None and tokens[:2] == [begin, begin] else tokens

    def _text(self, token: int) -> str:
        return str(self._tokenizer.decode([token]))

    async def embed(self, inputs: Sequence[str]) -> tuple[list[list[float]], int]:
        """Return unit vectors of the inputs, and the number of their tokens. Needs the runner `pooling`."""
        from vllm import PoolingParams  # noqa: PLC0415 - loaded by start

        async def one(text: str) -> tuple[list[float], int]:
            tokens = self._tokens(text)
            found = self._running.encode(
                {"prompt_token_ids": tokens}, PoolingParams(task="embed", use_activation=True), uuid.uuid4().hex
            )
            async for output in found:
                vector = output.outputs.data.float()
                return (vector / vector.norm()).tolist(), len(tokens)
            raise errors.EngineBroke("The engine gave no vector. Try again.")

        with _translated():
            embedded = await asyncio.gather(*(one(text) for text in inputs))
        return [vector for vector, _ in embedded], sum(count for _, count in embedded)

    async def score(self, request: Scoring) -> list[Score]:
        """Return log-probabilities of continuations, each after the prompt; all are computed together."""
        with _translated():
            prompt = self._tokens(request.prompt)
            return list(await asyncio.gather(*(self._score(request, prompt, text) for text in request.continuations)))

    async def _score(self, request: Scoring, prompt: list[int], continuation: str) -> Score:
        from vllm import SamplingParams  # noqa: PLC0415 - loaded by start

        begin = self._tokenizer.bos_token_id
        before, whole = scoring.cut(
            prompt,
            self._tokens(request.prompt + continuation),
            self._tokenizer.eos_token_id if begin is None else begin,
        )
        scored = whole[len(before) :]
        if not scored:
            return Score(tokens=(), is_greedy=True)
        if len(whole) >= self._description.context_tokens:
            raise errors.PromptOverContext(len(whole), self._description.context_tokens)
        # Flat: an object for each of a thousand alternatives at each place would take longer than the model does.
        sampling = SamplingParams(
            max_tokens=1, prompt_logprobs=CONSIDERED if request.has_distributions else 1, flat_logprobs=True
        )
        async with aclosing(self._outputs(whole, sampling, request.adapter)) as outputs:
            async for output in outputs:
                if output.finished:
                    vocabulary = self._running.model_config.get_vocab_size() if request.has_distributions else None
                    return await asyncio.to_thread(
                        vllm_wire.score, scored, output.prompt_logprobs, self._text, vocabulary=vocabulary
                    )
        raise errors.EngineBroke("The engine gave no score. Try again.")

    async def load_adapter(self, name: str, path: Path) -> None:
        """Make a LoRA adapter available by name. Loading a name again replaces what it was.

        One that comes before start waits for it.

        Raises:
            AdapterRefused: It is no adapter of this model, or its rank is too high.
        """
        if self._engine is None:
            self._early[name] = path
            return
        from vllm.lora.request import LoRARequest  # noqa: PLC0415 - loaded by start

        number = max((request.lora_int_id for request in self._adapters.values()), default=0) + 1
        request = LoRARequest(lora_name=name, lora_int_id=number, lora_path=str(path))
        try:
            await self._running.add_lora(request)
        except Exception as error:
            logger.exception("vLLM cannot load an adapter")
            cause = f"is it a LoRA of this model, of no higher rank than max-lora-rank? ({type(error).__name__})"
            raise errors.AdapterRefused(name, cause) from error
        await self.unload_adapter(name)
        self._adapters[name] = request

    async def unload_adapter(self, name: str) -> None:
        """Drop an adapter; dropping an absent one does nothing."""
        request = self._adapters.pop(name, None)
        if request is not None:
            await self._running.remove_lora(request.lora_int_id)

    async def transfers(self) -> Transfers:
        """Read what the connector has counted."""
        if self._role is Role.AGGREGATED:
            return Transfers()
        await self._running.do_log_stats()
        return vllm_metrics.transfers(self._transfer.connector)

    @property
    def device_name(self) -> str:
        """What the driver calls the devices; empty on the CPU."""
        import torch  # noqa: PLC0415 - loaded by start

        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""

    @property
    def precision(self) -> Precision:
        """What products are computed in."""
        if self._arguments.word("quantization") == "fp8":
            return Precision.FLOAT8
        return Precision.FLOAT32 if self._arguments.word("dtype") == "float32" else Precision.FLOAT16

    def work(self) -> Work:
        """Read what one device has done."""
        return vllm_metrics.work()

    def cache_usage(self) -> float:
        """Read which share of the KV cache is in use."""
        return vllm_metrics.cache_usage()

    async def wait_until_broken(self) -> None:
        """Return when a process of vLLM's has died."""
        while self._engine is None or not self._engine.errored:  # noqa: ASYNC110 - vLLM has no event for it
            await asyncio.sleep(WATCH_SECONDS)

    async def close(self) -> None:
        """End vLLM's processes."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            with contextlib.suppress(Exception):  # it may be dead already
                await asyncio.to_thread(engine.shutdown)

    @property
    def _running(self) -> Any:
        if self._engine is None:
            raise errors.EngineBroke("The model is not loaded yet. Wait until health says SERVING.")
        return self._engine


@contextmanager
def _translated() -> Iterator[None]:
    """Turn vLLM's errors into ours; its words stay in the log, since they may hold paths."""
    from vllm.exceptions import VLLMValidationError  # noqa: PLC0415 - loaded by start
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError  # noqa: PLC0415

    try:
        yield
    except EngineDeadError as error:
        raise errors.EngineBroke("The engine has died. Try another replica.") from error
    except EngineGenerateError as error:
        logger.exception("vLLM failed in a request")
        raise errors.EngineBroke("The engine failed in this request. Try again.") from error
    except VLLMValidationError as error:
        raise errors.RequestRefused(_PLACE.sub("", str(error)).strip()) from error
