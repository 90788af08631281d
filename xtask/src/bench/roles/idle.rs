//! Connections that have joined a conversation and say nothing.

use anyhow::Result;

use super::{IdleRole, answer_lines, say};
use crate::load::Connection;

pub(super) async fn play(role: IdleRole) -> Result<()> {
    let mut sockets = Vec::with_capacity(role.sockets);
    for number in 0..role.sockets {
        let name = if role.together { "idle".to_owned() } else { format!("idle-{number}") };
        let mut socket = Connection::open(&role.address, role.channel, &name).await?;
        socket.enter(&name).await?;
        sockets.push(socket);
    }
    say("ready")?;
    answer_lines(|| sockets.len().to_string()).await
}
