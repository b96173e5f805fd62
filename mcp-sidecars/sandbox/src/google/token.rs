//! Google's OAuth 2.0 token endpoint, and what a token may do.
