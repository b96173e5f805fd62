//! The binary itself.

use crate::large;

#[tokio::test]
async fn memory_does_not_grow_with_the_file() {
    let binary = env!("CARGO_BIN_EXE_event-planner-mcp-gdrive");
    let figures = large::transfer(binary, 48, 1).await.unwrap();
    assert!(figures.sidecar <= 32 * 1024, "{} KiB", figures.sidecar);
    assert!(figures.sandbox <= 96 * 1024, "{} KiB", figures.sandbox);
    assert!(figures.upload.as_secs() < 60 && figures.download.as_secs() < 60);
}
