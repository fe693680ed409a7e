"""Requests for text, and the pieces of an answer."""

from .errors import Failed


class Message:
    """A message of a conversation: `role` (`system`, `developer`, `user`, `assistant`, `tool`),
    its text parts as one `text`, and `raw`, the message as the contract has it."""

    __slots__ = ("role", "text", "name", "tool_call_id", "raw")

    def __init__(self, role, text, name=None, tool_call_id=None, raw=None):
        self.role = role
        self.text = text
        self.name = name
        self.tool_call_id = tool_call_id
        self.raw = raw


class TextRequest:
    """What a caller asks.

    `messages` is the conversation, oldest first; a bare prompt is one message of the user, and a
    prompt of token ids is in `tokens` alone. `seed`, `temperature` and `top_p` are None where the
    caller left them to the model. `parameters` holds free-form options by name. `raw` is the
    request as the contract has it, with everything else: tools, formats, sampling.
    """

    __slots__ = (
        "messages",
        "tokens",
        "max_tokens",
        "stop",
        "seed",
        "temperature",
        "top_p",
        "choice",
        "parameters",
        "raw",
    )

    def __init__(
        self,
        messages,
        max_tokens=256,
        stop=(),
        seed=None,
        temperature=None,
        top_p=None,
        choice=0,
        parameters=None,
        tokens=None,
        raw=None,
    ):
        if isinstance(messages, str):
            messages = [Message("user", messages)]
        self.messages = list(messages)
        self.tokens = tokens
        self.max_tokens = max_tokens
        self.stop = list(stop)
        self.seed = seed
        self.temperature = temperature
        self.top_p = top_p
        self.choice = choice
        self.parameters = dict(parameters or {})
        self.raw = raw

    @property
    def last_user_text(self):
        """The text of the last message of the user; empty where there is none."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.text
        return ""


class _Piece:
    """A piece of an answer. `after_us` is how many microseconds after the piece before it the
    host hands it to the caller; the model does not wait."""

    __slots__ = ("after_us",)
    counts = 1


class Text(_Piece):
    """A piece of the answer. `tokens`, where the model has them, are ids, or pairs of an id and the
    bytes of the token; without, the piece counts as one token."""

    __slots__ = ("text", "tokens")

    def __init__(self, text, tokens=(), after_us=0):
        self.text = text
        self.tokens = list(tokens)
        self.after_us = after_us

    @property
    def counts(self):
        return max(1, len(self.tokens))


class Reasoning(_Piece):
    """A thought that is not part of the answer."""

    __slots__ = ("text",)

    def __init__(self, text, after_us=0):
        self.text = text
        self.after_us = after_us


class Refusal(_Piece):
    """What the model says instead of an answer."""

    __slots__ = ("text",)

    def __init__(self, text, after_us=0):
        self.text = text
        self.after_us = after_us


class ToolCall(_Piece):
    """The first fragment of a tool call; `index` counts the calls of a turn from 0."""

    __slots__ = ("index", "id", "name", "arguments")

    def __init__(self, index, id, name, arguments="", after_us=0):
        self.index = index
        self.id = id
        self.name = name
        self.arguments = arguments
        self.after_us = after_us


class ToolArguments(_Piece):
    """More of the arguments of a tool call that has begun."""

    __slots__ = ("index", "arguments")

    def __init__(self, index, arguments, after_us=0):
        self.index = index
        self.arguments = arguments
        self.after_us = after_us


class Finish(_Piece):
    """The last piece: `stop`, `length`, `tool_calls` or `content_filter`."""

    __slots__ = ("reason",)
    counts = 0
    REASONS = ("stop", "length", "tool_calls", "content_filter")

    def __init__(self, reason="stop", after_us=0):
        if reason not in self.REASONS:
            raise Failed(f"`{reason}` is no reason to finish: there are {', '.join(self.REASONS)}")
        self.reason = reason
        self.after_us = after_us


# What comes after the last item of an iterator.
_END = object()


class Answer:
    """A text in the making: a generator, and what it has given so far.

    Ends with `length` after `max_tokens`, and with `stop` where the generator ends without a
    reason.
    """

    def __init__(self, pieces, prompt_tokens, max_tokens):
        try:
            self._pieces = iter(pieces)
        except TypeError:
            raise Failed(
                f"the function marked with @text gave {type(pieces).__name__}: it yields texts"
            ) from None
        self._max_tokens = max_tokens
        self._finished = False
        self._made = []
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = 0
        self.reasoning_tokens = 0

    def begin(self):
        """Makes the first piece, which `next` then gives."""
        self._made = self._make(1)

    def next(self, max_chunks):
        """The next pieces: at least one, and none after the last."""
        made, self._made = self._made, []
        return made + self._make(max(max_chunks, 1) - len(made))

    def _make(self, count):
        pieces = []
        while not self._finished and len(pieces) < count:
            piece = next(self._pieces, _END)
            if piece is _END:
                piece = Finish("stop")
            elif isinstance(piece, str):
                piece = Text(piece)
            elif not isinstance(piece, _Piece):
                raise Failed(
                    f"the function marked with @text yielded {type(piece).__name__}: it yields "
                    "str, Text, Reasoning, ToolCall, ToolArguments, Refusal or Finish"
                )
            if self.completion_tokens + piece.counts > self._max_tokens:
                piece = Finish("length")
            self.completion_tokens += piece.counts
            if isinstance(piece, Reasoning):
                self.reasoning_tokens += piece.counts
            self._finished = isinstance(piece, Finish)
            pieces.append(piece)
        return pieces


class TextModel:
    """A function that writes text."""

    def __init__(self, function):
        self._function = function

    def start(self, request):
        """The answer, of which the first piece is made: what the function refuses, it refuses
        before the answer has begun."""
        words = sum(len(message.text.split()) for message in request.messages)
        prompt_tokens = len(request.tokens) if request.tokens is not None else words
        answer = Answer(self._function(request), prompt_tokens, request.max_tokens)
        answer.begin()
        return answer
