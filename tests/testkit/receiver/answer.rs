//! What a receiver answers, well or badly.

use std::{fmt::Write as _, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch};

use crate::wait;

/// What a receiver answers.
#[derive(Clone, Debug)]
pub struct Answer(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Bytes(Vec<u8>),
    BytesThenClose(Vec<u8>),
    BytesThenReset(Vec<u8>),
    Drip,
    Endless,
    Hang,
    Held(Vec<u8>, watch::Receiver<bool>),
    Late(Vec<u8>, Duration),
}

impl Answer {
    /// This status, with no body.
    pub fn status(status: u16) -> Self {
        Self::with(status, &[], "")
    }

    /// This status, with headers and a body.
    pub fn with(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut head = format!(
            "HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a string can be written to");
        }
        Self(Kind::Bytes(format!("{head}\r\n{body}").into_bytes()))
    }

    /// 200, but only once the sender says so.
    pub fn held(released: watch::Receiver<bool>) -> Self {
        Self::held_with(200, released)
    }

    /// This status, but only once the sender says so.
    pub fn held_with(status: u16, released: watch::Receiver<bool>) -> Self {
        let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n");
        Self(Kind::Held(head.into_bytes(), released))
    }

    /// 200, after `span`: a receiver that does something before it answers.
    pub fn late(span: Duration) -> Self {
        let bytes = b"HTTP/1.1 200 Told\r\ncontent-length: 0\r\n\r\n".to_vec();
        Self(Kind::Late(bytes, span))
    }

    /// Nothing, ever, on an open connection.
    pub fn hang() -> Self {
        Self(Kind::Hang)
    }

    /// 200 and a body of a million bytes, one a second.
    pub fn drip() -> Self {
        Self(Kind::Drip)
    }

    /// 200 and a body without end, as fast as it is taken.
    pub fn endless() -> Self {
        Self(Kind::Endless)
    }

    /// 200, the beginning of a body, then a connection reset.
    pub fn reset() -> Self {
        let bytes = b"HTTP/1.1 200 Told\r\ncontent-length: 100\r\n\r\nbeginning".to_vec();
        Self(Kind::BytesThenReset(bytes))
    }

    /// A connection reset instead of an answer.
    pub fn reset_at_once() -> Self {
        Self(Kind::BytesThenReset(Vec::new()))
    }

    /// Exactly these bytes, then the end.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Kind::BytesThenClose(bytes.into()))
    }

    /// Gives it; whether the connection goes on.
    pub(super) async fn give(self, stream: &mut TcpStream) -> bool {
        match self.0 {
            Kind::Bytes(bytes) => stream.write_all(&bytes).await.is_ok(),
            Kind::BytesThenClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                false
            }
            Kind::BytesThenReset(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // Closing without waiting for what is on its way is a reset.
                let _ = stream.set_zero_linger();
                false
            }
            Kind::Drip => {
                let head = b"HTTP/1.1 200 Told\r\ncontent-length: 1000000\r\n\r\n";
                let mut open = stream.write_all(head).await.is_ok();
                while open {
                    open = stream.write_all(b".").await.is_ok();
                    wait::pass(Duration::from_secs(1)).await;
                }
                false
            }
            Kind::Endless => {
                let head = b"HTTP/1.1 200 Told\r\ncontent-length: 1000000000000\r\n\r\n";
                let mut open = stream.write_all(head).await.is_ok();
                let block = vec![b'.'; 64 * 1024];
                while open {
                    open = stream.write_all(&block).await.is_ok();
                }
                false
            }
            Kind::Late(bytes, span) => {
                wait::pass(span).await;
                stream.write_all(&bytes).await.is_ok()
            }
            Kind::Hang => std::future::pending().await,
            Kind::Held(bytes, mut released) => {
                // Whoever held it and is gone has released it too.
                let _ = released.wait_for(|released| *released).await;
                stream.write_all(&bytes).await.is_ok()
            }
        }
    }
}
