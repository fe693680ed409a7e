"""Goes on with a text, word by word, as the words in assets/words.txt follow one another."""

# Imports belong here, at the top: what is imported later may not be there.
from belljar_guest import InvalidInput, assets, load, text

# What `load` leaves here is where each request starts: the words that follow each word.
followers = {}


@load
def read_words():
    words = assets.read_text("words.txt").split()
    for word, follower in zip(words, words[1:] + words[:1]):
        followers.setdefault(word, []).append(follower)


@text
def go_on(request):
    said = request.last_user_text.split()
    if not said:
        raise InvalidInput("say something first")
    # Equal requests with equal seeds get equal answers.
    state = (request.seed or 0) & 0xFFFFFFFF
    word = said[-1]
    while True:
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        choices = followers.get(word) or list(followers)
        word = choices[(state >> 8) % len(choices)]
        # Each piece is on its way before the next one is asked for.
        yield word + " "
        if word.endswith("."):
            return
