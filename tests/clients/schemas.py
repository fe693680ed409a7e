"""Answers and arguments held against the schemas that asked for them, by another validator than
the server's: schemas at random, of all keywords that OpenAI allows and the usual ones besides.

    schemas.py URL [HOW_MANY [SEED]]
"""

import datetime
import json
import random
import sys
import uuid

import httpx2 as httpx
import jsonschema

URL, HOW_MANY, SEED = sys.argv[1], *map(int, (sys.argv[2:] + ["300", "1"][len(sys.argv) - 2:])[:2])
FORMATS = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"]
# Each with what OpenAI's own examples have: anchors, classes, counts, groups, alternatives.
PATTERNS = [
    r"^[A-Z]{2}[0-9]{4}$", r"^\d{3}-\d{2}-\d{4}$", r"^(red|green|blue)$", r"^[a-z]+(-[a-z]+)*$", r"\d",
    r"^#[0-9a-fA-F]{6}$", r"^@[a-zA-Z0-9_]+$", r"^[^\s@]+@[^\s@]+\.[a-z]{2,}$", r"^\+?[1-9]\d{1,14}$",
    r"^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)$", r"^[\w.-]{3,12}$", r"^.{5,9}$", r"[aeiou]{2}", r"^[^\x00-\x7F]+$",
    r"^[^\W\d_]{2,}$", r"^\S+\s\S+$", r"^[\u4e00-\u9fff]{2,4}$", r"^[^\u0000-\u00ff]$", r"^('|\x22)\w+\1$",
]
# OpenAI takes these in no strict schema.
LOOKING_AROUND = [r"^(?=.*\d)[a-z\d]{6,8}$", r"^(?!admin)[a-z]{3,9}$", r"^\w+(?<!x)$"]
CLASSES = [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", "[a-f]", "[^a-z]", r"[^\s\x22]", r"[^\x00-\x7F]", r"[\w.-]",
           r"[\]\[^]", r"[^\w\s]", "[à-ü]", r"[\x20-\x2f]", ".", "x", r"\.", r"\u00e9", "-", "€"]
COUNTS = ["", "", "", "?", "*", "+", "{2}", "{1,3}", "{2,}", "??", "*?", "+?"]


def pattern(rng, depth=0):
    """A pattern at random: classes and groups in a row, or one of several."""
    parts = []
    for _ in range(rng.randint(1, 4)):
        part = rng.choice(CLASSES)
        if depth < 2 and rng.random() < 0.25:
            part = rng.choice(["(", "(?:"]) + pattern(rng, depth + 1) + ")"
        parts.append(part + rng.choice(COUNTS))
    whole = "".join(parts)
    if rng.random() < 0.2:
        whole += "|" + pattern(rng, 2)
    return whole if depth else rng.choice(["^(?:{})$", "^{}$", "{}", "^{}", "{}$"]).format(whole)


NAMES = ["name", "email", "city", "age", "price", "created_at", "tags", "items", "id", "phone", "score",
         "is_open", "child", "next", "value", "unit", "x", "kind", "notes", "ratio"]
PROMPTS = ["Paris, 4 nights for Jane Smith, jane@example.com, 120 EUR", "", "Tell me about the sea.",
           "東京で3泊お願いします", "Order #4711: two red lamps at $19.99 on 2026-03-14"]


class Maker:
    """Schemas at random. `strict`: by OpenAI's rules for strict ones."""

    def __init__(self, rng, strict):
        self.rng, self.strict, self.names = rng, strict, []

    def whole(self):
        rng = self.rng
        definitions = {}
        for name in rng.sample(["node", "place", "money"], rng.choice([0, 0, 1, 2])):
            self.names.append(name)
            definitions[name] = None
        for name in definitions:
            definitions[name] = self.object(2)
        schema = self.object(0)
        if definitions:
            schema["$defs"] = definitions
        return schema

    def object(self, depth):
        rng = self.rng
        names = rng.sample(NAMES, rng.randint(1, 4))
        # What refers to itself comes to an end only where it may be nothing.
        properties = {name: self.value(depth + 1) for name in names}
        required = names if self.strict else [name for name in names if rng.random() < 0.6]
        schema = {"type": "object", "properties": properties, "required": required}
        if self.strict or rng.random() < 0.5:
            schema["additionalProperties"] = False
        elif rng.random() < 0.2:
            schema["minProperties"] = rng.randint(0, len(names))
        return schema

    def value(self, depth):
        rng = self.rng
        kinds = [self.text, self.number, self.integer, self.truth, self.options, self.constant]
        if depth < 4:
            kinds += [self.list, self.list, self.object, self.choice, self.maybe]
        if self.names:
            kinds.append(self.reference)
        schema = (kind := rng.choice(kinds))(depth)
        if rng.random() < 0.2 and kind != self.reference:
            schema["description"] = "Something that matters"
        return schema

    def reference(self, depth):
        # Behind a choice or in a list that may be empty, so that there is an end to it.
        to = {"$ref": "#/$defs/" + self.rng.choice(self.names)}
        if self.rng.random() < 0.3:
            return {"type": "array", "items": to}
        return {"anyOf": self.rng.sample([to, {"type": "null"}], 2)}

    def text(self, _):
        rng, schema = self.rng, {"type": "string"}
        how = rng.random()
        if how < 0.3:
            schema["format"] = rng.choice(FORMATS)
        elif how < 0.6:
            known = PATTERNS if self.strict else PATTERNS + LOOKING_AROUND
            schema["pattern"] = rng.choice(known) if rng.random() < 0.4 else pattern(rng)
        elif how < 0.8:
            least = rng.randint(0, 12)
            schema |= {"minLength": least, "maxLength": least + rng.randint(0, 30)}
        return schema

    def numeric(self, kind):
        rng, schema = self.rng, {"type": kind}
        least = rng.choice([-1000, -5, 0, 1, 3, 100, 0.5, -0.25, 1e6])
        if kind == "integer":
            least = int(least)
        step = None
        if rng.random() < 0.3:
            step = schema["multipleOf"] = rng.choice([1, 2, 5, 7, 10] if kind == "integer" else [0.01, 0.5, 0.1, 3, 2.5])
        if rng.random() < 0.6:
            schema[rng.choice(["minimum", "exclusiveMinimum"])] = least
        if rng.random() < 0.6:
            schema[rng.choice(["maximum", "exclusiveMaximum"])] = least + max(3 * (step or 1), rng.choice([2, 10, 1000]))
        return schema

    def number(self, _):
        return self.numeric("number")

    def integer(self, _):
        return self.numeric("integer")

    def truth(self, _):
        return {"type": "boolean"}

    def plain(self):
        return self.rng.choice(["a", "b", "red", "Two words", 1, 2.5, -7, True, None, "ünï", "\"quoted\""])

    def options(self, _):
        values = list({json.dumps(value): value for value in [self.plain() for _ in range(4)]}.values())
        return {"enum": values}

    def constant(self, _):
        return {"const": self.plain()}

    def list(self, depth):
        rng = self.rng
        schema = {"type": "array", "items": self.value(depth + 1)}
        if rng.random() < 0.5:
            schema["minItems"] = rng.randint(0, 4)
        if rng.random() < 0.4:
            schema["maxItems"] = schema.get("minItems", 0) + rng.randint(0, 3)
        if not self.strict and rng.random() < 0.3:
            schema |= {"uniqueItems": True, "items": rng.choice([{"type": "string"}, {"type": "integer"}])}
        return schema

    def choice(self, depth):
        options = [self.value(depth + 1) for _ in range(self.rng.randint(2, 3))]
        if not self.strict and self.rng.random() < 0.2:
            return {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 90}]}
        return {"anyOf": options}

    def maybe(self, depth):
        kind = self.rng.choice(["string", "integer", "number", "boolean"])
        return {"type": [kind, "null"]}


checker = jsonschema.FormatChecker()


@checker.checks("uuid", raises=ValueError)
def is_uuid(value):
    return not isinstance(value, str) or bool(uuid.UUID(value))


@checker.checks("time", raises=ValueError)
def is_time(value):
    # With an offset, as RFC 3339 has it; the validator's own check is of an older draft.
    return not isinstance(value, str) or datetime.time.fromisoformat(value).tzinfo is not None


def faults(schema, text):
    try:
        value = json.loads(text)
    except ValueError as error:
        return [str(error)]
    validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def main():
    http = httpx.Client(base_url=URL, timeout=60)
    wrong = 0
    for case in range(HOW_MANY):
        rng = random.Random(f"{SEED}.{case}")
        strict = rng.random() < 0.5
        schema = Maker(rng, strict).whole()
        jsonschema.Draft202012Validator.check_schema(schema)
        prompt = rng.choice(PROMPTS) or "x"
        body = {"model": "fake", "seed": case, "max_tokens": 20_000,
                "messages": [{"role": "user", "content": prompt}]}
        if as_tool := rng.random() < 0.5:
            function = {"name": "act", "parameters": schema, "strict": strict}
            body |= {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
        else:
            body["response_format"] = {"type": "json_schema", "json_schema": {
                "name": "answer", "schema": schema, "strict": strict}}
        answer = http.post("/v1/chat/completions", json=body)
        if answer.status_code != 200:
            found = [f"{answer.status_code}: {answer.text}"]
            text = ""
        else:
            message = answer.json()["choices"][0]["message"]
            texts = [call["function"]["arguments"] for call in message["tool_calls"]] if as_tool else [message["content"]]
            found = [fault for text in texts for fault in faults(schema, text)]
            text = texts[0]
        if found:
            wrong += 1
            print(f"case {SEED}.{case} ({'arguments' if as_tool else 'answer'}, strict {strict}): {found[:3]}\n"
                  f"  schema {json.dumps(schema)[:1500]}\n  answer {text[:600]}")
    if wrong:
        sys.exit(f"{wrong} of {HOW_MANY} answers do not follow their schema")
    print(f"{HOW_MANY} schemas ok")


main()
