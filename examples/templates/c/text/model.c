/* Goes on with a text, word by word, as the words in assets/words.txt follow one another. */
#define BELLJAR_TEXT
#include "belljar.h"

/* What `load` leaves here is where each request starts: all words, in the order of the text. */
static belljar_view *words;
static size_t count;

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static bool same(belljar_view one, belljar_view other) {
  return one.length == other.length && memcmp(one.at, other.at, one.length) == 0;
}

/* The word that begins at `from` or after it; empty at the end of the text. */
static belljar_view next_word(belljar_view text, size_t from) {
  while (from < text.length && is_space(text.at[from])) from++;
  size_t end = from;
  while (end < text.length && !is_space(text.at[end])) end++;
  return (belljar_view){text.at + from, end - from};
}

bool belljar_load(belljar_error *error) {
  belljar_bytes bytes;
  if (!belljar_read_asset("words.txt", &bytes, error)) return false;
  belljar_view text = {(const char *)bytes.at, bytes.length};
  words = belljar_memory((bytes.length / 2 + 1) * sizeof *words);
  for (belljar_view word = next_word(text, 0); word.length > 0;
       word = next_word(text, (size_t)(word.at - text.at) + word.length)) {
    words[count++] = word;
  }
  if (count == 0) return belljar_failed(error, "words.txt has no words");
  return true;
}

/* An answer: the word that was last, and where chance stands. */
typedef struct {
  belljar_view word;
  uint32_t state;
  bool finished;
} answer;

bool belljar_start(const belljar_request *request, void **made, belljar_error *error) {
  belljar_view said = belljar_last_user_text(request), last = {"", 0};
  for (belljar_view word = next_word(said, 0); word.length > 0;
       word = next_word(said, (size_t)(word.at - said.at) + word.length)) {
    last = word;
  }
  if (last.length == 0) return belljar_invalid_input(error, "say something first");
  answer *fresh = belljar_memory(sizeof *fresh);
  fresh->word = last;
  /* Equal requests with equal seeds get equal answers. */
  fresh->state = (uint32_t)belljar_seed(request, 0);
  *made = fresh;
  return true;
}

belljar_step belljar_next(void *made, belljar_piece *piece, belljar_error *error) {
  (void)error;
  answer *now = made;
  if (now->finished) return BELLJAR_END;
  now->state = now->state * 1664525u + 1013904223u;
  size_t places = 0;
  for (size_t i = 0; i < count; i++) places += same(words[i], now->word);
  /* A word that nothing follows is followed by any. */
  bool known = places > 0;
  size_t chosen = (now->state >> 8) % (known ? places : count);
  for (size_t i = 0; i < count; i++) {
    if (known && !same(words[i], now->word)) continue;
    if (chosen-- > 0) continue;
    now->word = words[known ? (i + 1) % count : i];
    break;
  }
  now->finished = now->word.at[now->word.length - 1] == '.';
  char *text = belljar_memory(now->word.length + 2);
  memcpy(text, now->word.at, now->word.length);
  text[now->word.length] = ' ';
  piece->text = belljar_view_of(text);
  return BELLJAR_PIECE;
}
