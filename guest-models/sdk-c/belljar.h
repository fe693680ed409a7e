/* Write models for Belljar in C: define one of
 *
 *     #define BELLJAR_TENSORS
 *     #define BELLJAR_TEXT
 *     #define BELLJAR_EMBEDDINGS
 *
 * include this file, and write the functions that are declared for it below. It is a layer over
 * the generated bindings beside it, which may be used as well; their headers hold everything that
 * the contract has.
 *
 * `load` runs once. The memory that it leaves is where each request starts: a static variable that
 * `load` has set is there, and what a request changes is gone after it. So nothing needs to be
 * freed, and what this file hands out never is.
 *
 * Functions that give `bool` give false where they failed, and have then told why in `error`.
 */
#ifndef BELLJAR_H
#define BELLJAR_H

#if defined(BELLJAR_TENSORS)
#include "tensor_model.h"
#define BELLJAR_NAME(name) tensor_model_##name
#elif defined(BELLJAR_TEXT)
#include "text_model.h"
#define BELLJAR_NAME(name) text_model_##name
#elif defined(BELLJAR_EMBEDDINGS)
#include "embedding_model.h"
#define BELLJAR_NAME(name) embedding_model_##name
#else
#error "define BELLJAR_TENSORS, BELLJAR_TEXT or BELLJAR_EMBEDDINGS before belljar.h is included"
#endif

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Functions of this file that a model does not use are no warning. */
#define BELLJAR_FUNCTION static inline __attribute__((unused))

/* A text of UTF-8 that somebody else holds; no zero comes after it. */
typedef struct {
  const char *at;
  size_t length;
} belljar_view;

/* Bytes in memory of the model's own. A zero comes after them, so that text is a text of C. */
typedef struct {
  uint8_t *at;
  size_t length;
} belljar_bytes;

typedef belljar_model_types_error_t belljar_error;

/* Memory that is there, aligned for everything, or the end of the run. */
BELLJAR_FUNCTION void *belljar_memory(size_t bytes) {
  void *at = calloc(1, bytes > 0 ? bytes : 1);
  if (at == NULL) {
    fprintf(stderr, "no memory for %zu bytes: limits.memory in model.toml\n", bytes);
    abort();
  }
  return at;
}

BELLJAR_FUNCTION belljar_view belljar_view_of(const char *text) {
  return (belljar_view){text, strlen(text)};
}

BELLJAR_FUNCTION bool belljar_equal(belljar_view view, const char *text) {
  return view.length == strlen(text) && memcmp(view.at, text, view.length) == 0;
}

/* The text as one of C. */
BELLJAR_FUNCTION char *belljar_copy(belljar_view view) {
  char *copy = belljar_memory(view.length + 1);
  memcpy(copy, view.at, view.length);
  return copy;
}

/* -- errors ------------------------------------------------------------------------------------ */

/* A text as the bindings take it, which free it. */
BELLJAR_FUNCTION BELLJAR_NAME(string_t) belljar_owned_(const char *at, size_t length) {
  BELLJAR_NAME(string_t) text;
  text.ptr = belljar_memory(length);
  text.len = length;
  memcpy(text.ptr, at, length);
  return text;
}

BELLJAR_FUNCTION bool belljar_error_(belljar_error *error, uint8_t tag, const char *format, va_list values) {
  char text[1024];
  int length = vsnprintf(text, sizeof text, format, values);
  if (length < 0) length = 0;
  if ((size_t)length >= sizeof text) length = sizeof text - 1;
  error->tag = tag;
  error->val.failed = belljar_owned_(text, (size_t)length);
  return false;
}

/* The request is wrong and will stay wrong; the caller reads the text (HTTP 400). Gives false, so
 * that a function ends with `return belljar_invalid_input(error, …);`. */
__attribute__((format(printf, 2, 3)))
BELLJAR_FUNCTION bool belljar_invalid_input(belljar_error *error, const char *format, ...) {
  va_list values;
  va_start(values, format);
  belljar_error_(error, BELLJAR_MODEL_TYPES_ERROR_INVALID_INPUT, format, values);
  va_end(values);
  return false;
}

/* The request is sound, and this model does not do such a thing; the caller reads the text
 * (HTTP 400). */
__attribute__((format(printf, 2, 3)))
BELLJAR_FUNCTION bool belljar_unsupported(belljar_error *error, const char *format, ...) {
  va_list values;
  va_start(values, format);
  belljar_error_(error, BELLJAR_MODEL_TYPES_ERROR_UNSUPPORTED, format, values);
  va_end(values);
  return false;
}

/* The model's own fault; the text goes to the server's log and the caller does not see it
 * (HTTP 502). */
__attribute__((format(printf, 2, 3)))
BELLJAR_FUNCTION bool belljar_failed(belljar_error *error, const char *format, ...) {
  va_list values;
  va_start(values, format);
  belljar_error_(error, BELLJAR_MODEL_TYPES_ERROR_FAILED, format, values);
  va_end(values);
  return false;
}

/* -- assets and log ---------------------------------------------------------------------------- */

/* Reads a file of the folder `assets`, by its name there, whole. The bytes are aligned for any
 * number, so `(const float *)bytes.at` is an array of them. */
BELLJAR_FUNCTION bool belljar_read_asset(const char *name, belljar_bytes *bytes, belljar_error *error) {
  const uint64_t piece_bytes = 1 << 20;
  BELLJAR_NAME(string_t) called = {(uint8_t *)name, strlen(name)};
  uint64_t size;
  if (!belljar_model_assets_size(&called, &size)) {
    return belljar_failed(error, "there is no asset `%s` in this bundle; names are relative to assets/", name);
  }
  if (size >= SIZE_MAX) return belljar_failed(error, "asset `%s` does not fit into memory", name);
  bytes->at = belljar_memory((size_t)size + 1);
  bytes->length = (size_t)size;
  for (uint64_t offset = 0; offset < size;) {
    uint64_t wanted = size - offset < piece_bytes ? size - offset : piece_bytes;
    BELLJAR_NAME(list_u8_t) piece;
    if (!belljar_model_assets_read(&called, offset, wanted, &piece) || piece.len == 0 || piece.len > wanted) {
      return belljar_failed(error, "asset `%s` ends before its size", name);
    }
    memcpy(bytes->at + offset, piece.ptr, piece.len);
    offset += piece.len;
    free(piece.ptr);
  }
  return true;
}

/* Writes one line into the host's log. Log no prompts: whoever runs the server reads them. */
__attribute__((format(printf, 1, 2)))
BELLJAR_FUNCTION void belljar_log(const char *format, ...) {
  char text[4096];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(text, sizeof text, format, values);
  va_end(values);
  if (length < 0) return;
  if ((size_t)length >= sizeof text) length = sizeof text - 1;
  BELLJAR_NAME(string_t) line = {(uint8_t *)text, (size_t)length};
  belljar_model_log_write(BELLJAR_MODEL_LOG_LEVEL_INFO, &line);
}

/* -- what each model has ----------------------------------------------------------------------- */

/* Write this one: it runs once, and reads assets. */
bool belljar_load(belljar_error *error);

bool exports_belljar_model_lifecycle_load(belljar_error *error) {
  return belljar_load(error);
}

/* -- tensors ----------------------------------------------------------------------------------- */

#if defined(BELLJAR_TENSORS)

/* The datatypes of the Open Inference Protocol. */
typedef enum {
  BELLJAR_BOOL, BELLJAR_UINT8, BELLJAR_UINT16, BELLJAR_UINT32, BELLJAR_UINT64,
  BELLJAR_INT8, BELLJAR_INT16, BELLJAR_INT32, BELLJAR_INT64,
  BELLJAR_FP16, BELLJAR_BF16, BELLJAR_FP32, BELLJAR_FP64,
  /* Strings of bytes: each is its length as four little-endian bytes, then itself. */
  BELLJAR_BYTES,
} belljar_datatype;

typedef exports_belljar_model_tensors_metadata_info_t belljar_metadata;
typedef exports_belljar_model_tensors_request_t belljar_request;
typedef exports_belljar_model_tensors_response_t belljar_response;

/* An input: its elements row by row, and how many there are. */
typedef struct {
  const void *values;
  size_t count;
  const uint64_t *shape;
  size_t dimensions;
} belljar_tensor;

/* The first dimension; 1 for a scalar. */
BELLJAR_FUNCTION size_t belljar_rows(belljar_tensor tensor) {
  return tensor.dimensions == 0 ? 1 : (size_t)tensor.shape[0];
}

/* Write these two: what the model takes and gives, asked once; and what it does. */
void belljar_describe(belljar_metadata *metadata);
bool belljar_infer(const belljar_request *request, belljar_response *response, belljar_error *error);

/* Bytes of an element; 1 for BYTES, whose elements differ. */
BELLJAR_FUNCTION size_t belljar_element_bytes(belljar_datatype datatype) {
  static const uint8_t sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 1};
  return sizes[datatype];
}

BELLJAR_FUNCTION const char *belljar_datatype_name(belljar_datatype datatype) {
  static const char *const names[] = {
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "BF16", "FP32", "FP64", "BYTES",
  };
  return names[datatype];
}

BELLJAR_FUNCTION void belljar_info_(exports_belljar_model_tensors_list_tensor_info_t *infos, const char *name,
                                    belljar_datatype datatype, size_t dimensions, const int64_t *shape) {
  infos->ptr = realloc(infos->ptr, (infos->len + 1) * sizeof *infos->ptr);
  if (infos->ptr == NULL) abort();
  exports_belljar_model_tensors_tensor_info_t *info = &infos->ptr[infos->len++];
  info->name = belljar_owned_(name, strlen(name));
  info->datatype = (uint8_t)datatype;
  info->shape.ptr = belljar_memory(dimensions * sizeof(int64_t));
  info->shape.len = dimensions;
  memcpy(info->shape.ptr, shape, dimensions * sizeof(int64_t));
}

/* Declares an input. A dimension of any size is -1:
 * `belljar_takes(metadata, "x", BELLJAR_FP32, 2, (int64_t[]){-1, 3})`. Where inputs are declared,
 * requests that do not fit them never reach the model. */
BELLJAR_FUNCTION void belljar_takes(belljar_metadata *metadata, const char *name, belljar_datatype datatype,
                                    size_t dimensions, const int64_t *shape) {
  belljar_info_(&metadata->inputs, name, datatype, dimensions, shape);
}

/* Declares an output. */
BELLJAR_FUNCTION void belljar_gives(belljar_metadata *metadata, const char *name, belljar_datatype datatype,
                                    size_t dimensions, const int64_t *shape) {
  belljar_info_(&metadata->outputs, name, datatype, dimensions, shape);
}

/* The input of that name, which must be of that datatype. */
BELLJAR_FUNCTION bool belljar_input(const belljar_request *request, const char *name, belljar_datatype datatype,
                                    belljar_tensor *input, belljar_error *error) {
  for (size_t i = 0; i < request->inputs.len; i++) {
    const exports_belljar_model_tensors_tensor_t *tensor = &request->inputs.ptr[i];
    if (!belljar_equal((belljar_view){(const char *)tensor->name.ptr, tensor->name.len}, name)) continue;
    if (tensor->datatype != datatype) {
      return belljar_invalid_input(error, "tensor `%s` is %s, and this model wants %s", name,
                                   belljar_datatype_name(tensor->datatype), belljar_datatype_name(datatype));
    }
    input->count = tensor->data.len / belljar_element_bytes(datatype);
    input->shape = tensor->shape.ptr;
    input->dimensions = tensor->shape.len;
    input->values = tensor->data.ptr;
    /* Numbers have to begin at a multiple of their size. */
    if ((uintptr_t)tensor->data.ptr % belljar_element_bytes(datatype) != 0) {
      void *aligned = belljar_memory(tensor->data.len);
      memcpy(aligned, tensor->data.ptr, tensor->data.len);
      input->values = aligned;
    }
    return true;
  }
  return belljar_invalid_input(error, "there is no input `%s`", name);
}

/* An output of zeros: where its elements are to be written. */
BELLJAR_FUNCTION void *belljar_output(belljar_response *response, const char *name, belljar_datatype datatype,
                                      size_t dimensions, const uint64_t *shape) {
  exports_belljar_model_tensors_list_tensor_t *outputs = &response->outputs;
  outputs->ptr = realloc(outputs->ptr, (outputs->len + 1) * sizeof *outputs->ptr);
  if (outputs->ptr == NULL) abort();
  exports_belljar_model_tensors_tensor_t *tensor = &outputs->ptr[outputs->len++];
  size_t bytes = belljar_element_bytes(datatype);
  tensor->name = belljar_owned_(name, strlen(name));
  tensor->datatype = (uint8_t)datatype;
  tensor->shape.ptr = belljar_memory(dimensions * sizeof(uint64_t));
  tensor->shape.len = dimensions;
  for (size_t i = 0; i < dimensions; i++) {
    tensor->shape.ptr[i] = shape[i];
    bytes *= (size_t)shape[i];
  }
  tensor->data.ptr = belljar_memory(bytes);
  tensor->data.len = bytes;
  return tensor->data.ptr;
}

void exports_belljar_model_tensors_metadata(belljar_metadata *metadata) {
  memset(metadata, 0, sizeof *metadata);
  belljar_describe(metadata);
}

bool exports_belljar_model_tensors_infer(belljar_request *request, belljar_response *response,
                                         belljar_error *error) {
  memset(response, 0, sizeof *response);
  return belljar_infer(request, response, error);
}

#endif

/* -- text -------------------------------------------------------------------------------------- */

#if defined(BELLJAR_TEXT)

typedef exports_belljar_model_text_request_t belljar_request;

/* What comes next of an answer. */
typedef enum {
  /* A piece is there. */
  BELLJAR_PIECE,
  /* The answer is at its end. */
  BELLJAR_END,
  /* There will be none: `error` says why. */
  BELLJAR_ERROR,
} belljar_step;

/* A piece of an answer; the text is copied. */
typedef struct {
  belljar_view text;
  /* Whether it is a thought that is not part of the answer. */
  bool reasoning;
  /* Microseconds after the piece before it at which the host hands it to the caller. The model does
   * not wait. */
  uint64_t after_us;
} belljar_piece;

/* Write these two. `belljar_start` begins an answer: it sets `answer` to what `belljar_next` needs
 * to know. `belljar_next` makes one piece each time that it is called; the host asks for each, so
 * an answer streams by itself. */
bool belljar_start(const belljar_request *request, void **answer, belljar_error *error);
belljar_step belljar_next(void *answer, belljar_piece *piece, belljar_error *error);

/* The text of the last message of the user, or the bare prompt; empty where there is none. */
BELLJAR_FUNCTION belljar_view belljar_last_user_text(const belljar_request *request) {
  const belljar_view none = {"", 0};
  if (request->prompt.tag == EXPORTS_BELLJAR_MODEL_TEXT_PROMPT_TEXT) {
    return (belljar_view){(const char *)request->prompt.val.text.text.ptr, request->prompt.val.text.text.len};
  }
  if (request->prompt.tag != EXPORTS_BELLJAR_MODEL_TEXT_PROMPT_MESSAGES) return none;
  const exports_belljar_model_text_list_message_t *messages = &request->prompt.val.messages;
  for (size_t i = messages->len; i > 0; i--) {
    const exports_belljar_model_text_message_t *message = &messages->ptr[i - 1];
    if (message->role != EXPORTS_BELLJAR_MODEL_TEXT_ROLE_USER) continue;
    size_t length = 0;
    for (size_t part = 0; part < message->content.len; part++) {
      if (message->content.ptr[part].tag == EXPORTS_BELLJAR_MODEL_TEXT_PART_TEXT) {
        length += message->content.ptr[part].val.text.len;
      }
    }
    char *whole = belljar_memory(length + 1), *end = whole;
    for (size_t part = 0; part < message->content.len; part++) {
      if (message->content.ptr[part].tag != EXPORTS_BELLJAR_MODEL_TEXT_PART_TEXT) continue;
      memcpy(end, message->content.ptr[part].val.text.ptr, message->content.ptr[part].val.text.len);
      end += message->content.ptr[part].val.text.len;
    }
    return (belljar_view){whole, length};
  }
  return none;
}

/* The seed that the caller gave, or `otherwise`. */
BELLJAR_FUNCTION uint64_t belljar_seed(const belljar_request *request, uint64_t otherwise) {
  return request->sampling.seed.is_some ? request->sampling.seed.val : otherwise;
}

/* An answer, and what it has given so far. */
struct exports_belljar_model_text_generation_t {
  void *answer;
  uint32_t max_tokens, completion_tokens, reasoning_tokens, prompt_tokens;
  bool finished;
};

bool exports_belljar_model_text_start(belljar_request *request, exports_belljar_model_text_own_generation_t *made,
                                      belljar_error *error) {
  exports_belljar_model_text_generation_t *generation = belljar_memory(sizeof *generation);
  generation->max_tokens = request->max_tokens;
  bool inside = false;
  belljar_view said = belljar_last_user_text(request);
  for (size_t i = 0; i < said.length; i++) {
    bool space = said.at[i] == ' ' || said.at[i] == '\n' || said.at[i] == '\t' || said.at[i] == '\r';
    if (!space && !inside) generation->prompt_tokens++;
    inside = !space;
  }
  if (!belljar_start(request, &generation->answer, error)) return false;
  *made = exports_belljar_model_text_generation_new(generation);
  return true;
}

bool exports_belljar_model_text_method_generation_next(exports_belljar_model_text_generation_t *generation,
                                                       uint32_t max_chunks,
                                                       exports_belljar_model_text_list_chunk_t *chunks,
                                                       belljar_error *error) {
  uint32_t room = max_chunks > 0 ? max_chunks : 1;
  uint32_t made = 0, space = room < 64 ? room : 64;
  chunks->ptr = belljar_memory(space * sizeof *chunks->ptr);
  while (!generation->finished && made < room) {
    if (made == space) {
      space = space * 2 < room ? space * 2 : room;
      chunks->ptr = realloc(chunks->ptr, space * sizeof *chunks->ptr);
      if (chunks->ptr == NULL) abort();
    }
    exports_belljar_model_text_chunk_t *chunk = &chunks->ptr[made++];
    memset(chunk, 0, sizeof *chunk);
    belljar_piece piece = {{"", 0}, false, 0};
    belljar_step step = generation->completion_tokens < generation->max_tokens
                            ? belljar_next(generation->answer, &piece, error)
                            : BELLJAR_END;
    if (step == BELLJAR_ERROR) return false;
    chunk->delay_us = piece.after_us;
    if (step == BELLJAR_END) {
      chunk->content.tag = EXPORTS_BELLJAR_MODEL_TEXT_CONTENT_FINISH;
      chunk->content.val.finish = generation->completion_tokens < generation->max_tokens
                                      ? EXPORTS_BELLJAR_MODEL_TEXT_FINISH_REASON_STOP
                                      : EXPORTS_BELLJAR_MODEL_TEXT_FINISH_REASON_LENGTH;
      generation->finished = true;
      break;
    }
    generation->completion_tokens++;
    if (piece.reasoning) {
      generation->reasoning_tokens++;
      chunk->content.tag = EXPORTS_BELLJAR_MODEL_TEXT_CONTENT_REASONING;
      chunk->content.val.reasoning = belljar_owned_(piece.text.at, piece.text.length);
    } else {
      chunk->content.tag = EXPORTS_BELLJAR_MODEL_TEXT_CONTENT_TEXT;
      chunk->content.val.text.text = belljar_owned_(piece.text.at, piece.text.length);
    }
  }
  chunks->len = made;
  return true;
}

void exports_belljar_model_text_method_generation_usage(exports_belljar_model_text_generation_t *generation,
                                                        exports_belljar_model_text_usage_t *usage) {
  usage->prompt_tokens = generation->prompt_tokens;
  usage->completion_tokens = generation->completion_tokens;
  usage->reasoning_tokens = generation->reasoning_tokens;
  usage->cached_tokens = 0;
}

/* The instance ends with the request, and all its memory with it. */
void exports_belljar_model_text_generation_destructor(exports_belljar_model_text_generation_t *generation) {
  (void)generation;
}

#endif

/* -- embeddings -------------------------------------------------------------------------------- */

#if defined(BELLJAR_EMBEDDINGS)

/* Write these two: how many numbers a vector has, and one vector for one text. The vector is of
 * zeros at first. */
size_t belljar_dimensions(void);
bool belljar_embed(belljar_view text, float *vector, belljar_error *error);

bool exports_belljar_model_embeddings_embed(exports_belljar_model_embeddings_list_input_t *inputs,
                                            uint32_t *maybe_dimensions,
                                            exports_belljar_model_embeddings_response_t *response,
                                            belljar_error *error) {
  size_t dimensions = belljar_dimensions();
  if (maybe_dimensions != NULL && *maybe_dimensions != dimensions) {
    return belljar_unsupported(error, "vectors of this model have %zu numbers", dimensions);
  }
  response->vectors.ptr = belljar_memory(inputs->len * sizeof *response->vectors.ptr);
  response->vectors.len = inputs->len;
  response->prompt_tokens = 0;
  for (size_t i = 0; i < inputs->len; i++) {
    if (inputs->ptr[i].tag != EXPORTS_BELLJAR_MODEL_EMBEDDINGS_INPUT_TEXT) {
      return belljar_unsupported(error, "this model takes texts, not token ids");
    }
    belljar_view text = {(const char *)inputs->ptr[i].val.text.ptr, inputs->ptr[i].val.text.len};
    bool inside = false;
    for (size_t at = 0; at < text.length; at++) {
      bool space = text.at[at] == ' ' || text.at[at] == '\n' || text.at[at] == '\t' || text.at[at] == '\r';
      if (!space && !inside) response->prompt_tokens++;
      inside = !space;
    }
    response->vectors.ptr[i].ptr = belljar_memory(dimensions * sizeof(float));
    response->vectors.ptr[i].len = dimensions;
    if (!belljar_embed(text, response->vectors.ptr[i].ptr, error)) return false;
  }
  return true;
}

#endif

#endif
