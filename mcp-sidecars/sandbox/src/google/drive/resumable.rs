//! The chunks of a resumable upload: `Content-Range`, 308 with `Range`, and taking it up after a cut.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State as AxumState,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;

use super::{
    Upload,
    blobs::Blobs,
    parameters::{Parameters, bad_request},
    upload::{answer, checked, finish, text},
};
use crate::{google::error::Refusal, world::World};

/// What is kept of a chunk that is not the last is a multiple of this.
const UNIT: u64 = 256 * 1024;

/// What a request brings: nothing but a question, or bytes from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Status {
        total: Option<u64>,
    },
    Bytes {
        first: u64,
        last: u64,
        total: Option<u64>,
    },
    /// Without `Content-Range`: everything.
    Whole,
}

/// Bytes for an upload, or the question how many are there. The session's address is the credential.
pub(super) async fn put(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let id = parameters.get("upload_id").unwrap_or_default();
    let plan = match plan(&world, id, &headers) {
        Ok(plan) => plan,
        Err(answered) => {
            // An unread body would reset the connection.
            let mut rest = body.into_data_stream();
            while let Some(Ok(_)) = rest.next().await {}
            return *answered;
        }
    };
    let Plan {
        upload,
        blobs,
        there,
        first,
        most,
        is_whole,
        total,
    } = plan;
    blobs
        .append(&upload.blob, there, there - first, most, body)
        .await?;
    let now = blobs.length(&upload.blob);
    let total = if is_whole { Some(now) } else { total };
    progress(&world, id, upload, blobs, now, total).await
}

/// What is to be done with the bytes of a request.
struct Plan {
    upload: Upload,
    blobs: Arc<Blobs>,
    there: u64,
    first: u64,
    most: u64,
    is_whole: bool,
    total: Option<u64>,
}

/// The plan, or the answer where the bytes do not matter.
fn plan(
    world: &World,
    id: &str,
    headers: &HeaderMap,
) -> Result<Plan, Box<Result<Response, Refusal>>> {
    let refused = |refusal| Box::new(Err(refusal));
    let upload = find(world, id).map_err(refused)?;
    if let Some(done) = &upload.done {
        return Err(Box::new(answer(
            &world.things().google.drive,
            &upload,
            done,
        )));
    }
    let chunk = read(text(headers, &header::CONTENT_RANGE));
    let chunk = chunk.ok_or_else(|| {
        refused(bad_request(
            "Failed to parse Content-Range header.".to_owned(),
        ))
    })?;
    let (blobs, left) = checked(world, &upload).map_err(refused)?;
    let there = settled(&blobs, &upload).map_err(refused)?;
    let (first, last, total) = match chunk {
        Chunk::Status { total } => (there, there.checked_sub(1), total.or(upload.length)),
        Chunk::Bytes { first, last, total } => (first, Some(last), total.or(upload.length)),
        Chunk::Whole => (0, None, upload.length),
    };
    let is_odd = first > there || last.is_some_and(|last| total.is_some_and(|total| last >= total));
    let is_other = upload
        .length
        .zip(total)
        .is_some_and(|(said, now)| said != now);
    if is_odd || is_other {
        let words = "Invalid request. The Content-Range does not fit the upload.";
        return Err(refused(bad_request(words.to_owned())));
    }
    let is_whole = matches!(chunk, Chunk::Whole);
    let wanted = if is_whole {
        left
    } else {
        last.map_or(0, |last| (last + 1).saturating_sub(there))
    };
    Ok(Plan {
        upload,
        blobs,
        there,
        first,
        most: wanted.min(left),
        is_whole,
        total,
    })
}

/// `DELETE` on the session's address: 499, as Google answers it.
pub(super) async fn give_up(
    AxumState(world): AxumState<Arc<World>>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let id = parameters.get("upload_id").unwrap_or_default();
    find(&world, id)?;
    let drive = &mut world.things().google.drive;
    if let Some(upload) = drive.uploads.remove(id) {
        drive.drop_blob(&upload.blob);
    }
    let status = StatusCode::from_u16(499).unwrap_or(StatusCode::GONE);
    Ok(status.into_response())
}

fn find(world: &World, id: &str) -> Result<Upload, Refusal> {
    let found = world.things().google.drive.uploads.get(id).cloned();
    found.ok_or_else(|| Refusal::not_found("Not Found"))
}

/// The bytes that count: all of them, or whole units of them where a connection broke.
fn settled(blobs: &Blobs, upload: &Upload) -> Result<u64, Refusal> {
    let there = blobs.length(&upload.blob);
    if Some(there) == upload.length {
        return Ok(there);
    }
    let counted = there - there % UNIT;
    let cut = blobs.cut(&upload.blob, counted);
    cut.map_err(|_| Refusal::trouble(StatusCode::INTERNAL_SERVER_ERROR))?;
    Ok(counted)
}

/// The file when all is there, else 308 and how far it is.
async fn progress(
    world: &World,
    id: &str,
    upload: Upload,
    blobs: Arc<Blobs>,
    there: u64,
    total: Option<u64>,
) -> Result<Response, Refusal> {
    if total == Some(there) {
        return finish(world, Some(id), upload, blobs).await;
    }
    let counted = settled(&blobs, &upload)?;
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    if let Some(last) = counted.checked_sub(1)
        && let Ok(range) = format!("bytes=0-{last}").parse()
    {
        response.headers_mut().insert(header::RANGE, range);
    }
    Ok(response)
}

/// `bytes 0-99/200`, `bytes 0-99/*`, `bytes */200` or `bytes */*`.
fn read(content_range: Option<&str>) -> Option<Chunk> {
    let Some(text) = content_range else {
        return Some(Chunk::Whole);
    };
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    if range == "*" {
        return Some(Chunk::Status { total });
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(Chunk::Bytes { first, last, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        let bytes = |first, last, total| Some(Chunk::Bytes { first, last, total });
        assert_eq!(read(Some("bytes 0-99/200")), bytes(0, 99, Some(200)));
        assert_eq!(read(Some("bytes 5-5/*")), bytes(5, 5, None));
        assert_eq!(
            read(Some("bytes */7")),
            Some(Chunk::Status { total: Some(7) })
        );
        for broken in ["bytes 9-5/10", "bytes 0-1", "0-1/2", "bytes a-b/c"] {
            assert_eq!(read(Some(broken)), None, "{broken}");
        }
    }
}
