//! One request for the bytes that are still missing, and the judgement of what comes back.

use std::io;
use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, Uri, header};
use ureq::{Agent, BodyReader, Timeout};

use super::published::{Published, shown_size};
use crate::error::{Error, Result};

/// What every message about a server ends with that does not have the file.
const CURE: &str = "or download the file elsewhere and give it with --weights FILE";

/// No weights file of this kind of network is larger; nor is one smaller than an error page may be.
const LENGTHS: std::ops::RangeInclusive<u64> = 1 << 16..=4 << 30;

/// How patient a download is.
pub(super) struct Patience {
    /// To look up a host and connect to it.
    pub connect: Duration,
    /// For the next byte.
    pub stall: Duration,
    /// Before each new try after a cut connection.
    pub pauses: &'static [Duration],
    /// Whether `HTTPS_PROXY` and its kin count.
    pub proxy: bool,
}

impl Patience {
    /// What users get.
    pub(super) const USUAL: Self = Self {
        connect: Duration::from_secs(15),
        stall: Duration::from_secs(30),
        pauses: &[Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)],
        proxy: true,
    };
}

/// Why bytes did not come.
pub(super) enum Failure {
    /// The connection broke: another try may help.
    Cut(String),
    /// This server answers no requests for the rest of a file: from the start, then.
    NoRanges,
    /// To try again does not help.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Final(e)
    }
}

/// The rest of the file, as far as the server has promised it.
pub(super) struct Answer {
    /// Where in the file the body begins: where asked, or 0.
    pub start: u64,
    /// Bytes of the whole file.
    pub total: u64,
    /// What the server calls this version of the file.
    pub etag: Option<String>,
    pub body: BodyReader<'static>,
}

/// Asks one server for one file.
pub(super) struct Client<'a> {
    p: &'a Published,
    agent: Agent,
    url: String,
    patience: Patience,
    /// Whether it has ever been reached.
    answered: bool,
    /// Bytes of the whole file: as the project tells or, where it does not, the server.
    total: Option<u64>,
}

impl<'a> Client<'a> {
    /// For the file `p` in the folder `origin` of a server.
    ///
    /// # Errors
    /// [`Error::Config`] if `origin` is not the address of one.
    pub(super) fn new(p: &'a Published, origin: &str, patience: Patience) -> Result<Self> {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if host.is_none_or(|h| h.is_empty() || h.starts_with('/') || h.contains(char::is_whitespace)) {
            let reason = format!("`{origin}` is no address: it begins with https:// or http:// and a host");
            return Err(Error::Config { setting: "mirror".into(), reason });
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(5)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            // Lengths and ranges count the file's own bytes.
            .accept_encoding("identity")
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_per_read(Some(patience.stall))
            .timeout_per_write(Some(patience.stall));
        let config = if patience.proxy { config } else { config.proxy(None) };
        let url = format!("{}/{}", origin.trim_end_matches('/'), p.path);
        Ok(Self { p, agent: config.build().new_agent(), url, patience, answered: false, total: p.bytes })
    }

    /// How long to wait before each new try.
    pub(super) fn pauses(&self) -> &'static [Duration] {
        self.patience.pauses
    }

    /// Bytes of the whole file, once somebody has told.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether only the server tells how long the file is.
    pub(super) fn is_told_by_server(&self) -> bool {
        self.p.bytes.is_none()
    }

    /// Asks for the bytes from `from` on, if the file is still the one that `etag` names.
    pub(super) fn ask(&mut self, from: u64, etag: Option<&str>) -> Result<Answer, Failure> {
        let mut request = self.agent.get(&self.url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
            if let Some(etag) = etag {
                request = request.header(header::IF_RANGE, etag);
            }
        }
        let response = request.call().map_err(|e| self.unanswered(e))?;
        self.answered = true;
        let (parts, body) = response.into_parts();
        let announced = match parts.status {
            StatusCode::OK => body.content_length(),
            StatusCode::PARTIAL_CONTENT if from > 0 => match content_range(&parts.headers) {
                Some((start, total)) if start == from => total,
                _ => return Err(Failure::NoRanges),
            },
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return Err(Failure::NoRanges),
            status => return Err(self.refused(status).into()),
        };
        let total = self.check_length(announced, &parts.headers)?;
        let start = if parts.status == StatusCode::OK { 0 } else { from };
        Ok(Answer { start, total, etag: strong_etag(&parts.headers), body: body.into_reader() })
    }

    /// Judges the length that the server gives the whole file, and returns it.
    fn check_length(&mut self, announced: Option<u64>, headers: &HeaderMap) -> Result<u64> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let what = if kind.starts_with("text/html") { "a web page" } else { "something" };
        let host = self.host();
        let due = match (self.total, announced) {
            (Some(total), None) => return Ok(total),
            (Some(total), Some(announced)) if announced == total => return Ok(total),
            (Some(total), Some(_)) => format!("the file has {total}"),
            (None, Some(announced)) if LENGTHS.contains(&announced) => {
                self.total = Some(announced);
                return Ok(announced);
            }
            (None, Some(_)) => "no weights file of this network has so many".into(),
            (None, None) => {
                let reason = format!("{host} does not tell how long the file is: try another mirror, {CURE}");
                return Err(self.error(reason));
            }
        };
        let announced = announced.unwrap_or_default();
        Err(self.error(format!("{host} sends {what} of {announced} bytes, and {due}: try another mirror, {CURE}")))
    }

    /// The error for a status that brings no bytes.
    fn refused(&self, status: StatusCode) -> Error {
        let (host, code) = (self.host(), status.as_u16());
        self.error(match code {
            404 | 410 => format!("HTTP {code}: {host} has no such file: try another mirror, {CURE}"),
            401 | 403 | 451 => format!("HTTP {code}: {host} does not hand the file out: try another mirror, {CURE}"),
            407 => format!("HTTP {code}: the proxy wants a login: put it into HTTPS_PROXY, {CURE}"),
            408 | 429 | 500..600 => format!("HTTP {code}: {host} cannot serve it now: try again later, {CURE}"),
            _ => format!("HTTP {code}: {host} does not answer with the file: try another mirror, {CURE}"),
        })
    }

    /// Judges a request without an answer.
    fn unanswered(&self, e: ureq::Error) -> Failure {
        let host = self.host();
        let reason = match &e {
            ureq::Error::TooManyRedirects => {
                let reason = format!("{host} redirects without end: try another mirror, {CURE}");
                return Failure::Final(self.error(reason));
            }
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
                return Failure::Final(self.error(format!("{e}: check the mirror's address")));
            }
            e => self.told(e),
        };
        if self.answered {
            return Failure::Cut(reason);
        }
        // A host that never answered will not in three seconds either.
        let proxy = self.proxy().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        let reason = format!("cannot reach {host}{proxy} ({reason}): check the network and HTTPS_PROXY, {CURE}");
        Failure::Final(self.error(reason))
    }

    /// An error of the connection in plain words.
    fn told(&self, e: &ureq::Error) -> String {
        match e {
            ureq::Error::HostNotFound => "no such host is known".into(),
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                format!("no connection within {:?}", self.patience.connect)
            }
            ureq::Error::Timeout(_) => format!("no byte came within {:?}", self.patience.stall),
            ureq::Error::Io(e) => e.to_string(),
            e => e.to_string(),
        }
    }

    /// An error of a body in plain words.
    pub(super) fn cut(&self, e: io::Error) -> Failure {
        // The reader wraps ureq's errors.
        Failure::Cut(self.told(&ureq::Error::from(e)))
    }

    /// The error for a server that sends more than the file has.
    pub(super) fn too_long(&self) -> Error {
        let bytes = self.total.unwrap_or_default();
        self.error(format!(
            "{} sends more than the file's {bytes} bytes: what had come is removed; try another mirror, {CURE}",
            self.host()
        ))
    }

    /// The error for bytes that are not the file's.
    pub(super) fn wrong_hash(&self, got: &str) -> Error {
        let (hash, due) = (self.p.check.name(), self.p.check.digits());
        let is = if due.len() < got.len() { "begins with" } else { "is" };
        self.error(format!(
            "the bytes that came are not the file: their {hash} is {got}, and the file's {is} {due}; they are removed: \
             run the command again, try another mirror, {CURE}"
        ))
    }

    /// The error for a connection that breaks again and again, `done` bytes into the file.
    pub(super) fn given_up(&self, reason: &str, done: u64) -> Error {
        let all = self.total.map(|total| format!(" of {}", shown_size(total))).unwrap_or_default();
        let done = shown_size(done);
        self.error(format!(
            "the connection keeps breaking, the last time after {done}{all} ({reason}): run the same command again \
             to go on from there"
        ))
    }

    /// The host between us and the server, if there is one.
    fn proxy(&self) -> Option<&str> {
        let uri: Uri = self.url.parse().ok()?;
        self.agent.config().proxy().filter(|proxy| !proxy.is_no_proxy(&uri)).map(|proxy| proxy.host())
    }

    fn host(&self) -> &str {
        let host = after_scheme(&self.url).split('/').next().unwrap_or_default();
        host.rsplit_once('@').map_or(host, |(_, host)| host)
    }

    fn error(&self, reason: String) -> Error {
        // A password in the mirror's address is nothing for a log.
        let address = after_scheme(&self.url);
        let scheme = &self.url[..self.url.len() - address.len()];
        let path = address.find('/').map_or("", |at| &address[at..]);
        Error::Download { url: format!("{scheme}{}{path}", self.host()), reason }
    }
}

fn after_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// First byte and total of a `Content-Range`; the total may be unknown.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = match total.trim() {
        "*" => None,
        n => Some(n.parse().ok()?),
    };
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last && total.is_none_or(|n| last < n)).then_some((first, total))
}

/// A weak ETag says nothing about bytes.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(header::ETAG)?.to_str().ok()?;
    etag.starts_with('"').then(|| etag.to_owned())
}
