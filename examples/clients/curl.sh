#!/bin/sh
# One request of each kind with curl. Start the server first: cargo run --release
set -eu
server=${1:-http://localhost:8000}
json='content-type: application/json'

curl -fsS "$server/health/ready"; echo
curl -fsS "$server/v1/models"; echo
curl -fsS "$server/v1/chat/completions" -H "$json" \
    -d '{"model":"fake","messages":[{"role":"user","content":"hi"}],"max_tokens":16}'; echo
curl -fsSN "$server/v1/chat/completions" -H "$json" \
    -d '{"model":"fake","stream":true,"messages":[{"role":"user","content":"hi"}],"max_tokens":16}'
curl -fsS "$server/v1/embeddings" -H "$json" \
    -d '{"model":"fake","input":"a bell jar","dimensions":8}'; echo
curl -fsS "$server/infer" -H "$json" \
    -d '{"model":"echo","inputs":{"x":[[1,2],[3,4]]}}'; echo
curl -fsS "$server/v2/models/echo/infer" -H "$json" \
    -d '{"inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[1.5,2.5]}]}'; echo
