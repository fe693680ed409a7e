"""What the SDKs do when an answer is wrong: each fault that there is (host/testing/src/fault.rs) meets
each client, in one piece and as a stream. What they must do by their own documentation is held here;
what they do besides is the table in docs/testing.md, which this run makes.

    faults.py URL ADMIN_KEY_FILE NODE_FOLDER [--write]

Fails when the page is behind; with --write it is written anew. NODE_FOLDER is `none` where there is
no Node, and its column is then left as it is.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import warnings

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"
import anthropic
import httpx
import litellm
import openai

# Names of models come and go, and are this server's own here.
warnings.simplefilter("ignore", DeprecationWarning)
litellm.telemetry = False
litellm.suppress_debug_info = True
URL, KEY_FILE, NODE = sys.argv[1:4]
ROOT = pathlib.Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/testing.md"
BEGIN, END = "<!-- faults by client: made by tests/clients/faults.py -->", "<!-- end -->"
ADMIN = httpx.Client(base_url=URL, headers={
    "authorization": "Bearer " + pathlib.Path(KEY_FILE).read_text().strip()})

# A client's own time-out, in seconds, where it is to meet one, and everywhere else.
SHORT, LONG = 2.0, 20.0

# Each fault, and whether the request is one with tools.
CASES = [
    "status=400", "status=401", "status=403", "status=404", "status=409", "status=422",
    "status=429", "status=429;retry-after=1", "status=429;code=insufficient_quota;message=Pay first.",
    "status=500", "status=503", "status=529", "reset", "timeout=6s", "delay=6s",
    "content-type=text/html", "cut-after=5", "reset-after=5", "half-close=5", "no-done",
    "malformed-sse=5", "malformed-json=5", "invalid-utf8=5", "duplicate=5", "reorder=5",
    "bad-arguments", "empty-choices", "stall=6s;after=5", "slow=4000B/s",
]
WITH_TOOLS = {"bad-arguments"}
MEETS_TIMEOUT = {"timeout=6s", "delay=6s", "stall=6s;after=5"}

# With a temperature of 0 the fake model says the same to all of them, in whatever world.
LIMITS = {"temperature": 0, "max_tokens": 20}
FREE = {"temperature": 0, "max_tokens": 200}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WITH_TOOL = {**FREE, "tool_choice": "required", "tools": [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]}
SAY = [{"role": "user", "content": "Tell me about the sea."}]
SAID = httpx.post(URL + "/v1/chat/completions", json={
    "model": "gpt-4o-mini", "messages": SAY, **LIMITS}).json()["choices"][0]["message"]["content"]


def covered():
    """Every fault that there is, is tried."""
    source = (ROOT / "host/testing/src/fault.rs").read_text()
    table = source.split("pub const FAULTS", 1)[1].split("\n];", 1)[0]
    names = set(re.findall(r'name: "([a-z0-9-]+)"', table))
    tried = {part.split("=")[0] for case in CASES for part in case.split(";")}
    assert names == tried, f"not tried: {names - tried}; not there: {tried - names}"


def said(text):
    """A text, held against what is said."""
    if text == SAID:
        return "whole"
    if not text:
        return "nothing"
    return "the beginning" if SAID.startswith(text) else "another text"


def called(arguments):
    """The arguments of a call, held against those that there are."""
    if isinstance(arguments, dict):
        return "whole" if arguments.get("city") else "other arguments"
    try:
        return called(json.loads(arguments))
    except ValueError:
        return "arguments that are no JSON"


def name_of(error):
    """A class of an error, with its package where it is none of the client's own."""
    package = type(error).__module__.split(".")[0]
    name = type(error).__name__
    return f"`{name}`" if package in ("openai", "anthropic", "litellm") else f"`{package}.{name}`"


def openai_chat(headers, timeout, tools, stream):
    client = openai.OpenAI(base_url=URL + "/v1", api_key="any", timeout=timeout,
                           default_headers=headers)
    ask = {"model": "gpt-4o-mini", "messages": SAY, **(WITH_TOOL if tools else LIMITS)}
    return of_openai(client.chat.completions.create(stream=stream, **ask), tools, stream)


def litellm_chat(headers, timeout, tools, stream):
    ask = {"model": "openai/gpt-4o-mini", "messages": SAY, "api_base": URL + "/v1",
           "api_key": "any", "timeout": timeout, "extra_headers": headers,
           **(WITH_TOOL if tools else LIMITS)}
    return of_openai(litellm.completion(stream=stream, **ask), tools, stream)


def of_openai(answer, tools, stream):
    if not stream:
        if isinstance(answer, str):
            return "a text in place of an object"
        if not answer.choices:
            return "no choices"
        message = answer.choices[0].message
        if tools:
            return called(message.tool_calls[0].function.arguments)
        return said(message.content)
    text = ""
    for chunk in answer:
        for choice in chunk.choices[:1]:
            if tools:
                for call in choice.delta.tool_calls or []:
                    text += call.function.arguments or ""
            else:
                text += choice.delta.content or ""
    return called(text) if tools else said(text)


def anthropic_messages(headers, timeout, tools, stream):
    client = anthropic.Anthropic(base_url=URL, api_key="any", timeout=timeout,
                                 default_headers=headers)
    # The SDK has no name for the temperature.
    ask = {"model": "claude-sonnet-5", "messages": SAY, "max_tokens": 20,
           "extra_body": {"temperature": 0}}
    if tools:
        ask.update(max_tokens=200, tool_choice={"type": "any"},
                   tools=[{"name": "get_weather", "input_schema": WEATHER}])
    if stream:
        with client.messages.stream(**ask) as told:
            if tools:
                message = told.get_final_message()
                return called(message.content[0].input)
            return said("".join(told.text_stream))
    message = client.messages.create(**ask)
    if isinstance(message, str):
        return "a text in place of an object"
    if not message.content:
        return "no content"
    return called(message.content[0].input) if tools else said(message.content[0].text)


CLIENTS = {"openai": openai_chat, "anthropic": anthropic_messages, "litellm": litellm_chat}


def world_of(client, case, stream):
    name = re.sub(r"[^a-z0-9]+", "-", f"{client}-{case}".lower())[:56].strip("-")
    return f"{name}.{'stream' if stream else 'whole'}"


def prepare(world):
    """A world of which nothing has been asked."""
    ADMIN.put(f"/admin/worlds/{world}", json={}).raise_for_status()


def asked(world):
    """How often it was asked in a world."""
    return ADMIN.get(f"/admin/worlds/{world}").raise_for_status().json()["requests"]


def meet(client, case, stream):
    """What a client does about a fault, how often it asks, and for how long."""
    world = world_of(client, case, stream)
    prepare(world)
    headers = {"x-belljar-run": world, "x-belljar-fault": case}
    timeout = SHORT if case in MEETS_TIMEOUT else LONG
    begin = time.monotonic()
    try:
        outcome = CLIENTS[client](headers, timeout, case in WITH_TOOLS, stream)
    except Exception as error:  # noqa: BLE001: whichever it is, it is what the table is about
        outcome = name_of(error)
    return outcome, asked(world), time.monotonic() - begin


# What the documentation of the SDKs says of errors and of retries; both SDKs of each language, and
# litellm where it says the same.
# https://github.com/openai/openai-python#handling-errors, #retries, #timeouts;
# https://github.com/openai/openai-node#handling-errors, #retries;
# https://docs.anthropic.com/en/api/client-sdks; https://docs.litellm.ai/docs/exception_mapping
CLASSES = {
    400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError",
    404: "NotFoundError", 409: "ConflictError", 422: "UnprocessableEntityError",
    429: "RateLimitError", 500: "InternalServerError", 503: "InternalServerError",
}
LITELLM = {400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError",
           404: "NotFoundError", 422: "UnprocessableEntityError", 429: "RateLimitError",
           500: "InternalServerError", 503: "ServiceUnavailableError"}
RETRIED = {408, 409, 429, 500, 503}
# What they do in these versions and their documentation says otherwise. Where that is mended, this
# run fails, and the line goes.
OTHERWISE = {("anthropic", 503): "ServiceUnavailableError", ("litellm", 403): "APIError",
             ("litellm", 422): "BadRequestError"}


def documented(client, case, outcome, count, took):
    """Whether a client does what its documentation says, as far as that says something."""
    def must(holds, what):
        assert holds, f"{client}, {case}: {outcome} after {count} requests, {took:.1f} s: {what}"

    status = re.match(r"status=(\d+)", case)
    classes = LITELLM if client == "litellm" else CLASSES
    if status and int(status[1]) in classes:
        code = int(status[1])
        name = OTHERWISE.get((client, code), classes[code])
        must(outcome == f"`{name}`", f"{name} is expected")
    if client == "litellm":
        return
    if status and ";code" not in case:
        tries = 3 if int(status[1]) in RETRIED or int(status[1]) > 500 else 1
        must(count == tries, f"{tries} requests are documented")
    if "retry-after=1" in case:
        must(took >= 2, "the server asked for a second before each retry")
    if case == "reset":
        must(outcome == "`APIConnectionError`" and count == 3, "a retried connection error is documented")
    if case in ("timeout=6s", "delay=6s"):
        names = {"`APITimeoutError`", "`APIConnectionTimeoutError`"}
        must(outcome in names and count == 3, "a retried time-out is documented")


def all_of_python():
    jobs = [(client, case, stream) for client in CLIENTS for case in CASES
            for stream in (False, True)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return dict(zip(jobs, pool.map(lambda job: meet(*job), jobs)))


def all_of_node():
    """The same by the SDK for Node, which is given the cases and gives what it has seen."""
    if NODE == "none":
        return None
    jobs = []
    for case in CASES:
        for stream in (False, True):
            world = world_of("node", case, stream)
            prepare(world)
            timeout = SHORT if case in MEETS_TIMEOUT else LONG
            jobs.append({"fault": case, "stream": stream, "world": world, "tools": case in WITH_TOOLS,
                         "timeout": timeout * 1000})
    made = subprocess.run(
        ["node", f"{NODE}/faults.mjs", URL], input=json.dumps({"said": SAID, "jobs": jobs}),
        env={**os.environ, "NODE_NO_WARNINGS": "1"}, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return {("node", job["fault"], job["stream"]): (it["outcome"], asked(job["world"]), it["took"])
            for job, it in zip(jobs, json.loads(made.stdout), strict=True)}


TITLES = {"openai": "Python `openai`", "anthropic": "Python `anthropic`", "litellm": "`litellm`",
          "node": "Node `openai`"}


def tables(results):
    def cell(client, case, stream):
        outcome, count, _ = results[client, case, stream]
        return outcome if count == 1 else f"{outcome}, asked {count} times"

    lines = []
    for stream, title in ((False, "In one piece:"), (True, "As a stream:")):
        lines += [title, "", "| fault | " + " | ".join(TITLES.values()) + " |",
                  "| --- " * (len(TITLES) + 1) + "|"]
        for case in CASES:
            cells = [cell(client, case, stream) for client in TITLES]
            lines.append(f"| `{case}` | " + " | ".join(cells) + " |")
        lines.append("")
    for (client, code), name in OTHERWISE.items():
        classes = LITELLM if client == "litellm" else CLASSES
        lines += [f"The documentation of {client} has `{classes[code]}` for {code}; it is `{name}`.", ""]
    return "\n".join(lines)


def main():
    covered()
    results = all_of_python()
    # One after the other: a machine that is busy with both is late where a time-out is short.
    results_of_node = all_of_node()
    results.update(results_of_node or {})
    for (client, case, _), result in results.items():
        documented(client, case, *result)
    if results_of_node is None:
        print("faults: node is not installed, so the page is not held against what was seen")
        return
    page = PAGE.read_text()
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    made = f"{before}{BEGIN}\n{tables(results)}{END}{after}"
    if "--write" in sys.argv:
        PAGE.write_text(made)
    elif made != page:
        old, new = page.splitlines(), made.splitlines()
        print("\n".join(f"- {line}" for line in old if line not in new))
        print("\n".join(f"+ {line}" for line in new if line not in old))
        sys.exit("faults: docs/testing.md is behind: run tests/clients/faults.py with --write")
    print(f"faults: {len(CASES)} faults met {len(TITLES)} clients in two ways, as the page says")


main()
