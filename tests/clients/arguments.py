"""What the fake model takes from a prompt: the arguments of its calls of tools, and the members of
answers that follow a schema, are what the prompt says, each in its place. Through the SDKs of OpenAI
and Anthropic, against a server that needs no key."""

import json
import re
import sys
import warnings

import anthropic
import jsonschema
import openai
import pydantic

# Names of models that the SDK says goodbye to are names here.
warnings.simplefilter("ignore", DeprecationWarning)
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="any", max_retries=0)
claude = anthropic.Anthropic(base_url=sys.argv[1], api_key="any", max_retries=0)

TEXT, INTEGER, NUMBER, TRUTH = [{"type": kind} for kind in ["string", "integer", "number", "boolean"]]
DATE = {"type": "string", "format": "date"}
EMAIL = {"type": "string", "format": "email"}
URI = {"type": "string", "format": "uri"}


def options(*values):
    return {"type": "string", "enum": list(values)}


def list_of(items):
    return {"type": "array", "items": items}


def record(properties):
    """An object that has all of these members and no other."""
    return {"type": "object", "properties": properties, "required": list(properties),
            "additionalProperties": False}


def tool(name, properties, description=None, **more):
    function = {"name": name, "parameters": record(properties), **more}
    if description:
        function["description"] = description
    return {"type": "function", "function": function}


CELSIUS = options("celsius", "fahrenheit")
WEATHER = tool("get_weather", {"city": TEXT, "unit": CELSIUS}, "Get the weather for a city")
STOCK = tool("get_stock_price", {"ticker": TEXT}, "Get the price of a stock")
MAIL = tool("send_email", {"to": TEXT, "subject": TEXT, "body": TEXT}, "Send an email")
TIME = tool("get_time", {"city": TEXT}, "Current time")
SEARCH = tool("search", {"query": TEXT})
# A tool for the weather, as the other two APIs have it.
RESPONSES_WEATHER = {"type": "function", "name": "get_weather", "parameters": record({"city": TEXT}),
                     "strict": True}
CLAUDE_WEATHER = {"name": "get_weather", "input_schema": record({"city": TEXT})}


def chat(prompt, **more):
    """The answer to a prompt, or to the last of several messages."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": messages, **more})


def respond(**more):
    return client.responses.create(**{"model": "gpt-4o", **more})


def message(messages, **more):
    return claude.messages.create(**{
        "model": "claude-sonnet-4-5", "max_tokens": 300, "messages": messages, **more})


def calls(prompt, tools, **more):
    """The names and the arguments of the calls that a prompt leads to."""
    answer = chat(prompt, tools=tools, **{"tool_choice": "required", **more})
    return [(call.function.name, json.loads(call.function.arguments))
            for call in answer.choices[0].message.tool_calls or []]


def has(pattern):
    """An expected text that may be written in more than one way."""
    return re.compile(pattern, re.I)


def fits(expected, came):
    """Whether a value is the one expected, or where that is a pattern, has it."""
    if isinstance(expected, re.Pattern):
        return bool(expected.search(came))
    if isinstance(expected, dict):
        return expected.keys() == came.keys() and all(fits(expected[name], came[name]) for name in came)
    return expected == came


def call_one_tool():
    for name, prompt, properties, expected in [
        ("book_hotel", "Book a hotel in Paris for 4 nights for 2 guests starting 2026-05-03.",
         {"city": TEXT, "nights": INTEGER, "guests": INTEGER, "check_in": DATE},
         {"city": "Paris", "nights": 4, "guests": 2, "check_in": "2026-05-03"}),
        ("find_hotels", "Find hotels in Lisbon between 80 and 150 euros with a pool",
         {"city": TEXT, "min_price": NUMBER, "max_price": NUMBER},
         {"city": "Lisbon", "min_price": 80, "max_price": 150}),
        ("search_flights", "Find me a flight from Berlin to New York on 2026-07-14, returning 2026-07-28, "
         "2 adults, business class.",
         {"origin": TEXT, "destination": TEXT, "departure_date": DATE, "return_date": DATE,
          "passengers": INTEGER, "cabin_class": options("economy", "premium", "business", "first")},
         {"origin": "Berlin", "destination": "New York", "departure_date": "2026-07-14",
          "return_date": "2026-07-28", "passengers": 2, "cabin_class": "business"}),
        ("send_email", "Send an email to bob@acme.com with subject 'Lunch' saying Let's meet at noon.",
         {"to": TEXT, "subject": TEXT, "body": TEXT},
         {"to": "bob@acme.com", "subject": "Lunch", "body": has("meet at noon")}),
        ("transfer", "Transfer 250.50 EUR to Max Mustermann, IBAN DE89370400440532013000, "
         "reference 'Rent May'.",
         {"amount": NUMBER, "currency": TEXT, "recipient": TEXT, "iban": TEXT, "reference": TEXT},
         {"amount": 250.5, "currency": "EUR", "recipient": "Max Mustermann",
          "iban": "DE89370400440532013000", "reference": "Rent May"}),
        ("schedule_call", "Schedule a call with Dr. Alice Jones at +1 415 555 0132 on March 5, 2026 "
         "at 3:30 pm about the budget.",
         {"name": TEXT, "phone": TEXT, "date": DATE, "time": TEXT, "topic": TEXT},
         {"name": has("Alice Jones"), "phone": has("415.?555.?0132"), "date": "2026-03-05",
          "time": has("(3|15):30"), "topic": has("budget")}),
        ("create_reminder", "Remind me to call mom tomorrow at 5pm", {"text": TEXT, "time": TEXT},
         {"text": has("call mom"), "time": has("5|17")}),
        ("create_event", "Create an event 'Standup' tomorrow at 10:00 with anna@x.org and ben@y.org",
         {"title": TEXT, "start": record({"time": TEXT}), "attendees": list_of(EMAIL)},
         {"title": "Standup", "start": {"time": has("10")}, "attendees": ["anna@x.org", "ben@y.org"]}),
        ("add_items", "Add milk, eggs and bread to my shopping list", {"items": list_of(TEXT)},
         {"items": ["milk", "eggs", "bread"]}),
        ("add", "Add 17 and 25", {"a": NUMBER, "b": NUMBER}, {"a": 17, "b": 25}),
        ("calculator", "What is 23 * 19?", {"expression": TEXT}, {"expression": has(r"^23 ?\* ?19$")}),
        ("web_search", "Search for the best pizza in Chicago", {"query": TEXT},
         {"query": has("pizza.* Chicago")}),
        ("translate", "Translate 'good morning' to French", {"text": TEXT, "target_language": TEXT},
         {"text": "good morning", "target_language": has("^fr(ench)?$")}),
        ("set_lights", "Turn off the kitchen lights", {"room": TEXT, "on": TRUTH},
         {"room": "kitchen", "on": False}),
        ("set_lights", "Turn on the bedroom lights", {"room": TEXT, "on": TRUTH},
         {"room": "bedroom", "on": True}),
        ("convert", "Convert 12 miles to kilometers",
         {"value": NUMBER, "from_unit": TEXT, "to_unit": TEXT},
         {"value": 12, "from_unit": has("^miles?$"), "to_unit": has("^kilometers?$")}),
        ("convert_currency", "Convert 100 USD to EUR",
         {"amount": NUMBER, "from_currency": TEXT, "to_currency": TEXT},
         {"amount": 100, "from_currency": "USD", "to_currency": "EUR"}),
        ("set_timer", "Set a timer for 25 minutes", {"duration_minutes": INTEGER},
         {"duration_minutes": 25}),
        ("get_weather", "Weather at latitude 48.85 and longitude 2.35",
         {"latitude": NUMBER, "longitude": NUMBER}, {"latitude": 48.85, "longitude": 2.35}),
        ("get_weather", "東京の天気は？", {"city": TEXT}, {"city": has("^(東京|Tokyo)$")}),
        ("get_weather", "Как погода в Москве?", {"city": TEXT}, {"city": has("^(Моск|Mosc)")}),
        ("get_weather", "ما هو الطقس في القاهرة؟", {"city": TEXT}, {"city": has("قاهرة|Cairo")}),
        ("fetch", "Fetch https://example.org/a?b=1 please", {"url": URI},
         {"url": "https://example.org/a?b=1"}),
        ("search", "Find red shoes under 50 dollars",
         {"query": TEXT, "max_price": {"type": ["number", "null"]},
          "color": {"anyOf": [TEXT, {"type": "null"}]}},
         {"query": has("shoes"), "max_price": 50, "color": "red"}),
    ]:
        came = calls(prompt, [tool(name, properties, strict=True)])
        assert len(came) == 1 and came[0][0] == name and fits(expected, came[0][1]), (prompt, came)
    order = record({"name": TEXT, "quantity": INTEGER})
    (_, came), = calls("Order 3 apples, 2 bananas and 1 melon.", [tool("order", {"items": list_of(order)})])
    things = [(item["name"].rstrip("s"), item["quantity"]) for item in came["items"]]
    assert things == [("apple", 3), ("banana", 2), ("melon", 1)], came


def call_a_tool_several_times():
    for prompt, called, name, expected in [
        ("What's the weather in Tokyo, Lima and Oslo in celsius?", WEATHER, "city",
         ["Tokyo", "Lima", "Oslo"]),
        ("Compare the weather in Berlin and Madrid.", WEATHER, "city", ["Berlin", "Madrid"]),
        ("¿Qué tiempo hace en Sevilla y en Bogotá?", WEATHER, "city", ["Sevilla", "Bogotá"]),
        ("Get the stock price for AAPL and MSFT", STOCK, "ticker", ["AAPL", "MSFT"]),
    ]:
        came = calls(prompt, [called])
        assert [given[name] for _, given in came] == expected, (prompt, came)
        came = calls(prompt, [called], parallel_tool_calls=False)
        assert len(came) == 1, (prompt, came)
    came = calls("What's the weather in Lima and Oslo in celsius?", [WEATHER])
    assert {given["unit"] for _, given in came} == {"celsius"}, came
    answer = chat("Weather in Rome and Oslo", tools=[WEATHER], n=2, tool_choice="required")
    assert [choice.finish_reason for choice in answer.choices] == ["tool_calls"] * 2, answer
    rome = "What is the weather in Rome and Oslo?"
    *_, last = events = list(respond(input=rome, tools=[RESPONSES_WEATHER], stream=True))
    came = [json.loads(event.arguments) for event in events
            if event.type == "response.function_call_arguments.done"]
    assert came == [{"city": "Rome"}, {"city": "Oslo"}], came
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "17 C and windy"}
               for call in last.response.output]
    came = respond(previous_response_id=last.response.id, tools=[RESPONSES_WEATHER], input=results)
    assert "17" in came.output_text, came.output_text
    with claude.messages.stream(
            model="claude-sonnet-4-5", max_tokens=3000, tools=[CLAUDE_WEATHER], stop_sequences=["ZZZ"],
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=[{"role": "user", "content": rome}]) as stream:
        final = stream.get_final_message()
    assert final.content[0].type == "thinking" and final.stop_reason == "tool_use", final
    came = [block.input for block in final.content if block.type == "tool_use"]
    assert came == [{"city": "Rome"}, {"city": "Oslo"}], came


def choose_among_tools():
    for prompt, expected in [
        ("What is the price of the stock TSLA?", ["get_stock_price"]),
        ("Please email sue@x.org that I am late", ["send_email"]),
        ("How is the weather in Quito today?", ["get_weather"]),
        ("Tell me a joke", []),
    ]:
        came = calls(prompt, [WEATHER, STOCK, MAIL], tool_choice="auto")
        assert [name for name, _ in came] == expected, (prompt, came)
    table = tool("book_table", {"restaurant": TEXT, "people": INTEGER, "time": TEXT},
                 "Book a restaurant table")
    came = dict(calls("Book a table for 6 at Luigi's at 19:30 and tell me the weather in Naples.",
                      [WEATHER, TIME, table]))
    assert came.keys() == {"book_table", "get_weather"}, came
    assert came["get_weather"]["city"] == "Naples" and came["book_table"]["people"] == 6, came
    assert "Luigi" in came["book_table"]["restaurant"] and "19:30" in came["book_table"]["time"], came
    answer = chat("Weather in Rome?", tools=[WEATHER], tool_choice="none").choices[0].message
    assert answer.content and not answer.tool_calls, answer
    answer = chat("Weather in Rome", functions=[WEATHER["function"]], function_call={"name": "get_weather"})
    assert answer.choices[0].message.function_call.name == "get_weather", answer
    numbers = [{"name": "a", "input_schema": record({"x": TEXT})},
               {"name": "b", "input_schema": record({"n": INTEGER})}]
    answer = message([{"role": "user", "content": "Use 12"}], tools=numbers,
                     tool_choice={"type": "tool", "name": "b"})
    came = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
    assert came == [("b", {"n": 12})], answer.content


def stream_the_one_tool_that_is_allowed():
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    chunks = list(chat(
        "What time is it in Rome and Athens?", tools=[WEATHER, TIME, SEARCH], stream=True,
        parallel_tool_calls=False, tool_choice={"type": "allowed_tools", "allowed_tools": allowed}))
    parts = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert {part.index for part in parts} == {0} and parts[0].function.name == "get_time", parts
    came = json.loads("".join(part.function.arguments or "" for part in parts))
    assert came["city"] in ("Rome", "Athens"), came
    assert chunks[-1].choices[0].finish_reason == "tool_calls", chunks[-1]


def call_a_tool_by_grammar():
    answer = chat("Run print(1)", tool_choice="required",
                  tools=[{"type": "custom", "custom": {"name": "code_exec"}}])
    assert answer.choices[0].message.tool_calls[0].custom.input, answer
    sums = {"type": "grammar", "syntax": "regex", "definition": "[0-9]+ [+*] [0-9]+"}
    answer = respond(model="gpt-5", input="Compute", tool_choice="required",
                     tools=[{"type": "custom", "name": "calc", "format": sums}])
    came = next(item.input for item in answer.output if item.type == "custom_tool_call")
    assert re.fullmatch(sums["definition"], came), came


def run_out_of_tokens_in_a_call():
    answer = chat("Weather in Rome", tools=[WEATHER], tool_choice="required", max_tokens=3)
    assert answer.choices[0].finish_reason == "length", answer
    assert answer.usage.completion_tokens <= 3, answer.usage


def tell_what_tools_said():
    """Results are in the answer, and a question that goes on from them calls the tool again."""
    turns = [{"role": "user", "content": "Weather in Rome?"}]
    called = chat(turns, tools=[WEATHER]).choices[0].message
    turns += [called, {"role": "tool", "tool_call_id": called.tool_calls[0].id,
                       "content": json.dumps({"temperature": 31, "condition": "sunny"})}]
    came = chat(turns, tools=[WEATHER]).choices[0].message.content
    assert "31" in came and "sunny" in came.lower(), came
    turns += [{"role": "assistant", "content": came}, {"role": "user", "content": "And in Milan?"}]
    (_, given), = calls(turns, [WEATHER])
    assert given["city"] == "Milan", given
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": "service down"}
    came = message([turns[0], {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}],
                   tools=[CLAUDE_WEATHER]).content[0].text
    assert "service down" in came.lower() or "error" in came.lower(), came


def fill(prompt, schema, **more):
    """The answer to a prompt, which follows a schema."""
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    return chat(prompt, response_format=wanted, **more)


def extract_from_a_prompt():
    feelings = {"sentiment": options("positive", "negative", "neutral")}
    for prompt, properties, expected in [
        ("Extract: John Smith, 42, lives at 12 Main Street, Springfield. Email john@smith.com, "
         "phone 555-123-4567.",
         {"name": TEXT, "age": INTEGER, "email": TEXT, "phone": TEXT, "city": TEXT, "address": TEXT},
         {"name": "John Smith", "age": 42, "email": "john@smith.com", "phone": "555-123-4567",
          "city": "Springfield", "address": has("12 Main Street")}),
        ("The movie was terrible, I hated it.", feelings, {"sentiment": "negative"}),
        ("I love this product, it is amazing!", feelings, {"sentiment": "positive"}),
        ("Alice and Bob are going to a science fair on Friday.",
         {"name": TEXT, "date": TEXT, "participants": list_of(TEXT)},
         {"name": has("science fair"), "date": has("Friday"), "participants": ["Alice", "Bob"]}),
        ("Meeting with Eva on 14 March 2026 at 9am in Vienna",
         {"title": TEXT, "date": DATE, "time": TEXT, "location": TEXT, "attendees": list_of(TEXT)},
         {"title": has("."), "date": "2026-03-14", "time": has("9"), "location": "Vienna",
          "attendees": ["Eva"]}),
        ("Invoice INV-2043 from Acme Corp, total $1,249.50, due 2026-04-30.",
         {"invoice_number": TEXT, "company": TEXT, "total": NUMBER, "currency": TEXT, "due_date": DATE},
         {"invoice_number": "INV-2043", "company": has("Acme"), "total": 1249.5,
          "currency": has(r"^(USD|\$)$"), "due_date": "2026-04-30"}),
    ]:
        came = json.loads(fill(prompt, record(properties)).choices[0].message.content)
        assert fits(expected, came), (prompt, came)
    step = record({"explanation": TEXT, "output": TEXT})
    came = json.loads(fill("Solve 8x + 7 = -23", record({
        "steps": list_of(step), "final_answer": TEXT})).choices[0].message.content)
    assert came["steps"] and came["final_answer"], came
    came = json.loads(chat(
        "Give me a JSON object with the keys name, age and email for Alice, 30, alice@x.org",
        response_format={"type": "json_object"}).choices[0].message.content)
    assert came == {"name": "Alice", "age": 30, "email": "alice@x.org"}, came
    answer = message(
        [{"role": "user", "content": "Extract: Jane Roe <jane@roe.org>"}],
        output_config={"format": {"type": "json_schema", "schema": record({"name": TEXT, "email": TEXT})}})
    came = json.loads(answer.content[0].text)
    assert came == {"name": "Jane Roe", "email": "jane@roe.org"}, came


class Person(pydantic.BaseModel):
    name: str
    age: int


def parse_into_a_model():
    ann = client.responses.parse(model="gpt-4o", input="Ann is 33 years old", text_format=Person)
    assert ann.output_parsed == Person(name="Ann", age=33), ann.output_parsed
    bob = client.chat.completions.parse(
        model="gpt-4o", messages=[{"role": "user", "content": "Bob is 41 years old"}],
        response_format=Person).choices[0].message
    assert bob.parsed == Person(name="Bob", age=41), bob


def make_up_a_customer():
    """What no prompt says is made up, and is what its name says."""
    came = json.loads(fill("Make up a customer.", record({
        "name": TEXT, "email": EMAIL, "phone": TEXT, "birthday": DATE, "iban": TEXT, "currency": TEXT,
        "url": TEXT, "age": INTEGER, "price": NUMBER})).choices[0].message.content)
    for name, pattern in [
        ("name", r"\w{2,} \w{2,}"), ("email", r"[^@\s]+@[^@\s]+\.\w+"), ("phone", r".*\d{3}.*"),
        ("birthday", r"(19\d\d|200\d|201[0-4])-\d\d-\d\d"), ("currency", "[A-Z]{3}"), ("url", "https?://.+"),
    ]:
        assert re.fullmatch(pattern, came[name]), (name, came)
    assert 0 < came["age"] < 120 and came["price"] > 0, came
    iban = came["iban"].replace(" ", "")
    digits = "".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])
    assert int(digits) % 97 == 1, iban


def stream_a_tree():
    """A schema that refers to itself comes to an end, and says the same in pieces."""
    node = record({"value": TEXT, "children": list_of({"$ref": "#/$defs/node"})})
    tree = {**record({"tree": {"$ref": "#/$defs/node"}}), "$defs": {"node": node}}
    chunks = fill("A tree", tree, stream=True)
    came = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    jsonschema.validate(json.loads(came), tree)
    events = list(respond(input="A tree", stream=True, text={
        "format": {"type": "json_schema", "name": "tree", "strict": True, "schema": tree}}))
    came = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    jsonschema.validate(json.loads(came), tree)
    assert events[-1].response.output_text == came, events[-1]
    cut = fill("A tree", tree, max_tokens=3).choices[0]
    assert cut.finish_reason == "length", cut


call_one_tool()
call_a_tool_several_times()
choose_among_tools()
stream_the_one_tool_that_is_allowed()
call_a_tool_by_grammar()
run_out_of_tokens_in_a_call()
tell_what_tools_said()
extract_from_a_prompt()
parse_into_a_model()
make_up_a_customer()
stream_a_tree()
print("what the fake model takes from prompts ok")
