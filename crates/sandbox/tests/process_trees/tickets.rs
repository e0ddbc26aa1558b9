//! Tickets reach every process of a tree, each of them one.

use std::sync::Arc;

use hatchery_sandbox::{CommandSpec, TicketError, ticket_channel};
use libtest_mimic::Trial;

use crate::support::{finish, part, run, sh, spec, start};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials_either_way![
        tickets::a_ticket_reaches_a_grandchild_and_is_given_once,
        tickets::a_ticket_reaches_a_tree_within_a_tree_under_the_same_number,
        tickets::a_closed_channel_yields_no_ticket,
        tickets::without_a_channel_there_is_none,
        tickets::the_source_learns_that_the_tree_is_gone,
    ]
}

fn taker() -> String {
    part(&["take-ticket"])[0].to_str().unwrap().to_owned() + " take-ticket"
}

pub(crate) async fn a_ticket_reaches_a_grandchild_and_is_given_once() {
    let (source, theirs) = ticket_channel().unwrap();
    let taker = taker();
    let script = format!("{taker} & sh -c '{taker}; :' & {taker}; wait");
    let tree = start(CommandSpec { ticket: Some(Arc::new(theirs)), ..sh(&script) }).await;
    for ticket in ["one", "two", "three"] {
        source.send(ticket.as_bytes()).await.unwrap();
    }
    let (_, out, _) = finish(tree).await;
    let mut taken: Vec<&str> = out.lines().collect();
    taken.sort_unstable();
    assert_eq!(taken, ["one", "three", "two"]);
}

pub(crate) async fn a_ticket_reaches_a_tree_within_a_tree_under_the_same_number() {
    let (source, theirs) = ticket_channel().unwrap();
    source.send(b"deep").await.unwrap();
    let agent = part(&["agent", "/bin/sh", "-c", &format!("{}; :", taker())]);
    let (_, out, _) = run(CommandSpec { ticket: Some(Arc::new(theirs)), ..spec(agent) }).await;
    assert!(out.ends_with("\ndeep\nExited(0)\n"), "{out}");
}

pub(crate) async fn a_closed_channel_yields_no_ticket() {
    let (source, theirs) = ticket_channel().unwrap();
    drop(source);
    let (_, out, _) = run(CommandSpec { ticket: Some(Arc::new(theirs)), ..sh(&taker()) }).await;
    assert_eq!(out, "closed\n");
}

pub(crate) async fn without_a_channel_there_is_none() {
    assert_eq!(run(sh(&taker())).await.1, "NotFound\n");
}

pub(crate) async fn the_source_learns_that_the_tree_is_gone() {
    let (source, theirs) = ticket_channel().unwrap();
    let tree = start(CommandSpec { ticket: Some(Arc::new(theirs)), ..sh("exit 0") }).await;
    finish(tree).await;
    assert!(matches!(source.send(b"late").await, Err(TicketError::Closed)));
}
