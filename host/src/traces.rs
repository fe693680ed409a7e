//! What became of requests, as spans: told to a collector of the operator's over OTLP, in HTTP and
//! protobuf. Off until `traces.endpoint` says where.
//!
//! A request has one span, and below it one for each step, each wait and each run. Spans have what
//! the table in `table` lists and nothing else: names, numbers and codes of this program, never
//! what a caller wrote. They go into a buffer with an end; one task sends it. Nothing waits for
//! that task: what finds no room, or nobody who takes it, is counted.
//!
//! The messages are those of the protocol's own package. Its processor and its sender are not
//! used: they read the environment by themselves, which `config` alone may do, count no span that
//! they drop, and would bring a second HTTP client with other rules than `outgoing` has.

mod buffer;
mod config;
mod context;
mod export;
mod span;
mod table;

use std::net::IpAddr;
use std::sync::Arc;

use opentelemetry::trace::{SpanId, TraceId};
use tokio_util::sync::CancellationToken;

use crate::net::NetworkList;
use crate::outgoing::OutgoingError;
use buffer::Buffer;
pub use config::{
    CollectorHeader, CollectorUrl, Config, InvalidCollectorUrl, InvalidPair, InvalidRatio,
    InvalidServiceName, ResourceAttribute, SampleRatio, ServiceName,
};
pub use context::TraceContext;
use context::{TRACEPARENT, TRACESTATE, random};
pub use export::Exporter;
pub use span::{Span, Trace};
pub use table::{Attribute, SpanRow, reference};
pub(crate) use table::{attributes, spans};

/// Begins the traces of requests. Cheap to clone. By default there are none.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Tracer>>);

/// What all traces of a server have in common.
struct Tracer {
    buffer: Arc<Buffer>,
    sample: SampleRatio,
    parent_networks: NetworkList,
}

impl Traces {
    /// Sets up traces, and what sends them. None of it where no collector is set.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up.
    pub fn open(config: &Config) -> Result<(Self, Option<Exporter>), OutgoingError> {
        let Some(url) = &config.endpoint else {
            return Ok((Self::default(), None));
        };
        let buffer = Arc::new(Buffer::new(config.queue_max, config.batch_max));
        let exporter = Exporter::new(config, url, Arc::clone(&buffer))?;
        let tracer = Tracer {
            buffer,
            sample: config.sample,
            parent_networks: config.parent_networks.clone(),
        };
        Ok((Self(Some(Arc::new(tracer))), Some(exporter)))
    }

    /// The trace of a request that has just come from a peer: that of its caller, if its head names
    /// one, or a new one. `lines` gives those of a header by its name. None where traces are off.
    #[must_use]
    pub fn begin<'a, L>(
        &self,
        peer: impl FnOnce() -> IpAddr,
        lines: impl Fn(&'static str) -> L,
    ) -> Option<Trace>
    where
        L: Iterator<Item = &'a [u8]>,
    {
        let tracer = self.0.as_ref()?;
        let parent = TraceContext::read(lines(TRACEPARENT), lines(TRACESTATE));
        let is_sampled = tracer.samples(parent.as_ref(), peer());
        let (trace_id, state) = match &parent {
            Some(parent) => (parent.trace_id, parent.state.clone()),
            None => (TraceId::from_bytes(random()), None),
        };
        let context = TraceContext {
            trace_id,
            span_id: SpanId::from_bytes(random()),
            is_sampled,
            state,
        };
        let parent = parent.map(|parent| parent.span_id);
        Some(Trace::new(Arc::clone(&tracer.buffer), context, parent))
    }
}

impl Tracer {
    /// Whether the spans of a request are kept. Its caller's word that they are not always holds,
    /// the word that they are only from the networks that are trusted with it: a stranger could
    /// have everything kept else. For the same reason chance decides for all others, and not the
    /// trace's id, which may be a stranger's choice.
    fn samples(&self, parent: Option<&TraceContext>, peer: IpAddr) -> bool {
        match parent {
            Some(parent) if !parent.is_sampled => false,
            Some(_) if self.parent_networks.contains(peer) => true,
            _ => self.sample.takes(rand::random()),
        }
    }
}

/// Sends traces until `stop`, and then for a moment what is left.
pub async fn run(exporter: Exporter, stop: CancellationToken) {
    exporter.run(stop).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::Ipv4Addr;

    fn traces(sample: &str, parent_networks: &str) -> Tracer {
        let networks = parent_networks.split_terminator(',');
        let networks = networks.map(|network| network.parse().unwrap()).collect();
        Tracer {
            buffer: Arc::new(Buffer::new(1, 1)),
            sample: sample.parse().unwrap(),
            parent_networks: NetworkList::new(networks, 9).unwrap(),
        }
    }

    fn parent(is_sampled: bool) -> TraceContext {
        TraceContext {
            trace_id: TraceId::from_bytes([1; 16]),
            span_id: SpanId::from_bytes([2; 8]),
            is_sampled,
            state: None,
        }
    }

    #[test]
    fn a_stranger_can_keep_a_request_out_of_the_traces_and_none_in() {
        let (stranger, gateway) = ([192, 0, 2, 1], [10, 0, 0, 1]);
        let sampled = |tracer: &Tracer, parent: Option<TraceContext>, peer: [u8; 4]| {
            tracer.samples(parent.as_ref(), Ipv4Addr::from(peer).into())
        };
        let none = traces("0", "10.0.0.0/8");
        assert!(!sampled(&none, None, stranger));
        assert!(!sampled(&none, Some(parent(true)), stranger));
        assert!(sampled(&none, Some(parent(true)), gateway));
        assert!(!sampled(&none, Some(parent(false)), gateway));
        let all = traces("1", "");
        assert!(sampled(&all, None, stranger));
        assert!(sampled(&all, Some(parent(true)), stranger));
        assert!(!sampled(&all, Some(parent(false)), stranger));
        // One id for all: whoever chooses it chooses nothing else.
        let half = traces("0.5", "");
        let kept = (0..1_000).filter(|_| sampled(&half, Some(parent(true)), stranger));
        assert!((300..700).contains(&kept.count()));
    }
}
