"""What the fake model says: an answer has the words, the length, the form and the language that its
prompt asks for, takes up what was said before, and is the same in pieces as in one piece. Through
the SDKs of OpenAI and Anthropic, against a server that needs no key."""

import ast
import base64
import re
import struct
import sys
import time
import warnings

import anthropic
import httpx2 as httpx
import openai

import media

# Names of models that the SDK says goodbye to are names here.
warnings.simplefilter("ignore", DeprecationWarning)
URL = sys.argv[1]
client = openai.OpenAI(base_url=URL + "/v1", api_key="any", max_retries=0)
claude = anthropic.Anthropic(base_url=URL, api_key="any", max_retries=0)
http = httpx.Client(base_url=URL, timeout=60)
INSTRUCT = "gpt-3.5-turbo-instruct"
SMALL = "text-embedding-3-small"

ARABIC, CHINESE, CYRILLIC = "\u0600-\u06ff", "\u4e00-\u9fff", "\u0400-\u04ff"
HANGUL, HINDI, KANA = "\uac00-\ud7a3", "\u0900-\u097f", "\u3040-\u30ff"
GERMAN, SPANISH = {"der", "die", "das", "und", "ist"}, {"el", "la", "de", "que", "los"}
FRENCH, ITALIAN = {"le", "la", "les", "de", "du"}, {"di", "che", "la", "il"}
PORTUGUESE = {"de", "que", "o", "a"}


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def chat(prompt, **more):
    """The answer to a prompt, or to the last of several messages."""
    messages = [user(prompt)] if isinstance(prompt, str) else prompt
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": messages, **more})


def say(prompt, **more):
    return chat(prompt, **more).choices[0].message.content


def respond(**more):
    return client.responses.create(**{"model": "gpt-4o", **more})


def say_as_claude(messages, **more):
    message = claude.messages.create(**{
        "model": "claude-sonnet-4-5", "max_tokens": 200, "messages": messages, **more})
    return message.content[0].text


def streamed(chunks):
    """The texts of a stream of chat completions, by the index of their choice."""
    texts = {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    return texts


def tokens(text, model="gpt-4o"):
    return http.post("/tokenize", json={"model": model, "prompt": text}).json()["tokens"]


def bare(text):
    """An answer without the marks that may stand around a word."""
    return text.strip("\"'. 。\n")


def sentences(text):
    return len(re.findall(r"[.!?](?:\s|$)", text))


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def share(script, text):
    """How much of the letters of a text is of this script."""
    return len(re.findall(f"[{script}]", text)) / len(re.findall(r"\w", text))


def ask_for_exact_words():
    for prompt, expected in [
        ("Reply with exactly: PONG", "PONG"),
        ("Say 'hello world' and nothing else.", "hello world"),
        ("Respond with only the word yes.", "yes"),
        ("Answer with exactly the text: ABC-123 xyz!", "ABC-123 xyz!"),
        ('Output exactly "42" and nothing more', "42"),
        ("Repeat after me: the quick brown fox", "the quick brown fox"),
        ("Please reply with just OK", "OK"),
        ("Echo this back: foo bar", "foo bar"),
        ("Return only the string `done`", "done"),
        ("Say exactly: I am ready.", "I am ready."),
        ("Reply with the single word banana", "banana"),
        ("Reply with exactly 'HELLO WORLD' in uppercase", "HELLO WORLD"),
        ("Write only: 7", "7"),
        ("请只回复“好的”", "好的"),
        ("「はい」とだけ答えてください", "はい"),
        ("Antworte nur mit dem Wort Ja.", "Ja"),
        ("Réponds uniquement par oui", "oui"),
        ("Responde solo con la palabra sol", "sol"),
    ]:
        came = say(prompt)
        assert came == expected or bare(came) == expected, (prompt, came)
    hello = [user("Hello!")]
    came = say([{"role": "system", "content": "You only ever answer with the word 'pineapple'."}, *hello])
    assert bare(came).lower() == "pineapple", came
    came = respond(instructions="Reply with exactly: OK", input="Hello!").output_text
    assert came == "OK", came
    came = say_as_claude(hello, system="Reply with exactly: AYE")
    assert came == "AYE", came


def ask_for_one_of_several_words():
    for prompt, allowed in [
        ("Answer yes or no: is water wet?", {"yes", "no"}),
        ("Is Paris in France? Reply only yes or no.", {"yes", "no"}),
        ("Classify the sentiment of 'I love it' as positive, negative or neutral. "
         "Answer with one word.", {"positive", "negative", "neutral"}),
        ("In one word, what is the capital of Japan?", {"tokyo"}),
    ]:
        came = say(prompt)
        assert bare(came).lower() in allowed, (prompt, came)


def ask_for_a_length():
    for prompt, expected in [
        ("Answer in exactly three words: what is the sea?", 3),
        ("In exactly five words, describe summer.", 5),
        ("Describe Paris in 7 words.", 7),
        ("Use exactly ten words to describe a dog.", 10),
        ("Write exactly 100 words on cats.", 100),
    ]:
        came = say(prompt)
        assert len(came.split()) == expected, (prompt, len(came.split()), came)
    for prompt, expected in [
        ("Describe the moon in exactly two sentences.", 2),
        ("Write 3 sentences about tea.", 3),
        ("Give me one sentence about rain.", 1),
        ("Summarize in one sentence: The cat sat on the mat. It was a sunny day.", 1),
    ]:
        came = say(prompt)
        assert sentences(came) == expected, (prompt, sentences(came), came)
    came = say("Write about 500 words about whales.", max_tokens=3000)
    assert 350 < len(came.split()) < 700, len(came.split())


def ask_for_more_than_there_is_room_for():
    answer = chat("Write a very long essay about the history of trains.", max_tokens=1500)
    choice = answer.choices[0]
    assert (answer.usage.completion_tokens, choice.finish_reason) == (1500, "length"), answer.usage
    said = [one for one in re.split(r"(?<=[.!?])\s+", choice.message.content) if len(one) > 20]
    assert len(said) == len(set(said)), "an essay repeats itself"
    essay = {"input": "Write a very long essay.", "max_output_tokens": 20}
    answer = respond(**essay)
    assert answer.incomplete_details.reason == "max_output_tokens", answer
    assert answer.usage.output_tokens == 20, answer.usage
    assert list(respond(**essay, stream=True))[-1].type == "response.incomplete"
    answer = chat("Think hard: why is the sky blue?", model="o3", max_completion_tokens=50)
    assert answer.usage.completion_tokens <= 50, answer.usage


def ask_for_a_form():
    for prompt, mark, lines in [
        ("List 5 fruits as bullet points.", r"^[-*] ", 5),
        ("Give me a numbered list of 4 steps to make tea.", r"^\d+\. ", 4),
        ("اكتب قائمة من ثلاثة أسباب", r"^(?:\d+\.|[-*]) ", 3),
        ("写一个关于春天的五点列表", r"^(?:\d+\.|[-*]) ", 5),
        ("Make a markdown table with columns Name, Age and City with 3 rows.", r"^\|", 5),
        ("Write a haiku about autumn", r"^.*\S", 3),
    ]:
        came = say(prompt)
        assert len(re.findall(mark, came, re.M)) == lines, (prompt, came)
    came = say("Make a markdown table with columns Name, Age and City with 3 rows.")
    head, rule = [line for line in came.splitlines() if line.startswith("|")][:2]
    assert words(head) == {"name", "age", "city"} and set(rule) <= set("|-: "), came
    came = say("Write a short article about solar power with headings.")
    assert re.search(r"^#+ ", came, re.M), came
    came = say("Count from 1 to 10")
    assert words(came) >= {str(number) for number in range(1, 11)}, came


def ask_for_code():
    for prompt, language, expected in [
        ("Write a Python function that adds two numbers.", "python", "def "),
        ("Write a JavaScript function to reverse a string", "javascript", "function"),
        ("Give me an SQL query that selects all users", "sql", "SELECT"),
        ("Write a Rust function that computes the factorial.", "rust", "fn "),
        ("Write a bash script that lists files", "bash", "#!"),
    ]:
        came = say(prompt)
        block = re.search(rf"```{language}\n(.*?)```", came, re.S)
        assert block and expected in block[1], (prompt, came)
        if language == "python":
            ast.parse(block[1])


def ask_in_a_language():
    for prompt, script, least in [
        ("أخبرني عن البحر", ARABIC, 0.6),
        ("请告诉我关于大海的事情。", CHINESE, 0.6),
        ("海について教えてください。", KANA, 0.3),
        ("मुझे समुद्र के बारे में बताओ।", HINDI, 0.6),
        ("Расскажи мне о море.", CYRILLIC, 0.6),
        ("바다에 대해 말해 주세요.", HANGUL, 0.6),
        ("Reply in the same language: ما هو البحر وكيف يتغير مع الفصول؟", ARABIC, 0.5),
        ("Answer in Japanese: what is the sea?", KANA, 0.3),
        ("Respond in Russian. What is a cat?", CYRILLIC, 0.5),
    ]:
        came = say(prompt)
        assert share(script, came) > least, (prompt, came)
    for prompt, usual in [
        ("Parle-moi de la mer.", FRENCH),
        ("Erzähl mir etwas über das Meer.", GERMAN),
        ("Antworte auf Deutsch: what is love?", GERMAN),
        ("Háblame del mar.", SPANISH),
        ("Fale-me sobre o mar.", PORTUGUESE),
        ("Parlami del mare.", ITALIAN),
    ]:
        came = say(prompt)
        assert words(came) & usual, (prompt, came)
    moon = [user("Tell me about the moon.")]
    came = say([{"role": "system", "content": "Always answer in Spanish."}, *moon])
    assert words(came) & SPANISH, came
    came = respond(instructions="Always answer in French.", input=moon).output_text
    assert words(came) & FRENCH, came
    came = say_as_claude(moon, system=[{"type": "text", "text": "You answer in German."}])
    assert words(came) & GERMAN, came


def ask_for_a_translation():
    for prompt, expected in [
        ("Translate 'thank you' to Spanish", "gracias"),
        ("Translate hello to German", "hallo"),
        ("Translate 'good morning' to French", "bonjour"),
        ("How do you say good night in Italian?", "buonanotte"),
        ("Übersetze 'Danke' ins Englische", "thank"),
    ]:
        came = say(prompt)
        assert expected in came.lower().replace("buona notte", "buonanotte"), (prompt, came)


def ask_for_what_is_known():
    for prompt, expected in [
        ("What is 2+2?", {"4"}),
        ("What is 17 * 23?", {"391"}),
        ("Calculate 100 - 58", {"42"}),
        ("What is 144 divided by 12?", {"12"}),
        ("What is the capital of France?", {"paris"}),
        ("Tell me about quantum chromodynamics.", {"chromodynamics"}),
        ("Summarize in one sentence: The cat sat on the mat. It was a sunny day.", {"cat"}),
    ]:
        came = say(prompt)
        assert words(came) >= expected, (prompt, came)


def go_on_with_a_conversation():
    named = [user("My name is Zebedee."), assistant("Nice to meet you."), user("What is my name?")]
    for came in [say(named), respond(input=named).output_text, say_as_claude(named)]:
        assert "Zebedee" in came, came
    first = respond(input="My name is Otto.")
    came = respond(input="What is my name?", previous_response_id=first.id).output_text
    assert "Otto" in came, came
    talk = client.conversations.create(items=[{"type": "message", **user("I am called Mia.")}])
    came = respond(input="What is my name?", conversation=talk.id).output_text
    assert "Mia" in came, came
    client.conversations.delete(talk.id)
    turns = [user("Tell me about penguins.")]
    said = say(turns)
    more = say([*turns, assistant(said), user("Tell me more.")])
    assert more != said and "penguin" in more.lower(), (said, more)


def repeat_with_a_seed():
    """The same seed says the same, another one says something else, and at no temperature all do."""
    story = "Tell me a story"
    first = chat(story, seed=7)
    assert first.system_fingerprint and say(story, seed=7) == first.choices[0].message.content
    assert len({say(story, seed=seed, temperature=0) for seed in range(4)}) == 1
    assert len({say(story, seed=seed, temperature=1.3) for seed in range(4)}) == 4


def stop_at_a_word():
    ships = {"seed": 3, "max_tokens": 80}
    whole = say("Tell me about ships.", **ships)
    # It begins and ends inside of words, so that no piece of a stream is all of it.
    stop = whole[30:37]
    before = whole[:whole.index(stop)]
    choice = chat("Tell me about ships.", stop=[stop], **ships).choices[0]
    assert (choice.message.content, choice.finish_reason) == (before, "stop"), choice
    assert streamed(chat("Tell me about ships.", stop=[stop], stream=True, **ships))[0] == before
    message = claude.messages.create(
        model="claude-sonnet-4-5", max_tokens=500, messages=[user("Count from 1 to 20")],
        stop_sequences=["7"])
    came = message.content[0].text
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "7"), message
    assert "6" in came and "7" not in came, came


def stream_several_answers():
    """Each is what it is in one piece, and its tokens are all of its text."""
    asked = {"n": 3, "seed": 5, "temperature": 0.7, "max_tokens": 60, "stop": ["."],
             "logprobs": True, "top_logprobs": 2}
    whole = {choice.index: choice for choice in chat("Tell me about mountains.", **asked).choices}
    chunks = list(chat("Tell me about mountains.", stream=True,
                       stream_options={"include_usage": True}, **asked))
    texts, told = streamed(chunks), {index: [] for index in whole}
    for chunk in chunks:
        for choice in chunk.choices:
            told[choice.index] += (choice.logprobs and choice.logprobs.content) or []
    assert texts == {index: choice.message.content for index, choice in whole.items()}, texts
    assert len(set(texts.values())) == 3, texts
    for index, text in texts.items():
        assert "." not in text, text
        assert "".join(token.token for token in told[index]).startswith(text), (text, told[index])
        assert told[index] == whole[index].logprobs.content, index
        assert all(len(token.top_logprobs) == 2 for token in told[index]), told[index]
        for token in told[index]:
            likely = [other.logprob for other in token.top_logprobs]
            assert token.logprob <= 0 and likely == sorted(likely, reverse=True), token
    last = chunks[-1]
    # Where a stop string is cut out, its token is counted and not told.
    assert last.choices == [] and all(chunk.usage is None for chunk in chunks[:-1]), last
    assert abs(last.usage.completion_tokens - sum(map(len, told.values()))) <= 3, last.usage
    assert len({chunk.id for chunk in chunks}) == 1
    assert "\ufffd" not in streamed(chat("请告诉我关于大海的事情。😀", stream=True))[0]
    answer = respond(input="hello", include=["message.output_text.logprobs"], top_logprobs=3)
    told = answer.output[0].content[0].logprobs
    assert "".join(token.token for token in told) == answer.output_text, answer
    assert all(len(token.top_logprobs) == 3 for token in told), told


def force_a_token():
    yes, no = tokens("Yes")[0], tokens("No")[0]
    came = say("Is it?", max_tokens=1, logit_bias={yes: 100, no: 100})
    assert came in ("Yes", "No"), came


def complete_texts():
    answer = client.completions.create(model=INSTRUCT, prompt=["Once", "Twice"], n=2, best_of=3,
                                       echo=True, logprobs=2, max_tokens=6, seed=1)
    begun = [(choice.index, choice.text[:4]) for choice in answer.choices]
    assert begun == [(0, "Once"), (1, "Once"), (2, "Twic"), (3, "Twic")], begun
    told = answer.choices[0].logprobs
    assert len(told.tokens) == len(told.token_logprobs) == len(told.text_offset), told
    assert told.token_logprobs[0] is None and "".join(told.tokens) == answer.choices[0].text, told
    chunks = list(client.completions.create(model=INSTRUCT, prompt=["a", "b"], n=2, stream=True,
                                            max_tokens=5, stream_options={"include_usage": True}))
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1, 2, 3}
    assert chunks[-1].usage.completion_tokens == 20, chunks[-1]
    answer = client.completions.create(model=INSTRUCT, prompt="def add(a, b):", max_tokens=20,
                                       suffix="\nprint(add(1, 2))")
    assert answer.choices[0].text, answer


def send_tokens_for_text():
    said = "Say this is a test"
    prompt = tokens(said, INSTRUCT)
    answer = client.completions.create(model=INSTRUCT, prompt=prompt, max_tokens=4, echo=True)
    assert answer.choices[0].text.startswith(said), answer
    assert answer.usage.prompt_tokens == len(prompt), answer.usage
    answer = client.completions.create(model=INSTRUCT, prompt=[prompt, prompt], max_tokens=4)
    assert len(answer.choices) == 2, answer
    one = client.embeddings.create(model=SMALL, input=[tokens("hello world", SMALL)])
    other = client.embeddings.create(model=SMALL, input="hello world")
    assert distance(one.data[0].embedding, other.data[0].embedding) < 1e-6
    assert one.usage.prompt_tokens == 2, one.usage
    back = {"model": "gpt-4o", "tokens": tokens("héllo 世界")}
    assert http.post("/detokenize", json=back).json()["prompt"] == "héllo 世界"


def product(one, other):
    return sum(x * y for x, y in zip(one, other))


def distance(one, other):
    return max(abs(x - y) for x, y in zip(one, other))


def look_for_what_is_near():
    """What means something alike is nearer than what does not, to embeddings as to other scores."""
    for near, nearer, far in [
        ("How do I reset my password?", "Steps to recover a forgotten password",
         "Best pizza recipe with mozzarella"),
        ("Der Hund schläft", "Hunde schlafen viel", "Aktienkurse steigen"),
    ]:
        vectors = client.embeddings.create(model="text-embedding-3-large", input=[near, nearer, far])
        first, second, third = [one.embedding for one in vectors.data]
        assert product(first, second) > product(first, third) + 0.05, (near, nearer, far)
    asked = {"model": SMALL, "input": ["a", "b"], "dimensions": 256}
    told = http.post("/v1/embeddings", json={**asked, "encoding_format": "base64"}).json()
    for packed, plain in zip(told["data"], http.post("/v1/embeddings", json=asked).json()["data"]):
        vector = struct.unpack("<256f", base64.b64decode(packed["embedding"]))
        assert abs(product(vector, vector) - 1) < 1e-4, product(vector, vector)
        assert distance(vector, plain["embedding"]) < 1e-6
    found = http.post("/v1/rerank", json={
        "model": "fake", "query": "capital of France", "top_n": 2, "documents": [
            "Berlin is in Germany", "Paris is the capital of France", "Bananas are yellow"]}).json()
    assert len(found["results"]) == 2 and found["results"][0]["index"] == 1, found
    scores = http.post("/v1/score", json={
        "model": "fake", "text_1": "cats", "text_2": ["cats and dogs", "rain"]}).json()["data"]
    assert scores[0]["score"] > scores[1]["score"], scores


def moderate():
    answer = client.moderations.create(input=["I want to kill them all", "What a lovely day"])
    assert [result.flagged for result in answer.results] == [True, False], answer
    assert answer.results[0].category_scores.violence > 0.5, answer
    answer = client.moderations.create(input=[
        {"type": "text", "text": "I will murder you"}, media.image_part(1, 1)])
    assert [result.flagged for result in answer.results] == [True], answer


def show_pictures():
    """Their size is told, and it is counted."""
    came = say([user([{"type": "text", "text": "What is in this image?"}, media.image_part(640, 480)])])
    assert "640" in came and "480" in came, came
    low, high = [chat([user([media.image_part(2048, 1024, detail=detail)])]).usage.prompt_tokens
                 for detail in ["low", "high"]]
    assert 85 <= low < 110 and low < high, (low, high)
    count = claude.messages.count_tokens(model="claude-sonnet-4-5", messages=[
        user([media.image_block(1000, 1000), {"type": "text", "text": "hi"}])]).input_tokens
    assert 1200 < count < 1500, count


def speak_and_listen():
    sound = {"type": "input_audio", "input_audio": {"data": media.wav(seconds=3), "format": "wav"}}
    answer = chat([user([{"type": "text", "text": "What is said?"}, sound])], model="gpt-4o-audio-preview")
    assert answer.usage.prompt_tokens_details.audio_tokens > 0, answer.usage
    assert "3" in answer.choices[0].message.content, answer
    answer = chat("Say hi", model="gpt-4o-audio-preview", modalities=["text", "audio"],
                  audio={"voice": "alloy", "format": "wav"})
    audio = answer.choices[0].message.audio
    assert audio.transcript and audio.expires_at > time.time(), audio
    assert base64.b64decode(audio.data).startswith(b"RIFF"), audio.data[:20]


def hand_over_a_file():
    data = "data:application/pdf;base64," + media.PDF
    came = say([user([{"type": "text", "text": "Summarize the file."}, {
        "type": "file", "file": {"filename": "report.pdf", "file_data": data}}])])
    assert "report.pdf" in came or "Annual Report" in came, came
    came = respond(input=[user([
        {"type": "input_text", "text": "Summarize the file."},
        {"type": "input_file", "filename": "report.pdf", "file_data": data}])]).output_text
    assert "report.pdf" in came or "Annual Report" in came, came
    source = {"type": "base64", "media_type": "application/pdf", "data": media.PDF}
    came = say_as_claude([user([
        {"type": "document", "title": "report.pdf", "source": source},
        {"type": "text", "text": "Summarize the file."}])])
    assert "report.pdf" in came or "Annual Report" in came, came


ask_for_exact_words()
ask_for_one_of_several_words()
ask_for_a_length()
ask_for_more_than_there_is_room_for()
ask_for_a_form()
ask_for_code()
ask_in_a_language()
ask_for_a_translation()
ask_for_what_is_known()
go_on_with_a_conversation()
repeat_with_a_seed()
stop_at_a_word()
stream_several_answers()
force_a_token()
complete_texts()
send_tokens_for_text()
look_for_what_is_near()
moderate()
show_pictures()
speak_and_listen()
hand_over_a_file()
print("what the fake model says ok")
