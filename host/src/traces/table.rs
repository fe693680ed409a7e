//! The one list of spans and of what they carry. A span is begun with its row and an attribute is
//! given by its row, so what is not here reaches no collector.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// A kind of span.
#[derive(Debug)]
pub struct SpanRow {
    /// Its name, in every trace the same; of the request itself a pattern.
    pub name: &'static str,
    /// What it stands for in a trace.
    pub(super) kind: SpanKind,
    /// What lies between its beginning and its end.
    pub meaning: &'static str,
}

/// Something that spans carry.
#[derive(Debug)]
pub struct Attribute {
    /// The name: of the conventions of OpenTelemetry, or below `belljar.`.
    pub name: &'static str,
    /// The spans that it is on.
    pub spans: &'static [&'static SpanRow],
    /// What it says, and where it is left out.
    pub meaning: &'static str,
}

impl Attribute {
    /// Whether such a span may carry it.
    pub(super) fn is_of(&self, row: &SpanRow) -> bool {
        self.spans.iter().any(|span| span.name == row.name)
    }
}

macro_rules! rows {
    ($($row:ident: $kind:ident, $name:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) static $row: SpanRow = SpanRow {
                name: $name,
                kind: SpanKind::$kind,
                meaning: $meaning,
            };
        )*

        /// All of them.
        pub(super) static ALL: &[&SpanRow] = &[$(&$row),*];
    };
}

/// The spans.
pub(crate) mod spans {
    use super::{SpanKind, SpanRow};

    rows! {
        REQUEST: Server, "{method} {route}",
            "A request, from its head to the last byte of its answer. A call of gRPC has the name of the call. The route is a template; without one the name is the method.";
        ADDRESS: Internal, "address",
            "Whose address it is, and whether that is banned, let in, and asks for this server by its name.";
        AUTHENTICATION: Internal, "authentication",
            "The signature, the key or the token, the time in which a new token is looked into, and the bans of the key.";
        LIMITS: Internal, "limits",
            "The rates, quotas and budgets of the caller.";
        SCREENING: Internal, "screening",
            "A look for injections: once in the head, once in all texts of the call.";
        AUTHORIZATION: Internal, "authorization",
            "Whether the caller has the right that the route asks for.";
        BODY: Internal, "body",
            "The body, from the first byte that is waited for to the last, unpacked. An upload is unpacked, checked and compiled within it.";
        STREAM_REQUEST: Internal, "stream request",
            "One request of a stream of them, with its own limits, screening, queue and run below it.";
        QUEUE: Internal, "queue",
            "The wait for a slot: in the model's queue, then in the server's. One for each run.";
        RUN: Internal, "run",
            "A run of a model in a fresh sandbox, to the moment when it is thrown away. A run whose caller has left ends after its request.";
    }
}

macro_rules! attributes {
    ($($attribute:ident: $name:literal, [$($span:ident),*], $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) static $attribute: Attribute = Attribute {
                name: $name,
                spans: &[$(&spans::$span),*],
                meaning: $meaning,
            };
        )*

        /// All of them.
        pub(super) static ALL: &[&Attribute] = &[$(&$attribute),*];
    };
}

/// What spans carry.
pub(crate) mod attributes {
    use super::{Attribute, spans};

    attributes! {
        HTTP_METHOD: "http.request.method", [REQUEST],
            "The method, or `_OTHER`.";
        HTTP_ROUTE: "http.route", [REQUEST],
            "The template of the route; none where no route matches.";
        HTTP_STATUS: "http.response.status_code", [REQUEST],
            "The status; none where the caller left before there was one.";
        HTTP_REQUEST_SIZE: "http.request.body.size", [REQUEST, BODY],
            "Bytes of the body that were read, packed as they came.";
        HTTP_RESPONSE_SIZE: "http.response.body.size", [REQUEST],
            "Bytes of the answer's body that were sent.";
        URL_SCHEME: "url.scheme", [REQUEST],
            "`http` or `https`, as the server itself speaks it.";
        PROTOCOL_NAME: "network.protocol.name", [REQUEST],
            "`http`.";
        PROTOCOL_VERSION: "network.protocol.version", [REQUEST],
            "`1.0`, `1.1` or `2`.";
        RPC_SYSTEM: "rpc.system.name", [REQUEST],
            "`grpc`, for calls of gRPC.";
        RPC_METHOD: "rpc.method", [REQUEST],
            "The service and the call, for calls of gRPC.";
        RPC_STATUS: "rpc.response.status_code", [REQUEST],
            "The name of the status of gRPC, such as `OK`.";
        ERROR_TYPE: "error.type", [REQUEST, RUN, QUEUE],
            "The code of what went wrong: of an answer of 500 and above, of a run that failed, of a queue that was full. `client_closed_request` where the caller left before the answer began.";
        REFUSAL: "belljar.refusal", [REQUEST],
            "The code of an answer from 400 to 499, as in the error that the caller reads.";
        OUTCOME: "belljar.outcome", [ADDRESS, AUTHENTICATION, LIMITS, SCREENING, AUTHORIZATION, BODY, STREAM_REQUEST, QUEUE, RUN],
            "`ok`, or `stopped` where it was refused or cut short.";
        SCREENED: "belljar.screened", [SCREENING],
            "`head` or `call`.";
        KEY_ID: "belljar.key.id", [REQUEST],
            "The id of the caller's key, as in the access log.";
        REQUEST_ID: "belljar.request.id", [REQUEST],
            "The request's id, where the server made it: one that a caller has sent is a header's value.";
        MODEL: "belljar.model", [REQUEST, RUN],
            "The version that was found, as `name@version`.";
        FUEL: "belljar.fuel", [REQUEST, RUN],
            "Fuel used, of a request by all its runs that have ended.";
        MEMORY: "belljar.memory", [RUN],
            "Bytes of linear memory at the end, over all memories; they only grow.";
        OUTPUT: "belljar.output", [RUN],
            "Bytes of the answer as the guest gave it.";
        GEN_AI_PROVIDER: "gen_ai.provider.name", [REQUEST],
            "`belljar`, where texts or vectors were asked for.";
        GEN_AI_OPERATION: "gen_ai.operation.name", [REQUEST],
            "`chat`, `text_completion` or `embeddings`.";
        GEN_AI_REQUEST_MODEL: "gen_ai.request.model", [REQUEST],
            "The name of the model that was found: the name that was asked for may be anything.";
        GEN_AI_RESPONSE_MODEL: "gen_ai.response.model", [REQUEST],
            "The version, as `name@version`.";
        GEN_AI_INPUT_TOKENS: "gen_ai.usage.input_tokens", [REQUEST],
            "Tokens of the prompts that go on the bill.";
        GEN_AI_OUTPUT_TOKENS: "gen_ai.usage.output_tokens", [REQUEST],
            "Tokens of the answers that go on the bill, also of one that was cut short.";
    }
}

/// The tables of spans and of attributes, as Markdown. `docs/traces.md` has a copy.
#[must_use]
pub fn reference() -> String {
    // Writing to a string does not fail.
    let mut page =
        String::from("| span | kind | from its beginning to its end |\n| --- | --- | --- |\n");
    for row in spans::ALL {
        let kind = match row.kind {
            SpanKind::Server => "server",
            _ => "internal",
        };
        let _ = writeln!(page, "| `{}` | {kind} | {} |", row.name, row.meaning);
    }
    page.push_str("\n| attribute | on | meaning |\n| --- | --- | --- |\n");
    for row in attributes::ALL {
        let spans: Vec<_> = row
            .spans
            .iter()
            .map(|span| format!("`{}`", span.name))
            .collect();
        let spans = if row.spans.len() + 1 == spans::ALL.len() {
            "all but the request's".to_owned()
        } else {
            spans.join(", ")
        };
        let _ = writeln!(page, "| `{}` | {spans} | {} |", row.name, row.meaning);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_standard_or_ours() {
        let names: BTreeSet<_> = attributes::ALL.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), attributes::ALL.len());
        for name in names {
            let beginnings = [
                "http.", "url.", "network.", "rpc.", "gen_ai.", "error.", "belljar.",
            ];
            assert!(beginnings.iter().any(|it| name.starts_with(it)), "{name}");
        }
        let names: BTreeSet<_> = spans::ALL.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), spans::ALL.len());
    }

    #[test]
    fn the_page_has_the_tables() {
        let page = include_str!("../../../docs/traces.md");
        assert!(
            page.contains(&reference()),
            "put these into docs/traces.md:\n{}",
            reference()
        );
    }
}
