"""Custom tools whose input follows a grammar in the syntax of Lark: what the fake model writes is
what Lark itself reads, through chat completions and responses, with several seeds each; and a
grammar that is wrong is a 400 that names its line. Against a server that needs no key."""

import sys

import lark
import openai

from checks import refused

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="any", max_retries=0)

GRAMMARS = {
    "sums": r'''
start: expr
expr: term (SP ADD SP term)+ -> add
| term
term: factor (SP MUL SP factor)+ -> mul
| factor
factor: INT
SP: " "
ADD: "+"
MUL: "*"
%import common.INT
''',
    "calculator": r'''
?start: sum
      | NAME "=" sum    -> assign_var
?sum: product
    | sum "+" product   -> add
    | sum "-" product   -> sub
?product: atom
    | product "*" atom  -> mul
    | product "/" atom  -> div
?atom: NUMBER           -> number
     | "-" atom         -> neg
     | NAME             -> var
     | "(" sum ")"
%import common.CNAME -> NAME
%import common.NUMBER
%import common.WS_INLINE
%ignore WS_INLINE
''',
    "json": r'''
?start: value
?value: object
      | array
      | string
      | SIGNED_NUMBER      -> number
      | "true"             -> true
      | "false"            -> false
      | "null"             -> null
array  : "[" [value ("," value)*] "]"
object : "{" [pair ("," pair)*] "}"
pair   : string ":" value
string : ESCAPED_STRING
%import common.ESCAPED_STRING
%import common.SIGNED_NUMBER
%import common.WS
%ignore WS
''',
    "query": r'''
start: select_stmt ";"
select_stmt: "SELECT" column_list "FROM" table where? order? limit?
column_list: column ("," column)*
where: "WHERE" condition ("AND" condition)*
condition: column (">" | "<" | "=") (NUMBER | STRING)
order: "ORDER" "BY" column ("ASC" | "DESC")?
limit: "LIMIT" INT
column: IDENTIFIER
table: IDENTIFIER
IDENTIFIER: /[A-Za-z_][A-Za-z0-9_]*/
STRING: /'[^']*'/
INT: /[0-9]+/
NUMBER.2: /[0-9]+(\.[0-9]+)?/
%import common.WS
%ignore WS
''',
    "commands": r'''
start: (move | say)~2..5
move: "move" DIRECTION INT NL
say: "say"i /"[a-z ]+"/ NL
DIRECTION: "north" | "south" | "east" | "west"
INT: "1".."9" DIGIT?
DIGIT: "0".."9"
NL: "\n"
%ignore " "
''',
    "time": r'''
start: DATE "T" TIME ["Z"]
DATE: /\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])/
TIME: /([01]\d|2[0-3]):[0-5]\d/
''',
}


def chat(grammar, seed, prompt="Write something."):
    custom = {"name": "tool", "format": {"type": "grammar", "grammar": {
        "syntax": "lark", "definition": grammar}}}
    answer = client.chat.completions.create(
        model="gpt-5", seed=seed, messages=[{"role": "user", "content": prompt}],
        tools=[{"type": "custom", "custom": custom}], tool_choice="required")
    return answer.choices[0].message.tool_calls[0].custom.input


def respond(grammar, prompt):
    answer = client.responses.create(
        model="gpt-5", input=prompt, tool_choice="required", store=False,
        tools=[{"type": "custom", "name": "tool", "format": {
            "type": "grammar", "syntax": "lark", "definition": grammar}}])
    return next(item.input for item in answer.output if item.type == "custom_tool_call")


for name, grammar in GRAMMARS.items():
    # Some can be read in two ways, which the other parser refuses.
    parser = lark.Lark(grammar, parser="earley" if name in ("sums", "commands") else "lalr")
    texts = {chat(grammar, seed) for seed in range(20)}
    texts.add(respond(grammar, "Write something else."))
    for text in texts:
        try:
            parser.parse(text)
        except lark.exceptions.LarkError as error:
            raise AssertionError(f"{name}: {text!r}: {error}") from error
    assert len(texts) > 5, (name, texts)
    print(f"{name}: {min(texts, key=len)!r}")

said = chat(GRAMMARS["sums"], 1, "Add 4 and 38")
assert said.startswith("4"), said

for wrong, place in [("start: a", "line 1: there is no rule `a`"),
                     ('start: "a"\n  | B', "line 2: there is no terminal `B`")]:
    error = refused(openai.BadRequestError, lambda: chat(wrong, 1))
    assert place in error.message and "tool" in error.message, error.message
error = refused(openai.BadRequestError, lambda: client.chat.completions.create(
    model="gpt-5", messages=[{"role": "user", "content": "x"}],
    tools=[{"type": "custom", "custom": {"name": "t", "format": {
        "type": "grammar", "grammar": {"syntax": "gbnf", "definition": "x"}}}}]))
assert error.param == "tools[0].custom.format.grammar.syntax", error.param
print("texts of grammars: ok")
