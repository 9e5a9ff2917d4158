"""llama.cpp in this process: generation, scores, and LoRA adapters of a GGUF model."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from touchstone_inference import errors
from touchstone_inference.engine.adapters import llamacpp_wire
from touchstone_inference.engine.adapters.llamacpp_server import Loading, Server
from touchstone_inference.engine.core import chat, scoring
from touchstone_inference.engine.core.arguments import Arguments
from touchstone_inference.engine.core.generation import (
    Capability,
    Description,
    Generation,
    Piece,
    Sampling,
    Score,
    Scoring,
    Turn,
)

ENGINE_TYPE = "LlamaCpp"
CAPABILITIES = frozenset({Capability.JSON_SCHEMA, Capability.LOGPROBS, Capability.SCORE, Capability.PREFIX_CACHE})
ADAPTER_FILE = "adapter.gguf"
"""What an adapter's folder holds for llama.cpp, beside the safetensors that others take."""
_LATER_PART = re.compile(r"-(?!00001)[0-9]{5}-of-[0-9]{5}\.gguf$")
"""The end of the name of each part but the first, as llama.cpp's `gguf-split` writes it."""


class LlamaCpp:
    """A GGUF model in this process. `max_model_len` tokens for each of its slots."""

    def __init__(
        self, path: Path, *, digest: str, max_model_len: int, arguments: Arguments, has_adapters: bool = False
    ) -> None:
        """Take the weights and how to run them.

        Args:
            path: The GGUF file, or a folder with one: what registries have are folders.
            digest: Its digest.
            max_model_len: The context of one request, in tokens.
            arguments: Of `arguments.LLAMACPP`.
            has_adapters: Whether adapters may be loaded.
        """
        self._loading = Loading(
            path=_model_file(path),
            slots=arguments.number("parallel"),
            context_tokens=max_model_len,
            batch_size=arguments.number("batch-size"),
            threads=arguments.number("threads"),
        )
        self._description = Description(
            engine_type=ENGINE_TYPE,
            model_digest=digest,
            context_tokens=max_model_len,
            slots=self._loading.slots,
            capabilities=CAPABILITIES | {Capability.ADAPTERS} if has_adapters else CAPABILITIES,
        )
        self._adapters: dict[str, Path] = {}
        self._server: Server | None = None
        self._begin = self._vocabulary = 0

    @property
    def description(self) -> Description:
        """What it is and can do."""
        return self._description

    async def start(self) -> None:
        """Load the model with the adapters it was given, and generate a first token.

        Raises:
            EngineBroke: The file is no model that llama.cpp can load.
            AdapterRefused: An adapter is none of this model.
        """
        try:
            self._server = await self._serve(self._adapters)
        except errors.EngineBroke:
            if self._adapters:
                await self._find_refused()
            raise
        async for _ in self.generate(Generation(prompt="Hello", sampling=Sampling(max_output_tokens=1))):
            pass
        markers = await self._running.ask("/props")
        begin = await self._tokens(self._running, markers["bos_token"] or markers["eos_token"], has_begin=False)
        self._begin = begin[0] if begin else 0  # a model without any marker: its first token
        self._vocabulary = int((await self._running.ask("/v1/models"))["data"][0]["meta"]["n_vocab"])

    async def _serve(self, adapters: Mapping[str, Path]) -> Server:
        return await Server.start(replace(self._loading, adapters=dict(adapters)))

    async def _find_refused(self) -> None:
        """Load each adapter by itself: llama.cpp tells its log, and not us, which one it cannot load."""
        await (await self._serve({})).close()
        for name, path in self._adapters.items():
            try:
                await (await self._serve({name: path})).close()
            except errors.EngineBroke as error:
                raise _refused(name) from error

    async def load_adapter(self, name: str, path: Path) -> None:
        """Make a LoRA adapter available by name: a GGUF, or a folder with one.

        One that comes before start waits for it. Later, a server with all adapters is started beside the one that
        runs, which ends with its last request: while both are there, the KV cache takes its memory twice.

        Raises:
            AdapterRefused: It is no adapter of this model, or no GGUF.
        """
        wanted = {**self._adapters, name: _gguf(name, path)}
        if self._server is None:
            self._adapters = wanted
            return
        try:
            server = await self._serve(wanted)
        except errors.EngineBroke as error:
            raise _refused(name) from error
        self._server, before, self._adapters = server, self._server, wanted
        await before.retire()

    async def unload_adapter(self, name: str) -> None:
        """Drop an adapter; dropping an absent one does nothing. Its memory is free when another one is loaded."""
        self._adapters.pop(name, None)
        if self._server is not None:
            self._server.forget(name)

    async def generate(self, request: Generation) -> AsyncIterator[Piece]:
        """Continue a prompt; closing the iterator frees the slot."""
        async with self._running.held() as server:
            lora = server.chosen(request.adapter)
            body = llamacpp_wire.completion_request(request, stops=chat.STOPS, lora=lora)
            async with aclosing(server.stream("/completion", body)) as events:
                async for event in events:
                    yield llamacpp_wire.piece(event, request)

    def render(self, turns: Sequence[Turn]) -> str:
        """Render a conversation as ChatML."""
        return chat.render(turns)

    async def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt, markers as one token each."""
        async with self._running.held() as server:
            return len(await self._tokens(server, prompt))

    async def embed(self, inputs: Sequence[str]) -> tuple[list[list[float]], int]:
        """Refuse: a model that is loaded to generate has no pooled embeddings."""
        raise errors.EngineCannot(ENGINE_TYPE, "Embed")

    async def score(self, request: Scoring) -> list[Score]:
        """Return log-probabilities of continuations, each after the prompt.

        The server tells none of a prompt. It does tell the model's own of what it generates, whatever it was made to
        generate: each continuation is generated, by a grammar of its tokens. So it takes as long as generating it.
        """
        async with self._running.held() as server:
            lora = server.chosen(request.adapter)
            prompt = await self._tokens(server, request.prompt)
            return [await self._score(server, request, prompt, text, lora) for text in request.continuations]

    async def _score(
        self, server: Server, request: Scoring, prompt: list[int], continuation: str, lora: llamacpp_wire.Lora
    ) -> Score:
        before, whole = scoring.cut(prompt, await self._tokens(server, request.prompt + continuation), self._begin)
        scored = whole[len(before) :]
        if not scored:
            return Score(tokens=(), is_greedy=True)
        if await self._tokens(server, continuation) != await self._tokens(server, continuation, has_markers=False):
            raise errors.RequestRefused("A continuation holds a marker of the chat template. Leave it out.")
        if len(whole) >= self._description.context_tokens:
            raise errors.PromptOverContext(len(whole), self._description.context_tokens)
        body = llamacpp_wire.scoring_request(before, scored, has_distributions=request.has_distributions, lora=lora)
        vocabulary = self._vocabulary if request.has_distributions else None
        answer = await server.ask("/completion", body)
        return await asyncio.to_thread(llamacpp_wire.score, answer, scored, vocabulary=vocabulary)

    async def _tokens(
        self, server: Server, text: str, *, has_begin: bool = True, has_markers: bool = True
    ) -> list[int]:
        body = {"content": text, "parse_special": has_markers, "add_special": has_begin}
        tokens: list[int] = (await server.ask("/tokenize", body))["tokens"]
        return tokens

    async def wait_until_broken(self) -> None:
        """Never return: it lives and dies with this process."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Close the door and let the model go."""
        if self._server is not None:
            await self._server.close()

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise errors.EngineBroke("The model is not loaded yet. Wait until health says SERVING.")
        return self._server


def _model_file(path: Path) -> Path:
    """Find the file of a model; of one in parts the first, which llama.cpp takes for all."""
    if not path.is_dir():
        return path
    found = [each for each in sorted(path.glob("*.gguf")) if not _LATER_PART.search(each.name)]
    if len(found) == 1:
        return found[0]
    held = f"holds {', '.join(each.name for each in found)}" if found else "holds no *.gguf"
    raise errors.EngineBroke(f"The model's folder {held}, and llama.cpp needs one. Publish that file alone.")


def _gguf(name: str, path: Path) -> Path:
    """Find the file of an adapter that llama.cpp takes."""
    if path.is_file():
        return path
    found = sorted(path.glob("*.gguf"))
    if path / ADAPTER_FILE in found:
        return path / ADAPTER_FILE
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(each.name for each in found)
        raise errors.AdapterRefused(name, f"its folder holds {named}: name one of them {ADAPTER_FILE}")
    raise errors.AdapterRefused(
        name,
        f"its folder holds no *.gguf, and llama.cpp takes no other LoRA; put it there as {ADAPTER_FILE} too, as a "
        "FinetuneJob does, or serve it with VLLM",
    )


def _refused(name: str) -> errors.AdapterRefused:
    return errors.AdapterRefused(
        name,
        "llama.cpp takes a GGUF of a LoRA of this very model, and this is none (its reason is in the engine's log)",
    )
