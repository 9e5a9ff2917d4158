"""Which replica has seen which beginning of a prompt: what this router believes of their prefix caches. Pure.

Every prompt that is sent somewhere is noted block by block; the next one goes where most of its beginning is known. A
router of several notes what it sends itself, which is enough: equal beginnings are asked for again and again.
"""

from collections import Counter, OrderedDict

from touchstone_inference import prefixes

BLOCK_CHARACTERS = 256
"""About as many tokens as vLLM's blocks of 64 on an accelerator; shorter beginnings are not worth a preference."""
MAX_BLOCKS = 32_768
"""How many blocks are remembered for a revision: about 8 million characters, 4 MB."""
MAX_REPLICAS = 16
"""How many replicas are remembered for a block."""


class PrefixIndex:
    """The blocks that replicas of one revision have seen, the latest used last."""

    def __init__(self, max_blocks: int = MAX_BLOCKS) -> None:
        self._max_blocks = max_blocks
        self._seen: OrderedDict[bytes, list[str]] = OrderedDict()
        self.held: Counter[str] = Counter()
        """How many blocks each replica is remembered for: about how full its cache is."""

    def known(self, text: str) -> dict[str, int]:
        """Count, for each replica that knows any, how many blocks of a text's beginning it knows."""
        found: dict[str, int] = {}
        for place, block in enumerate(prefixes.blocks(text, BLOCK_CHARACTERS)):
            replicas = self._seen.get(block)
            if not replicas:
                break
            for replica in replicas:
                if found.get(replica, 0) == place:  # it knows all blocks before this one
                    found[replica] = place + 1
        return found

    def note(self, text: str, replica: str) -> None:
        """Remember that a replica was sent a text."""
        for block in prefixes.blocks(text, BLOCK_CHARACTERS):
            replicas = self._seen.setdefault(block, [])
            if replica in replicas:
                replicas.remove(replica)
            else:
                self.held[replica] += 1
            replicas.append(replica)
            self.held.subtract(replicas[:-MAX_REPLICAS])
            del replicas[:-MAX_REPLICAS]
            self._seen.move_to_end(block)
        while len(self._seen) > self._max_blocks:
            _, forgotten = self._seen.popitem(last=False)
            self.held.subtract(forgotten)
