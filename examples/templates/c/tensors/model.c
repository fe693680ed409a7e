/* Scores rows of three numbers with the weights in assets/weights.bin. */
#define BELLJAR_TENSORS
#include "belljar.h"

#include <math.h>

#define COLUMNS 3

/* What `load` leaves here is where each request starts: the weights, and a bias after them. */
static const float *weights;

bool belljar_load(belljar_error *error) {
  belljar_bytes bytes;
  if (!belljar_read_asset("weights.bin", &bytes, error)) return false;
  if (bytes.length != (COLUMNS + 1) * sizeof(float)) {
    return belljar_failed(error, "weights.bin has %zu bytes, and not %d numbers and a bias", bytes.length, COLUMNS);
  }
  weights = (const float *)bytes.at;
  return true;
}

void belljar_describe(belljar_metadata *metadata) {
  belljar_takes(metadata, "x", BELLJAR_FP32, 2, (int64_t[]){-1, COLUMNS});
  belljar_gives(metadata, "probability", BELLJAR_FP32, 1, (int64_t[]){-1});
}

bool belljar_infer(const belljar_request *request, belljar_response *response, belljar_error *error) {
  belljar_tensor x;
  if (!belljar_input(request, "x", BELLJAR_FP32, &x, error)) return false;
  uint64_t rows = belljar_rows(x);
  if (rows == 0) return belljar_invalid_input(error, "`x` has no rows");
  const float *values = x.values;
  float *scores = belljar_output(response, "probability", BELLJAR_FP32, 1, &rows);
  for (uint64_t row = 0; row < rows; row++, values += COLUMNS) {
    float total = weights[COLUMNS];
    for (int column = 0; column < COLUMNS; column++) total += weights[column] * values[column];
    scores[row] = 1.0f / (1.0f + expf(-total));
  }
  return true;
}
