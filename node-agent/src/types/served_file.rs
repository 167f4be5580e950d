//! A file as an answer: all of it, a part, or that it did not change.

mod content_type;
mod precondition;

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, ReadBuf};

use super::http_server::{Body, said, whole};
use precondition::{Version, Wanted};

/// Read and sent at a time.
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    /// For its type.
    pub(super) name: String,
}

pub(super) fn answer(open: OpenFile, request: &Request<Incoming>) -> Response<Body> {
    let version = Version::new(open.modified, open.size);
    let mut answer = match version.wanted(request.headers()) {
        Wanted::NotModified => empty(StatusCode::NOT_MODIFIED),
        Wanted::Failed => said(
            StatusCode::PRECONDITION_FAILED,
            "the file is another version by now",
        ),
        Wanted::Part { first, last } if *request.method() == Method::GET => {
            part_of(open, &version, first, last)
        }
        Wanted::NoSuchPart if *request.method() == Method::GET => {
            let why = format!("the file has {} bytes", version.size);
            let mut answer = said(StatusCode::RANGE_NOT_SATISFIABLE, &why);
            set(
                &mut answer,
                CONTENT_RANGE,
                &format!("bytes */{}", version.size),
            );
            answer
        }
        // A range is for GET alone.
        Wanted::All | Wanted::Part { .. } | Wanted::NoSuchPart => all_of(open, request.method()),
    };
    set(&mut answer, ETAG, &version.tag);
    set(
        &mut answer,
        LAST_MODIFIED,
        &httpdate::fmt_http_date(version.modified),
    );
    answer
        .headers_mut()
        .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer
}

pub(super) fn all_of(open: OpenFile, method: &Method) -> Response<Body> {
    let size = open.size;
    let kind = content_type::of(&open.name);
    let body = if *method == Method::HEAD {
        whole(Bytes::new())
    } else {
        FileBody::of(open.file, size)
    };
    let mut answer = Response::new(body);
    set(&mut answer, CONTENT_LENGTH, &size.to_string());
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn part_of(mut open: OpenFile, version: &Version, first: u64, last: u64) -> Response<Body> {
    if let Err(error) = open.file.seek(SeekFrom::Start(first)) {
        return said(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
    }
    let kind = content_type::of(&open.name);
    let mut answer = Response::new(FileBody::of(open.file, last - first + 1));
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    let range = format!("bytes {first}-{last}/{}", version.size);
    set(&mut answer, CONTENT_RANGE, &range);
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

fn set(answer: &mut Response<Body>, name: hyper::header::HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("it is made of printable characters");
    answer.headers_mut().insert(name, value);
}

/// So many bytes of a file, read as they are sent.
struct FileBody {
    file: tokio::fs::File,
    left: u64,
    piece: Vec<u8>,
}

impl FileBody {
    fn of(file: File, bytes: u64) -> Body {
        let size = usize::try_from(bytes)
            .unwrap_or(CHUNK_BYTES)
            .min(CHUNK_BYTES);
        let body = Self {
            file: tokio::fs::File::from_std(file),
            left: bytes,
            piece: vec![0; size],
        };
        body.map_err(Into::into).boxed()
    }
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let most =
            usize::try_from(this.left).map_or(this.piece.len(), |left| left.min(this.piece.len()));
        let mut buffer = ReadBuf::new(&mut this.piece[..most]);
        ready!(Pin::new(&mut this.file).poll_read(cx, &mut buffer))?;
        let read = buffer.filled();
        if read.is_empty() {
            // What was promised cannot be sent any more: the connection is broken off, so that nobody takes it for all.
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter");
            return Poll::Ready(Some(Err(error)));
        }
        let data = Bytes::copy_from_slice(read);
        this.left -= data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
