//! The context of a request, as its layers, its body and its handler find it.

use crate::inference::RequestContext;
use http::Extensions;

/// The context of a request.
pub(crate) fn context_of(extensions: &Extensions) -> RequestContext {
    // The outermost layer has put it there.
    extensions.get().cloned().unwrap_or_default()
}
