use utoipa_axum::router::OpenApiRouter; use crate::state::App; pub fn routes() -> OpenApiRouter<App> { OpenApiRouter::new() }
