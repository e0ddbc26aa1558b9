//! A connection to the gateway, as any client has it.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hatchery_protocol::{
    ClientInfo, ConnectAuth, ConnectParams, Frame, HelloOk, Line, LineBuffer, Method, Request,
    Response, Secret,
};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::failure::Failure;

/// The longest frame taken from a gateway, in bytes.
const MAX_FRAME: usize = 64 * 1024 * 1024;

/// A connection to the gateway, greeted.
pub(crate) struct Client {
    stream: UnixStream,
    frames: LineBuffer,
    requests: u64,
}

impl Client {
    /// Greets the gateway at the other end, with a ticket where this is a run's process.
    pub(crate) async fn greet(stream: UnixStream, ticket: Option<&[u8]>) -> Result<Self, Failure> {
        let mut client = Self { stream, frames: LineBuffer::new(MAX_FRAME), requests: 0 };
        let mut params = ConnectParams::local(ClientInfo {
            id: "cli".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: std::env::consts::OS.to_owned(),
            mode: "cli".to_owned(),
            ..ClientInfo::default()
        });
        params.auth = ticket.map(|ticket| ConnectAuth {
            ticket: Some(Secret::new(STANDARD.encode(ticket))),
            ..ConnectAuth::default()
        });
        let id = client.send("connect", &params).await?;
        let _hello: HelloOk = serde_json::from_value(client.answer_to(&id).await?)?;
        Ok(client)
    }

    /// Asks and waits for the answer.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        params: &impl Serialize,
    ) -> Result<Value, Failure> {
        let id = self.send(method.name(), params).await?;
        self.answer_to(&id).await
    }

    /// Asks, and returns the id the answer will have.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<String, Failure> {
        self.requests += 1;
        let id = self.requests.to_string();
        let params = Some(serde_json::to_value(params)?);
        let frame = Frame::Req(Request { id: id.clone(), method: method.to_owned(), params });
        let mut line = serde_json::to_vec(&frame)?;
        line.push(b'\n');
        // A gateway that turned us away has closed its end; its reason is still to be read.
        match self.stream.write_all(&line).await {
            Err(error) if !matches!(error.kind(), BrokenPipe | ConnectionReset) => {
                Err(Failure::system("writing to the gateway")(error))
            }
            _ => Ok(id),
        }
    }

    async fn answer_to(&mut self, wanted: &str) -> Result<Value, Failure> {
        loop {
            if let Frame::Res(response) = self.next().await?
                && (response.id == wanted || response.id == "connect")
            {
                return outcome(response);
            }
        }
    }

    /// The next frame from the gateway. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Frame, Failure> {
        loop {
            match self.frames.next_line() {
                Some(Line::Complete(line)) if line.is_empty() => {}
                Some(Line::Complete(line)) => return Ok(serde_json::from_slice(&line)?),
                Some(Line::TooLong) => return Err(Failure::Disconnected),
                None => {
                    // A reset is an end like any other.
                    if self.stream.read_buf(self.frames.incoming()).await.unwrap_or(0) == 0 {
                        return Err(Failure::Disconnected);
                    }
                }
            }
        }
    }
}

/// What a response says.
pub(crate) fn outcome(response: Response) -> Result<Value, Failure> {
    match (response.ok, response.error) {
        (true, _) => Ok(response.payload.unwrap_or_default()),
        (false, Some(error)) => Err(Failure::refused(error)),
        (false, None) => Err(Failure::Disconnected),
    }
}
