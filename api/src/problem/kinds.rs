//! Every kind of problem, once: the code, the documented page and `docs/api-design.md` come from here.

use axum::http::StatusCode;

/// A documented kind of problem.
#[derive(Debug)]
pub struct Kind {
    pub status: u16,
    /// Stable name for machines, and the last part of the page's address.
    pub code: &'static str,
    pub title: &'static str,
    /// What it means, in a sentence or two.
    pub meaning: &'static str,
    /// What a caller does about it.
    pub remedy: &'static str,
}

impl Kind {
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The `type` of the problem: our page, or the registered address where IANA has one.
    pub fn address(&self, base_url: &str) -> String {
        if self.code == QUOTA_EXCEEDED.code {
            return "https://iana.org/assignments/http-problem-types#quota-exceeded".to_owned();
        }
        format!("{base_url}/problems/{}", self.code)
    }

    /// The general explanation, where there is nothing particular to say.
    pub fn detail(&self) -> String {
        self.meaning.to_owned()
    }
}

/// All kinds, in the order of their status.
pub static KINDS: &[&Kind] = &[
    &MALFORMED_REQUEST,
    &INVALID_CURSOR,
    &IDEMPOTENCY_KEY_MISSING,
    &CONNECTION_FAILED,
    &UNAUTHENTICATED,
    &FORBIDDEN,
    &NOT_FOUND,
    &METHOD_NOT_ALLOWED,
    &NOT_ACCEPTABLE,
    &DOUBLE_BOOKING,
    &OPTION_EXPIRED,
    &HOLD_EXPIRED,
    &INVALID_TRANSITION,
    &EVENT_HAS_BOOKINGS,
    &PRICE_CHANGED,
    &PREVIEW_OUTDATED,
    &ALREADY_EXISTS,
    &IN_USE,
    &LAST_OWNER,
    &CONCURRENT_CHANGE,
    &IDEMPOTENCY_IN_FLIGHT,
    &SYNC_TOKEN_EXPIRED,
    &PRECONDITION_FAILED,
    &PAYLOAD_TOO_LARGE,
    &UNSUPPORTED_MEDIA_TYPE,
    &RANGE_NOT_SATISFIABLE,
    &INVALID_FIELDS,
    &IDEMPOTENCY_KEY_REUSED,
    &PRECONDITION_REQUIRED,
    &QUOTA_EXCEEDED,
    &INTERNAL,
    &SIDECAR_NOT_CONFIGURED,
    &INTEGRATION_NOT_CONFIGURED,
    &UNAVAILABLE,
    &SIDECAR_UNAVAILABLE,
    &TIMEOUT,
    &SIDECAR_TIMEOUT,
];

pub static MALFORMED_REQUEST: Kind = Kind {
    status: 400,
    code: "malformed_request",
    title: "Malformed request",
    meaning: "The request cannot be read: broken JSON, an unknown or repeated query parameter, a value of the wrong form. `errors` names the place.",
    remedy: "Correct the request; sending it again unchanged gives the same answer.",
};

pub static INVALID_CURSOR: Kind = Kind {
    status: 400,
    code: "invalid_cursor",
    title: "Invalid cursor",
    meaning: "The cursor was not made by this list with these filters.",
    remedy: "Start over without `cursor`, and keep the filters the same from page to page.",
};

pub static IDEMPOTENCY_KEY_MISSING: Kind = Kind {
    status: 400,
    code: "idempotency_key_missing",
    title: "Idempotency key missing",
    meaning: "This call commits money or sends something, so it needs an `Idempotency-Key` header.",
    remedy: "Send a fresh key (a UUID, say) for each new intention and the same key for each retry of it.",
};

pub static CONNECTION_FAILED: Kind = Kind {
    status: 400,
    code: "connection_failed",
    title: "Account not connected",
    meaning: "The way back from a provider's page does not hold: somebody said no there, or the link was used, is too old or belongs to another browser. Nothing was connected.",
    remedy: "Start again at `/oauth/{provider}/start`.",
};

pub static UNAUTHENTICATED: Kind = Kind {
    status: 401,
    code: "unauthenticated",
    title: "Not authenticated",
    meaning: "There is no valid credential: the key is missing, unknown, expired or revoked.",
    remedy: "Send `Authorization: Bearer epk_…`.",
};

pub static FORBIDDEN: Kind = Kind {
    status: 403,
    code: "forbidden",
    title: "Forbidden",
    meaning: "The caller is known, but its role or the key's scopes do not include this.",
    remedy: "Ask an owner for the role or for a key with the scope that `detail` names.",
};

pub static NOT_FOUND: Kind = Kind {
    status: 404,
    code: "not_found",
    title: "Not found",
    meaning: "There is no such thing here, or it belongs to another organization.",
    remedy: "Check the address and the ids.",
};

pub static METHOD_NOT_ALLOWED: Kind = Kind {
    status: 405,
    code: "method_not_allowed",
    title: "Method not allowed",
    meaning: "The address exists, but not with this method.",
    remedy: "Use a method of the `Allow` header.",
};

pub static NOT_ACCEPTABLE: Kind = Kind {
    status: 406,
    code: "not_acceptable",
    title: "Not acceptable",
    meaning: "Nothing that this address answers is allowed by the `Accept` header.",
    remedy: "Accept `application/json`.",
};

pub static DOUBLE_BOOKING: Kind = Kind {
    status: 409,
    code: "double_booking",
    title: "Already booked",
    meaning: "The venue or caterer is taken or blocked at that time. `conflicts` says what stands in the way.",
    remedy: "Choose another option, date or time; planning again shows what is free.",
};

pub static OPTION_EXPIRED: Kind = Kind {
    status: 409,
    code: "option_expired",
    title: "Option expired",
    meaning: "The plan is older than its expiry, so its prices are no longer held.",
    remedy: "Send the brief again and book from the new plan.",
};

pub static HOLD_EXPIRED: Kind = Kind {
    status: 409,
    code: "hold_expired",
    title: "Hold expired",
    meaning: "The booking was held, not confirmed in time, and has been released.",
    remedy: "Book again, if it is still free.",
};

pub static INVALID_TRANSITION: Kind = Kind {
    status: 409,
    code: "invalid_transition",
    title: "Not possible in this status",
    meaning: "The thing is in a status from which this step does not exist.",
    remedy: "Read it again; `detail` names its status.",
};

pub static EVENT_HAS_BOOKINGS: Kind = Kind {
    status: 409,
    code: "event_has_bookings",
    title: "Event has bookings",
    meaning: "The event has live bookings, so this change would break them.",
    remedy: "Reschedule the event to move the bookings with it, or cancel them first.",
};

pub static PRICE_CHANGED: Kind = Kind {
    status: 409,
    code: "price_changed",
    title: "Price changed",
    meaning: "Moving the event would change the price of confirmed bookings. `bookings` names them with both prices.",
    remedy: "Send `reconfirm: true` to agree to the new prices, or keep the duration.",
};

pub static PREVIEW_OUTDATED: Kind = Kind {
    status: 409,
    code: "preview_outdated",
    title: "Preview outdated",
    meaning: "What the preview showed is no longer what would happen. Nothing was done.",
    remedy: "Preview again with `validate_only=true` and decide anew.",
};

pub static ALREADY_EXISTS: Kind = Kind {
    status: 409,
    code: "already_exists",
    title: "Already exists",
    meaning: "Another one with the same natural key (e-mail, external id) exists.",
    remedy: "Update that one instead.",
};

pub static IN_USE: Kind = Kind {
    status: 409,
    code: "in_use",
    title: "In use",
    meaning: "Other things refer to it, so it cannot be deleted.",
    remedy: "Remove those first, or keep it.",
};

pub static LAST_OWNER: Kind = Kind {
    status: 409,
    code: "last_owner",
    title: "Last owner",
    meaning: "An organization keeps at least one owner.",
    remedy: "Make somebody else an owner first.",
};

pub static CONCURRENT_CHANGE: Kind = Kind {
    status: 409,
    code: "concurrent_change",
    title: "Concurrent change",
    meaning: "Another request changed the same things at the same time. Nothing was done.",
    remedy: "Try again.",
};

pub static IDEMPOTENCY_IN_FLIGHT: Kind = Kind {
    status: 409,
    code: "idempotency_in_flight",
    title: "Request in flight",
    meaning: "The first request with this idempotency key is still running.",
    remedy: "Wait a moment and try again: the answer will be replayed.",
};

pub static SYNC_TOKEN_EXPIRED: Kind = Kind {
    status: 410,
    code: "sync_token_expired",
    title: "Sync token expired",
    meaning: "The sync token is too old, of another organization or database, or no token at all.",
    remedy: "Start over: take a token with `from=now`, read the lists, then ask with the token.",
};

pub static PRECONDITION_FAILED: Kind = Kind {
    status: 412,
    code: "precondition_failed",
    title: "Version is stale",
    meaning: "`If-Match` names another version than the current one: somebody changed it meanwhile.",
    remedy: "Read it again and repeat the change on the new version.",
};

pub static PAYLOAD_TOO_LARGE: Kind = Kind {
    status: 413,
    code: "payload_too_large",
    title: "Body too large",
    meaning: "The body is over the limit.",
    remedy: "Send less, in several requests.",
};

pub static UNSUPPORTED_MEDIA_TYPE: Kind = Kind {
    status: 415,
    code: "unsupported_media_type",
    title: "Unsupported media type",
    meaning: "The body's `Content-Type` is not understood here.",
    remedy: "Use the media type that `detail` names.",
};

pub static RANGE_NOT_SATISFIABLE: Kind = Kind {
    status: 416,
    code: "range_not_satisfiable",
    title: "Range beyond the end",
    meaning: "`Range` begins after the last byte. `Content-Range` says how many there are.",
    remedy: "Ask for bytes that are there, or for all of them without `Range`.",
};

pub static INVALID_FIELDS: Kind = Kind {
    status: 422,
    code: "invalid_fields",
    title: "Fields do not hold",
    meaning: "The request can be read, but one or more fields do not hold. `errors` has a JSON pointer for each.",
    remedy: "Correct the named fields.",
};

pub static IDEMPOTENCY_KEY_REUSED: Kind = Kind {
    status: 422,
    code: "idempotency_key_reused",
    title: "Idempotency key reused",
    meaning: "The idempotency key was used before with another method, address, body or caller.",
    remedy: "Use a fresh key for a new intention.",
};

pub static PRECONDITION_REQUIRED: Kind = Kind {
    status: 428,
    code: "precondition_required",
    title: "If-Match required",
    meaning: "Changes need `If-Match` with the ETag that was read, so that nobody's change is lost.",
    remedy: "Read it, then send `If-Match` (or `*` to overwrite whatever is there).",
};

pub static QUOTA_EXCEEDED: Kind = Kind {
    status: 429,
    code: "quota_exceeded",
    title: "Too many requests",
    meaning: "The quota of `RateLimit-Policy` is used up.",
    remedy: "Wait `Retry-After` seconds.",
};

pub static INTERNAL: Kind = Kind {
    status: 500,
    code: "internal",
    title: "Internal error",
    meaning: "Something failed on our side. The request id in `instance` finds it in the logs.",
    remedy: "Try again later; tell the operator the request id if it stays.",
};

pub static SIDECAR_NOT_CONFIGURED: Kind = Kind {
    status: 501,
    code: "sidecar_not_configured",
    title: "Not set up here",
    meaning: "This needs a sidecar that this installation does not run.",
    remedy: "The operator sets what `detail` names.",
};

pub static INTEGRATION_NOT_CONFIGURED: Kind = Kind {
    status: 501,
    code: "integration_not_configured",
    title: "This installation is not set up for it",
    meaning: "This installation is not set up to connect accounts at this provider, or has no keys to seal tokens and secrets with.",
    remedy: "The operator sets what `detail` names.",
};

pub static UNAVAILABLE: Kind = Kind {
    status: 503,
    code: "unavailable",
    title: "Unavailable",
    meaning: "Something that we need is away, or we are full.",
    remedy: "Try again after `Retry-After` seconds; repeat POSTs with the same idempotency key.",
};

pub static SIDECAR_UNAVAILABLE: Kind = Kind {
    status: 503,
    code: "sidecar_unavailable",
    title: "Sidecar unavailable",
    meaning: "The sidecar that this needs, or what it speaks to, is away or full; everything else works.",
    remedy: "Try again after `Retry-After` seconds; repeat POSTs with the same idempotency key.",
};

pub static TIMEOUT: Kind = Kind {
    status: 504,
    code: "timeout",
    title: "Timed out",
    meaning: "The answer took longer than the limit.",
    remedy: "Try again, POSTs with the same idempotency key.",
};

pub static SIDECAR_TIMEOUT: Kind = Kind {
    status: 504,
    code: "sidecar_timeout",
    title: "Sidecar timed out",
    meaning: "The sidecar did not finish in the time that the request had. What it changed by then is unknown.",
    remedy: "Ask for less, or try again; POSTs with the same idempotency key.",
};
