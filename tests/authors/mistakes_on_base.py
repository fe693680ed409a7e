"""Mistakes in projects on a base, which are pushed as their source: a second each, since nothing is
compiled. The table is MISTAKES below."""

from functools import partial

from mistake import Mistake

PUSH = "belljar push . --wait"
# What the caller gets, and what the author then reads.
CURL = "curl -sS --fail-with-body -H 'content-type: application/json'"
CHAT = """ -d '{"model":"'$MODEL'","messages":[{"role":"user","content":"the bell"}],"seed":7}'"""
ASK = f"{CURL} $URL/v1/chat/completions{CHAT}"
LOGS = f"{ASK} || {{ belljar models logs $MODEL; false; }}"
# The default is a while away.
LESS_FUEL = "sed -i '/^load_fuel/d; s/^deadline/load_fuel = 2_000_000_000\\n&/' model.toml"


def on_base(language, what, changes, told, commands=(PUSH,), kind="text", at=None):
    return Mistake(what, language, kind, changes, commands, told, at=at, on_base=True)


python = partial(on_base, "python")
js = partial(on_base, "js")


def both(row, model, read, said, loop, more):
    """Mistakes that are the same in both languages: how one of their rows is made, the file of the
    model, a line in its `load` and one in what answers, an endless loop, and a line of a comment."""
    base = f"base-{row.args[0]}"
    name = f"{row.args[0]}-text-on-base"
    listed = '[assets]\n"words.txt" = ""\n\n[limits]'
    return [
        row("no source", [], ["it is built on a base and has no source: a file that ends in .py, .js"],
            commands=[f"rm {model}", PUSH]),
        row("an endless loop in load",
            [(model, read, f"{loop}\n{read}")],
            ["fuel cap of 2000000000", "try `limits.load_fuel ="], commands=[LESS_FUEL, PUSH]),
        row("an endless loop",
            [(model, said, f"{loop}\n{said}"), ("model.toml", "\nfuel = 1_000_000_000", "\nfuel = 100_000_000")],
            ["fuel cap of 100000000", "`limits.fuel`", "model.toml"], commands=[PUSH, ASK]),
        row("too little time",
            [(model, said, f"{loop}\n{said}"), ("model.toml", '"2 s"', '"200 ms"'),
             ("model.toml", "\nfuel = 1_000_000_000", "\nfuel = 900_000_000_000")],
            ["deadline cap of 200 ms", "`limits.deadline`", "model.toml"], commands=[PUSH, ASK]),
        row("too little memory", [("model.toml", '"64 MiB"', '"16 MiB"')],
            ["memory cap of 16777216 bytes", "try `limits.memory ="]),
        row("an asset that is not there", [(model, '"words.txt"', '"wrods.txt"')],
            ["there is no asset `wrods.txt` in this bundle; there are: `words.txt`"]),
        row("an asset by its path", [(model, '"words.txt"', '"assets/words.txt"')],
            ["there is no asset `assets/words.txt`", "relative to the folder assets"]),
        row("an asset that is not listed",
            [("assets/more.bin", None, "1234"), ("model.toml", "[limits]", listed)],
            ["assets/more.bin", "it is not in [assets]", 'add the line "more.bin" = ""']),
        row("a base that the server has not", [("model.toml", base, "my-base")],
            ["the base `my-base`, which the server does not have: it has", f"{base}@0.1.0"]),
        row("a version of the base that the server has not", [("model.toml", base, f"{base}@0.9.0")],
            [f"the base `{base}@0.9.0`, which the server does not have: it has", f"{base}@0.1.0"]),
        row("a component and a base", [("model.toml", "base =", 'component = "model.wasm"\nbase =')],
            ['"base"', "a project has a `component` or a `base`, not both"]),
        row("a key of the manifest that is misspelt", [("model.toml", "base =", "bsae =")],
            ['unknown key "bsae"', 'did you mean "base"']),
        row("a version that was not raised", [],
            [f"{name}@0.1.0 exists with other content", "give this content a version of its own"],
            commands=[PUSH, f"echo '{more}' >>{model}", PUSH]),
        row("a run without a server", [],
            [f"built on the base `{base}` of a server", "`belljar push` and `belljar dev` do so"],
            commands=["belljar run . --prompt 'the bell'"]),
        row("a push where no server runs", [], ["no server runs on", "`belljar serve`", "--server"],
            commands=[f"BELLJAR_DATA_DIR=$PWD/none {PUSH}"]),
    ]


READ_PY = '    words = assets.read_text("words.txt").split()'
SAID_PY = "    said = request.last_user_text.split()"
GUEST_PY = "from belljar_guest import"
READ_JS = '  const words = assets.text("words.txt")'
SAID_JS = "  let word = request.lastUserText"
GUEST_JS = "import { InvalidInput, assets"

MISTAKES = [
    # -- Python --------------------------------------------------------------------------------
    *both(python, "model.py", READ_PY, SAID_PY, "    while True: pass", "# More."),
    python("a syntax error", [("model.py", READ_PY, f"    words = = 3\n{READ_PY}")],
           ["`load` failed: model.py, line {line}: invalid syntax: words = = 3"],
           at=("model.py", "= = 3")),
    python("a module of the library that the base has not",
           [("model.py", GUEST_PY, f"import urllib.request\n\n{GUEST_PY}")],
           ["No module named 'urllib.request' (model.py, line {line})", "LIBRARY in sdk/belljar_base.py"],
           at=("model.py", "urllib")),
    python("a package that is nowhere", [("model.py", GUEST_PY, f"import tabulate\n\n{GUEST_PY}")],
           ["No module named 'tabulate' (model.py, line {line})", "put beside model.py"],
           at=("model.py", "tabulate")),
    python("a package with compiled parts", [("model.py", GUEST_PY, f"import numpy\n\n{GUEST_PY}")],
           ["No module named 'numpy' (model.py, line {line})", "what has compiled parts, such as numpy"],
           at=("model.py", "numpy")),
    python("a module of its own that is misspelt",
           [("model.py", GUEST_PY, f"import helpers.wrods\n\n{GUEST_PY}"), ("helpers/words.py", None, "")],
           ["No module named 'helpers.wrods' (model.py, line {line})", "the source has: `helpers/words.py`"],
           at=("model.py", "wrods")),
    python("a file with the name of a module of the base",
           [("random.py", None, "def random():\n    return 4\n")],
           ["random.py: the base has a module `random` of its own", "give yours another name"]),
    python("no function that answers", [("model.py", "@text\n", "")],
           ["the base is of texts, and model.py has no function marked with @text: mark one"]),
    python("two functions that answer",
           [("model.py", "@text\n", "@text\ndef answer(request):\n    yield '.'\n\n\n@text\n")],
           ["@text marks two functions, answer and go_on: a model has one of each", 'model.py", line ']),
    python("a model of another kind than the base", [],
           ["model.py has a function marked with @tensors", "the base is of texts",
            "name a base of tensors in model.toml"], kind="tensors"),
    python("a model that is not called model.py", [],
           ["there is no `model.py` among the source; there are: `main.py`"],
           commands=["mv model.py main.py", PUSH]),
    python("an exception in load", [("model.py", READ_PY, f"    [][1]\n{READ_PY}")],
           ["`load` failed", "in Python: IndexError: list index out of range", 'model.py", line {line}'],
           at=("model.py", "[][1]")),
    python("a recursion without end", [("model.py", READ_PY, f"    read_words()\n{READ_PY}")],
           ["in Python: RecursionError: maximum recursion depth exceeded", 'model.py", line {line}'],
           at=("model.py", "    read_words()")),
    python("an exception in a request", [("model.py", SAID_PY, f"    {{}}['seed']\n{SAID_PY}")],
           ["in Python: KeyError: 'seed'", 'model.py", line {line}'],
           commands=[PUSH, LOGS], at=("model.py", "['seed']")),
    python("an answer that is asynchronous", [("model.py", "@text\ndef", "@text\nasync def")],
           ["the function marked with @text gave async_generator: it yields texts"],
           commands=[PUSH, LOGS]),
    python("a piece that is no text", [("model.py", "yield word", "yield 3 if word else word")],
           ["the function marked with @text yielded int: it yields str, Text"], commands=[PUSH, LOGS]),
    # -- JavaScript ----------------------------------------------------------------------------
    *both(js, "model.js", READ_JS, SAID_JS, "  for (;;);", "// More."),
    js("a syntax error", [("model.js", SAID_JS, f"  let x = = 3;\n{SAID_JS}")],
       ["`load` failed: model.js:{line}:11: Unexpected token: let x = = 3;"], at=("model.js", "= = 3")),
    js("a syntax error in a type", [("model.js", SAID_JS, f"  let x: = 3;\n{SAID_JS}")],
       ["`load` failed: model.ts:{line}:10: Unexpected token: let x: = 3;"],
       commands=["mv model.js model.ts", PUSH], at=("model.js", "let x: = 3")),
    js("a name that is there twice", [("model.js", READ_JS, f"  const words = 1;\n{READ_JS}")],
       ["`load` failed: model.js:{line}: redeclaration of const words"], at=("model.js", "const words = as")),
    js("an await outside of functions", [("model.js", GUEST_JS, f"await 1;\n{GUEST_JS}")],
       ["`load` failed: model.js:{line}: await is only valid in async functions"], at=("model.js", "await")),
    js("a package that is nowhere", [("model.js", GUEST_JS, f'import pad from "left-pad";\n{GUEST_JS}')],
       ['model.js:{line}: "left-pad" is imported, and is not there', "put it beside model.js",
        'import "./left-pad.js"'], at=("model.js", "left-pad")),
    js("a package by require", [("model.js", READ_JS, f'  const pad = require("left-pad");\n{READ_JS}')],
       ['model.js:{line}: "left-pad" is imported, and is not there', "put it beside model.js"],
       at=("model.js", "left-pad")),
    js("a module of node", [("model.js", GUEST_JS, f'import {{ readFileSync }} from "node:fs";\n{GUEST_JS}')],
       ['model.js:{line}: "node:fs" is imported, and is not there', "imports belljar-guest, and its own files"],
       at=("model.js", "node:fs")),
    js("a module of its own that is misspelt",
       [("model.js", GUEST_JS, f'import "./lib/wrods.js";\n{GUEST_JS}'), ("lib/words.js", None, "")],
       ['model.js:{line}: "./lib/wrods.js" is imported, and is not there: there are: lib/words.js, model.js'],
       at=("model.js", "wrods")),
    js("no export that answers", [("model.js", "export const text =", "const text =")],
       ["the base is of text, and model.js has no `export const text = defineText(…)`; write it"]),
    js("an export that is a function alone", [("model.js", "defineText(goOn)", "goOn")],
       ["`text` of model.js is something else than `export const text = defineText(…)`"]),
    js("a load that is a function alone", [("model.js", "defineLoad(() => {", "(() => {")],
       ["`lifecycle` of model.js is something else than `defineLoad(() => { … })`"]),
    js("a model of another kind than the base", [],
       ["the base is of text, and model.js has no `export const text", "it has `tensors`",
        "name a base of that kind in model.toml"], kind="tensors"),
    js("a model that is not called model.js", [],
       ["there is no model.js and no model.ts among the source; there are: main.js"],
       commands=["mv model.js main.js", PUSH]),
    js("two models", [], ["there are model.js and model.ts: one of them is the model, remove the other"],
       commands=["cp model.js model.ts", PUSH]),
    js("an exception in load", [("model.js", READ_JS, f"  none.such();\n{READ_JS}")],
       ["`load` failed: model.js:{line}: ReferenceError: none is not defined"],
       at=("model.js", "none.such")),
    js("a recursion without end", [("model.js", READ_JS, f"  lifecycle.load();\n{READ_JS}")],
       ["`load` failed: model.js:{line}: InternalError: too much recursion"],
       at=("model.js", "lifecycle.load")),
    js("an exception in a request", [("model.js", SAID_JS, f"  null.seed;\n{SAID_JS}")],
       ["in JavaScript: TypeError", "model.js:{line}"],
       commands=[PUSH, LOGS], at=("model.js", "null.seed")),
    js("a piece that is no text", [("model.js", "yield word", "yield 3 || word")],
       ["the function given to defineText yields texts, or objects with text"], commands=[PUSH, LOGS]),
    js("an answer that is asynchronous", [("model.js", "export function*", "export async function*")],
       ["the function given to defineText yields texts: write function* (request)"],
       commands=[PUSH, LOGS]),
]
