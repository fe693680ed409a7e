/* Makes a vector of a text: the mean of its words' vectors, which are in assets/words.vec. */
#define BELLJAR_EMBEDDINGS
#include "belljar.h"

#include <ctype.h>
#include <math.h>

#define WORDS_MAX 10000
#define DIMENSIONS_MAX 1024

/* What `load` leaves here is where each request starts. */
static const char *words[WORDS_MAX];
static float *vectors[WORDS_MAX];
static size_t count, dimensions;

bool belljar_load(belljar_error *error) {
  belljar_bytes bytes;
  if (!belljar_read_asset("words.vec", &bytes, error)) return false;
  /* Each line is a word and its numbers. */
  for (char *line = strtok((char *)bytes.at, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    if (count == WORDS_MAX) return belljar_failed(error, "words.vec has more than %d words", WORDS_MAX);
    char *at = strchr(line, ' ');
    if (at == NULL) return belljar_failed(error, "line %zu of words.vec has no numbers", count + 1);
    *at++ = 0;
    float numbers[DIMENSIONS_MAX];
    size_t length = 0;
    for (char *end; length < DIMENSIONS_MAX; at = end) {
      numbers[length] = strtof(at, &end);
      if (end == at) break;
      length++;
    }
    if (count == 0) dimensions = length;
    if (length != dimensions || length == 0) {
      return belljar_failed(error, "words.vec has vectors of different lengths");
    }
    words[count] = line;
    vectors[count] = belljar_memory(length * sizeof(float));
    memcpy(vectors[count++], numbers, length * sizeof(float));
  }
  if (count == 0) return belljar_failed(error, "words.vec has no words");
  return true;
}

size_t belljar_dimensions(void) { return dimensions; }

bool belljar_embed(belljar_view text, float *vector, belljar_error *error) {
  (void)error;
  char *copy = belljar_copy(text);
  for (char *at = copy; *at != 0; at++) *at = (char)tolower((unsigned char)*at);
  /* Words that are not known count for nothing. */
  for (char *word = strtok(copy, " \t\r\n"); word != NULL; word = strtok(NULL, " \t\r\n")) {
    for (size_t i = 0; i < count; i++) {
      if (strcmp(words[i], word) != 0) continue;
      for (size_t place = 0; place < dimensions; place++) vector[place] += vectors[i][place];
    }
  }
  float norm = 0;
  for (size_t place = 0; place < dimensions; place++) norm += vector[place] * vector[place];
  norm = norm > 0 ? sqrtf(norm) : 1;
  for (size_t place = 0; place < dimensions; place++) vector[place] /= norm;
  return true;
}
