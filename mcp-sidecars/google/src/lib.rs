//! Google credentials for the sidecars of Drive and Calendar: access tokens, kept fresh.
