//! Every size, rate and wait that a stranger controls, in one place.
//!
//! The lengths of what a request holds (`REASON_MAX`, `TICKET_MAX`, `WINDOW_MAX_S`) and of a bundle belong to the engine's
//! types.

// --- one message ---

/// Largest message a caller may send, in bytes: a reason, a ticket and a scope fit in a tenth of it.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// Largest list of headers of one call, in bytes: tokens are at most 16 KiB less what the other headers take.
pub const HEADERS_MAX: u32 = 16 * 1024;

/// Most details one error carries, in bytes. They travel as trailers, in base 64, and common HTTP/2 clients take 16 KiB
/// of headers in all; a longer explanation is cut at whole findings.
pub const ERROR_DETAILS_MAX: usize = 6 * 1024;

/// Longest error message, in bytes; percent-encoding may triple it in the trailers.
pub const ERROR_MESSAGE_MAX: usize = 1_024;

/// Longest idempotency key, in bytes: a UUID or a CI run's URL fits.
pub const IDEMPOTENCY_KEY_MAX: usize = 128;

/// Longest name of a run, in characters: as a key.
pub const RUN_MAX: usize = 128;

/// How often the broker looks for requests whose requesters are gone, in milliseconds.
pub const UNHEARD_LOOK_MS: u64 = 1_000;

/// Most approval kinds one approval names: more than any schema has.
pub const KINDS_MAX: usize = 16;

/// Most requests on one page.
pub const REQUESTS_PAGE_MAX: usize = 100;

/// Requests on a page when the caller names no size: a screen or two.
pub const REQUESTS_PAGE_DEFAULT: usize = 50;

/// Most events on one page; an event is about a kilobyte.
pub const EVENTS_PAGE_MAX: usize = 500;

/// Events on a page when the caller names no size.
pub const EVENTS_PAGE_DEFAULT: usize = 100;

/// Most events on one page, in bytes: gRPC clients take messages of up to 4 MiB.
pub const EVENTS_PAGE_BYTES_MAX: usize = 1024 * 1024;

// --- one connection ---

/// Connections open at once. Each costs tens of kilobytes; a thousand fit the memory goal under load, and stay well
/// under the 1,024 file descriptors that are the usual limit.
pub const CONNECTIONS_MAX: usize = 800;

/// Connections open at once from one address: a proxy or a NAT brings many people, and must not take every place.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 200;

/// Calls open at once on one connection: a client opens a few; the rest is for a proxy.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 100;

/// Streams a client may reset before they were answered: past this the connection is closed (CVE-2023-44487).
pub const PENDING_RESETS_MAX: usize = 20;

/// How long a TLS handshake may take, in seconds: a slow mobile network needs two.
pub const HANDSHAKE_TIMEOUT_S: u64 = 10;

/// How long a connection may live without a single proven call, in seconds. It ends port scanners, slow handshakes and
/// half-open connections; a client speaks within a second, and a health probe is done by then.
pub const UNPROVEN_CONNECTION_S: u64 = 30;

/// How often a silent connection is asked whether it still lives, in seconds.
pub const KEEPALIVE_INTERVAL_S: u64 = 30;

/// How long it may take to answer that, in seconds.
pub const KEEPALIVE_TIMEOUT_S: u64 = 20;

/// How long one unary call may take in all, in seconds: above the sum of STS's (10 s) and the journal's (2 s) deadlines,
/// and of a first fetch of an issuer's keys.
pub const CALL_TIMEOUT_S: u64 = 30;

/// How long to wait before accepting again when the machine has no file descriptor left, in milliseconds.
pub const ACCEPT_RETRY_MS: u64 = 50;

// --- one caller ---

/// Calls one principal may make per second, sustained: a person makes few, a pipeline polls a dozen requests.
pub const CALLS_PER_S: u32 = 50;

/// Calls one principal may make at once after a silence.
pub const CALLS_BURST: u32 = 200;

/// Tokens that prove nobody, from one connection: a client with an expired token tries a few times, then asks its person.
pub const FAILED_PROOFS_PER_CONNECTION_MAX: u32 = 20;

/// Tokens that prove nobody, from one address, per minute. Past this, connections from there that have never proven
/// anyone are refused unread; others go on, so that one colleague behind a NAT cannot lock out the rest.
pub const FAILED_PROOFS_PER_ADDRESS_PER_MIN: u32 = 300;

/// Principals and addresses whose rates are remembered. The table forgets those at rest first; when all are busy a
/// stranger to it is refused.
pub const RATES_REMEMBERED_MAX: usize = 10_000;

/// Streams (watching a request, following the journal) open at once, in all.
pub const STREAMS_MAX: usize = 2_000;

/// Streams open at once for one principal.
pub const STREAMS_PER_PRINCIPAL_MAX: usize = 64;

/// How long one stream lives, in seconds: after an hour the caller asks again, with a token that is still good.
pub const STREAM_LIFE_MAX_S: u64 = 3_600;

/// Answers kept ready for one slow stream; then it waits, and a watcher gets the newest state, not each one missed.
pub const STREAM_BUFFER_MAX: usize = 8;

// --- the broker itself ---

/// How long running calls may take to finish once the broker was told to stop, in seconds. Kubernetes kills after 30.
pub const DRAIN_S: u64 = 20;

/// Room kept on the journal's file system, in bytes (64 MiB): with less left nothing more is taken on, and releases, denials
/// and outcomes go on. An end is about a kilobyte, so this holds the ends of tens of thousands of requests.
pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// How often the bundle's folder or branch is looked at, in milliseconds. A change of a folder must look the same twice before
/// it is read, so that a file being saved is not taken for a shorter one.
pub const BUNDLE_POLL_MS: u64 = 1_000;

/// How often a broken bundle is mentioned again in the log while it stays broken, and a branch is read again, in seconds.
pub const BUNDLE_REMINDER_S: u64 = 300;

/// Largest configuration file, in bytes; a long one has two kilobytes.
pub const CONFIG_MAX: u64 = 256 * 1024;

/// Longest path of a Unix socket, in bytes: `sockaddr_un` holds 108 with the final zero, on some systems 104.
pub const SOCKET_PATH_MAX: usize = 103;
