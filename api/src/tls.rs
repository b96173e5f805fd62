//! TLS for what we call.

/// Makes ring the provider of TLS for the whole process: the first thing that a binary does, since
/// an HTTP client cannot be built without one. Done again, it changes nothing.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
