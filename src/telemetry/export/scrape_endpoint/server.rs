//! Connections to the endpoint. All share one thread, so an idle one costs a file descriptor and delays nobody.
//!
//! A connection carries one request. It ends with the answer, when a time limit has passed, or,
//! if there are too many, in favour of a newer one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::{Pages, Sent};

/// Connections open at a time. Prometheus and a supervisor need two or three.
const MAX_CONNECTIONS: usize = 64;

/// How long a client may take to send its request.
const LONGEST_REQUEST: Duration = Duration::from_secs(5);

/// How long a connection may last: Prometheus gives up after 10 s.
const LONGEST_CONNECTION: Duration = Duration::from_secs(15);

/// Bytes of a request that are buffered, the least that hyper takes; those of Prometheus have about 300.
const MAX_REQUEST: usize = 8 << 10;

/// Pause after `accept` fails: file descriptors may have run out.
const BREATH: Duration = Duration::from_millis(100);

/// Answers connections for ever.
pub(super) async fn serve(listener: &TcpListener, pages: &Arc<Pages>) {
    let mut open = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open.admit(stream, pages),
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

/// The open connections, oldest first.
#[derive(Default)]
struct Connections(VecDeque<Connection>);

struct Connection {
    task: AbortHandle,
    sent: Arc<Sent>,
}

impl Connections {
    /// Starts to answer `stream`. If that makes one too many, closes the oldest that waits for its
    /// request, or else the oldest.
    fn admit(&mut self, stream: TcpStream, pages: &Arc<Pages>) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() >= MAX_CONNECTIONS {
            let idle = self.0.iter().position(|open| !open.sent.is_answer());
            if let Some(connection) = self.0.remove(idle.unwrap_or(0)) {
                connection.task.abort();
            }
        }
        let sent = Arc::<Sent>::default();
        let task = tokio::spawn(answer(stream, Arc::clone(pages), Arc::clone(&sent)));
        self.0.push_back(Connection {
            task: task.abort_handle(),
            sent,
        });
    }
}

/// Answers one request.
async fn answer(stream: TcpStream, pages: Arc<Pages>, sent: Arc<Sent>) {
    let service = service_fn(|request| Arc::clone(&pages).answer(request, Arc::clone(&sent)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_REQUEST)
        .max_buf_size(MAX_REQUEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that went away is nothing to report.
    if let Ok(Ok(())) = tokio::time::timeout(LONGEST_CONNECTION, connection).await {
        pages.note_sent(&sent);
    }
}
