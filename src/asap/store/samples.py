"""The samples of a store: texts of their own, or turns of conversations, each of which is stored once."""

from dataclasses import replace

from asap.conversation import Conversation, TurnOf, turn_id
from asap.sample import Sample, tested_code_in
from asap.store.content import Contents, Database


class Samples:
    """The tables `samples` and `conversations`. It keeps the conversation that was read last, whose turns come one after the other."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.texts = Contents(database, "samples", "digest")
        self.conversations = Contents(database, "conversations", "digest")
        self._last = dict[str, Conversation]()

    def sample(self, row_id: str, body: bytes, conversation: str | None = None, number: int | None = None) -> Sample:
        """The sample of a body, as the turn of a conversation if it is one; it then belongs to this one, if that is given."""
        with self._db.whole():
            content = self._db.value(body, dict)
            place = (conversation, number) if conversation is not None else content.get("turn")
            if place:
                return replace(Sample.of_turn(self.turn(row_id, *place)), id=row_id)
            return Sample.of_stored(row_id, content, tested_code_in(content.get("meta", {})))

    def turn(self, row_id: str, digest: str, number: int) -> TurnOf:
        """A turn, whose conversation has the name that the turn's id begins with."""
        conversation = self._last.get(digest)
        if conversation is None:
            with self._db.whole():
                conversation = Conversation.of_stored(self.conversations.get(digest))
        if (name := row_id.removesuffix(turn_id("", number))) != conversation.id:
            conversation = replace(conversation, id=name)
        self._last = {digest: conversation}
        return TurnOf(conversation, number)
