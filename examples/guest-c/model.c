/* A logistic regression over rows of three numbers, by hand: no generated bindings.
 *
 * The structures are those of the canonical ABI for `belljar:model/tensors` (wit/model.wit):
 * a list or a text is a pointer and a length, an enum one byte, a variant a byte and what it
 * holds. Memory is never freed: each request has an instance of its own.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACE "belljar:model/tensors@0.1.0#"
#define EXPORT(name) __attribute__((export_name(name)))

typedef struct { const char *at; size_t length; } text;

enum { FP32 = 11 }; /* The twelfth of the enum `datatype`. */

typedef struct {
    text name;
    uint8_t datatype;
    const uint64_t *shape; size_t dimensions;
    uint8_t *data; size_t bytes;
} tensor;

typedef struct {
    text name;
    uint8_t datatype;
    const int64_t *shape; size_t dimensions;
} tensor_info;

typedef struct {
    const tensor_info *inputs; size_t input_count;
    const tensor_info *outputs; size_t output_count;
} metadata;

/* result<response, error>: which of the two, and then that one. */
typedef struct {
    uint8_t is_error;
    union {
        struct { tensor *outputs; size_t count; void *parameters; size_t parameter_count; } response;
        struct { uint8_t kind; text message; } error;
    };
} answer;

enum { INVALID_INPUT = 0, UNSUPPORTED = 1, FAILED = 2 };

#define TEXT(literal) ((text){literal, sizeof(literal) - 1})

static const float WEIGHTS[3] = {0.5f, -1.25f, 2.0f};
static const float BIAS = 0.1f;

/* The host puts what it passes here. */
EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    void *fresh = aligned_alloc(align, (size + align - 1) / align * align);
    if (fresh == NULL) __builtin_trap();
    if (old_size > 0) memcpy(fresh, old, old_size < size ? old_size : size);
    return fresh;
}

EXPORT(INTERFACE "metadata")
const metadata *tensors_metadata(void) {
    static const int64_t rows[2] = {-1, 3}, scores[1] = {-1};
    static const tensor_info input = {{"x", 1}, FP32, rows, 2};
    static const tensor_info output = {{"probability", 11}, FP32, scores, 1};
    static const metadata both = {&input, 1, &output, 1};
    return &both;
}

/* The host has checked that there is one input `x` of FP32 with three columns: `metadata` says so. */
EXPORT(INTERFACE "infer")
const answer *tensors_infer(const tensor *inputs, size_t input_count,
                            const text *wanted, size_t wanted_count,
                            const void *parameters, size_t parameter_count) {
    static answer result;
    static tensor probability;
    static uint64_t rows;
    const float *x = (const float *)inputs[0].data;
    rows = inputs[0].shape[0];
    if (rows == 0) {
        result.is_error = 1;
        result.error.kind = INVALID_INPUT;
        result.error.message = TEXT("`x` has no rows");
        return &result;
    }
    float *scores = cabi_realloc(NULL, 0, sizeof(float), rows * sizeof(float));
    for (uint64_t row = 0; row < rows; row++, x += 3) {
        float sum = BIAS;
        for (int column = 0; column < 3; column++) sum += WEIGHTS[column] * x[column];
        scores[row] = 1.0f / (1.0f + expf(-sum));
    }
    probability = (tensor){TEXT("probability"), FP32, &rows, 1, (uint8_t *)scores, rows * sizeof(float)};
    result.response.outputs = &probability;
    result.response.count = 1;
    return &result;
}
