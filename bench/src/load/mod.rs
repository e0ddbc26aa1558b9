//! Much at once against one gateway, and how it feels meanwhile to somebody who only asks how it
//! is: every scene has a gateway and a home of its own.

mod conversations;
mod crowd;
mod output;
mod pulse;
mod report;
mod scene;
mod trees;

use std::path::Path;

use crate::failure::Failure;
use crate::machine;
use report::Report;

pub(crate) use scene::Scene;

/// Plays these scenes in turn.
pub(crate) async fn measure(program: &Path, scenes: &[Scene]) -> Result<String, Failure> {
    let mut report = Report::new();
    let before = machine::describe();
    for scene in scenes {
        eprintln!("hatchery-bench: load: {}", scene.describe());
        report.add(&scene.describe(), &scene::play(program, *scene).await?);
    }
    Ok(format!("{before}\n\n{report}\n\n{}", machine::describe()))
}
