//! A connection on the owner's socket.

use std::path::Path;

use hatchery_protocol::{
    ClientInfo, ConnectParams, Frame, Line, LineBuffer, Method, Request, Response,
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::failure::Failure;

/// The longest frame taken, in bytes.
const MAX_FRAME: usize = 64 * 1024 * 1024;

/// A greeted connection.
pub(crate) struct Client {
    stream: UnixStream,
    frames: LineBuffer,
    requests: u64,
}

impl Client {
    /// Connects and greets; `None` while nobody listens there.
    pub(crate) async fn connect(socket: &Path) -> Result<Option<Self>, Failure> {
        let Ok(stream) = hatchery_gateway::connect(socket) else { return Ok(None) };
        let mut client = Self { stream, frames: LineBuffer::new(MAX_FRAME), requests: 0 };
        let params = ConnectParams::local(ClientInfo {
            id: "bench".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: std::env::consts::OS.to_owned(),
            mode: "cli".to_owned(),
            ..ClientInfo::default()
        });
        let id = client.send("connect", &params).await?;
        client.answer_to(&id).await.map(|_| Some(client))
    }

    /// Asks and waits for the answer.
    pub(crate) async fn call(&mut self, method: Method) -> Result<Value, Failure> {
        self.call_with(method, &json!({})).await
    }

    /// Asks with parameters and waits for the answer.
    pub(crate) async fn call_with(
        &mut self,
        method: Method,
        params: &impl Serialize,
    ) -> Result<Value, Failure> {
        let id = self.send(method.name(), params).await?;
        self.answer_to(&id).await
    }

    /// Asks, and returns the id the answers will have.
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
        self.stream.write_all(&line).await.map_err(Failure::io("writing to the gateway"))?;
        Ok(id)
    }

    /// The next answer to any request; events are passed over.
    pub(crate) async fn next_answer(&mut self) -> Result<(String, Value), Failure> {
        loop {
            match self.frames.next_line() {
                Some(Line::Complete(line)) => {
                    if let Frame::Res(response) = serde_json::from_slice(&line)? {
                        return Ok((response.id.clone(), payload(response)?));
                    }
                }
                Some(Line::TooLong) => return Err(Failure::Disconnected),
                None => {
                    let read = self.stream.read_buf(self.frames.incoming()).await;
                    if read.map_err(Failure::io("reading from the gateway"))? == 0 {
                        return Err(Failure::Disconnected);
                    }
                }
            }
        }
    }

    async fn answer_to(&mut self, wanted: &str) -> Result<Value, Failure> {
        loop {
            let (id, payload) = self.next_answer().await?;
            if id == wanted {
                return Ok(payload);
            }
        }
    }
}

fn payload(response: Response) -> Result<Value, Failure> {
    match (response.ok, response.error) {
        (true, _) => Ok(response.payload.unwrap_or_default()),
        (false, error) => {
            Err(Failure::Refused(error.map(|error| error.message).unwrap_or_default()))
        }
    }
}
