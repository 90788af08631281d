use std::sync::Arc;

use futures_channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _, select_biased};

use cota_core::bot::USER_UTTER;
use cota_core::event::{Event, EventBody, InboxMessage};
use cota_core::ids::{ConversationKey, Timestamp};
use cota_core::turn::Fragment;
use cota_driver::failpoint::failpoint;
use cota_driver::ports::{Clock, Spawn as _};
use cota_driver::store::{Store, StoreError};
use cota_gateway::websocket::render;
use cota_protocol::websocket::ServerFrame;

use super::post::{Post, Posted};
use super::record::{ConnectionId, Seat};
use super::register::Register;
use super::rooms::Rooms;
use crate::invocation::Present;

/// Between two pieces of a reply on one connection, in milliseconds.
const PIECES_MS: u64 = 100;
/// Events read from the record at once.
const PAGE: usize = 256;

/// Tells the connections of a room what is new in its conversation.
#[derive(Clone)]
pub(crate) struct FanOut {
    pub(crate) register: Register,
    pub(crate) rooms: Rooms,
    pub(crate) post: Post,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) present: Arc<Present>,
}

/// The delivery of one conversation's news while it is driven here. Nothing that it takes is waited for.
pub(crate) struct Delivery {
    streams: bool,
    news: UnboundedSender<News>,
}

enum News {
    Fragment(Fragment),
    Durable(Arc<[Event]>),
}

impl FanOut {
    /// Begins to deliver, with the message whose acceptance began it all. A room in which nobody sits hears what is durable all the
    /// same: somebody may come meanwhile.
    ///
    /// Whether anybody wants pieces of the reply has to be known before the model is asked. Where it is, for somebody else
    /// `wants_pieces`, who sits in the room is read while the model thinks.
    pub(crate) async fn begin(&self, key: &ConversationKey, accepted: Option<InboxMessage>, wants_pieces: bool) -> Delivery {
        let seats = if wants_pieces { None } else { self.seats_of_turn(key).await };
        let streams = wants_pieces || seats.as_deref().is_some_and(any_streams);
        let (news, heard) = mpsc::unbounded();
        let (fan_out, key) = (self.clone(), key.clone());
        self.present.spawn(Box::pin(async move {
            let seats = match seats {
                Some(seats) => Some(seats),
                None => fan_out.seats_of_turn(&key).await,
            };
            if let Some(message) = accepted {
                fan_out.tell(&key, seats.as_deref().unwrap_or_default(), |_| vec![render::accepted(&key.id, &message)]).await;
            }
            fan_out.deliver(&key, seats, heard).await;
        }));
        Delivery { streams, news }
    }

    /// Shows a message to its room when it is accepted.
    pub(crate) async fn accepted(&self, key: &ConversationKey, message: &InboxMessage) {
        let seats = self.seats(key).await.unwrap_or_default();
        self.tell(key, &seats, |_| vec![render::accepted(&key.id, message)]).await;
    }

    /// Tells a room that its conversation is no more, and takes up its record from the beginning.
    pub(crate) async fn forgotten(&self, key: &ConversationKey) {
        let seats = self.seats(key).await.unwrap_or_default();
        self.tell(key, &seats, |_| vec![render::forgotten(&key.id)]).await;
        if let Err(error) = self.register.begin_anew(key, &seats).await {
            tracing::warn!(%error, "the records of a forgotten conversation's room could not be changed");
        }
    }

    /// Sends what is durable and was not sent, because whoever wrote it died before. The conversation was just looked at.
    pub(crate) async fn catch_up(&self, key: &ConversationKey) -> Result<(), StoreError> {
        if !self.rooms.may_be_taken(key, self.clock.now()) {
            return Ok(());
        }
        let seats = self.register.seats(key).await?;
        if seats.is_empty() {
            return Ok(());
        }
        // What a seat was sent when it was taken is behind it; before the first delivery that is all there is to go by.
        let seen = seats.iter().map(|(_, seat)| seat.after).min().unwrap_or_default();
        let mut after = self.register.delivered(key).await?.max(seen);
        loop {
            let events: Arc<[Event]> = self.store.events(key, after, PAGE).await?.into();
            let Some(last) = events.last() else { return Ok(()) };
            after = last.seq;
            self.durable(key, &seats, &events).await;
        }
    }

    /// Sends frames to a connection, one after the other; whether it is still there.
    pub(crate) async fn send(&self, id: &ConnectionId, connected: Timestamp, frames: Vec<ServerFrame>) -> bool {
        for frame in frames {
            match self.post.send(id, connected, &frame).await {
                Posted::Sent | Posted::Refused => {}
                Posted::Gone => {
                    self.forget(id).await;
                    return false;
                }
            }
        }
        true
    }

    /// Takes a connection that is gone off the register.
    async fn forget(&self, id: &ConnectionId) {
        if let Err(error) = self.register.close(id).await {
            tracing::warn!(%error, "a connection that is gone could not be forgotten");
        }
    }

    /// Sends each seat its frames, all seats at once.
    pub(crate) async fn tell(&self, key: &ConversationKey, seats: &[(ConnectionId, Seat)], frames: impl Fn(&Seat) -> Vec<ServerFrame>) {
        let sends = seats.iter().map(|(id, seat)| async {
            if !self.send(id, seat.connected, frames(seat)).await
                && let Err(error) = self.register.rise(key, id).await
            {
                tracing::warn!(%error, "a connection that is gone could not be taken off its seat");
            }
        });
        join_all(sends).await;
    }

    async fn deliver(&self, key: &ConversationKey, mut seats: Option<Vec<(ConnectionId, Seat)>>, mut heard: UnboundedReceiver<News>) {
        let mut pieces = Pieces::default();
        loop {
            let flush_at = pieces.due();
            let mut time = match flush_at {
                Some(at) => self.clock.sleep_until(at),
                None => Box::pin(futures_util::future::pending()),
            }
            .fuse();
            let news = select_biased! {
                news = heard.next() => Some(news),
                () = time => None,
            };
            match news {
                None => self.pieces(key, seats.as_deref().unwrap_or_default(), pieces.take(self.clock.now())).await,
                Some(Some(News::Fragment(fragment))) if seats.as_deref().is_some_and(any_streams) => pieces.add(fragment),
                Some(Some(News::Fragment(_))) => {}
                Some(Some(News::Durable(events))) => {
                    pieces.drop_all();
                    // Whoever came meanwhile has read the record as it was before, or has told whoever drives.
                    if self.rooms.take_change(key) || seats.is_none() {
                        seats = self.seats_of_turn(key).await;
                    }
                    failpoint("before-push");
                    self.durable(key, seats.as_deref().unwrap_or_default(), &events).await;
                    failpoint("after-push");
                }
                Some(None) => return,
            }
        }
    }

    async fn pieces(&self, key: &ConversationKey, seats: &[(ConnectionId, Seat)], fragments: Vec<Fragment>) {
        if fragments.is_empty() {
            return;
        }
        let streaming: Vec<(ConnectionId, Seat)> = seats.iter().filter(|(_, seat)| seat.streams).cloned().collect();
        self.tell(key, &streaming, |_| fragments.iter().cloned().map(render::fragment).collect()).await;
    }

    async fn durable(&self, key: &ConversationKey, seats: &[(ConnectionId, Seat)], events: &[Event]) {
        let Some(last) = events.last() else { return };
        if seats.is_empty() {
            return;
        }
        self.tell(key, seats, |seat| events.iter().flat_map(|event| news_of(key, seat, event)).collect()).await;
        if let Err(error) = self.register.note_delivered(key, last.seq).await {
            tracing::warn!(%error, "how far a room was told could not be noted");
        }
    }

    /// Who sits in the room of a conversation that was just read for a turn, or written: where nobody can, nothing is asked.
    async fn seats_of_turn(&self, key: &ConversationKey) -> Option<Vec<(ConnectionId, Seat)>> {
        if self.rooms.may_be_taken(key, self.clock.now()) { self.seats(key).await } else { Some(Vec::new()) }
    }

    /// Who sits in a room; none where that cannot be read now.
    async fn seats(&self, key: &ConversationKey) -> Option<Vec<(ConnectionId, Seat)>> {
        let seats = self.register.seats(key).await;
        seats.inspect_err(|error| tracing::warn!(%error, "who sits in a room could not be read")).ok()
    }
}

fn any_streams(seats: &[(ConnectionId, Seat)]) -> bool {
    seats.iter().any(|(_, seat)| seat.streams)
}

/// What an event says to a seat. Users' messages were shown when they were accepted, unless the seat was taken later.
fn news_of(key: &ConversationKey, seat: &Seat, event: &Event) -> Vec<ServerFrame> {
    if event.seq <= seat.after {
        return Vec::new();
    }
    let was_shown = match &event.body {
        EventBody::Action(action) => action.name == USER_UTTER && seat.since <= event.at,
        EventBody::TurnEnd(_) | EventBody::Control(_) | EventBody::Task(_) => false,
    };
    if was_shown { Vec::new() } else { render::all(&key.id, event) }
}

impl Delivery {
    /// Whether somebody wants pieces of the reply.
    pub(crate) fn streams(&self) -> bool {
        self.streams
    }

    pub(crate) fn emit(&self, fragment: Fragment) {
        if self.streams {
            // The other end lives as long as this one.
            let _ = self.news.unbounded_send(News::Fragment(fragment));
        }
    }

    pub(crate) fn durable(&self, events: &Arc<[Event]>) {
        if !events.is_empty() {
            let _ = self.news.unbounded_send(News::Durable(Arc::clone(events)));
        }
    }
}

/// Pieces of replies that wait to be sent together.
#[derive(Default)]
struct Pieces {
    waiting: Vec<Fragment>,
    sent_at: Option<Timestamp>,
}

impl Pieces {
    /// Adds a piece, to the one before it where it continues that.
    fn add(&mut self, fragment: Fragment) {
        match (self.waiting.last_mut(), fragment) {
            (Some(Fragment::Delta { message_id, offset, text }), Fragment::Delta { message_id: of, offset: at, text: more })
                if *message_id == of && u64::from(*offset) + text.chars().count() as u64 == u64::from(at) =>
            {
                text.push_str(&more);
            }
            (_, fragment) => self.waiting.push(fragment),
        }
    }

    /// When what waits is to be sent; none where nothing does.
    fn due(&self) -> Option<Timestamp> {
        (!self.waiting.is_empty()).then(|| self.sent_at.map_or(Timestamp(0), |at| at.plus_ms(PIECES_MS)))
    }

    fn take(&mut self, now: Timestamp) -> Vec<Fragment> {
        self.sent_at = Some(now);
        std::mem::take(&mut self.waiting)
    }

    /// The whole message is about to be sent.
    fn drop_all(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use cota_core::ids::MessageId;

    use super::*;

    fn delta(offset: u32, text: &str) -> Fragment {
        Fragment::Delta { message_id: MessageId::new("run.0").unwrap(), offset, text: text.to_owned() }
    }

    #[test]
    fn pieces_that_continue_each_other_are_one_frame_a_tenth_of_a_second() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.due(), None);
        pieces.add(delta(0, "Ö"));
        assert_eq!(pieces.due(), Some(Timestamp(0)), "the first goes at once");
        assert_eq!(pieces.take(Timestamp(1_000)), [delta(0, "Ö")]);
        pieces.add(delta(1, "slo"));
        pieces.add(delta(4, ", "));
        assert_eq!(pieces.due(), Some(Timestamp(1_100)));
        let reset = Fragment::Reset { message_id: MessageId::new("run.0").unwrap() };
        pieces.add(reset.clone());
        pieces.add(delta(0, "B"));
        assert_eq!(pieces.take(Timestamp(1_100)), [delta(1, "slo, "), reset, delta(0, "B")]);
    }
}
