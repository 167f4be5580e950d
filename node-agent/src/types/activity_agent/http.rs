//! The provider `http`: each call is a POST, and its answer the result.

use std::time::Duration;

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use mainstay_protocol::limits;
use mainstay_protocol::secret::SecretReference;
use mainstay_service::{Call, CannotStart, Context, Processed};

use super::answer::{self, Answer, What};
use super::calls;
use super::config::HttpWay;
use super::question;
use crate::types::http_url::{self, Question, Url};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Where the run does not say how long it may take. What takes longer says 202, or schedule, and does not keep a connection.
const WITHIN: Duration = Duration::from_secs(10 * 60);
/// Of an answer; what it says of each may have `WORK_BYTES_MAX`.
pub(super) const ANSWER_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Endpoint {
    url: Url,
    headers: HeaderMap,
}

impl Endpoint {
    pub(super) async fn of(way: &HttpWay, ctx: &Context) -> Result<Self, CannotStart> {
        let url = Url::parse(&way.url).map_err(CannotStart::config)?;
        let mut headers = HeaderMap::new();
        for (name, text) in &way.headers {
            let value = match SecretReference::of(text) {
                Some(Ok(reference)) => secret(reference, ctx).await?,
                Some(Err(_)) | None => {
                    HeaderValue::try_from(text.as_str()).map_err(CannotStart::config)?
                }
            };
            let name = HeaderName::try_from(name.as_str()).map_err(CannotStart::config)?;
            headers.insert(name, value);
        }
        Ok(Self { url, headers })
    }

    pub(super) async fn process(&self, call: &Call) -> Processed {
        let Ok(key) = HeaderValue::from_bytes(call.idempotency_key().as_bytes()) else {
            return Processed::fatal("its idempotency key cannot stand in a header");
        };
        let mut headers = self.headers.clone();
        headers.insert(IDEMPOTENCY_KEY, key);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let question = Question {
            method: Method::POST,
            headers,
            body: question::document(call),
        };
        let within = calls::own_time(call).unwrap_or(WITHIN);
        // One byte more tells that there is more.
        match http_url::ask(&self.url, question, ANSWER_BYTES_MAX + 1, within).await {
            Ok(answer) if answer.body.len() > ANSWER_BYTES_MAX => Processed::retry(format!(
                "{} answered {} with more than {ANSWER_BYTES_MAX} bytes",
                self.url, answer.status
            )),
            Ok(answer) => self.concluded(&answer),
            Err(why) => Processed::retry(answer::told(format!("{} {why}", self.url))),
        }
    }

    fn concluded(&self, answered: &http_url::Answer) -> Processed {
        let said = answer::read(&answered.body);
        match (answered.status, said) {
            (200 | 201 | 204, Answer::Nothing) => Processed::complete(()),
            (200 | 201 | 204, Answer::Outputs(outputs)) => answer::completed(&outputs),
            (202, Answer::Nothing | Answer::Outputs(_)) => Processed::wait(),
            (200 | 201 | 202 | 204, Answer::Said(said)) => said.processed(None),
            // For good, and nothing was done. 302 and 303 are what many answer after they have done it.
            (301 | 307 | 308, _) => Processed::fatal(self.moved(answered)),
            (300..=399, _) => Processed::retry(self.moved(answered)),
            // An outcome that is not known is an attempt.
            (_, Answer::Bad(why)) => retry(self.why(answered, &why), later(answered)),
            (_, Answer::Said(said)) if said.what.is_failure() => {
                let said = said.or_after(later(answered));
                said.processed(Some(self.why(answered, "")))
            }
            (_, Answer::Said(said)) => self.contradicts(answered, said.what),
            (_, Answer::Nothing | Answer::Outputs(_)) => self.refused(answered),
        }
    }

    /// Its status says what there is to say.
    fn refused(&self, answered: &http_url::Answer) -> Processed {
        let why = |odd: &str| self.why(answered, odd);
        match answered.status {
            409 => Processed::retry(why("it is being done already")),
            // What a proxy says too, while the service behind it is exchanged.
            401 | 403 | 404 => Processed::retry(why("")),
            // None of these is a fault of the question: heard too slowly, by another, of something locked, or too early.
            408 | 421 | 423 | 425 => Processed::retry(why("")),
            429 | 500..=599 => retry(why(""), later(answered)),
            400..=499 => Processed::fatal(why("")),
            _ => Processed::retry(why("which says nothing of an activity")),
        }
    }

    fn contradicts(&self, answered: &http_url::Answer, what: What) -> Processed {
        let odd = format!("and yet it said {}", what.name());
        Processed::retry(self.why(answered, &odd))
    }

    fn moved(&self, answered: &http_url::Answer) -> String {
        let (url, status) = (&self.url, answered.status);
        let location = answered.headers.get(LOCATION);
        let location = location.map(|there| String::from_utf8_lossy(there.as_bytes()).into_owned());
        match location {
            Some(there) => format!(
                "{url} answered {status}: it has moved to {}, and redirects are not followed",
                answer::quoted(&there)
            ),
            None => format!("{url} answered {status}, and redirects are not followed"),
        }
    }

    /// What it answered, what is odd about that, and the first of its words.
    fn why(&self, answered: &http_url::Answer, odd: &str) -> String {
        let mut why = format!("{} answered {}", self.url, answered.status);
        let body = String::from_utf8_lossy(&answered.body);
        for more in [odd.to_owned(), answer::quoted(body.trim())] {
            if !more.is_empty() {
                why.push_str(": ");
                why.push_str(&more);
            }
        }
        answer::told(why)
    }
}

fn retry(why: String, after: Option<Duration>) -> Processed {
    match after {
        Some(after) => Processed::retry_after(why, after),
        None => Processed::retry(why),
    }
}

/// What 429 and 503 say of another attempt, in seconds; the other form, a date, counts on clocks that agree, and is left to
/// the definition's own times.
fn later(answered: &http_url::Answer) -> Option<Duration> {
    if !matches!(answered.status, 429 | 503) {
        return None;
    }
    let seconds = answered.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = seconds.parse::<u64>().ok()?;
    let ms = seconds.saturating_mul(1_000);
    Some(Duration::from_millis(ms.min(limits::WORK_WAIT_MS_MAX)))
}

/// Files of secrets end with the end of a line, which no header does.
async fn secret(reference: SecretReference, ctx: &Context) -> Result<HeaderValue, CannotStart> {
    let name = reference.to_string();
    let bytes = ctx.secret(&reference.into()).await?;
    let value = HeaderValue::from_bytes(bytes.expose().trim_ascii_end());
    let mut value = value
        .map_err(|_| CannotStart::not_now(format!("{name}: its value cannot stand in a header")))?;
    value.set_sensitive(true);
    Ok(value)
}
