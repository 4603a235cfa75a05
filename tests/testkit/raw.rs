//! Bytes to a socket and back, for what no well-behaved client sends.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::wait;

/// An answer, taken apart as little as possible.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// Its status.
    pub status: u16,
    /// Head lines after the first, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The bytes of its body.
    pub body: Vec<u8>,
    /// From the first byte sent to the last byte read.
    pub took: Duration,
}

impl RawAnswer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends `bytes` and reads one answer, by its `content-length`. `None` if the server closes without one.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Option<RawAnswer> {
    let started = wait::now();
    let mut stream = TcpStream::connect(address).await.ok()?;
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let answer = wait::soon("an answer", read_answer(&mut stream)).await?;
    Some(RawAnswer {
        took: wait::now().saturating_sub(started),
        ..answer
    })
}

/// Reads one answer, by its `content-length`. `None` if the other side closes without one.
pub async fn read_answer(stream: &mut TcpStream) -> Option<RawAnswer> {
    let mut bytes = Vec::new();
    let end_of_head = loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end_of_head].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
    let mut body = bytes.split_off(end_of_head + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(RawAnswer {
        status,
        headers,
        body,
        took: Duration::ZERO,
    })
}
