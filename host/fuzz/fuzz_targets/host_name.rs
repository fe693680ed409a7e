//! `Host`: what is read of it is the name, which reads as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "."]
mod http {
    #[path = "../../src/http/host_name.rs"]
    pub(crate) mod host_name;
}

use http::host_name::{AllowedHost, host_name};

fuzz_target!(|value: &[u8]| {
    if let Some(name) = host_name(value) {
        assert!(value.starts_with(name));
        assert_eq!(host_name(name), Some(name));
        assert!(!name.iter().any(|byte| b" /\\@?#%,\"\0\r\n".contains(byte)));
        let port = &value[name.len()..];
        let port = port.strip_prefix(b".").unwrap_or(port);
        assert!(port.is_empty() || port[0] == b':');
    }
    if let Ok(text) = std::str::from_utf8(value)
        && let Ok(host) = text.parse::<AllowedHost>()
    {
        assert_eq!(host.to_string().parse(), Ok(host));
    }
});
