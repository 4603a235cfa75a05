//! As much of an answer's body as is taken.

use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;

use crate::{connection::Connection, error::EgressError};

/// As much of a body as was taken. Most bodies are one chunk, which is then not copied.
#[derive(Default)]
pub(crate) struct Taken {
    first: Bytes,
    all: BytesMut,
}

/// Where reading ended.
pub(crate) enum Ended {
    /// There is more than may be taken.
    AtCap,
    /// There is no more.
    Whole,
}

impl Taken {
    /// Reads on until the end, or until `cap` bytes are there and more comes.
    pub(crate) async fn read(
        &mut self,
        connection: &mut Connection,
        body: &mut Incoming,
        cap: usize,
    ) -> Result<Ended, EgressError> {
        while let Some(chunk) = connection.read(body).await.transpose()? {
            let room = cap - self.len();
            if chunk.len() > room {
                self.push(Bytes::copy_from_slice(&chunk[..room]));
                return Ok(Ended::AtCap);
            }
            self.push(chunk);
        }
        Ok(Ended::Whole)
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&chunk);
    }
}
