//! Keys and signatures as text: nothing may panic, every key has one spelling, and no signature
//! that the key did not make fits.
#![no_main]

use belljar_bundle::{Digest, Manifest, PublicKey, SignaturePolicy, SignatureValue, SigningKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (String, String)| {
    let (key, value) = data;
    if let Ok(key) = key.parse::<PublicKey>() {
        assert_eq!(
            key.to_string().parse::<PublicKey>().expect("its own text"),
            key
        );
    }
    let _ = PublicKey::from_pem(&key);
    let _ = SigningKey::from_pem(&key);
    if let Ok(value) = value.parse::<SignatureValue>() {
        let text = format!(
            "schema = 1\nname = \"m\"\nversion = \"1.0.0\"\ncomponent = \"c\"\n\
             [digests]\nc = \"{}\"\n[signature]\nkey = \"{}\"\nvalue = \"{value}\"\n",
            Digest::of(b""),
            SigningKey::from_seed(&[1; 32]).public(),
        );
        let manifest = Manifest::parse(&text).expect("well formed");
        assert!(SignaturePolicy::default().check(&manifest).is_err());
    }
});
