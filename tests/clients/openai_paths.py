"""Every path that OpenAI's SDK can ask for, found by calling all of its methods: what this server
offers answers there, and what it does not is refused in the form that the SDK reads."""

import inspect
import sys
import warnings

import httpx2 as httpx
import openai

NOT_OFFERED = {"agents", "assistants", "audio", "batches", "chatkit", "containers", "content_provenance_checks", "decisions",
               "evals", "files", "fine_tuning", "images", "live", "organization", "projects", "realtime", "safety",
               "skills", "threads", "uploads", "vaults", "vector_stores", "videos", "webhook_endpoints", "webhook_event_types"}
OFFERED = {"chat", "completions", "conversations", "embeddings", "models", "moderations", "responses"}
warnings.simplefilter("ignore", DeprecationWarning)
asked = set()


def note(request):
    asked.add((request.method, request.url.path))
    return httpx.Response(418, json={"error": {"message": "noted"}})


def call(method):
    """Calls a method with something in the place of all that it wants."""
    wanted = [parameter for parameter in inspect.signature(method).parameters.values()
              if parameter.default is parameter.empty and parameter.kind not in (
                  parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)]
    for some in ["x", b"x", [], {}]:
        try:
            method(**{parameter.name: "x" if parameter.name.endswith("_id") else some for parameter in wanted})
        except openai.APIStatusError:
            return
        except Exception:
            continue


def walk(resource, seen):
    for name in dir(type(resource)):
        if name.startswith("_") or name.startswith("with_") or name in seen:
            continue
        try:
            member = getattr(resource, name)
        except Exception:
            continue
        if isinstance(member, openai.resources.models.SyncAPIResource):
            if type(member) not in seen:
                seen.add(type(member))
                walk(member, seen)
        elif callable(member) and name not in ("connect", "wrap", "unwrap", "verify_signature", "parse", "poll"):
            call(member)


noting = openai.OpenAI(base_url="http://noted/v1", api_key="any", max_retries=0,
                       http_client=httpx.Client(transport=httpx.MockTransport(note)))
for name in dir(type(noting)):
    if name.startswith(("_", "with_")):
        continue
    try:
        resource = getattr(noting, name)
    except Exception:
        continue
    if isinstance(resource, openai.resources.models.SyncAPIResource):
        walk(resource, set())

assert len(asked) > 120, sorted(asked)
families = {path.split("/")[2] for _, path in asked}
assert OFFERED <= families <= OFFERED | NOT_OFFERED, families ^ (OFFERED | NOT_OFFERED)
http = httpx.Client(base_url=sys.argv[1], timeout=60)
for method, path in sorted(asked):
    answer = http.request(method, path, json=None if method == "GET" else {})
    if path.startswith("/v1/models/") and method == "DELETE":
        # Whoever needs no key may not delete, either.
        assert answer.status_code == 401, (path, answer.text)
        continue
    error = answer.json().get("error")
    if path.split("/")[2] in NOT_OFFERED:
        assert answer.status_code == 404 and set(error) == {"message", "type", "param", "code"}, (path, answer.text)
        assert (error["code"], error["param"]) == ("unknown_url", None), (path, answer.text)
        assert "does not offer" in error["message"], (path, answer.text)
    else:
        # Nothing is asked for, so most of them miss something: but they know what.
        is_known = answer.status_code == 200 or error["code"] not in ("unknown_url", "method_not_allowed")
        assert is_known and answer.status_code < 500, (method, path, answer.text)
print(f"{len(asked)} paths of OpenAI's SDK ok")
