//! Connections to the API, bounded: so many at once on each listener, each of whose requests has
//! its head within ten seconds. Who dribbles bytes on the loopback port holds a place for that
//! long, and none of the Unix socket's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::limits;

/// A request's head takes no longer, nor does a connection wait longer for its next request.
const HEAD: Duration = Duration::from_secs(10);

/// How long requests under way may go on when the server ends.
const LAST: Duration = Duration::from_secs(5);

/// Where connections come from.
pub(super) trait Accepting {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accepting for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Accepting for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Serves a listener until the end.
pub(super) async fn serve(
    listener: impl Accepting,
    router: Router,
    mut end: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let stream = tokio::select! {
            _ = end.wait_for(|end| *end) => break,
            // Whoever is over gives its place back, and its task is forgotten.
            Some(_) = connections.join_next() => continue,
            next = async { (place.await, listener.next().await) } => next,
        };
        let (Ok(place), stream) = stream else { break };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the API cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let mut ends = end.clone();
        connections.spawn(async move {
            let _place = place;
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let mut connection =
                std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            // What goes wrong with one connection is its peer's to see.
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = ends.wait_for(|end| *end) => connection.as_mut().graceful_shutdown(),
            }
            let _ = tokio::time::timeout(LAST, connection).await;
        });
    }
    while connections.join_next().await.is_some() {}
}
