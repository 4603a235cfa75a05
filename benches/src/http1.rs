//! Just enough HTTP/1.1 to make load without spending the machine on it.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};

/// A connection with what has been read from it and not been used.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// One message: the start line's second word (status or path) and where its body lies in the buffer.
pub(crate) struct Message {
    head: usize,
    length: usize,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Reads one message; `None` at the end of the stream.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Message>> {
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if !fill(&mut self.stream, &mut self.buffer).await? {
                return Ok(None);
            }
        };
        let length = content_length(&self.buffer[..head]);
        while self.buffer.len() < head + length {
            if !fill(&mut self.stream, &mut self.buffer).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Some(Message { head, length }))
    }

    pub(crate) fn status(&self, message: &Message) -> u16 {
        let head = &self.buffer[..message.head];
        head.get(9..12)
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| code.parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn body(&self, message: &Message) -> &[u8] {
        &self.buffer[message.head..message.head + message.length]
    }

    /// Forgets a message that has been dealt with.
    pub(crate) fn consume(&mut self, message: &Message) {
        self.buffer.drain(..message.head + message.length);
    }
}

async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.reserve(8 * 1024);
    Ok(stream.read_buf(buffer).await? > 0)
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    head.windows(NAME.len())
        .position(|window| window.eq_ignore_ascii_case(NAME))
        .and_then(|at| {
            let rest = &head[at + NAME.len()..];
            let end = rest.iter().position(|&byte| byte == b'\r')?;
            std::str::from_utf8(&rest[..end]).ok()?.trim().parse().ok()
        })
        .unwrap_or(0)
}

/// Where `needle` begins in `hay`.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len())
        .position(|window| window == needle)
}
