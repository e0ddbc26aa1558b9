//! One who watches a run: sees things as they come, or later, once it has caught up.

use hatchery_protocol::Response;

use crate::hub::ConnectionId;
use crate::outbox::{EncodedEvent, Gone, Outbox, Share};

/// A connection that watches a run, and waits for its end under the id of the request by which it
/// came to do so.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    pub(super) connection: ConnectionId,
    pub(crate) outbox: Outbox,
    pub(crate) request: String,
    /// Whether it came to a run that was there already.
    pub(super) has_joined: bool,
    /// What it is told once it has caught up; `None` for one that has. Each event takes its share
    /// of the run's window along, so what is held is bounded and holds the run up.
    held: Option<Vec<Held>>,
}

#[derive(Clone, Debug)]
enum Held {
    Event(EncodedEvent, Share),
    End(Response),
}

impl Watcher {
    pub(crate) fn new(connection: ConnectionId, outbox: Outbox, request: String) -> Self {
        Self { connection, outbox, request, has_joined: false, held: None }
    }

    /// The same as one that has to catch up.
    pub(super) fn holding(self) -> Self {
        Self { has_joined: true, held: Some(Vec::new()), ..self }
    }

    pub(super) fn tell(&mut self, event: EncodedEvent, share: Share) -> Result<(), Gone> {
        match &mut self.held {
            None => self.outbox.put_event(event, share),
            Some(held) => {
                held.push(Held::Event(event, share));
                Ok(())
            }
        }
    }

    /// Says the last thing; whether that has to wait.
    pub(super) fn end(&mut self, response: Response) -> bool {
        match &mut self.held {
            None => {
                self.outbox.answer(response, Share::None);
                false
            }
            Some(held) => {
                held.push(Held::End(response));
                true
            }
        }
    }

    /// Says what was held; whether there is more to come.
    pub(super) fn release(&mut self) -> bool {
        for held in self.held.take().unwrap_or_default() {
            match held {
                Held::Event(event, share) => {
                    if self.outbox.put_event(event, share).is_err() {
                        return false;
                    }
                }
                Held::End(response) => {
                    self.outbox.answer(response, Share::None);
                    return false;
                }
            }
        }
        true
    }
}
