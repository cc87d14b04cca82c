//! One connection: its requests, its last answer, its end.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::future::RouteFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use crate::cache_control::REVALIDATED;
use crate::error_page::{ErrorPage, Reader};
use crate::hosts::Hosts;

/// How long a connection without a request is kept after the stop: what its client has sent may not have arrived yet.
const LAST_REQUEST: Duration = Duration::from_millis(250);
/// How long the client may take to close its side after we closed ours.
const CLOSING: Duration = Duration::from_secs(1);

/// How long a client that has closed its sending side may wait for its answer; then it counts as gone.
const HALF_CLOSED: Duration = Duration::from_secs(2);

/// What holds for the requests of one listener, whatever their route.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) hosts: Hosts,
    pub(crate) error_page: Option<ErrorPage>,
}

/// What the connections of one listener share.
///
/// Not `axum::serve`: it makes every route anew for every connection, which costs 100 to 200 kB each, and closes
/// connections at the stop on which a request has arrived unread.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    /// Its clones share the routes.
    router: Router,
    rules: Arc<Rules>,
    stopping: Arc<AtomicBool>,
    stop: CancellationToken,
}

impl Connections {
    /// From `stopping` on, an answer is the last one of its connection.
    pub(crate) fn new(
        router: Router,
        rules: Rules,
        stopping: Arc<AtomicBool>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            router: router.with_state(()),
            rules: Arc::new(rules),
            stopping,
            stop,
        }
    }

    /// Answers the requests of one connection until one side ends it.
    pub(crate) fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + use<> {
        let Self {
            router,
            rules,
            stopping,
            stop,
        } = self.clone();
        // Small answers must not wait for more to come.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let stream = TokioIo::new(Closing::new(stream));
        let requests = Requests {
            router,
            rules,
            stopping,
        };
        // A client may close its sending side and wait for the answer. With this setting hyper does not notice a client that is
        // gone, so `Closing` does.
        let connection = http1::Builder::new()
            .half_close(true)
            .serve_connection(stream, requests);
        async move {
            let mut connection = pin!(connection);
            let no_more = async {
                stop.cancelled().await;
                sleep(LAST_REQUEST).await;
            };
            let ended = tokio::select! {
                // First: what has arrived is read before the time is looked at.
                biased;
                ended = connection.as_mut() => ended,
                () = no_more => {
                    // Ends it now, or with the answer to the request that it is at.
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection failed");
            }
        }
    }
}

/// Hands a connection's requests to the routes.
struct Requests {
    router: Router,
    rules: Arc<Rules>,
    stopping: Arc<AtomicBool>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        let reader = self.rules.error_page.as_ref();
        let reader = reader.map(|page| page.note(request.method(), request.headers()));
        let answer = match self.rules.hosts.check(&request) {
            Ok(()) => Answer::Route(tower::Service::call(&mut self.router.clone(), request)),
            Err(problem) => Answer::Refused(Some(problem.into_response())),
        };
        ResponseFuture {
            answer,
            reader,
            stopping: Arc::clone(&self.stopping),
        }
    }
}

/// An answer to be; the last one of its connection says so (RFC 9112, section 9.6).
struct ResponseFuture {
    answer: Answer,
    /// If errors are shown to people.
    reader: Option<Reader>,
    stopping: Arc<AtomicBool>,
}

/// Where its response comes from.
enum Answer {
    Route(RouteFuture<Infallible>),
    /// None once it is answered.
    Refused(Option<Response>),
}

impl Answer {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        match self {
            Self::Route(route) => {
                let Ok(response) = ready!(Pin::new(route).poll(context));
                Poll::Ready(response)
            }
            Self::Refused(response) => response.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.answer.poll(context));
        if let Some(reader) = &self.reader {
            reader.show(&mut response);
        }
        if response.status() == StatusCode::NOT_MODIFIED {
            // axum's, of the body that is not sent; it would have to be that of the 200 (RFC 9110, section 8.6).
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        let (name, value) = REVALIDATED;
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
        // Relaxed: the flag guards nothing but itself.
        if self.stopping.load(Ordering::Relaxed) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(response))
    }
}

/// A stream that fails once its client is gone. It closes in the two steps of RFC 9112, section 9.6: it ends its own side, then reads until
/// the client ends its side.
///
/// A client that ended looks like one that has closed its sending side and waits. So it is answered for a while, and gone after
/// that, or at once if it reset the connection.
///
/// A socket that is closed with bytes unread is reset, and a reset takes the last answer away from a client that has not read
/// it yet: one whose body was too long, or that sent another request meanwhile.
struct Closing {
    stream: TcpStream,
    /// Runs once the client's side is closed.
    gone: Option<Pin<Box<Sleep>>>,
    /// Runs once our side is closed.
    limit: Option<Pin<Box<Sleep>>>,
}

impl Closing {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            gone: None,
            limit: None,
        }
    }

    /// Fails if the client is gone; else the task is woken when it may be.
    fn check_client(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.gone.is_none() {
            // No system call unless something came: a read that took less than it could has noted that there is no more.
            let mut next = [0];
            let mut next = ReadBuf::new(&mut next);
            match self.stream.poll_peek(context, &mut next) {
                Poll::Ready(Ok(0)) => self.gone = Some(Box::pin(sleep(HALF_CLOSED))),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending | Poll::Ready(Ok(_)) => {}
            }
        }
        let waited = |gone: &mut Pin<Box<Sleep>>| gone.as_mut().poll(context).is_ready();
        if self.gone.as_mut().is_some_and(waited) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for Closing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Closing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Where hyper comes by whenever it has done something for the connection, or found nothing to do.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_client(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, limit, .. } = &mut *self;
        if limit.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let limit = limit.get_or_insert_with(|| Box::pin(sleep(CLOSING)));
        let mut unread = [0; 1024];
        loop {
            if limit.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut unread = ReadBuf::new(&mut unread);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut unread));
            if read.is_err() || unread.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
