//! The `h2` crate and nothing else: every request is answered with the same gRPC message.
//!
//! On one thread and one runtime, as the server's own gRPC thread is. A request is read to its end, because a real
//! one must be.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::TcpStream;

/// Serves `message`, a length-prefixed message as gRPC frames it, until standard input closes.
pub fn serve(listen: SocketAddr, message: Bytes) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    println!("listening {}", listener.local_addr()?);
    io::stdout().flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::select! {
            ended = accept(listener, message) => ended,
            () = stdin_closes() => Ok(()),
        }
    })
}

async fn accept(listener: tokio::net::TcpListener, message: Bytes) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(converse(socket, message.clone()));
    }
}

/// Answers on one connection until it ends, for whatever reason.
async fn converse(socket: TcpStream, message: Bytes) -> Result<(), h2::Error> {
    let mut conn = h2::server::handshake(socket).await?;
    while let Some(request) = conn.accept().await {
        let (request, respond) = request?;
        tokio::spawn(answer(request.into_body(), respond, message.clone()));
    }
    Ok(())
}

async fn answer(
    mut body: h2::RecvStream,
    mut respond: h2::server::SendResponse<Bytes>,
    message: Bytes,
) -> Result<(), h2::Error> {
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    let mut response = Response::new(());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(message, false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}

/// Standard input is read on a thread of its own: a runtime can't wait for it.
async fn stdin_closes() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = closed.send(());
    });
    let _ = wait.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that a call gets the message and the status, by an HTTP/2 client.
    #[test]
    fn every_call_gets_the_message() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(accept(listener, Bytes::from_static(b"\0\0\0\0\x02hi")));
            let (client, conn) = h2::client::handshake(TcpStream::connect(address).await.unwrap()).await.unwrap();
            tokio::spawn(conn);
            let mut client = client.ready().await.unwrap();
            let request = http::Request::post("http://bench/any.Service/Call").body(()).unwrap();
            let (response, mut body) = client.send_request(request, false).unwrap();
            body.send_data(Bytes::from_static(b"\0\0\0\0\0"), true).unwrap();
            let mut body = response.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "\0\0\0\0\x02hi");
            assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
        });
    }
}
