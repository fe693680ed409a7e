//! The headers of Belljar's own, which all begin with `x-belljar-`: what requests ask for with them,
//! and what answers say in them.

use http::HeaderName;

/// Declares headers, those that answers may have among them.
macro_rules! own_headers {
    (
        asked { $($(#[$asked_doc:meta])* $asked:ident = $asked_name:literal;)+ }
        answered { $($(#[$doc:meta])* $answered:ident = $name:literal;)+ }
    ) => {
        $($(#[$asked_doc])* pub(crate) const $asked: HeaderName = HeaderName::from_static($asked_name);)+
        $($(#[$doc])* pub(crate) const $answered: HeaderName = HeaderName::from_static($name);)+

        /// Headers that answers may have; pages of other sites may read them.
        pub(crate) const ANSWERED: &[&str] = &[$($name),+];
    };
}

own_headers! {
    asked {
        /// The model of a request whose body does not say.
        X_BELLJAR_MODEL = "x-belljar-model";
        /// How long the texts of a request take.
        X_BELLJAR_LATENCY = "x-belljar-latency";
        /// Whether a rule has to match a request.
        X_BELLJAR_STRICT = "x-belljar-strict";
        /// How time passes for a request.
        X_BELLJAR_CLOCK = "x-belljar-clock";
    }
    answered {
        /// The seed of a run, as 64 hexadecimal digits: asked for, and said.
        X_BELLJAR_SEED = "x-belljar-seed";
        /// The moment of a run, in milliseconds since 1970: asked for, and said.
        X_BELLJAR_TIME = "x-belljar-time";
        /// Of a request, the world that it is in; of an answer, the id under which its run is kept.
        X_BELLJAR_RUN = "x-belljar-run";
        /// The fault that a request is to have; of an answer, the one that it has had.
        X_BELLJAR_FAULT = "x-belljar-fault";
        /// The rule that has answered a request.
        X_BELLJAR_RULE = "x-belljar-rule";
        /// Which exchange of a recording an answer is, counted from 1.
        X_BELLJAR_EXCHANGE = "x-belljar-exchange";
        /// When the first token would have come, in milliseconds after the request.
        X_BELLJAR_TTFT_MS = "x-belljar-ttft-ms";
        /// When the last event would have come, in milliseconds after the request.
        X_BELLJAR_E2E_MS = "x-belljar-e2e-ms";
        /// What was found in a request and let through all the same.
        X_BELLJAR_REPORT = "x-belljar-report";
        /// The members of a request that were passed over because nobody knows them.
        X_BELLJAR_IGNORED = "x-belljar-ignored";
        /// The status of the answer that a profile stands in place of.
        X_BELLJAR_STATUS = "x-belljar-status";
        /// Why the next version of a model is not there, for whoever works on it.
        X_BELLJAR_DEV_ERROR = "x-belljar-dev-error";
    }
}
